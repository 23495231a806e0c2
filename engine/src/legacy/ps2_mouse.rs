//! A PS/2 mouse with three buttons and a wheel, as the controller sees it over its wire.
//!
//! IBM PS/2 Hardware Interface Technical Reference, "Mouse"; the wheel as the Microsoft IntelliMouse tells it, and the longer
//! form of the IntelliMouse Explorer: a driver knocks with three sample rates and then finds another identity. Sample rate,
//! resolution and scaling are kept and told; movement is sent as it comes, in counts of the person's pointer.

use std::collections::VecDeque;

use crate::input::Buttons;

const ACKNOWLEDGE: u8 = 0xfa;
const RESEND: u8 = 0xfe;
const SELF_TEST_PASSED: u8 = 0xaa;

const PLAIN: u8 = 0;
const WHEEL: u8 = 3;
const EXPLORER: u8 = 4;
const WHEEL_KNOCK: [u8; 3] = [200, 100, 80];
const EXPLORER_KNOCK: [u8; 3] = [200, 200, 80];

/// The bytes of packets held for a system that does not fetch them; movement beyond that is added up.
const PACKET_BUFFER: usize = 64;
/// As far as movement is added up, in counts.
const FARTHEST: i32 = 1 << 16;

/// The mouse.
pub(super) struct Ps2Mouse {
    /// Answers to commands: they go before packets.
    answers: VecDeque<u8>,
    packets: VecDeque<u8>,
    /// The command whose argument is awaited.
    awaiting: Option<u8>,
    /// Everything received is sent back.
    wrap: bool,
    /// Packets are sent only when asked for.
    remote: bool,
    reporting: bool,
    double_scaling: bool,
    resolution: u8,
    sample_rate: u8,
    last_rates: [u8; 3],
    identity: u8,
    last_sent: u8,
    /// Movement not yet in a packet: to the right, down, and towards the person.
    x: i32,
    y: i32,
    wheel: i32,
    buttons: Buttons,
    /// The buttons in the newest packet; none when that was thrown away.
    told: Option<Buttons>,
    place: Option<(u16, u16)>,
    screen: (u32, u32),
    /// Movement by places smaller than a count, in 1/65,536ths.
    rest: (i64, i64),
}

impl Ps2Mouse {
    pub(super) fn new() -> Self {
        Self {
            answers: VecDeque::new(),
            packets: VecDeque::new(),
            awaiting: None,
            wrap: false,
            remote: false,
            reporting: false,
            double_scaling: false,
            resolution: 2,
            sample_rate: 100,
            last_rates: [0; 3],
            identity: PLAIN,
            last_sent: 0,
            x: 0,
            y: 0,
            wheel: 0,
            buttons: Buttons::default(),
            told: Some(Buttons::default()),
            place: None,
            screen: (640, 480),
            rest: (0, 0),
        }
    }

    /// As after power-on. What the person's hand does stays as it is.
    pub(super) fn reset(&mut self) {
        *self = Self {
            buttons: self.buttons,
            told: Some(self.buttons),
            place: self.place,
            screen: self.screen,
            ..Self::new()
        };
    }

    fn set_defaults(&mut self) {
        self.remote = false;
        self.reporting = false;
        self.double_scaling = false;
        self.resolution = 2;
        self.sample_rate = 100;
        self.forget_movement();
    }

    fn forget_movement(&mut self) {
        self.x = 0;
        self.y = 0;
        self.wheel = 0;
        self.forget_packets();
    }

    fn forget_packets(&mut self) {
        if !self.packets.is_empty() {
            self.packets.clear();
            self.told = None;
        }
    }

    /// How many counts the places of [`Ps2Mouse::move_to`] span: the size of the guest's picture, in pixels.
    pub(super) fn set_screen_size(&mut self, width: u32, height: u32) {
        self.screen = (width, height);
    }

    /// The next byte that the mouse sends, if it has any.
    pub(super) fn send(&mut self) -> Option<u8> {
        let byte = match self.answers.pop_front() {
            Some(answer) => answer,
            None if self.awaiting.is_some() => return None,
            None => {
                self.report();
                self.packets.pop_front()?
            }
        };
        self.last_sent = byte;
        Some(byte)
    }

