//! The script by which firmware places tables in memory: QEMU's `etc/table-loader`, 128-byte commands in order (facts: SeaBIOS
//! src/fw/romfile_loader.h).

/// Where the firmware allocates memory for a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone {
    /// Anywhere below 4 GiB.
    High,
    /// In 0xE0000 to 0xFFFFF, where systems look for the root pointer.
    FSegment,
}

/// The size of a command, in bytes.
pub(super) const COMMAND_SIZE: usize = 128;
const NAME_SIZE: usize = 56;

/// A script being written.
#[derive(Debug, Default)]
pub(super) struct Script {
    bytes: Vec<u8>,
}

impl Script {
    /// Loads `file` at a multiple of `alignment`, a power of two.
    pub(super) fn allocate(&mut self, file: &str, alignment: u32, zone: Zone) {
        let zone = match zone {
            Zone::High => 1,
            Zone::FSegment => 2,
        };
        self.command(1, &[file], &[&alignment.to_le_bytes(), &[zone]]);
    }

    /// Adds the address at which `source` was loaded to the `size` bytes at `offset` of `destination`.
    pub(super) fn add_pointer(&mut self, destination: &str, source: &str, offset: u32, size: u8) {
        self.command(2, &[destination, source], &[&offset.to_le_bytes(), &[size]]);
    }

    /// Sets the byte at `offset` of `file` so that the `length` bytes from `start` on add up to 0.
    pub(super) fn add_checksum(&mut self, file: &str, offset: u32, start: u32, length: u32) {
        let numbers = [offset, start, length].map(u32::to_le_bytes);
        self.command(3, &[file], &[&numbers[0], &numbers[1], &numbers[2]]);
    }

    fn command(&mut self, number: u32, names: &[&str], fields: &[&[u8]]) {
        let mut command = number.to_le_bytes().to_vec();
        for name in names {
            let mut field = name.as_bytes().to_vec();
            field.resize(NAME_SIZE, 0);
            command.extend(field);
        }
        command.extend(fields.concat());
        command.resize(COMMAND_SIZE, 0);
        self.bytes.extend(command);
    }

    /// The finished file.
    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}
