//! The 256 bytes of configuration space of an ordinary (type 0) function: identification, command and status, base address
//! registers with their sizing protocol, and whatever registers of its own the function adds.
//!
//! PCI Local Bus Specification 3.0, chapter 6. Every byte has a mask of the bits that software may change and a mask of those it
//! clears by writing ones; a base address register is nothing more than four bytes whose low bits cannot be changed, which is
//! what the sizing protocol reads.

use super::{BaseAddress, Pin, Window};
use crate::bus::Width;
use crate::memory::MemoryRegion;

const COMMAND: u8 = 0x04;
const STATUS: u8 = 0x06;
const FIRST_BASE_ADDRESS: u8 = 0x10;
const EXPANSION_ROM: u8 = 0x30;
const CAPABILITIES: u8 = 0x34;
const INTERRUPT_LINE: u8 = 0x3c;
const INTERRUPT_PIN: u8 = 0x3d;

const COMMAND_PORTS: u16 = 1 << 0;
const COMMAND_MEMORY: u16 = 1 << 1;
const COMMAND_BUS_MASTER: u16 = 1 << 2;
const COMMAND_INTERRUPT_DISABLE: u16 = 1 << 10;
/// What software may change of the command register: I/O, memory, bus master, parity error response, SERR#, interrupt disable.
const COMMAND_WRITABLE: u16 = 0x0547;

const STATUS_INTERRUPT: u16 = 1 << 3;
const STATUS_CAPABILITIES: u8 = 1 << 4;
/// Medium DEVSEL# timing and fast back-to-back capable, as every chip of the time answers.
const STATUS_POWER_ON: u16 = 0x0280;
/// The error bits of the status register, cleared by writing ones.
const STATUS_CLEARED_BY_ONES: u16 = 0xf900;

/// The number of the expansion ROM among the base address registers.
pub const ROM_WINDOW: u8 = 6;
/// The smallest window that the processor reaches without asking the device: one page.
const PAGE: u64 = 4096;

/// What a function is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Who made it.
    pub vendor: u16,
    /// What it is among its maker's.
    pub device: u16,
    /// Which revision of it.
    pub revision: u8,
    /// Base class, sub-class and programming interface, as written: `0x01_01_80` is an IDE controller.
    pub class: u32,
}

/// Puts a [`ConfigSpace`] together. What the methods set is also what [`ConfigSpace::reset`] goes back to.
#[derive(Debug, Clone)]
pub struct ConfigSpaceBuilder {
    bytes: [u8; 256],
    writable: [u8; 256],
    cleared_by_ones: [u8; 256],
    windows: Vec<(u8, u64, Window)>,
    /// Where the next capability's place is to be written.
    link: u8,
}

impl ConfigSpaceBuilder {
    fn set<const N: usize>(mut self, offset: u8, value: [u8; N]) -> Self {
        for (at, byte) in (usize::from(offset)..).zip(value) {
            if let Some(to) = self.bytes.get_mut(at) {
                *to = byte;
            }
        }
        self
    }

    fn allow<const N: usize>(mut self, offset: u8, mask: [u8; N]) -> Self {
        for (at, byte) in (usize::from(offset)..).zip(mask) {
            if let Some(to) = self.writable.get_mut(at) {
                *to = byte;
            }
        }
        self
    }

    /// The subsystem's vendor and id (0x2c, 0x2e).
    pub fn subsystem(self, vendor: u16, id: u16) -> Self {
        self.set(0x2c, vendor.to_le_bytes())
            .set(0x2e, id.to_le_bytes())
    }

    /// The function's interrupt pin; its interrupt line register becomes writable with it.
    pub fn interrupt_pin(self, pin: Pin) -> Self {
        self.set(INTERRUPT_PIN, [pin.number()])
            .allow(INTERRUPT_LINE, [0xff])
    }

    /// The command register's value at power-on and the bits of it that software may change, where they differ from an ordinary
    /// function's (0 and 0x0547).
    pub fn command(self, power_on: u16, writable: u16) -> Self {
        self.set(COMMAND, power_on.to_le_bytes())
            .allow(COMMAND, writable.to_le_bytes())
    }

    /// The function's own registers at `offset`: their values at power-on, and the bits of each that software may change.
    pub fn registers_of_its_own<const N: usize>(
        self,
        offset: u8,
        power_on: [u8; N],
        writable: [u8; N],
    ) -> Self {
        self.set(offset, power_on).allow(offset, writable)
    }

