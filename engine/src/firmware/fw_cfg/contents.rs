//! What the fw_cfg device holds: items by number, and files by name that get their numbers when the directory is made.

use std::collections::BTreeMap;

/// The longest file name, in bytes: 56 in the directory with the NUL at the end.
pub const LONGEST_NAME: usize = 55;

/// Numbers of items that are not files.
pub mod key {
    /// "QEMU": tells firmware that the device is there.
    pub const SIGNATURE: u16 = 0x00;
    /// What the device can do: 32 bits, bit 0 the data port, bit 1 DMA.
    pub const FEATURES: u16 = 0x01;
    /// The number of processors at start, 16 bits.
    pub const PROCESSORS: u16 = 0x05;
    /// NUMA: the number of nodes, then the node of each processor, 64 bits each.
    pub const NUMA: u16 = 0x0d;
    /// Whether the firmware offers its boot menu, 16 bits.
    pub const BOOT_MENU: u16 = 0x0e;
    /// The number of APIC identifiers, 16 bits.
    pub const MAX_PROCESSORS: u16 = 0x0f;
    /// The file directory.
    pub const DIRECTORY: u16 = 0x19;
    /// The first file.
    pub const FIRST_FILE: u16 = 0x20;
    /// x86: interrupt request 0 arrives at input 2 of the I/O APIC, 8 bits.
    pub const TIMER_OVERRIDE: u16 = 0x8002;
}

/// One item or file.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) data: Vec<u8>,
    /// What a reset brings back, for an item that the guest may write.
    pub(super) initial: Option<Vec<u8>>,
}

impl Item {
    fn constant(data: Vec<u8>) -> Self {
        Self {
            data,
            initial: None,
        }
    }

    fn writable(data: Vec<u8>) -> Self {
        Self {
            initial: Some(data.clone()),
            data,
        }
    }
}

/// What could not be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentsError {
    /// No room in the directory for the name.
    #[error(
        "the firmware configuration file name {0:?} is empty, longer than {LONGEST_NAME} bytes or holds a NUL"
    )]
    Name(String),
    /// Items are found by 14 bits.
    #[error("the firmware configuration device has no number left for more files")]
    TooMany,
}

/// Items and files, before the device has them.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    items: BTreeMap<u16, Item>,
    files: BTreeMap<String, Item>,
}

impl Contents {
    /// Nothing but the signature and what the device can do.
    pub fn new() -> Self {
        let mut contents = Self::default();
        contents.add(key::SIGNATURE, b"QEMU".to_vec());
        contents.add(key::FEATURES, 3_u32.to_le_bytes().to_vec());
        contents
    }

    /// Adds the item `key` (one of [`key`]), in place of one with the same number.
    pub fn add(&mut self, key: u16, data: Vec<u8>) {
        self.items.insert(key, Item::constant(data));
    }

    /// Adds a file that the guest reads, in place of one with the same name.
    pub fn add_file(&mut self, name: &str, data: Vec<u8>) {
        self.files.insert(name.to_owned(), Item::constant(data));
    }

    /// Adds a file that the guest may also write, within its length; a reset brings `data` back.
    pub fn add_writable_file(&mut self, name: &str, data: Vec<u8>) {
        self.files.insert(name.to_owned(), Item::writable(data));
    }

    /// The bytes of a file.
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(|item| item.data.as_slice())
    }

    /// Gives every file its number and makes the directory.
    pub(super) fn finish(self) -> Result<Finished, ContentsError> {
        let mut items = self.items;
        let mut numbers = BTreeMap::new();
        let count = u32::try_from(self.files.len()).map_err(|_| ContentsError::TooMany)?;
        let mut directory = count.to_be_bytes().to_vec();
        for (position, (name, item)) in self.files.into_iter().enumerate() {
            if name.is_empty() || name.len() > LONGEST_NAME || name.contains('\0') {
                return Err(ContentsError::Name(name));
            }
            let number = u16::try_from(position)
                .ok()
                .and_then(|position| key::FIRST_FILE.checked_add(position))
                .filter(|number| *number < 0x4000)
                .ok_or(ContentsError::TooMany)?;
            let size = u32::try_from(item.data.len()).map_err(|_| ContentsError::TooMany)?;
            directory.extend(size.to_be_bytes());
            directory.extend(number.to_be_bytes());
            directory.extend([0; 2]);
            let mut field = [0; LONGEST_NAME + 1];
            for (to, from) in field.iter_mut().zip(name.bytes()) {
                *to = from;
            }
            directory.extend(field);
            numbers.insert(name, number);
            items.insert(number, item);
        }
        items.insert(key::DIRECTORY, Item::constant(directory));
        Ok(Finished { items, numbers })
    }
}

/// Contents in which every file has its number.
pub(super) struct Finished {
    /// All items by number, the files and the directory among them.
    pub(super) items: BTreeMap<u16, Item>,
    /// The number of each file.
    pub(super) numbers: BTreeMap<String, u16>,
}
