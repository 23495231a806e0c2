//! The PHY behind MDIC: registers of IEEE 802.3 clause 22 and Marvell's 88E1011. SDM, sections 8.5 and 13.4.6.

const WRITE: u32 = 1;
const READ: u32 = 2;
const READY: u32 = 1 << 28;
const ERROR: u32 = 1 << 30;
/// Asks for an interrupt when it is done.
pub(super) const INTERRUPT: u32 = 1 << 29;

const CONTROL_RESET: u16 = 1 << 15;
const CONTROL_RESTART: u16 = 1 << 9;

/// The PHY's registers.
pub(super) struct Phy {
    registers: [u16; 32],
}

impl Phy {
    pub fn new() -> Self {
        let mut registers = [0; 32];
        for (number, value) in [
            (0, 0x1140),
            (1, 0x7949),
            (2, 0x0141),
            (3, 0x0c20),
            (4, 0x0de1),
            (5, 0x45e1),
            (6, 0x000f),
            (9, 0x0e00),
            (10, 0x3c00),
            (15, 0x3000),
            (16, 0x0360),
            (17, 0xa800),
            (20, 0x0d60),
        ] {
            if let Some(register) = registers.get_mut(number) {
                *register = value;
            }
        }
        Self { registers }
    }

    fn read(&self, number: usize, link: bool) -> u16 {
        let value = self.registers.get(number).copied().unwrap_or(0xffff);
        match number {
            // Link, and auto-negotiation done.
            1 if link => value | 0x0024,
            5 | 10 if !link => 0,
            // Link, resolved.
            17 if link => value | 0x0400,
            _ => value,
        }
    }

    fn write(&mut self, number: usize, value: u16) {
        match number {
            0 if value & CONTROL_RESET != 0 => *self = Self::new(),
            0 => self.set(0, value & !CONTROL_RESTART),
            4 | 7 | 9 | 14 | 16 | 18 | 20 | 29 | 30 => self.set(number, value),
            // Status and identification.
            _ => {}
        }
    }

    fn set(&mut self, number: usize, value: u16) {
        if let Some(register) = self.registers.get_mut(number) {
            *register = value;
        }
    }

    /// Carries out what was written to MDIC; returns what MDIC says then, and whether negotiation began anew.
    pub fn command(&mut self, value: u32, link: bool) -> (u32, bool) {
        let [low, high, ..] = value.to_le_bytes();
        let data = u16::from_le_bytes([low, high]);
        let number = usize::try_from(value >> 16 & 0x1f).unwrap_or(0);
        let phy = value >> 21 & 0x1f;
        let done = value & !(READY | ERROR);
        if phy != 1 {
            return (done | READY | ERROR, false);
        }
        match value >> 26 & 3 {
            WRITE => {
                self.write(number, data);
                let anew = number == 0 && data & (CONTROL_RESET | CONTROL_RESTART) != 0;
                (done | READY, anew)
            }
            READ => (
                done & !0xffff | u32::from(self.read(number, link)) | READY,
                false,
            ),
            _ => (done | READY | ERROR, false),
        }
    }
}
