//! One viewer: what its two threads share, and the one that reads.
//!
//! The reader only notes what the client wants; the writer does it. So a client that does not take what it asked for stops nobody
//! but its own writer, and never makes anything pile up: what would is noted once, or ends the connection.

use std::{
    collections::VecDeque,
    io::BufReader,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;

use super::{
    encoding::{Encoding, number},
    keyboard::Keyboard,
    message::{self, Message, MessageError},
    pixel::{Converter, PixelFormat},
    pointer::Pointer,
    server::Shared,
    stream::Stream,
};
use crate::{
    display::Rectangle,
    input::{InputSink, ScanCode},
};

/// Fences that may wait to be answered; a client that sends more without reading is not following the protocol.
const MOST_FENCES: usize = 64;
/// Updates sent without being asked for that may be on their way.
const MOST_UNCONFIRMED: u32 = 2;
/// A fence that wants an answer.
pub const FENCE_REQUEST: u32 = 1 << 31;
/// The kinds of fences that are kept: before, after, and together with what follows.
const FENCE_KINDS: u32 = 0b111;
/// What the fences that confirm updates carry.
pub const PACE: &[u8] = &[1];

/// What a client understands beyond the plain protocol.
#[derive(Clone, Default)]
pub struct Extensions {
    pub copy_rectangle: bool,
    pub cursor: bool,
    pub desktop_size: bool,
    pub extended_desktop_size: bool,
    pub last_rectangle: bool,
    pub extended_keys: bool,
    pub relative_pointer: bool,
    pub lights: bool,
    pub name: bool,
    pub fence: bool,
    pub continuous_updates: bool,
}

/// How a client wants its updates.
#[derive(Clone)]
pub struct Settings {
    pub converter: Arc<Converter>,
    pub encoding: Encoding,
    pub level: u32,
    pub extensions: Extensions,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            converter: Arc::new(Converter::new(PixelFormat::NATIVE)),
            encoding: Encoding::Raw,
            level: 1,
            extensions: Extensions::default(),
        }
    }
}

impl Settings {
    fn take(&mut self, encodings: &[i32]) {
        let known = |wanted| encodings.contains(&wanted);
        self.encoding = encodings
            .iter()
            .find_map(|encoding| match *encoding {
                number::RAW => Some(Encoding::Raw),
                number::TIGHT => Some(Encoding::Tight),
                number::ZRLE => Some(Encoding::Zrle),
                _ => None,
            })
            .unwrap_or_default();
        let levels = number::COMPRESSION_LOWEST..=number::COMPRESSION_HIGHEST;
        self.level = encodings
            .iter()
            .find(|encoding| levels.contains(encoding))
            .and_then(|level| u32::try_from(level - number::COMPRESSION_LOWEST).ok())
            .unwrap_or(1)
            .clamp(1, 9);
        self.extensions = Extensions {
            copy_rectangle: known(number::COPY_RECTANGLE),
            cursor: known(number::CURSOR),
            desktop_size: known(number::DESKTOP_SIZE),
            extended_desktop_size: known(number::EXTENDED_DESKTOP_SIZE),
            last_rectangle: known(number::LAST_RECTANGLE),
            extended_keys: known(number::EXTENDED_KEYS),
            relative_pointer: known(number::RELATIVE_POINTER),
            lights: known(number::LIGHTS),
            name: known(number::DESKTOP_NAME),
            fence: known(number::FENCE),
            continuous_updates: known(number::CONTINUOUS_UPDATES),
        };
    }
}

/// Things that are told with the next update, each once however often they change.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct News {
    pub extended_keys: bool,
    pub pointer: bool,
    pub lights: bool,
    pub name: bool,
    pub cursor: bool,
    pub desktop: bool,
}

/// What the client was told when it asked for another size of screen (the status of ExtendedDesktopSize).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ResizeAnswer {
    /// This machine's screen cannot be changed from outside.
    Prohibited = 1,
    /// The guest was asked to.
    Forwarded = 4,
}

/// What the two threads of a viewer share.
#[derive(Default)]
pub struct State {
    pub settings: Settings,
    /// An update was asked for.
    pub requested: bool,
    /// All of this part is wanted, changed or not.
    pub wanted: Option<Rectangle>,
    pub continuous: bool,
    /// Updates sent without being asked for that the client did not confirm yet.
    pub unconfirmed: u32,
    pub news: News,
    pub resize_answer: Option<ResizeAnswer>,
    pub bell: bool,
    pub text: Option<Vec<u8>>,
    pub fences: VecDeque<(u32, Vec<u8>)>,
    /// The client is to be told that continuous updates are known, or have ended.
    pub end_of_continuous: bool,
    /// What the client was told last about the pointer.
    pub relative: bool,
}

impl State {
    /// Notes that all of `part` is wanted.
    pub fn want(&mut self, part: Rectangle) {
        self.wanted = Some(self.wanted.map_or(part, |other| other.joined(part)));
    }

    /// Whether the client may be sent an update.
    pub fn may_update(&self) -> bool {
        self.requested
            || self.continuous
                && (!self.settings.extensions.fence || self.unconfirmed < MOST_UNCONFIRMED)
    }