    /// The mouse receives a byte from the system.
    pub(super) fn receive(&mut self, byte: u8) {
        self.answers.clear();
        self.forget_packets();
        if self.wrap && byte != 0xec && byte != 0xff {
            self.answers.push_back(byte);
            return;
        }
        match self.awaiting.take() {
            Some(command) => self.argument(command, byte),
            None => self.command(byte),
        }
    }

    fn command(&mut self, byte: u8) {
        match byte {
            0xe6 => self.double_scaling = false,
            0xe7 => self.double_scaling = true,
            0xe8 | 0xf3 => self.awaiting = Some(byte),
            0xe9 => {
                let status = [self.status(), self.resolution, self.sample_rate];
                self.answers.push_back(ACKNOWLEDGE);
                self.answers.extend(status);
                return;
            }
            0xea => {
                self.remote = false;
                self.forget_movement();
            }
            0xeb => {
                self.answers.push_back(ACKNOWLEDGE);
                let packet = self.packet();
                self.answers.extend(packet);
                return;
            }
            0xec => self.wrap = false,
            0xee => self.wrap = true,
            0xf0 => {
                self.remote = true;
                self.forget_movement();
            }
            0xf2 => {
                self.answers.push_back(ACKNOWLEDGE);
                self.answers.push_back(self.identity);
                return;
            }
            0xf4 => {
                self.forget_movement();
                self.reporting = true;
            }
            0xf5 => {
                self.forget_movement();
                self.reporting = false;
            }
            0xf6 => self.set_defaults(),
            0xfe => {
                self.answers.push_back(self.last_sent);
                return;
            }
            0xff => {
                self.reset();
                self.answers.extend([ACKNOWLEDGE, SELF_TEST_PASSED, PLAIN]);
                return;
            }
            _ => {
                self.answers.push_back(RESEND);
                return;
            }
        }
        self.answers.push_back(ACKNOWLEDGE);
    }

    fn argument(&mut self, command: u8, byte: u8) {
        if command == 0xe8 {
            self.resolution = byte & 3;
        } else {
            self.sample_rate = byte;
            self.last_rates = [self.last_rates[1], self.last_rates[2], byte];
            match self.last_rates {
                WHEEL_KNOCK if self.identity == PLAIN => self.identity = WHEEL,
                EXPLORER_KNOCK => self.identity = EXPLORER,
                _ => {}
            }
        }
        self.answers.push_back(ACKNOWLEDGE);
    }

    fn status(&self) -> u8 {
        u8::from(self.buttons.right)
            | u8::from(self.buttons.middle) << 1
            | u8::from(self.buttons.left) << 2
            | u8::from(self.double_scaling) << 4
            | u8::from(self.reporting) << 5
            | u8::from(self.remote) << 6
    }

    /// The person moves the mouse to the right and down.
    pub(super) fn move_by(&mut self, x: i32, y: i32, buttons: Buttons) {
        self.x = self.x.saturating_add(x).clamp(-FARTHEST, FARTHEST);
        self.y = self.y.saturating_add(y).clamp(-FARTHEST, FARTHEST);
        self.buttons = buttons;
        self.hold();
    }

    /// The person points at a place, in 1/65,536ths of the picture: the mouse moves by the difference to the place before.
    pub(super) fn move_to(&mut self, x: u16, y: u16, buttons: Buttons) {
        let (old_x, old_y) = self.place.replace((x, y)).unwrap_or((x, y));
        let step = |new: u16, old: u16, size: u32, rest: &mut i64| -> i32 {
            let exact = (i64::from(new) - i64::from(old)) * i64::from(size) + *rest;
            *rest = exact.rem_euclid(0x1_0000);
            i32::try_from(exact.div_euclid(0x1_0000)).unwrap_or(0)
        };
        let across = step(x, old_x, self.screen.0, &mut self.rest.0);
        let down = step(y, old_y, self.screen.1, &mut self.rest.1);
        self.move_by(across, down, buttons);
    }

    /// The person turns the wheel towards themselves (positive) or away.
    pub(super) fn turn_wheel(&mut self, notches: i32) {
        if self.identity != PLAIN {
            self.wheel = self
                .wheel
                .saturating_add(notches)
                .clamp(-FARTHEST, FARTHEST);
        }
        self.hold();
    }

    /// Makes sure that a click does not vanish between two fetches: a change of buttons is put into a packet at once, while there
    /// is room, and movement is forgotten unless somebody wants it.
    fn hold(&mut self) {
        if !self.reporting && !self.remote {
            self.forget_movement();
            self.told = Some(self.buttons);
            return;
        }
        if self.told != Some(self.buttons) {
            self.report();
        }
    }

