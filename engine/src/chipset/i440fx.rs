//! The host bridge of a generation 1 machine: Intel 82441FX (440FX PMC), PCI function 00:00.0.
//!
//! Intel 82441FX data sheet (order number 290549). Of its registers, those stand that firmware and operating systems touch: the
//! programmable attribute map (PAM, 0x59 to 0x5f), which says for 13 segments below 1 MiB whether reads and writes reach main
//! memory or the bus, and SMRAM control (0x72). The memory controller's timing registers are absent: nothing behind them exists.

use std::sync::Arc;

use crate::bus::{Action, Width};
use crate::pci::{ConfigSpace, Identity, PciFunction};

const PAM: u8 = 0x59;
const SMRAM: u8 = 0x72;

const SMRAM_POWER_ON: u8 = 0x02;
const SMRAM_LOCK: u8 = 1 << 4;
const SMRAM_OPEN: u8 = 1 << 6;
/// Enable, closed, lock, open; the base segment is hardwired to 0xA0000.
const SMRAM_WRITABLE: u8 = 0x78;

/// The segments that the attribute map governs: twelve of 16 KiB from 0xC0000 on, then one of 64 KiB at 0xF0000.
const SEGMENTS: usize = 13;

/// Where an access to a segment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PamTarget {
    /// To the bus: reads see the firmware's ROM (or nothing), writes are lost.
    #[default]
    Bus,
    /// To main memory.
    Memory,
}

/// Where reads and writes of one segment go. As after power-on: both to the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PamState {
    /// Reads.
    pub read: PamTarget,
    /// Writes.
    pub write: PamTarget,
}

impl PamState {
    /// From the four bits of an attribute register: bit 0 sends reads to memory, bit 1 writes.
    fn from_bits(bits: u8) -> Self {
        let target = |set: bool| {
            if set {
                PamTarget::Memory
            } else {
                PamTarget::Bus
            }
        };
        Self {
            read: target(bits & 1 != 0),
            write: target(bits & 2 != 0),
        }
    }
}

/// What carries out the attribute map: the guest's memory map.
pub trait PamSink: Send + Sync {
    /// Segment number `segment` is to be `state` from now on: 0 to 11 are the 16 KiB pieces from 0xC0000 on, 12 is 0xF0000 to
    /// 0xFFFFF. Called with the bridge's lock held, from the
    /// processor that changed it; for every segment at a reset, otherwise only when it changes.
    fn set_pam(&self, segment: usize, state: PamState);
}

/// The host bridge.
pub struct I440fx {
    space: ConfigSpace,
    sink: Arc<dyn PamSink>,
    segments: [PamState; SEGMENTS],
}

impl I440fx {
    /// A host bridge as after power-on, whose attribute map `sink` carries out. The sink is to begin with every segment on the
    /// bus; it is first called when something changes or at [`PciFunction::reset`].
    pub fn new(sink: Arc<dyn PamSink>) -> Self {
        let space = ConfigSpace::builder(Identity {
            vendor: 0x8086,
            device: 0x1237,
            revision: 2,
            class: 0x06_00_00,
        })
        .subsystem(0x1af4, 0x1100)
        // Memory access and bus mastering cannot be switched off.
        .command(0x0006, 0x0140)
        .registers_of_its_own(PAM, [0; 7], [0x30, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33])
        .registers_of_its_own(SMRAM, [SMRAM_POWER_ON], [SMRAM_WRITABLE])
        .build();
        Self {
            space,
            sink,
            segments: [PamState::default(); SEGMENTS],
        }
    }

    fn pam(&self, segment: usize) -> PamState {
        // The last segment is the high half of the first register; the others follow it two to a register, the low half first.
        let position = u8::try_from((segment + 1) % SEGMENTS).unwrap_or(0);
        let half = |register: u8, high: bool| {
            let bits = self.space.byte(register);
            PamState::from_bits(if high { bits >> 4 } else { bits })
        };
        match position.checked_sub(1) {
            None => half(PAM, true),
            Some(index) => half(PAM + 1 + (index >> 1), index & 1 != 0),
        }
    }

    fn update_pam(&mut self, all: bool) {
        for segment in 0..self.segments.len() {
            let state = self.pam(segment);
            if all || self.segments[segment] != state {
                self.segments[segment] = state;
                self.sink.set_pam(segment, state);
            }
        }
    }
}

impl PciFunction for I440fx {
    fn read_config(&mut self, offset: u8, width: Width) -> u32 {
        self.space.read(offset, width)
    }

    fn write_config(&mut self, offset: u8, width: Width, value: u32) -> Option<Action> {
        let smram = self.space.byte(SMRAM);
        self.space.write(offset, width, value);
        if smram & SMRAM_LOCK != 0 {
            self.space.set_byte(SMRAM, smram);
        } else if self.space.byte(SMRAM) & SMRAM_LOCK != 0 {
            let locked = self.space.byte(SMRAM) & !SMRAM_OPEN;
            self.space.set_byte(SMRAM, locked);
        }
        self.update_pam(false);
        None
    }