    /// Whether an update would say anything, apart from changes of the picture.
    pub fn has_news(&self) -> bool {
        self.wanted.is_some() || self.resize_answer.is_some() || self.news != News::default()
    }

    /// Whether there is something to send that needs no request.
    pub fn has_messages(&self) -> bool {
        self.bell || self.text.is_some() || !self.fences.is_empty() || self.end_of_continuous
    }
}

/// A connection.
pub struct Viewer {
    pub identity: u64,
    pub peer: String,
    control: Box<dyn Stream>,
    closing: AtomicBool,
    /// Past the handshake.
    pub let_in: AtomicBool,
    pub state: Mutex<State>,
}

impl Viewer {
    pub fn new(identity: u64, control: Box<dyn Stream>) -> Self {
        Self {
            identity,
            peer: control.peer(),
            control,
            closing: AtomicBool::new(false),
            let_in: AtomicBool::new(false),
            state: Mutex::new(State::default()),
        }
    }

    /// Ends the connection; both threads come to their end.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.control.close();
    }

    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}

/// The reading half.
pub struct Reader {
    pub shared: Arc<Shared>,
    pub viewer: Arc<Viewer>,
    pub keyboard: Keyboard,
    pub pointer: Pointer,
}

impl Reader {
    /// Follows what the client says until it ends or says something wrong.
    pub fn run(&mut self, stream: Box<dyn Stream>) -> MessageError {
        let mut stream = BufReader::new(stream);
        let error = loop {
            match message::read(&mut stream) {
                Ok(message) => {
                    if let Err(error) = self.follow(message) {
                        break error;
                    }
                }
                Err(error) => break error,
            }
        };
        let input = self.shared.input();
        self.keyboard.release_all(input);
        self.pointer.release_all(input);
        error
    }

    fn follow(&mut self, message: Message) -> Result<(), MessageError> {
        let input: &dyn InputSink = self.shared.input();
        match message {
            Message::Key {
                down,
                keysym,
                position,
            } => {
                let position = u8::try_from(position).ok().filter(|code| *code != 0);
                match position {
                    Some(code) => self.keyboard.position(ScanCode(code), down, input),
                    None => {
                        let caps_lock = self.shared.lights().caps_lock;
                        self.keyboard.keysym(keysym, down, caps_lock, input);
                    }
                }
                return Ok(());
            }
            Message::Pointer { buttons, x, y } => {
                let relative = self.viewer.state.lock().relative;
                let size = self.shared.surface().view().size();
                self.pointer.event(buttons, x, y, size, relative, input);
                return Ok(());
            }
            Message::CutText(text) => {
                let text = text.iter().map(|byte| char::from(*byte)).collect();
                self.shared.clipboard(text);
                return Ok(());
            }
            Message::PixelFormat(format) => {
                let mut state = self.viewer.state.lock();
                state.settings.converter = Arc::new(Converter::new(format));
                // The shape was sent in the old format, which says nothing wrong; it stays.
                return Ok(());
            }
            Message::Encodings(encodings) => self.encodings(&encodings),
            Message::UpdateRequest { incremental, part } => {
                let mut state = self.viewer.state.lock();
                state.requested = true;
                if !incremental {
                    state.want(part);
                }
            }
            Message::ContinuousUpdates(enable) => {
                let mut state = self.viewer.state.lock();
                if state.settings.extensions.continuous_updates {
                    state.end_of_continuous |= state.continuous && !enable;
                    state.continuous = enable;
                    state.unconfirmed = 0;
                }
            }
            Message::Fence { flags, payload } => {
                let mut state = self.viewer.state.lock();
                if flags & FENCE_REQUEST == 0 {
                    if payload == PACE {
                        state.unconfirmed = state.unconfirmed.saturating_sub(1);
                    }
                } else {
                    if state.fences.len() >= MOST_FENCES {
                        return Err(MessageError::Flood);
                    }
                    state.fences.push_back((flags & FENCE_KINDS, payload));
                }
            }
            Message::DesktopSize { width, height } => {
                let accepted = self.shared.resize(width.into(), height.into());
                let mut state = self.viewer.state.lock();
                if state.settings.extensions.extended_desktop_size {
                    state.resize_answer = Some(if accepted {
                        ResizeAnswer::Forwarded
                    } else {
                        ResizeAnswer::Prohibited
                    });
                }
            }
        }
        self.shared.surface().wake();
        Ok(())
    }

    fn encodings(&self, encodings: &[i32]) {
        let lights = self.shared.lights_are_known();
        let mut state = self.viewer.state.lock();
        let before = state.settings.extensions.clone();
        state.settings.take(encodings);
        let now = state.settings.extensions.clone();
        state.news.extended_keys |= now.extended_keys && !before.extended_keys;
        state.news.pointer |= now.relative_pointer && !before.relative_pointer;
        state.news.lights |= now.lights && !before.lights && lights;
        state.news.cursor |= now.cursor && !before.cursor;
        state.news.desktop |= now.extended_desktop_size && !before.extended_desktop_size;
        if now.fence && !before.fence {
            // Tells the client that fences are known here.
            state.fences.push_back((FENCE_REQUEST, Vec::new()));
        }
        state.end_of_continuous |= now.continuous_updates && !before.continuous_updates;
        state.continuous &= now.continuous_updates;
    }
}
