//! The pointer of one viewer.

use crate::input::{Buttons, InputEvent, InputSink};

const WHEEL_UP: u8 = 1 << 3;
const WHEEL_DOWN: u8 = 1 << 4;
/// No motion, where the client sends motions (QEMU pointer motion change pseudo-encoding).
const STILL: i32 = 0x7fff;

/// The pointer of one viewer.
#[derive(Default)]
pub struct Pointer {
    /// The client's bits, as they were last.
    held: u8,
}

fn buttons(bits: u8) -> Buttons {
    Buttons {
        left: bits & 1 != 0,
        middle: bits & 2 != 0,
        right: bits & 4 != 0,
    }
}

/// The middle of pixel `at` of `size` in 1/65,536ths.
fn fraction(at: u16, size: u32) -> u16 {
    let size = u64::from(size.max(1));
    let middle = (u64::from(at) * 0x1_0000 + 0x8000) / size;
    u16::try_from(middle).unwrap_or(u16::MAX)
}

impl Pointer {
    /// Takes a client's event: bits of buttons, and a place on a screen of `size` or, when `relative`, a motion.
    pub fn event(
        &mut self,
        bits: u8,
        x: u16,
        y: u16,
        size: (u32, u32),
        relative: bool,
        input: &dyn InputSink,
    ) {
        let pressed = bits & !self.held;
        self.held = bits;
        let held = buttons(bits);
        input.input(if relative {
            InputEvent::Motion {
                x: i32::from(x) - STILL,
                y: i32::from(y) - STILL,
                buttons: held,
            }
        } else {
            InputEvent::Position {
                x: fraction(x, size.0),
                y: fraction(y, size.1),
                buttons: held,
            }
        });
        let notches = i32::from(pressed & WHEEL_DOWN != 0) - i32::from(pressed & WHEEL_UP != 0);
        if notches != 0 {
            input.input(InputEvent::Wheel { notches });
        }
    }

    /// Lets go of the buttons.
    pub fn release_all(&mut self, input: &dyn InputSink) {
        if buttons(std::mem::take(&mut self.held)) != Buttons::default() {
            input.input(InputEvent::Motion {
                x: 0,
                y: 0,
                buttons: Buttons::default(),
            });
        }
    }
}