    /// A capability: an entry of the list that software finds by the pointer at 0x34, in the order they are added. `id` says
    /// which, `body` is what follows the two bytes of its header, `writable` the bits of it that software may change. `offset`
    /// is a multiple of 4, 0x40 at least.
    pub fn capability<const N: usize>(
        mut self,
        offset: u8,
        id: u8,
        body: [u8; N],
        writable: [u8; N],
    ) -> Self {
        self.bytes[usize::from(STATUS)] |= STATUS_CAPABILITIES;
        let link = std::mem::replace(&mut self.link, offset.saturating_add(1));
        self.set(link, [offset])
            .set(offset, [id, 0])
            .registers_of_its_own(offset.saturating_add(2), body, writable)
    }

    fn base_address(mut self, number: u8, size: u64, low_bits: u8, window: Window) -> Self {
        let size = size.next_power_of_two().min(0x8000_0000);
        let mask = u32::try_from(size - 1).map_or(0, |mask| !mask);
        let offset = FIRST_BASE_ADDRESS + 4 * number.min(5);
        self.windows.push((number.min(5), size, window));
        self.set(offset, [low_bits, 0, 0, 0])
            .allow(offset, mask.to_le_bytes())
    }

    /// Base address register `number` (0 to 5): `size` ports, rounded up to a power of two, 4 at least.
    pub fn port_window(self, number: u8, size: u16) -> Self {
        self.base_address(number, u64::from(size.max(4)), 1, Window::Ports)
    }

    /// Base address register `number` (0 to 5): `size` bytes of memory-mapped registers anywhere below 4 GiB, rounded up to a
    /// power of two, 16 at least.
    pub fn register_window(self, number: u8, size: u32) -> Self {
        self.base_address(number, u64::from(size.max(16)), 0, Window::Registers)
    }

    /// Base address register `number` (0 to 5): all of `region` as plain memory anywhere below 4 GiB, prefetchable. The window's
    /// size is the region's, rounded up to a power of two; beyond the region nothing answers.
    pub fn memory_window(self, number: u8, region: MemoryRegion) -> Self {
        let size = (region.size() as u64).max(PAGE);
        self.base_address(number, size, 8, Window::Memory(region))
    }

    /// The expansion ROM: all of `region`, read-only, anywhere below 4 GiB.
    pub fn expansion_rom(mut self, region: MemoryRegion) -> Self {
        let size = (region.size() as u64)
            .max(PAGE)
            .next_power_of_two()
            .min(0x0100_0000);
        let mask = u32::try_from(size - 1).map_or(0, |mask| !mask) | 1;
        self.windows.push((ROM_WINDOW, size, Window::Rom(region)));
        self.allow(EXPANSION_ROM, mask.to_le_bytes())
    }

    /// The configuration space as after power-on.
    pub fn build(self) -> ConfigSpace {
        ConfigSpace {
            bytes: self.bytes,
            power_on: self.bytes,
            writable: self.writable,
            cleared_by_ones: self.cleared_by_ones,
            windows: self.windows,
        }
    }
}

/// The configuration space of one function.
#[derive(Debug, Clone)]
pub struct ConfigSpace {
    bytes: [u8; 256],
    power_on: [u8; 256],
    writable: [u8; 256],
    cleared_by_ones: [u8; 256],
    windows: Vec<(u8, u64, Window)>,
}

impl ConfigSpace {
    /// Begins the configuration space of a function that is `identity`: header type 0, no windows, no interrupt pin.
    pub fn builder(identity: Identity) -> ConfigSpaceBuilder {
        let [interface, sub_class, base_class, _] = identity.class.to_le_bytes();
        let mut cleared_by_ones = [0; 256];
        let [low, high] = STATUS_CLEARED_BY_ONES.to_le_bytes();
        cleared_by_ones[usize::from(STATUS)] = low;
        cleared_by_ones[usize::from(STATUS) + 1] = high;
        ConfigSpaceBuilder {
            bytes: [0; 256],
            writable: [0; 256],
            cleared_by_ones,
            windows: Vec::new(),
            link: CAPABILITIES,
        }
        .set(0x00, identity.vendor.to_le_bytes())
        .set(0x02, identity.device.to_le_bytes())
        .set(STATUS, STATUS_POWER_ON.to_le_bytes())
        .set(0x08, [identity.revision, interface, sub_class, base_class])
        .allow(COMMAND, COMMAND_WRITABLE.to_le_bytes())
        // Cache line size and latency timer: bytes that software keeps.
        .allow(0x0c, [0xff, 0xff])
    }

