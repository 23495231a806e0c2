//! The host bridge of a generation 2 machine: the memory controller hub of an Intel Q35 board, PCI function 00:00.0.
//!
//! Intel 3 Series Express Chipset Family data sheet (order number 316966), chapter 5. Of its registers, those stand that firmware
//! and operating systems touch: PCIEXBAR (0x60), which places the window of configuration spaces, and, as registers that keep
//! what is written, the attribute map (0x90 to 0x96) and SMRAM control (0x9D, 0x9E). UEFI neither shadows itself below 1 MiB nor
//! finds a system management mode: both have no effect.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::bus::{Action, Width};
use crate::pci::{BaseAddress, ConfigSpace, Identity, PciFunction, Window};

/// The base of the window of configuration spaces, 64 bits.
const CONFIGURATION_BASE: u8 = 0x60;
const CONFIGURATION_ENABLE: u32 = 1;
/// Bits 2 and 1: how large the window is.
const CONFIGURATION_SIZE: u32 = 3 << 1;
const ATTRIBUTE_MAP: u8 = 0x90;
const SMRAM: u8 = 0x9d;
/// The window's number, after the expansion ROM's.
const CONFIGURATION_WINDOW: u8 = 7;

/// The host bridge.
pub struct Q35 {
    space: ConfigSpace,
    /// Where the window of configuration spaces begins, or 0 without one: for whom must not wait for this device.
    window: Arc<AtomicU64>,
}

impl Default for Q35 {
    fn default() -> Self {
        Self::new()
    }
}

impl Q35 {
    /// The host bridge as after power-on: without a window of configuration spaces.
    pub fn new() -> Self {
        let space = ConfigSpace::builder(Identity {
            vendor: 0x8086,
            device: 0x29c0,
            revision: 2,
            class: 0x06_00_00,
        })
        .subsystem(0x1af4, 0x1100)
        // Memory access and bus mastering cannot be switched off.
        .command(0x0006, 0x0140)
        .registers_of_its_own(
            CONFIGURATION_BASE,
            [0; 8],
            [0x07, 0, 0, 0xfc, 0x0f, 0, 0, 0],
        )
        .registers_of_its_own(
            ATTRIBUTE_MAP,
            [0; 7],
            [0x30, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33],
        )
        .registers_of_its_own(SMRAM, [0x02, 0x38], [0x78, 0xc7])
        .build();
        Self {
            space,
            window: Arc::default(),
        }
    }

    /// Where the window of configuration spaces begins, at all times; 0 while there is none.
    pub fn configuration_window(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.window)
    }

    fn note_window(&self) {
        let window = self.base_addresses().first().map_or(0, |it| it.base);
        self.window.store(window, Ordering::Release);
    }
}

impl PciFunction for Q35 {
    fn read_config(&mut self, offset: u8, width: Width) -> u32 {
        self.space.read(offset, width)
    }

    fn write_config(&mut self, offset: u8, width: Width, value: u32) -> Option<Action> {
        self.space.write(offset, width, value);
        self.note_window();
        None
    }

    fn base_addresses(&self) -> Vec<BaseAddress> {
        let low = self.space.dword(CONFIGURATION_BASE);
        let high = self.space.dword(CONFIGURATION_BASE + 4);
        let size: u64 = match (low & CONFIGURATION_SIZE) >> 1 {
            0 => 256 << 20,
            1 => 128 << 20,
            2 => 64 << 20,
            _ => return Vec::new(),
        };
        if low & CONFIGURATION_ENABLE == 0 {
            return Vec::new();
        }
        let base = (u64::from(high) << 32 | u64::from(low)) & !(size - 1);
        vec![BaseAddress {
            number: CONFIGURATION_WINDOW,
            base,
            size,
            window: Window::Configuration,
        }]
    }

    fn reset(&mut self) {
        self.space.reset();
        self.note_window();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ovmf_finds_the_bridge_and_places_the_window() {
        let mut bridge = Q35::new();
        let told = bridge.configuration_window();
        assert_eq!(bridge.read_config(0, Width::Dword), 0x29c0_8086);
        assert!(bridge.base_addresses().is_empty());
        // OVMF writes the high half, then the low one with the enable bit (trace of its accesses to 0x64 and 0x60).
        bridge.write_config(0x64, Width::Dword, 0);
        bridge.write_config(0x60, Width::Dword, 0xb000_0001);
        let windows = bridge.base_addresses();
        let [window] = windows.as_slice() else {
            panic!("{windows:?}");
        };
        assert_eq!((window.base, window.size), (0xb000_0000, 256 << 20));
        assert!(matches!(window.window, Window::Configuration));
        assert_eq!(told.load(Ordering::Acquire), 0xb000_0000);
        bridge.reset();
        assert!(bridge.base_addresses().is_empty());
        assert_eq!(told.load(Ordering::Acquire), 0);
    }

    #[test]
    fn the_window_has_the_size_that_its_register_says() {
        for (low, expected) in [
            (0xb400_0003, Some((0xb000_0000, 128 << 20))),
            (0xb400_0005, Some((0xb400_0000, 64 << 20))),
            (0xb000_0007, None),
            (0xb000_0000, None),
        ] {
            let mut bridge = Q35::new();
            bridge.write_config(0x60, Width::Dword, low);
            let found = bridge.base_addresses();
            assert_eq!(
                found.first().map(|window| (window.base, window.size)),
                expected,
                "{low:#x}"
            );
        }
    }

    #[test]
    fn hostile_values_are_survived() {
        let mut bridge = Q35::new();
        for value in [0, 0xffff_ffff, 0xa5a5_a5a5] {
            for offset in 0..=255 {
                for width in Width::ALL {
                    bridge.write_config(offset, width, value);
                    bridge.read_config(offset, width);
                    bridge.base_addresses();
                }
            }
        }
        assert_eq!(bridge.read_config(0, Width::Dword), 0x29c0_8086);
    }
}
