//! The firmware configuration device, fw_cfg: how SeaBIOS and OVMF ask what machine they are on (specification: QEMU's
//! docs/specs/fw_cfg.rst).
//!
//! Ports: 0x510 (16 bits) selects an item, 0x511 (8 bits) reads its bytes one after another, 0x514 and 0x518 (32 bits each, big
//! endian) take the guest-physical address of a DMA request, whose low half starts it. Everything after an item's end reads 0.
//!
//! A DMA request is bounded: it copies at most one item and writes at most [`MOST_FILL`] zeros after it; a longer one ends with
//! the error bit before it touches anything. Skips only move a number.

mod contents;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use contents::Item;
pub use contents::{Contents, ContentsError, key};

use crate::bus::{Action, IoError, IoResult, PortDevice, Width};
use crate::memory::GuestMemory;

const SELECTOR: u16 = 0x510;
const DATA: u16 = 0x511;
const DMA_HIGH: u16 = 0x514;
const DMA_LOW: u16 = 0x518;
/// What the DMA register reads as.
const DMA_SIGNATURE: &[u8; 8] = b"QEMU CFG";
/// How many zeros one DMA read may write after the end of the item, in bytes.
pub const MOST_FILL: u32 = 1 << 20;
/// The bit of a selector that says the guest will write.
const WRITE_CHANNEL: u16 = 0x4000;

/// Bits of a DMA request's control field.
mod control {
    pub(super) const ERROR: u32 = 1;
    pub(super) const READ: u32 = 2;
    pub(super) const SKIP: u32 = 4;
    pub(super) const SELECT: u32 = 8;
    pub(super) const WRITE: u32 = 16;
}

/// Makes a file anew, as long as it was.
type Renewal = Box<dyn Fn() -> Vec<u8> + Send>;

/// The device.
pub struct FwCfg {
    items: BTreeMap<u16, Item>,
    files: BTreeMap<String, u16>,
    renewals: BTreeMap<u16, Renewal>,
    memory: GuestMemory,
    selected: u16,
    offset: u32,
    dma_high: u32,
}

impl FwCfg {
    /// The ports it answers at.
    pub const PORTS: RangeInclusive<u16> = 0x510..=0x51b;

    /// The device holding `contents`, with `memory` for DMA.
    ///
    /// # Errors
    /// When a file's name does not fit the directory, or there are too many.
    pub fn new(contents: Contents, memory: GuestMemory) -> Result<Self, ContentsError> {
        let finished = contents.finish()?;
        Ok(Self {
            items: finished.items,
            files: finished.numbers,
            renewals: BTreeMap::new(),
            memory,
            selected: 0,
            offset: 0,
            dma_high: 0,
        })
    }

    /// Has the file `name` made anew by `make` whenever the guest turns to it: for what depends on what firmware did before. `make` must not
    /// wait for another device; what it makes counts if it is as long as the file, whose length the guest was told.
    pub fn renew(&mut self, name: &str, make: impl Fn() -> Vec<u8> + Send + 'static) {
        if let Some(number) = self.files.get(name) {
            self.renewals.insert(*number, Box::new(make));
        }
    }

    /// Nothing is selected any more and files that the guest wrote are as they were at first.
    pub fn reset(&mut self) {
        for item in self.items.values_mut() {
            if let Some(initial) = &item.initial {
                item.data.clone_from(initial);
            }
        }
        self.select(0);
        self.dma_high = 0;
    }