    /// Reads at byte `offset`. Bytes beyond the last are ones.
    pub fn read(&self, offset: u8, width: Width) -> u32 {
        let mut data = [0xff; 4];
        for (to, at) in data
            .iter_mut()
            .zip(usize::from(offset)..)
            .take(width.bytes())
        {
            *to = self.bytes.get(at).copied().unwrap_or(0xff);
        }
        width.load(&data)
    }

    /// Writes at byte `offset`, as far as the masks allow.
    pub fn write(&mut self, offset: u8, width: Width, value: u32) {
        for (at, new) in (usize::from(offset)..)
            .zip(value.to_le_bytes())
            .take(width.bytes())
        {
            let (Some(byte), Some(writable), Some(cleared)) = (
                self.bytes.get_mut(at),
                self.writable.get(at),
                self.cleared_by_ones.get(at),
            ) else {
                return;
            };
            *byte = (*byte & !writable & !(cleared & new)) | (new & writable);
        }
    }

    /// The byte at `offset`.
    pub fn byte(&self, offset: u8) -> u8 {
        self.bytes[usize::from(offset)]
    }

    /// The word at `offset`.
    pub fn word(&self, offset: u8) -> u16 {
        u16::from_le_bytes([self.byte(offset), self.byte(offset.wrapping_add(1))])
    }

    /// The dword at `offset`.
    pub fn dword(&self, offset: u8) -> u32 {
        self.read(offset, Width::Dword)
    }

    /// The function itself sets the byte at `offset`, whatever software may change of it.
    pub fn set_byte(&mut self, offset: u8, value: u8) {
        self.bytes[usize::from(offset)] = value;
    }

    /// Whether software has disabled the INTx line.
    pub fn is_interrupt_disabled(&self) -> bool {
        self.word(COMMAND) & COMMAND_INTERRUPT_DISABLE != 0
    }

    /// Whether the function may reach memory by itself.
    pub fn is_bus_master(&self) -> bool {
        self.word(COMMAND) & COMMAND_BUS_MASTER != 0
    }

    /// Tells software by the status register whether the function asks for an interrupt, and returns the level its INTx line
    /// is to have: that, unless software has disabled the line.
    pub fn interrupt_level(&mut self, asked: bool) -> bool {
        let status =
            self.word(STATUS) & !STATUS_INTERRUPT | if asked { STATUS_INTERRUPT } else { 0 };
        self.set_byte(STATUS, status.to_le_bytes()[0]);
        asked && !self.is_interrupt_disabled()
    }

    /// The base address registers that are decoded: enabled by the command register, the expansion ROM also by its own bit, and
    /// assigned an address other than 0.
    pub fn base_addresses(&self) -> Vec<BaseAddress> {
        let command = self.word(COMMAND);
        self.windows
            .iter()
            .filter_map(|(number, size, window)| {
                let offset = if *number == ROM_WINDOW {
                    EXPANSION_ROM
                } else {
                    FIRST_BASE_ADDRESS + 4 * number
                };
                let register = self.dword(offset);
                let (base, enabled) = match window {
                    Window::Ports => (register & !3, command & COMMAND_PORTS != 0),
                    Window::Registers | Window::Memory(_) | Window::Configuration => {
                        (register & !0xf, command & COMMAND_MEMORY != 0)
                    }
                    Window::Rom(_) => (
                        register & !0x7ff,
                        command & COMMAND_MEMORY != 0 && register & 1 != 0,
                    ),
                };
                (enabled && base != 0).then(|| BaseAddress {
                    number: *number,
                    base: u64::from(base),
                    size: *size,
                    window: window.clone(),
                })
            })
            .collect()
    }

