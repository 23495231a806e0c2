//! The keys that one viewer holds.

use super::keysym;
use crate::input::{InputEvent, InputSink, ScanCode};

const LEFT_SHIFT: ScanCode = ScanCode(0x2a);
const RIGHT_SHIFT: ScanCode = ScanCode(0x36);

/// The keys that one viewer holds, so that they can be let go of when it leaves.
pub struct Keyboard {
    held: [bool; 256],
}

impl Default for Keyboard {
    fn default() -> Self {
        Self { held: [false; 256] }
    }
}

impl Keyboard {
    /// A key by its position.
    pub fn position(&mut self, code: ScanCode, down: bool, input: &dyn InputSink) {
        let held = &mut self.held[usize::from(code.0)];
        // A key that goes up and never was down is the rest of a shortcut of the viewer's own computer.
        if down || *held {
            *held = down;
            input.input(InputEvent::Key { code, down });
        }
    }

    /// A key by what it means on a US keyboard. Clients that send characters without the Shift they need are helped.
    pub fn keysym(&mut self, keysym: u32, down: bool, caps_lock: bool, input: &dyn InputSink) {
        let Some((code, shifted)) = keysym::scan_code(keysym) else {
            tracing::debug!(keysym, "a key that no US keyboard has is left out");
            return;
        };
        let letter = u8::try_from(keysym).is_ok_and(|letter| letter.is_ascii_alphabetic());
        let shift_is_held = [LEFT_SHIFT, RIGHT_SHIFT]
            .iter()
            .any(|shift| self.held[usize::from(shift.0)]);
        let help = down && shifted && !shift_is_held && !(letter && caps_lock);
        let shift = |down| {
            if help {
                input.input(InputEvent::Key {
                    code: LEFT_SHIFT,
                    down,
                });
            }
        };
        shift(true);
        self.position(code, down, input);
        shift(false);
    }

    /// Lets go of everything.
    pub fn release_all(&mut self, input: &dyn InputSink) {
        for (code, held) in (0..=u8::MAX).zip(&mut self.held) {
            if std::mem::take(held) {
                input.input(InputEvent::Key {
                    code: ScanCode(code),
                    down: false,
                });
            }
        }
    }
}
