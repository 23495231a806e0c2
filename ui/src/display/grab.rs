//! Who has the keyboard and the pointer: the guest or this computer.
//!
//! While the screen has the keyboard focus, keys go to the guest. A click grabs the pointer as well, and the desktop's own shortcuts.
//! The release keys, Ctrl+Alt unless a person chose others, give everything back: then keys do what they do elsewhere in the window (Tab goes on to the next widget), until the
//! screen is clicked, Return or the space bar is pressed there, or it is focused anew.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use guesthouse_engine::input::ScanCode;
use relm4::gtk::{self, gdk, glib, prelude::*};
use tokio::sync::mpsc;

use crate::settings;

use super::keyboard::{Keyboard, combination, scan_code};
use super::pointer::{Pointer, PointerEvent};
use super::screen::Screen;
use super::session::{Command, Shape};

/// Return, the space bar and the keypad's Enter.
const TAKE_KEYS: [u8; 3] = [0x1c, 0x39, 0x9c];

/// What became of the keyboard and the pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Keys go to the guest.
    Keyboard,
    /// Keys, the pointer and the desktop's shortcuts do.
    Everything,
    /// Nothing does.
    Nothing,
}

/// Hands what happens on the screen to the guest.
pub struct Grab {
    screen: Screen,
    keyboard: RefCell<Keyboard>,
    pointer: RefCell<Pointer>,
    commands: RefCell<Option<mpsc::Sender<Command>>>,
    held: Cell<Held>,
    shape: RefCell<Option<gdk::Cursor>>,
    /// The controller of the window's keys, and the window.
    keys: RefCell<Option<(gtk::Root, gtk::EventControllerKey)>>,
    changed: Box<dyn Fn(Held)>,
}

impl Grab {
    /// Follows what happens on `screen`; reports to `changed`.
    pub fn new(screen: &Screen, changed: impl Fn(Held) + 'static) -> Rc<Self> {
        let grab = Rc::new(Self {
            screen: screen.clone(),
            keyboard: RefCell::default(),
            pointer: RefCell::default(),
            commands: RefCell::default(),
            held: Cell::new(Held::Nothing),
            shape: RefCell::default(),
            keys: RefCell::default(),
            changed: Box::new(changed),
        });
        grab.follow_keys();
        grab.follow_focus();
        grab.follow_pointer();
        let weak = Rc::downgrade(&grab);
        screen.connect_drawn(move || {
            if let Some(grab) = weak.upgrade() {
                grab.send(Command::Drawn);
            }
        });
        grab
    }

    /// Keys are taken at the window, before its shortcuts and the focus's movements see them.
    fn follow_keys(self: &Rc<Self>) {
        let weak = Rc::downgrade(self);
        self.screen.connect_map(move |screen| {
            let (Some(grab), Some(root)) = (weak.upgrade(), screen.root()) else {
                return;
            };
            let keys = gtk::EventControllerKey::new();
            keys.set_propagation_phase(gtk::PropagationPhase::Capture);
            let weak = Rc::downgrade(&grab);
            keys.connect_key_pressed(move |_, _, keycode, _| {
                weak.upgrade()
                    .map_or(glib::Propagation::Proceed, |grab| grab.key_pressed(keycode))
            });
            let weak = Rc::downgrade(&grab);
            keys.connect_key_released(move |_, _, keycode, _| {
                if let Some(grab) = weak.upgrade() {
                    grab.key_released(keycode);
                }
            });
            root.add_controller(keys.clone());
            grab.keys.replace(Some((root, keys)));
        });
        let weak = Rc::downgrade(self);
        self.screen.connect_unmap(move |_| {
            if let Some(grab) = weak.upgrade() {
                grab.release();
                if let Some((root, keys)) = grab.keys.take() {
                    root.remove_controller(&keys);
                }
            }
        });
    }

    fn follow_focus(self: &Rc<Self>) {
        let focus = gtk::EventControllerFocus::new();
        let weak = Rc::downgrade(self);
        focus.connect_enter(move |_| {
            if let Some(grab) = weak.upgrade()
                && grab.held.get() == Held::Nothing
            {
                grab.hold(Held::Keyboard);
            }
        });
        let weak = Rc::downgrade(self);
        focus.connect_leave(move |_| {
            if let Some(grab) = weak.upgrade() {
                grab.release();
            }
        });
        self.screen.add_controller(focus);
    }

    fn follow_pointer(self: &Rc<Self>) {
        let motion = gtk::EventControllerMotion::new();
        let weak = Rc::downgrade(self);
        let moved = move |x: f64, y: f64| {
            if let Some(grab) = weak.upgrade()
                && grab.held.get() == Held::Everything
                && let Some(pixel) = grab.screen.pixel(x, y)
            {
                let event = grab.pointer.borrow_mut().motion(pixel);
                grab.send_pointer(event);
            }
        };
        let entered = moved.clone();
        motion.connect_enter(move |_, x, y| entered(x, y));
        motion.connect_motion(move |_, x, y| moved(x, y));
        self.screen.add_controller(motion);

        let wheel = gtk::EventControllerScroll::new(gtk::EventControllerScrollFlags::VERTICAL);
        let weak = Rc::downgrade(self);
        wheel.connect_scroll(move |_, _, notches| {
            let Some(grab) = weak.upgrade() else {
                return glib::Propagation::Proceed;
            };
            if grab.held.get() != Held::Everything {
                return glib::Propagation::Proceed;
            }
            let events = grab.pointer.borrow_mut().wheel(notches);
            for event in events {
                grab.send_pointer(Some(event));
            }
            glib::Propagation::Stop
        });
        self.screen.add_controller(wheel);

        // Gestures follow one button at a time; a mouse has several.
        let buttons = gtk::EventControllerLegacy::new();
        let weak = Rc::downgrade(self);
        buttons.connect_event(move |_, event| {
            let (Some(grab), Some(button)) = (
                weak.upgrade(),
                event
                    .downcast_ref::<gdk::ButtonEvent>()
                    .map(gdk::ButtonEvent::button),
            ) else {
                return glib::Propagation::Proceed;
            };
            grab.button(
                button,
                event.event_type() == gdk::EventType::ButtonPress,
                event,
            );
            glib::Propagation::Stop
        });
        self.screen.add_controller(buttons);
    }

