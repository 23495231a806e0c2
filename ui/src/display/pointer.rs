//! The pointer: buttons and places as the protocol has them.

/// The protocol's bits of the wheel.
const WHEEL_UP: u8 = 1 << 3;
const WHEEL_DOWN: u8 = 1 << 4;
/// Notches of one event beyond which nobody meant it.
const MOST_NOTCHES: usize = 16;

/// A place on the guest's screen and the buttons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PointerEvent {
    /// From the left, in the guest's pixels.
    pub x: u16,
    /// From the top.
    pub y: u16,
    /// The protocol's bits.
    pub buttons: u8,
}

/// The pointer as the guest was told last.
#[derive(Debug, Default)]
pub struct Pointer {
    last: PointerEvent,
    /// Parts of notches that a touch pad turned so far.
    turned: f64,
}

/// The protocol's bit of the toolkit's button number.
fn bit(button: u32) -> Option<u8> {
    matches!(button, 1..=3).then(|| 1 << (button - 1))
}

impl Pointer {
    /// It went to a place.
    pub fn motion(&mut self, (x, y): (u16, u16)) -> Option<PointerEvent> {
        let moved = (x, y) != (self.last.x, self.last.y);
        (self.last.x, self.last.y) = (x, y);
        moved.then_some(self.last)
    }

    /// A button went down or up.
    pub fn button(&mut self, button: u32, down: bool) -> Option<PointerEvent> {
        let bit = bit(button)?;
        let before = self.last.buttons;
        if down {
            self.last.buttons |= bit;
        } else {
            self.last.buttons &= !bit;
        }
        (self.last.buttons != before).then_some(self.last)
    }

    /// The wheel turned by so many notches, or parts of one.
    pub fn wheel(&mut self, notches: f64) -> Vec<PointerEvent> {
        if !notches.is_finite() {
            return Vec::new();
        }
        self.turned += notches;
        let whole = self.turned.trunc();
        self.turned -= whole;
        let bit = if whole < 0.0 { WHEEL_UP } else { WHEEL_DOWN };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float that is too large becomes the largest number"
        )]
        let count = (whole.abs() as usize).min(MOST_NOTCHES);
        let turned = PointerEvent {
            buttons: self.last.buttons | bit,
            ..self.last
        };
        [turned, self.last].repeat(count)
    }

    /// Lets go of the buttons.
    pub fn release_all(&mut self) -> Option<PointerEvent> {
        let held = std::mem::take(&mut self.last.buttons);
        self.turned = 0.0;
        (held != 0).then_some(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(x: u16, y: u16, buttons: u8) -> PointerEvent {
        PointerEvent { x, y, buttons }
    }

    #[test]
    fn places_and_buttons() {
        let mut pointer = Pointer::default();
        assert_eq!(pointer.motion((3, 4)), Some(event(3, 4, 0)));
        assert_eq!(pointer.motion((3, 4)), None);
        assert_eq!(pointer.button(1, true), Some(event(3, 4, 1)));
        assert_eq!(pointer.button(3, true), Some(event(3, 4, 5)));
        assert_eq!(pointer.motion((5, 4)), Some(event(5, 4, 5)));
        assert_eq!(pointer.button(1, false), Some(event(5, 4, 4)));
        for unknown in [0, 4, 8, 9, u32::MAX] {
            assert_eq!(pointer.button(unknown, true), None);
        }
        assert_eq!(pointer.release_all(), Some(event(5, 4, 0)));
        assert_eq!(pointer.release_all(), None);
    }

    #[test]
    fn the_wheel_turns_in_notches() {
        let mut pointer = Pointer::default();
        assert_eq!(pointer.wheel(1.0), [event(0, 0, 0x10), event(0, 0, 0)]);
        assert_eq!(
            pointer.wheel(-2.0),
            [event(0, 0, 8), event(0, 0, 0)].repeat(2)
        );
        assert_eq!(pointer.wheel(0.4), []);
        assert_eq!(pointer.wheel(0.7).len(), 2);
        assert_eq!(pointer.wheel(1e300).len(), 2 * MOST_NOTCHES);
        assert_eq!(pointer.wheel(f64::NAN), []);
    }
}