    /// Adds the packet that is due, if one is.
    fn report(&mut self) {
        if !self.reporting || self.remote || self.wrap {
            return;
        }
        let changed = self.told != Some(self.buttons);
        let moved = (self.x, self.y, self.wheel) != (0, 0, 0);
        let size = if self.identity == PLAIN { 3 } else { 4 };
        if (changed && self.packets.len() + size <= PACKET_BUFFER)
            || (moved && self.packets.is_empty())
        {
            let packet = self.packet();
            self.packets.extend(packet);
        }
    }

    /// A packet of the buttons and as much of the movement as fits.
    fn packet(&mut self) -> Vec<u8> {
        let x = self.x.clamp(-255, 255);
        let y = self.y.clamp(-255, 255);
        self.x -= x;
        self.y -= y;
        self.told = Some(self.buttons);
        // The mouse counts upwards.
        let [x_low, x_high, ..] = x.to_le_bytes();
        let [y_low, y_high, ..] = (-y).to_le_bytes();
        let first = 0x08
            | u8::from(self.buttons.left)
            | u8::from(self.buttons.right) << 1
            | u8::from(self.buttons.middle) << 2
            | (x_high & 1) << 4
            | (y_high & 1) << 5;
        let mut packet = vec![first, x_low, y_low];
        if self.identity != PLAIN {
            let wheel = self.wheel.clamp(-8, 7);
            self.wheel -= wheel;
            let [low, ..] = wheel.to_le_bytes();
            // The Explorer's upper bits are its fourth and fifth button, which nobody presses; the IntelliMouse's the sign.
            packet.push(if self.identity == EXPLORER {
                low & 0xf
            } else {
                low
            });
        }
        packet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Buttons = Buttons {
        left: false,
        middle: false,
        right: false,
    };
    const LEFT: Buttons = Buttons { left: true, ..NONE };

    fn sent(mouse: &mut Ps2Mouse) -> Vec<u8> {
        std::iter::from_fn(|| mouse.send()).collect()
    }

    fn told(mouse: &mut Ps2Mouse, bytes: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        for byte in bytes {
            mouse.receive(*byte);
            answer.extend(sent(mouse));
        }
        answer
    }

    fn reporting() -> Ps2Mouse {
        let mut mouse = Ps2Mouse::new();
        assert_eq!(told(&mut mouse, &[0xf4]), [0xfa]);
        mouse
    }

    #[test]
    fn commands_are_answered() {
        let mut mouse = Ps2Mouse::new();
        for (bytes, answer) in [
            (&[0xff][..], &[0xfa, 0xaa, 0x00][..]),
            (&[0xf2], &[0xfa, 0x00]),
            (&[0xe8, 0x03], &[0xfa, 0xfa]),
            (&[0xf3, 0x28], &[0xfa, 0xfa]),
            (&[0xe7], &[0xfa]),
            (&[0xf4], &[0xfa]),
            (&[0xe9], &[0xfa, 0x30, 0x03, 0x28]),
            (&[0xf0], &[0xfa]),
            (&[0xe9], &[0xfa, 0x70, 0x03, 0x28]),
            (&[0xf6], &[0xfa]),
            (&[0xe9], &[0xfa, 0x00, 0x02, 0x64]),
            (&[0xfe], &[0x64]),
            (&[0xee, 0x55, 0xf4, 0xec], &[0xfa, 0x55, 0xf4, 0xfa]),
            (&[0x00], &[0xfe]),
            (&[0xe1], &[0xfe]),
        ] {
            assert_eq!(told(&mut mouse, bytes), answer, "{bytes:x?}");
        }
    }

    #[test]
    fn movement_is_sent_in_nine_bits_and_the_rest_follows() {
        let mut mouse = reporting();
        mouse.move_by(5, 3, NONE);
        assert_eq!(sent(&mut mouse), [0x28, 5, 0xfd]);
        mouse.move_by(-1, -300, LEFT);
        assert_eq!(sent(&mut mouse), [0x19, 0xff, 0xff, 0x09, 0, 45]);
        mouse.move_by(0, 0, NONE);
        assert_eq!(sent(&mut mouse), [0x08, 0, 0]);
        mouse.move_by(0, 0, NONE);
        assert_eq!(sent(&mut mouse), [0_u8; 0], "nothing happened");
    }

    #[test]
    fn movement_adds_up_while_nobody_reads_and_clicks_are_kept() {
        let mut mouse = reporting();
        for _ in 0..10 {
            mouse.move_by(2, 0, NONE);
        }
        mouse.move_by(0, 0, LEFT);
        mouse.move_by(0, 0, NONE);
        mouse.move_by(7, 0, NONE);
        assert_eq!(sent(&mut mouse), [0x09, 20, 0, 0x08, 0, 0, 0x08, 7, 0]);
    }

    #[test]
    fn the_wheel_is_found_by_knocking() {
        let mut mouse = reporting();
        mouse.turn_wheel(1);
        assert_eq!(sent(&mut mouse), [0_u8; 0], "a plain mouse has none");
        told(&mut mouse, &[0xf3, 200, 0xf3, 100, 0xf3, 80]);
        assert_eq!(told(&mut mouse, &[0xf2]), [0xfa, 0x03]);
        mouse.turn_wheel(-1);
        assert_eq!(sent(&mut mouse), [0x08, 0, 0, 0xff]);
        told(&mut mouse, &[0xf3, 200, 0xf3, 200, 0xf3, 80]);
        assert_eq!(told(&mut mouse, &[0xf2]), [0xfa, 0x04]);
        mouse.turn_wheel(-10);
        assert_eq!(sent(&mut mouse), [0x08, 0, 0, 0x08, 0x08, 0, 0, 0x0e]);
        assert_eq!(told(&mut mouse, &[0xff]), [0xfa, 0xaa, 0x00]);
        assert_eq!(told(&mut mouse, &[0xf2]), [0xfa, 0x00]);
    }

    #[test]
    fn remote_mode_sends_only_when_asked() {
        let mut mouse = reporting();
        told(&mut mouse, &[0xf0]);
        mouse.move_by(4, 0, LEFT);
        assert_eq!(sent(&mut mouse), [0_u8; 0]);
        assert_eq!(told(&mut mouse, &[0xeb]), [0xfa, 0x09, 4, 0]);
        assert_eq!(told(&mut mouse, &[0xeb]), [0xfa, 0x09, 0, 0]);
        told(&mut mouse, &[0xea]);
        mouse.move_by(0, 0, NONE);
        assert_eq!(sent(&mut mouse), [0x08, 0, 0]);
    }

    #[test]
    fn places_become_differences_without_drift() {
        let mut mouse = reporting();
        mouse.set_screen_size(1024, 768);
        mouse.move_to(0x8000, 0x8000, NONE);
        assert_eq!(
            sent(&mut mouse),
            [0_u8; 0],
            "the first place is only a place"
        );
        mouse.move_to(0x8100, 0x7f00, NONE);
        assert_eq!(sent(&mut mouse), [0x08, 4, 3]);
        // A hundred steps of a fraction of a count add up to what one would have been.
        for step in 1..=100 {
            mouse.move_to(0x8100 + step, 0x7f00, NONE);
        }
        assert_eq!(sent(&mut mouse), [0x08, 1, 0]);
        for step in (0..100).rev() {
            mouse.move_to(0x8100 + step, 0x7f00, NONE);
        }
        assert_eq!(sent(&mut mouse), [0x18, 0xff, 0]);
    }

    #[test]
    fn a_command_throws_packets_away_but_the_buttons_are_told_again() {
        let mut mouse = reporting();
        mouse.move_by(0, 0, LEFT);
        assert_eq!(told(&mut mouse, &[0xe6]), [0xfa, 0x09, 0, 0]);
    }

    #[test]
    fn anything_may_be_sent_and_done() {
        let mut mouse = Ps2Mouse::new();
        for round in 0..4_u8 {
            for byte in 0..=255_u8 {
                mouse.receive(byte);
                mouse.receive(byte ^ round);
                mouse.move_by(i32::MAX, i32::MIN, LEFT);
                mouse.move_by(i32::from(byte), 1, NONE);
                mouse.set_screen_size(u32::MAX, u32::MAX);
                mouse.move_to(u16::from(byte) << 8, 0xffff, NONE);
                mouse.move_to(0, 0, LEFT);
                mouse.turn_wheel(i32::MIN);
                if round > 1 {
                    mouse.send();
                }
            }
        }
        assert!(mouse.packets.len() <= PACKET_BUFFER && mouse.answers.len() <= 5);
    }
}
