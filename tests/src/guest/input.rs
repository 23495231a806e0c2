//! The keyboard and the pointer.

use std::time::{Duration, Instant};

use guesthouse_engine::input::keys::{self, SHIFT};
use guesthouse_engine::input::{Buttons, InputEvent, ScanCode};

use super::Guest;

/// How long a key or a button is held, and the time between two.
const HOLD: Duration = Duration::from_millis(40);

impl Guest {
    /// Presses keys together, as `ctrl-alt-delete`.
    ///
    /// # Panics
    /// When there is no such key.
    pub fn press(&self, combination: &str) {
        let keys = keys::combination(combination).unwrap();
        self.press_keys(&keys);
    }

    /// Presses keys together every three seconds until `seen` says so of the screen's text.
    ///
    /// # Panics
    /// When it does not within `seconds`, or there is no such key.
    pub fn press_until(&self, combination: &str, seconds: u64, seen: impl Fn(&str) -> bool) {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            self.press(combination);
            let next = Instant::now() + Duration::from_secs(3);
            while Instant::now() < next {
                if seen(&self.screen()) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            self.check_time(&format!("what {combination} does"), seconds, end);
        }
    }

    /// Types a text on a US keyboard.
    ///
    /// # Panics
    /// When it cannot be typed.
    pub fn type_text(&self, text: &str) {
        for character in text.chars() {
            let (code, shift) = keys::key_for(character).unwrap();
            if shift {
                self.press_keys(&[SHIFT, code])
            } else {
                self.press_keys(&[code])
            }
        }
    }

    fn press_keys(&self, keys: &[ScanCode]) {
        for code in keys {
            self.machine.input(InputEvent::Key {
                code: *code,
                down: true,
            });
            std::thread::sleep(HOLD);
        }
        for code in keys.iter().rev() {
            self.machine.input(InputEvent::Key {
                code: *code,
                down: false,
            });
            std::thread::sleep(HOLD);
        }
    }

    /// Moves the mouse by so many counts, to the right and down.
    pub fn move_mouse(&self, x: i32, y: i32) {
        self.machine.input(InputEvent::Motion {
            x,
            y,
            buttons: Buttons::default(),
        });
        std::thread::sleep(HOLD);
    }

    /// Where the pointer is on a screen on which nothing else moves: it is moved a little, and the place that changes is looked at. Right to a
    /// few pixels; none when nothing changes.
    fn find_pointer(&self) -> Option<(i32, i32)> {
        let before = self.picture();
        self.move_mouse(3, 3);
        // A guest draws in its own time.
        for _ in 0..40 {
            std::thread::sleep(Duration::from_millis(250));
            let (x, y) = match self.picture().first_difference(&before) {
                Some(place) => place,
                None => continue,
            };
            return Some((i32::try_from(x).ok()?, i32::try_from(y).ok()?));
        }
        None
    }

    /// Moves the pointer to a place and clicks there with the left button.
    ///
    /// # Panics
    /// When the pointer does not come there within `seconds`.
    pub fn click(&self, x: u32, y: u32, seconds: u64) {
        self.point_at(x, y, seconds);
        self.press_button(Buttons {
            left: true,
            ..Buttons::default()
        });
    }

    /// Moves the pointer to a place and clicks there with the right button.
    ///
    /// # Panics
    /// When the pointer does not come there within `seconds`.
    pub fn right_click(&self, x: u32, y: u32, seconds: u64) {
        self.point_at(x, y, seconds);
        self.press_button(Buttons {
            right: true,
            ..Buttons::default()
        });
    }

    /// Moves a mouse pointer to a place by looking where it is, as a hand does; where the guest has a tablet, by putting it there.
    fn point_at(&self, x: u32, y: u32, seconds: u64) {
        if self.machine.pointer_is_absolute() {
            let (width, height) = self.machine.surface().view().size();
            let part = |at: u32, of: u32| u16::try_from((at << 16) / of.max(1)).unwrap();
            self.machine.input(InputEvent::Position {
                x: part(x, width),
                y: part(y, height),
                buttons: Buttons::default(),
            });
            std::thread::sleep(HOLD);
            return;
        }
        let end = Instant::now() + Duration::from_secs(seconds);
        let (x, y) = (i32::try_from(x).unwrap(), i32::try_from(y).unwrap());
        let near = 8;
        loop {
            if let Some((left, top)) = self.find_pointer() {
                let (right, down) = (x - left, y - top);
                if right.abs() <= near && down.abs() <= near {
                    break;
                }
                // Half of the way: guests accelerate.
                let part = |way: i32| match way {
                    -16..=16 => way / 2,
                    way => way / 3,
                };
                for _ in 0..3 {
                    self.move_mouse(part(right) / 3, part(down) / 3);
                }
            }
            self.check_time(&format!("the pointer to {x}, {y}"), seconds, end);
        }
    }

    fn press_button(&self, held: Buttons) {
        for buttons in [held, Buttons::default()] {
            self.machine.input(InputEvent::Motion {
                x: 0,
                y: 0,
                buttons,
            });
            std::thread::sleep(HOLD);
        }
    }
}