    /// Everything as after power-on.
    pub fn reset(&mut self) {
        self.bytes = self.power_on;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter() -> ConfigSpace {
        ConfigSpace::builder(Identity {
            vendor: 0x1234,
            device: 0x1111,
            revision: 2,
            class: 0x03_00_00,
        })
        .subsystem(0x1af4, 0x1100)
        .interrupt_pin(Pin::A)
        .memory_window(0, MemoryRegion::new("video", 0x100_0000).unwrap())
        .port_window(1, 0x40)
        .register_window(2, 0x1000)
        .expansion_rom(MemoryRegion::new("rom", 0x9000).unwrap())
        .registers_of_its_own(0x40, [0x12, 0x34], [0x0f, 0xf0])
        .build()
    }

    #[test]
    fn the_header_reads_as_it_was_built() {
        let space = adapter();
        for (offset, width, value) in [
            (0x00, Width::Dword, 0x1111_1234),
            (0x08, Width::Dword, 0x0300_0002),
            (0x0a, Width::Word, 0x0300),
            (0x0e, Width::Byte, 0x00),
            (0x2c, Width::Dword, 0x1100_1af4),
            (0x3d, Width::Byte, 0x01),
            (0x06, Width::Word, 0x0280),
            (0xfe, Width::Dword, 0xffff_0000),
        ] {
            assert_eq!(space.read(offset, width), value, "{offset:#x}");
        }
    }

    #[test]
    fn sizing_reads_the_complement_of_the_size() {
        let mut space = adapter();
        for (offset, value) in [
            (0x10, 0xff00_0008),
            (0x14, 0xffff_ffc1),
            (0x18, 0xffff_f000),
            (0x1c, 0),
            (0x30, 0xffff_0001),
        ] {
            space.write(offset, Width::Dword, 0xffff_ffff);
            assert_eq!(space.dword(offset), value, "{offset:#x}");
        }
        // The same by bytes, as a hostile or a very old guest does it.
        space.reset();
        for offset in 0x18..0x1c {
            space.write(offset, Width::Byte, 0xff);
        }
        assert_eq!(space.dword(0x18), 0xffff_f000);
    }

    #[test]
    fn windows_are_decoded_when_enabled_and_assigned() {
        let mut space = adapter();
        space.write(0x04, Width::Word, 0x3);
        assert!(space.base_addresses().is_empty(), "no addresses yet");
        space.write(0x10, Width::Dword, 0xfd00_0000);
        space.write(0x14, Width::Dword, 0xc000);
        space.write(0x30, Width::Dword, 0xfebe_0000);
        let found: Vec<_> = space
            .base_addresses()
            .iter()
            .map(|window| (window.number, window.base, window.size))
            .collect();
        assert_eq!(found, [(0, 0xfd00_0000, 0x100_0000), (1, 0xc000, 0x40)]);
        space.write(0x30, Width::Dword, 0xfebe_0001);
        space.write(0x04, Width::Word, 0x2);
        let found: Vec<_> = space
            .base_addresses()
            .iter()
            .map(|window| (window.number, window.base, window.size))
            .collect();
        assert_eq!(
            found,
            [(0, 0xfd00_0000, 0x100_0000), (6, 0xfebe_0000, 0x1_0000)]
        );
    }

    #[test]
    fn masks_hold_and_reset_restores() {
        let mut space = adapter();
        space.write(0x00, Width::Dword, 0xffff_ffff);
        space.write(0x40, Width::Word, 0xffff);
        space.write(0x3c, Width::Word, 0xff0b);
        assert_eq!(space.dword(0x00), 0x1111_1234);
        assert_eq!(space.word(0x40), 0xf41f);
        assert_eq!(space.word(0x3c), 0x010b);
        space.reset();
        assert_eq!((space.word(0x40), space.word(0x3c)), (0x3412, 0x0100));
    }

    #[test]
    fn status_bits_are_cleared_by_ones_and_the_interrupt_bit_is_ours() {
        let mut space = adapter();
        space.set_byte(0x07, 0xfa);
        space.write(0x06, Width::Word, 0x8000);
        assert_eq!(space.word(0x06), 0x7a80);
        assert!(space.interrupt_level(true));
        assert_eq!(space.word(0x06), 0x7a88);
        space.write(0x04, Width::Word, 0x400);
        assert!(!space.interrupt_level(true));
        assert!(!space.interrupt_level(false));
        assert_eq!(space.word(0x06), 0x7a80);
    }

    #[test]
    fn capabilities_are_found_by_their_list() {
        let mut space = ConfigSpace::builder(Identity {
            vendor: 0x1234,
            device: 0x1111,
            revision: 0,
            class: 0,
        })
        .capability(0x80, 0x05, [0x80, 0], [1, 0])
        .capability(0x40, 0x11, [1; 10], [0; 10])
        .build();
        assert_eq!(space.word(0x06) & 0x10, 0x10);
        assert_eq!(space.byte(0x34), 0x80);
        assert_eq!(space.dword(0x80), 0x0080_4005);
        assert_eq!(space.dword(0x40), 0x0101_0011);
        space.write(0x80, Width::Dword, 0xffff_ffff);
        assert_eq!(
            space.dword(0x80),
            0x0081_4005,
            "the header is not software's"
        );
    }

    #[test]
    fn hostile_writes_change_only_what_they_may() {
        let mut space = adapter();
        for value in [0xffff_ffff, 0, 0xaaaa_aaaa, 0x5555_5555] {
            for width in Width::ALL {
                for offset in 0..=255 {
                    space.write(offset, width, value);
                    let _ = space.read(offset, width);
                    let _ = space.base_addresses();
                }
            }
        }
        assert_eq!(space.dword(0), 0x1111_1234);
    }
}
