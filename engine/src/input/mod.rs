//! What a person does at the machine's keyboard and mouse.
//!
//! Keys are named by their position on the keyboard, as the `PS/2` scan code set 1 of a US keyboard numbers them, never by what
//! is printed on them: the guest's own layout gives them their meaning. An extended key (prefix 0xE0) has bit 7 set, so that
//! right Ctrl is 0x9D and the cursor-up key 0xC8; this is also the key number of RFB's QEMU extended key event.

pub mod keys;
pub mod typing;

/// A key by its position: PS/2 scan code set 1, with bit 7 for the prefix 0xE0. Pause is 0xC6, Print Screen 0xB7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScanCode(pub u8);

/// The buttons of a mouse, in RFB's and X11's order of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Buttons {
    /// The left button is held.
    pub left: bool,
    /// The middle button (or wheel) is held.
    pub middle: bool,
    /// The right button is held.
    pub right: bool,
}

/// One thing that a person did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputEvent {
    /// A key went down (also again while held, as a real keyboard repeats) or up.
    Key {
        /// Which.
        code: ScanCode,
        /// Down or up.
        down: bool,
    },
    /// The pointer moved by so many counts, to the right and down, with these buttons held after it.
    Motion {
        /// To the right.
        x: i32,
        /// Down.
        y: i32,
        /// Held.
        buttons: Buttons,
    },
    /// The pointer went to a place on the screen, in 1/65,536ths of its width and height. Only machines with a tablet take it as
    /// it is; the PS/2 mouse is moved by the difference to the place before.
    Position {
        /// From the left edge.
        x: u16,
        /// From the top edge.
        y: u16,
        /// Held.
        buttons: Buttons,
    },
    /// The wheel turned by so many notches: positive is towards the person (scrolls down).
    Wheel {
        /// Notches.
        notches: i32,
    },
}

/// The lights of a keyboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lights {
    /// Scroll Lock is on.
    pub scroll_lock: bool,
    /// Num Lock is on.
    pub num_lock: bool,
    /// Caps Lock is on.
    pub caps_lock: bool,
}

/// A device (or a router to several) that takes what a person does.
pub trait InputSink: Send + Sync {
    /// Takes one event; never blocks. What the guest does not fetch in time is dropped, as a real keyboard's buffer does.
    fn input(&self, event: InputEvent);
}