    /// The bytes of the file `name` as they are now.
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        let number = self.files.get(name)?;
        self.items.get(number).map(|item| item.data.as_slice())
    }

    fn select(&mut self, key: u16) {
        self.selected = key & !WRITE_CHANNEL;
        self.offset = 0;
        let item = self.items.get_mut(&self.selected);
        if let (Some(make), Some(item)) = (self.renewals.get(&self.selected), item) {
            let data = make();
            if data.len() == item.data.len() {
                item.data = data;
            }
        }
    }

    /// What of the selected item has not been read yet.
    fn rest(&self) -> &[u8] {
        let offset = usize::try_from(self.offset).unwrap_or(usize::MAX);
        self.items
            .get(&self.selected)
            .and_then(|item| item.data.get(offset..))
            .unwrap_or(&[])
    }

    fn read_data(&mut self, data: &mut [u8]) {
        let rest = self.rest();
        let count = rest.len().min(data.len());
        let (from_item, after) = data.split_at_mut(count);
        from_item.copy_from_slice(&rest[..count]);
        after.fill(0);
        self.advance(u32::try_from(data.len()).unwrap_or(u32::MAX));
    }

    fn advance(&mut self, count: u32) {
        self.offset = self.offset.saturating_add(count);
    }

    /// Carries out the DMA request at guest-physical `address` and writes its outcome there.
    fn request(&mut self, address: u64) {
        let mut request = [0; 16];
        if let Err(error) = self.memory.read(address, &mut request) {
            tracing::debug!(%error, "the firmware configuration request is not in memory");
            return;
        }
        let [c0, c1, c2, c3, l0, l1, l2, l3, a @ ..] = request;
        let control = u32::from_be_bytes([c0, c1, c2, c3]);
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        if control & control::SELECT != 0 {
            let [high, low, ..] = control.to_be_bytes();
            self.select(u16::from_be_bytes([high, low]));
        }
        let outcome = self.transfer(control, length, u64::from_be_bytes(a));
        let result = if outcome.is_some() { 0 } else { control::ERROR };
        if let Err(error) = self.memory.write(address, &result.to_be_bytes()) {
            tracing::debug!(%error, "could not answer the firmware configuration request");
        }
    }

    /// Moves bytes as `control` says; `None` when it cannot. Reading comes before writing, and writing before skipping.
    fn transfer(&mut self, control: u32, length: u32, address: u64) -> Option<()> {
        if control & control::READ != 0 {
            self.read_to_memory(length, address)?;
        } else if control & control::WRITE != 0 {
            self.write_from_memory(length, address)?;
        } else if control & control::SKIP == 0 {
            return Some(());
        }
        self.advance(length);
        Some(())
    }

    fn read_to_memory(&self, length: u32, address: u64) -> Option<()> {
        let wanted = usize::try_from(length).ok()?;
        let rest = self.rest();
        let from_item = rest.get(..wanted).unwrap_or(rest);
        let fill = wanted - from_item.len();
        if fill > usize::try_from(MOST_FILL).ok()? || !self.contains(address, wanted) {
            return None;
        }
        self.memory.write(address, from_item).ok()?;
        let zeros = [0; 4096];
        let mut at = address.checked_add(u64::try_from(from_item.len()).ok()?)?;
        let mut left = fill;
        while left > 0 {
            let part = left.min(zeros.len());
            self.memory.write(at, zeros.get(..part)?).ok()?;
            at = at.checked_add(u64::try_from(part).ok()?)?;
            left -= part;
        }
        Some(())
    }

    fn write_from_memory(&mut self, length: u32, address: u64) -> Option<()> {
        let wanted = usize::try_from(length).ok()?;
        let start = usize::try_from(self.offset).ok()?;
        let item = self.items.get_mut(&self.selected)?;
        item.initial.as_ref()?;
        let place = item.data.get_mut(start..start.checked_add(wanted)?)?;
        self.memory.read(address, place).ok()
    }

    fn contains(&self, address: u64, length: usize) -> bool {
        length == 0 || self.memory.contains(address, length)
    }
}

impl PortDevice for FwCfg {
    fn read_port(&mut self, port: u16, width: Width) -> IoResult<u32> {
        match (port, width) {
            (DATA, Width::Byte) => {
                let mut byte = [0];
                self.read_data(&mut byte);
                Ok(u32::from(byte[0]))
            }
            (DATA, _) => Err(IoError::Width),
            (DMA_HIGH..=0x51b, _) => {
                let start = usize::from(port - DMA_HIGH);
                Ok(width.load(DMA_SIGNATURE.get(start..).unwrap_or(&[])))
            }
            _ => Err(IoError::Unmapped),
        }
    }

    fn write_port(&mut self, port: u16, width: Width, value: u32) -> IoResult<Option<Action>> {
        match (port, width) {
            (SELECTOR, Width::Word) => {
                let [low, high, ..] = value.to_le_bytes();
                self.select(u16::from_le_bytes([low, high]));
            }
            // Written through DMA only: the port swallows it.
            (DATA, Width::Byte) => {}
            (DMA_HIGH, Width::Dword) => self.dma_high = value.swap_bytes(),
            (DMA_LOW, Width::Dword) => {
                let address = u64::from(self.dma_high) << 32 | u64::from(value.swap_bytes());
                self.dma_high = 0;
                self.request(address);
            }
            (SELECTOR | DATA | DMA_HIGH..=0x51b, _) => return Err(IoError::Width),
            _ => return Err(IoError::Unmapped),
        }
        Ok(None)
    }

    fn read_port_string(&mut self, port: u16, width: Width, data: &mut [u8]) {
        if port == DATA && width == Width::Byte {
            self.read_data(data);
            return;
        }
        for item in data.chunks_mut(width.bytes()) {
            let value = self.read_port(port, width).unwrap_or(width.ones());
            width.store(value, item);
        }
    }
}
