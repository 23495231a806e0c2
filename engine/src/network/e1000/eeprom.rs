//! The EEPROM: 64 words, read through EERD, or bit by bit through EECD as over a Microwire bus. SDM, chapter 5.

use crate::definition::MacAddress;

const WORDS: usize = 64;
/// What all words sum up to.
const SUM: u16 = 0xbaba;

const CLOCK: u32 = 1 << 0;
const SELECT: u32 = 1 << 1;
const DATA_IN: u32 = 1 << 2;
const DATA_OUT: u32 = 1 << 3;
const REQUEST: u32 = 1 << 6;
const GRANT: u32 = 1 << 7;
const PRESENT: u32 = 1 << 8;
/// Start bit and opcode of a read, in three bits.
const READ: u16 = 0b110;
/// Opcode and address.
const COMMAND_BITS: u32 = 9;

/// The EEPROM and what its wires do.
pub(super) struct Eeprom {
    words: [u16; WORDS],
    wires: u32,
    shifted: u16,
    count: u32,
    output: Option<u16>,
    high: bool,
}

impl Eeprom {
    /// An EEPROM that says `mac`.
    pub fn new(mac: MacAddress) -> Self {
        let mut words = [0xffff; WORDS];
        let [a, b, c, d, e, f] = mac.0;
        let head = [
            u16::from_le_bytes([a, b]),
            u16::from_le_bytes([c, d]),
            u16::from_le_bytes([e, f]),
            0x0000,
            0xffff,
            0x0000,
            0x0000,
            0x0000,
            // PBA number, initialization control 1, subsystem, device, initialization control 2.
            0xffff,
            0xffff,
            0x640b,
            0x001e,
            0x8086,
            0x100e,
            0x8086,
            0x3040,
        ];
        for (word, value) in words.iter_mut().zip(head) {
            *word = value;
        }
        let sum = words
            .iter()
            .take(WORDS - 1)
            .fold(0_u16, |sum, word| sum.wrapping_add(*word));
        if let Some(last) = words.last_mut() {
            *last = SUM.wrapping_sub(sum);
        }
        Self {
            words,
            wires: 0,
            shifted: 0,
            count: 0,
            output: None,
            high: true,
        }
    }

    fn word(&self, address: u16) -> u16 {
        self.words
            .get(usize::from(address))
            .copied()
            .unwrap_or(0xffff)
    }

    /// What EERD says after `value` was written to it.
    pub fn read_register(&self, value: u32) -> u32 {
        if value & 1 == 0 {
            return value;
        }
        let [_, address, ..] = value.to_le_bytes();
        u32::from(self.word(u16::from(address))) << 16 | value & 0xff00 | 0x10
    }

    /// EECD is written.
    pub fn set_wires(&mut self, value: u32) {
        let before = self.wires;
        self.wires = value & (CLOCK | SELECT | DATA_IN | REQUEST);
        if value & SELECT == 0 {
            (self.shifted, self.count, self.output, self.high) = (0, 0, None, true);
            return;
        }
        if before & CLOCK != 0 || value & CLOCK == 0 {
            return;
        }
        if let Some(word) = &mut self.output {
            self.high = *word & 0x8000 != 0;
            *word <<= 1;
            return;
        }
        let bit = u16::from(value & DATA_IN != 0);
        // Zeros before the start bit are not counted.
        if self.count == 0 && bit == 0 {
            return;
        }
        self.shifted = self.shifted << 1 | bit;
        self.count += 1;
        if self.count == COMMAND_BITS {
            self.high = false;
            if self.shifted >> 6 == READ {
                self.output = Some(self.word(self.shifted & 0x3f));
            } else {
                (self.shifted, self.count, self.high) = (0, 0, true);
            }
        }
    }

    /// What EECD says.
    pub fn wires(&self) -> u32 {
        let grant = if self.wires & REQUEST != 0 { GRANT } else { 0 };
        let out = if self.high { DATA_OUT } else { 0 };
        self.wires | grant | out | PRESENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_bits(eeprom: &mut Eeprom, address: u32) -> u16 {
        let mut clock = |bit: u32| {
            eeprom.set_wires(SELECT | bit);
            eeprom.set_wires(SELECT | bit | CLOCK);
            let high = eeprom.wires() & DATA_OUT != 0;
            eeprom.set_wires(SELECT | bit);
            high
        };
        for shift in (0..9).rev() {
            let command = u32::from(READ) << 6 | address;
            clock(if command >> shift & 1 != 0 {
                DATA_IN
            } else {
                0
            });
        }
        let word = (0..16).fold(0, |word, _| word << 1 | u16::from(clock(0)));
        eeprom.set_wires(0);
        word
    }

    #[test]
    fn both_ways_of_reading_give_the_address_and_the_sum_is_right() {
        let mut eeprom = Eeprom::new(MacAddress([2, 0x11, 0x22, 0x33, 0x44, 0x55]));
        assert_eq!(eeprom.read_register(0x0001), 0x1102_0010);
        assert_eq!(eeprom.read_register(0x0201), 0x5544_0210);
        assert_eq!(eeprom.read_register(0xff01), 0xffff_ff10);
        let words: Vec<u16> = (0..64)
            .map(|address| read_bits(&mut eeprom, address))
            .collect();
        assert_eq!(words[..3], [0x1102, 0x3322, 0x5544]);
        assert_eq!(words[13], 0x100e);
        assert_eq!(
            words
                .iter()
                .fold(0_u16, |sum, word| sum.wrapping_add(*word)),
            SUM
        );
    }

    #[test]
    fn any_wiggling_ends_well() {
        let mut eeprom = Eeprom::new(MacAddress([2; 6]));
        for value in 0..100_000_u32 {
            eeprom.set_wires(value.wrapping_mul(2_654_435_761) >> 7);
            eeprom.wires();
        }
    }
}