    fn reset(&mut self) {
        self.space.reset();
        self.update_pam(true);
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    #[derive(Default)]
    struct Log(Mutex<Vec<(usize, PamState)>>);
    impl PamSink for Log {
        fn set_pam(&self, segment: usize, state: PamState) {
            self.0.lock().push((segment, state));
        }
    }

    const MEMORY: PamState = PamState {
        read: PamTarget::Memory,
        write: PamTarget::Memory,
    };
    const READ_ONLY: PamState = PamState {
        read: PamTarget::Memory,
        write: PamTarget::Bus,
    };

    fn bridge() -> (Arc<Log>, I440fx) {
        let log = Arc::new(Log::default());
        (log.clone(), I440fx::new(log))
    }

    #[test]
    fn firmware_finds_the_bridge_it_looks_for() {
        let (_, mut bridge) = bridge();
        for (offset, width, value) in [
            (0x00, Width::Dword, 0x1237_8086),
            (0x0a, Width::Word, 0x0600),
            (0x2c, Width::Word, 0x1af4),
            (0x2e, Width::Word, 0x1100),
            (0x04, Width::Word, 0x0006),
            (0x0e, Width::Byte, 0x00),
            (0x72, Width::Byte, 0x02),
        ] {
            assert_eq!(bridge.read_config(offset, width), value, "{offset:#x}");
        }
    }

    #[test]
    fn seabios_unlocks_and_locks_the_shadow() {
        // As SeaBIOS does it: reads dwords at 0x58 and 0x5c, opens everything, at the end locks what holds code.
        let (log, mut bridge) = bridge();
        assert_eq!(bridge.read_config(0x58, Width::Dword), 0);
        bridge.write_config(0x58, Width::Dword, 0x3333_3000);
        assert_eq!(bridge.read_config(0x58, Width::Dword), 0x3333_3000);
        assert_eq!(
            *log.0.lock(),
            [0, 1, 2, 3, 12].map(|segment| (segment, MEMORY))
        );
        bridge.write_config(0x5c, Width::Dword, 0x3333_3333);
        assert_eq!(log.0.lock().len(), 13);
        log.0.lock().clear();
        bridge.write_config(0x59, Width::Byte, 0x10);
        bridge.write_config(0x5f, Width::Byte, 0x31);
        assert_eq!(*log.0.lock(), [(12, READ_ONLY), (10, READ_ONLY)]);
    }

    #[test]
    fn a_reset_tells_every_segment() {
        let (log, mut bridge) = bridge();
        bridge.write_config(0x5c, Width::Dword, 0xffff_ffff);
        assert_eq!(bridge.read_config(0x5c, Width::Dword), 0x3333_3333);
        log.0.lock().clear();
        bridge.reset();
        assert_eq!(
            *log.0.lock(),
            (0..13)
                .map(|segment| (segment, PamState::default()))
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn locked_smram_stays_as_it_is() {
        let (_, mut bridge) = bridge();
        bridge.write_config(0x72, Width::Byte, 0x4a);
        assert_eq!(bridge.read_config(0x72, Width::Byte), 0x4a);
        bridge.write_config(0x72, Width::Byte, 0x58);
        assert_eq!(
            bridge.read_config(0x72, Width::Byte),
            0x1a,
            "locked and not open"
        );
        bridge.write_config(0x70, Width::Dword, 0xffff_ffff);
        assert_eq!(bridge.read_config(0x72, Width::Byte), 0x1a);
        bridge.reset();
        assert_eq!(bridge.read_config(0x72, Width::Byte), 0x02);
    }

    #[test]
    fn each_half_register_governs_its_segment() {
        // Register and half as in the data sheet's table of attribute bits, and the segment's place in the sequence of addresses.
        for (register, half, segment) in [
            (0x59, 4, 12), // 0xF0000
            (0x5a, 0, 0),  // 0xC0000
            (0x5a, 4, 1),  // 0xC4000
            (0x5b, 0, 2),  // 0xC8000
            (0x5b, 4, 3),  // 0xCC000
            (0x5c, 0, 4),  // 0xD0000
            (0x5c, 4, 5),  // 0xD4000
            (0x5d, 0, 6),  // 0xD8000
            (0x5d, 4, 7),  // 0xDC000
            (0x5e, 0, 8),  // 0xE0000
            (0x5e, 4, 9),  // 0xE4000
            (0x5f, 0, 10), // 0xE8000
            (0x5f, 4, 11), // 0xEC000
        ] {
            let (log, mut bridge) = bridge();
            bridge.write_config(register, Width::Byte, 3 << half);
            assert_eq!(*log.0.lock(), [(segment, MEMORY)], "{register:#x} {half}");
        }
    }

    #[test]
    fn hostile_values_are_survived() {
        let (_, mut bridge) = bridge();
        for value in [0, 0xffff_ffff, 0xa5a5_a5a5] {
            for offset in 0..=255 {
                for width in Width::ALL {
                    bridge.write_config(offset, width, value);
                    bridge.read_config(offset, width);
                }
            }
        }
        assert_eq!(bridge.read_config(0, Width::Dword), 0x1237_8086);
        assert!(bridge.read_window(0, 0, &mut [0]).is_err());
        assert!(bridge.write_window(9, u64::MAX, &[0]).is_err());
    }
}