    fn button(&self, button: u32, down: bool, event: &gdk::Event) {
        if self.held.get() == Held::Everything {
            let event = self.pointer.borrow_mut().button(button, down);
            self.send_pointer(event);
        } else if down {
            // The click that grabs is not the guest's.
            self.grab(Some(event));
        }
    }

    fn key_pressed(&self, keycode: u32) -> glib::Propagation {
        if !self.screen.has_focus() {
            return glib::Propagation::Proceed;
        }
        let code = scan_code(keycode);
        if self.held.get() == Held::Nothing {
            if code.is_some_and(|code| TAKE_KEYS.contains(&code.0)) {
                self.hold(Held::Keyboard);
                return glib::Propagation::Stop;
            }
            return glib::Propagation::Proceed;
        }
        let event = code.and_then(|code| self.keyboard.borrow_mut().press(code));
        match event {
            Some(event) => self.send(Command::Key(event)),
            None => tracing::debug!(keycode, "a key that no PC keyboard has is left out"),
        }
        glib::Propagation::Stop
    }

    fn key_released(&self, keycode: u32) {
        let Some(code) = scan_code(keycode) else {
            return;
        };
        let (event, releases) = self.keyboard.borrow_mut().release(code);
        if let Some(event) = event {
            self.send(Command::Key(event));
        }
        if releases {
            self.release();
        }
    }

    /// Gives the guest everything, because of `event` if there was one.
    pub fn grab(&self, event: Option<&gdk::Event>) {
        self.screen.grab_focus();
        if let Some(toplevel) = self.toplevel() {
            toplevel.inhibit_system_shortcuts(event);
        }
        self.hold(Held::Everything);
    }

    /// Whether the guest has the pointer.
    pub fn has_pointer(&self) -> bool {
        self.held.get() == Held::Everything
    }

    /// Takes everything back from the guest.
    pub fn release(&self) {
        let keys = self.keyboard.borrow_mut().release_all();
        for key in keys {
            self.send(Command::Key(key));
        }
        let pointer = self.pointer.borrow_mut().release_all();
        self.send_pointer(pointer);
        if self.held.get() == Held::Everything
            && let Some(toplevel) = self.toplevel()
        {
            toplevel.restore_system_shortcuts();
        }
        self.hold(Held::Nothing);
    }

    fn hold(&self, held: Held) {
        if self.held.get() == Held::Nothing && held != Held::Nothing {
            let keys = settings::get().release_keys();
            self.keyboard.borrow_mut().set_release_keys(keys);
        }
        if self.held.replace(held) != held {
            self.show_pointer();
            (self.changed)(held);
        }
    }

    fn toplevel(&self) -> Option<gdk::Toplevel> {
        self.screen.native()?.surface()?.downcast().ok()
    }

    /// The guest's own pointer takes the place of this computer's while it is grabbed.
    fn show_pointer(&self) {
        let cursor = match self.held.get() {
            Held::Everything => self
                .shape
                .borrow()
                .clone()
                .or_else(|| gdk::Cursor::from_name("none", None)),
            Held::Keyboard | Held::Nothing => None,
        };
        self.screen.set_cursor(cursor.as_ref());
    }

    /// Takes over the shape of the guest's pointer.
    pub fn set_shape(&self, shape: Option<Shape>) {
        self.shape.replace(shape.as_ref().and_then(cursor));
        self.show_pointer();
    }

    /// Sends what is done from now on to another session, or to none.
    pub fn set_commands(&self, commands: Option<mpsc::Sender<Command>>) {
        self.release();
        let connected = commands.is_some();
        self.commands.replace(commands);
        if connected && self.screen.has_focus() {
            self.hold(Held::Keyboard);
        }
    }

    /// Presses and releases keys together.
    pub fn send_keys(&self, keys: &[ScanCode]) {
        for event in combination(keys) {
            self.send(Command::Key(event));
        }
    }

    fn send_pointer(&self, event: Option<PointerEvent>) {
        if let Some(event) = event {
            self.send(Command::Pointer(event));
        }
    }

    fn send(&self, command: Command) {
        if let Some(commands) = &*self.commands.borrow()
            && let Err(error) = commands.try_send(command)
        {
            tracing::debug!(%error, "the session takes no more");
        }
    }
}

fn cursor(shape: &Shape) -> Option<gdk::Cursor> {
    let [width, height, hot_x, hot_y] =
        [shape.width, shape.height, shape.hot.0, shape.hot.1].map(i32::from);
    let stride = usize::from(shape.width) * 4;
    if shape.pixels.len() != stride * usize::from(shape.height) {
        return None;
    }
    let texture = gdk::MemoryTexture::new(
        width,
        height,
        gdk::MemoryFormat::B8g8r8a8,
        &glib::Bytes::from(&shape.pixels),
        stride,
    );
    Some(gdk::Cursor::from_texture(&texture, hot_x, hot_y, None))
}
