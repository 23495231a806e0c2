//! Drawing what the registers and the video memory mean, and only what changed of it.

mod layout;
mod linear;
mod picture;
mod planes;
mod text;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Vga;
use super::registers::Registers;
use crate::bus::Shared;
use crate::display::owner::ScreenOwner;
use crate::display::scanout::{DirtyPages, DirtySource, Wake};
use crate::display::surface::{Frame, Surface};
use crate::memory::MemoryRegion;
use crate::pci::PciFunction;
use picture::Picture;
use text::{Drawn, Phase};

/// How long the text cursor is shown, and hidden, in turn: 16 pictures at 70 Hz.
const CURSOR_BLINK: u128 = 228;
/// How long blinking characters are shown, and hidden, in turn: 32 pictures at 70 Hz.
const CHARACTER_BLINK: u128 = 2 * CURSOR_BLINK;

/// How long a screen must be dark before that is shown. Programs switch it off for the moment of a register write or a change of
/// mode, which nobody sees on a monitor and nobody is to see here.
const UNTIL_DARK: Duration = Duration::from_millis(40);

/// Video memory as it is read for drawing, and which of it was written.
struct Fetch<'a> {
    memory: &'a MemoryRegion,
    dirty: &'a DirtyPages,
    buffer: &'a mut Vec<u8>,
}

impl Fetch<'_> {
    /// `length` bytes from `at` on, where memory repeats after `reach` bytes.
    fn bytes(&mut self, at: usize, length: usize, reach: usize) -> &[u8] {
        self.buffer.resize(length, 0);
        let mut done = 0;
        let mut at = at % reach.max(1);
        while done < length {
            let part = (length - done).min(reach.saturating_sub(at)).max(1);
            if let Some(to) = self.buffer.get_mut(done..done + part) {
                self.memory.read(at, to);
            }
            done += part;
            at = 0;
        }
        self.buffer
    }

    /// Whether one of these bytes was written.
    fn touched(&self, at: usize, length: usize, reach: usize) -> bool {
        let at = at % reach.max(1);
        let first = length.min(reach - at);
        self.dirty.touches(at, first) || self.dirty.touches(0, length - first)
    }
}

/// Where lines are drawn.
struct Target<'a> {
    frame: &'a mut Frame,
    /// The line, ready to be drawn.
    row: &'a mut Vec<u32>,
    /// Nothing on the screen is as it should be.
    everything: bool,
    changed: bool,
}

impl Target<'_> {
    fn draw(&mut self, x: u32, y: u32) {
        self.changed |= self.frame.draw_row(x, y, self.row);
    }
}

/// What a look at the adapter came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refreshed {
    /// A pixel changed.
    pub changed: bool,
    /// The guest did something (blinking is not of its doing).
    pub active: bool,
    /// How long until something that blinks changes, if something does.
    pub next: Option<Duration>,
}

/// Draws an adapter's picture on a surface.
pub struct Renderer {
    adapter: Shared<Vga>,
    surface: Arc<Surface>,
    owner: ScreenOwner,
    memory: MemoryRegion,
    wake: Wake,
    started: Instant,
    /// The adapter's registers as they were at change number `generation`.
    registers: Registers,
    generation: Option<u64>,
    dirty: DirtyPages,
    /// What the registers say.
    wanted: Picture,
    /// What is on the surface.
    picture: Option<Picture>,
    /// Since when the screen has been dark while the surface is not yet.
    dark_since: Option<Duration>,
    drawn: Drawn,
    bytes: Vec<u8>,
    row: Vec<u32>,
}

impl Renderer {
    /// Draws what `adapter` shows on `surface`, while that is its own.
    pub fn new(adapter: Shared<Vga>, surface: Arc<Surface>) -> Self {
        let (memory, wake, registers) = {
            let adapter = adapter.lock();
            (
                adapter.memory.clone(),
                adapter.wake.clone(),
                adapter.registers.clone(),
            )
        };
        Self {
            adapter,
            surface,
            owner: ScreenOwner::new(wake.clone()),
            dirty: DirtyPages::new(memory.size()),
            memory,
            wake,
            started: Instant::now(),
            registers,
            generation: None,
            wanted: Picture::Dark,
            picture: None,
            dark_since: None,
            drawn: Drawn::default(),
            bytes: Vec::new(),
            row: Vec::new(),
        }
    }

    /// Whose the screen is.
    pub fn owner(&self) -> ScreenOwner {
        self.owner.clone()
    }

    /// What the adapter wakes when something changed.
    pub fn wake(&self) -> Wake {
        self.wake.clone()
    }

    /// Draws what changed since the last call; `dirty` tells which video memory the guest wrote to by itself.
    pub fn refresh(&mut self, dirty: &mut dyn DirtySource) -> Refreshed {
        self.refresh_at(dirty, self.started.elapsed())
    }

    fn refresh_at(&mut self, source: &mut dyn DirtySource, now: Duration) -> Refreshed {
        let owner = self.owner.clone();
        let Some(_drawing) = owner.draw() else {
            // When the screen is back, nothing on it is as it should be.
            self.picture = None;
            return Refreshed {
                changed: false,
                active: false,
                next: None,
            };
        };
        // First what changed, then what is there now: a write in between is drawn twice rather than never. Asking the source may
        // carry out writes to the adapter.
        let written = source.take(&self.memory);
        let registers_changed = self.take_changes();
        let known = match written {
            Some(words) => {
                self.dirty.merge(&words);
                true
            }
            None if !self.guest_reaches_memory() => true,
            None => {
                self.dirty.mark_all();
                false
            }
        };
        if registers_changed {
            self.wanted = Picture::of(&self.registers, self.memory.size());
        }
        if self.goes_dark(now) {
            return Refreshed {
                changed: false,
                active: true,
                next: None,
            };
        }
        let written = !self.dirty.is_empty();
        let everything = self.picture.as_ref() != Some(&self.wanted);
        let phase = Phase {
            cursor: (now.as_millis() / CURSOR_BLINK).is_multiple_of(2),
            characters: (now.as_millis() / CHARACTER_BLINK).is_multiple_of(2),
        };
        let blinks = self.blinks() && !self.drawn.is_at(phase);
        let mut changed = false;
        if everything || written || registers_changed || blinks {
            changed = self.draw(everything, phase);
        }
        if everything {
            self.picture = Some(self.wanted.clone());
        }
        self.dirty.clear();
        let left = CURSOR_BLINK - now.as_millis() % CURSOR_BLINK;
        Refreshed {
            changed,
            active: registers_changed || if known { written } else { changed },
            next: self
                .blinks()
                .then(|| Duration::from_millis(u64::try_from(left).unwrap_or(0))),
        }
    }

    /// Whether something on the surface blinks.
    fn blinks(&self) -> bool {
        matches!(self.wanted, Picture::Text(_)) && self.drawn.blinks()
    }

    /// Whether the screen has just gone dark: what is on the surface stays for a moment.
    fn goes_dark(&mut self, now: Duration) -> bool {
        let shown = !matches!(self.picture, None | Some(Picture::Dark));
        if !shown || self.wanted != Picture::Dark {
            self.dark_since = None;
            return false;
        }
        let since = *self.dark_since.get_or_insert(now);
        now.saturating_sub(since) < UNTIL_DARK
    }

    /// Whether the guest can write video memory without the adapter's noticing.
    fn guest_reaches_memory(&self) -> bool {
        let windows = self.adapter.lock().base_addresses();
        windows.iter().any(|window| window.number == 0)
    }

    /// Copies what changed out of the adapter, whose lock is held no longer than that; tells whether a register did.
    fn take_changes(&mut self) -> bool {
        let mut adapter = self.adapter.lock();
        self.dirty.absorb(&mut adapter.dirty);
        if self.generation == Some(adapter.generation) {
            return false;
        }
        self.generation = Some(adapter.generation);
        self.registers.clone_from(&adapter.registers);
        true
    }

    fn draw(&mut self, everything: bool, phase: Phase) -> bool {
        let mut changed = false;
        let picture = &self.wanted;
        let cursor = self.registers.crtc.cursor();
        let (drawn, row) = (&mut self.drawn, &mut self.row);
        let mut fetch = Fetch {
            memory: &self.memory,
            dirty: &self.dirty,
            buffer: &mut self.bytes,
        };
        self.surface.draw(|frame| {
            let size = picture.size().unwrap_or_else(|| frame.size());
            let resized = size != frame.size();
            if resized {
                frame.resize(size.0, size.1);
            }
            let mut target = Target {
                frame,
                row,
                everything: everything || resized,
                changed: resized,
            };
            match picture {
                Picture::Dark => darken(&mut target),
                Picture::Text(text) => text.draw(drawn, cursor, phase, &mut fetch, &mut target),
                Picture::Planes(planes) => planes.draw(&mut fetch, &mut target),
                Picture::Linear(linear) => linear.draw(&mut fetch, &mut target),
            }
            changed = target.changed;
        });
        changed
    }
}

fn darken(target: &mut Target<'_>) {
    if !target.everything {
        return;
    }
    let (width, height) = target.frame.size();
    target.row.clear();
    target.row.resize(width as usize, 0);
    for y in 0..height {
        target.draw(0, y);
    }
}

/// The characters on the screen, row by row; nothing when the screen shows graphics or is dark.
pub(super) fn text(registers: &Registers, memory: &MemoryRegion) -> Option<Vec<String>> {
    let Picture::Text(text) = Picture::of(registers, memory.size()) else {
        return None;
    };
    let dirty = DirtyPages::new(0);
    let mut fetch = Fetch {
        memory,
        dirty: &dirty,
        buffer: &mut Vec::new(),
    };
    Some(text.characters(&mut fetch))
}

#[cfg(test)]
mod tests;
