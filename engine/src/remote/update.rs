//! The writing half of a viewer: waits until the client may be sent something and there is something to send.

use std::{io, sync::Arc};

use super::{
    encoding::{Encoders, Encoding, Manner, number, send_cursor, send_head, send_scroll, short},
    picture::{Changes, Picture},
    server::Shared,
    stream::{Output, Stream},
    viewer::{FENCE_REQUEST, News, PACE, ResizeAnswer, Settings, Viewer},
};
use crate::display::{Cursor, Rectangle};

/// The writing half.
pub struct Writer {
    shared: Arc<Shared>,
    viewer: Arc<Viewer>,
    out: Output,
    picture: Picture,
    encoders: Encoders,
    /// The number of the change that the client has seen.
    seen: u64,
    /// The number of the change of size that the client's picture has.
    resized: u64,
    cursor_seen: u64,
}

/// One update, put together.
struct Update {
    settings: Settings,
    news: News,
    resize_answer: Option<ResizeAnswer>,
    /// The client's picture changes its size.
    new_size: bool,
    cursor: Option<Option<Cursor>>,
    changes: Changes,
}

impl Writer {
    /// For a client that was told the size of `picture` at the handshake.
    pub fn new(
        shared: Arc<Shared>,
        viewer: Arc<Viewer>,
        stream: Box<dyn Stream>,
        picture: Picture,
    ) -> Self {
        Self {
            shared,
            viewer,
            out: Output::new(stream),
            picture,
            encoders: Encoders::default(),
            seen: 0,
            resized: 0,
            cursor_seen: 0,
        }
    }

    /// Sends until the connection ends.
    pub fn run(&mut self) -> io::Result<()> {
        loop {
            let (shared, viewer, seen) = (&self.shared, &self.viewer, self.seen);
            shared.surface().wait_until(|latest| {
                viewer.is_closing() || {
                    let state = viewer.state.lock();
                    state.has_messages()
                        || state.may_update() && (latest > seen || state.has_news())
                }
            });
            if self.viewer.is_closing() {
                return Ok(());
            }
            self.turn()?;
        }
    }

    /// Sends what there is to be sent.
    pub(super) fn turn(&mut self) -> io::Result<()> {
        self.send_messages()?;
        if let Some(update) = self.next_update() {
            self.send_update(&update)?;
        }
        self.out.flush()
    }

    /// What needs no request.
    fn send_messages(&mut self) -> io::Result<()> {
        let (fences, bell, text, end_of_continuous) = {
            let mut state = self.viewer.state.lock();
            (
                std::mem::take(&mut state.fences),
                std::mem::take(&mut state.bell),
                state.text.take(),
                std::mem::take(&mut state.end_of_continuous),
            )
        };
        for (flags, payload) in fences {
            self.send_fence(flags, &payload)?;
        }
        if bell {
            self.out.bytes(&[2])?;
        }
        if let Some(text) = text {
            self.out.bytes(&[3, 0, 0, 0])?;
            self.out.long(u32::try_from(text.len()).unwrap_or(0))?;
            self.out.bytes(&text)?;
        }
        if end_of_continuous {
            self.out.bytes(&[150])?;
        }
        Ok(())
    }

    fn send_fence(&mut self, flags: u32, payload: &[u8]) -> io::Result<()> {
        self.out.bytes(&[248, 0, 0, 0])?;
        self.out.long(flags)?;
        self.out
            .bytes(&[u8::try_from(payload.len()).unwrap_or(0)])?;
        self.out.bytes(payload)
    }

    /// Puts together what the client is to be told, if it may be told anything and there is anything.
    fn next_update(&mut self) -> Option<Update> {
        let (settings, mut news, resize_answer, wanted, lights) = {
            let mut state = self.viewer.state.lock();
            if !state.may_update() {
                return None;
            }
            (
                state.settings.clone(),
                std::mem::take(&mut state.news),
                state.resize_answer.take(),
                state.wanted.take(),
                self.shared.lights_are_known(),
            )
        };
        let extensions = &settings.extensions;
        news.lights &= extensions.lights && lights;
        news.pointer &= extensions.relative_pointer;
        news.name &= extensions.name;
        let view = self.shared.surface().view();
        let (width, height) = view.size();
        let mut new_size = false;
        let mut wanted = wanted;
        if view.resized() > self.resized {
            self.resized = view.resized();
            if self.picture.size() != (width, height)
                && (extensions.desktop_size || extensions.extended_desktop_size)
            {
                self.picture = self.picture.resized(width, height);
                new_size = true;
                news.desktop = true;
            }
            // All of it is new, also where a client of unchanged size now sees less.
            let (width, height) = self.picture.size();
            wanted = Some(Rectangle::new(0, 0, width, height));
        }
        let cursor = (extensions.cursor && (news.cursor || view.cursor().1 > self.cursor_seen))
            .then(|| {
                self.cursor_seen = view.cursor().1;
                view.cursor().0.cloned()
            });
        let mut changes = Changes::default();
        if new_size || news.desktop || resize_answer.is_some() {
            // Sizes are told without a picture, which comes with the next update, when the client has made room for it.
            if let Some(part) = wanted {
                self.viewer.state.lock().want(part);
            }
        } else {
            let (width, height) = self.picture.size();
            let damage: Vec<Rectangle> = view
                .changed_since(self.seen)
                .into_iter()
                .filter_map(|part| part.clipped(width, height))
                .collect();
            let scrolls = extensions.copy_rectangle;
            let wanted = wanted.and_then(|part| part.clipped(width, height));
            changes = self.picture.changes(&view, &damage, wanted, scrolls);
            self.seen = view.sequence();
        }
        drop(view);
        let update = Update {
            settings,
            news,
            resize_answer,
            new_size,
            cursor,
            changes,
        };
        let mut state = self.viewer.state.lock();
        if !update.says_something() {
            return None;
        }
        if !std::mem::take(&mut state.requested) && state.settings.extensions.fence {
            state.unconfirmed += 1;
            // A client that confirms this one can take another.
            state.fences.push_back((FENCE_REQUEST, PACE.to_vec()));
        }
        Some(update)
    }

    fn send_update(&mut self, update: &Update) -> io::Result<()> {
        let Update {
            settings, changes, ..
        } = update;
        let uncounted = settings.extensions.last_rectangle && settings.encoding == Encoding::Tight;
        let manner = Manner {
            encoding: settings.encoding,
            converter: &settings.converter,
            level: settings.level,
            uncounted,
        };
        let parts: Vec<Rectangle> = changes
            .parts
            .iter()
            .flat_map(|part| self.encoders.split(manner, &self.picture, *part))
            .collect();
        let count =
            update.pseudo_rectangles() + usize::from(changes.scroll.is_some()) + parts.len();
        let count = if uncounted {
            u16::MAX
        } else {
            u16::try_from(count).map_err(io::Error::other)?
        };
        self.out.bytes(&[0, 0])?;
        self.out.shorts([count])?;
        self.send_news(update)?;
        if let Some(scroll) = changes.scroll {
            send_scroll(&mut self.out, scroll)?;
        }
        for part in parts {
            self.encoders
                .send(&mut self.out, manner, &self.picture, part)?;
        }
        if uncounted {
            let nothing = Rectangle::new(0, 0, 0, 0);
            send_head(&mut self.out, nothing, number::LAST_RECTANGLE)?;
        }
        Ok(())
    }

    fn send_news(&mut self, update: &Update) -> io::Result<()> {
        let nothing = Rectangle::new(0, 0, 0, 0);
        let extensions = &update.settings.extensions;
        let out = &mut self.out;
        if update.news.extended_keys {
            send_head(out, nothing, number::EXTENDED_KEYS)?;
        }
        if update.news.pointer {
            let relative = self.shared.is_relative();
            self.viewer.state.lock().relative = relative;
            let place = Rectangle::new(u32::from(!relative), 0, 0, 0);
            send_head(out, place, number::RELATIVE_POINTER)?;
        }
        if update.news.lights {
            let lights = self.shared.lights();
            send_head(out, nothing, number::LIGHTS)?;
            out.bytes(&[u8::from(lights.scroll_lock)
                | u8::from(lights.num_lock) << 1
                | u8::from(lights.caps_lock) << 2])?;
        }
        if update.news.name {
            let name = self.shared.name();
            send_head(out, nothing, number::DESKTOP_NAME)?;
            out.long(u32::try_from(name.len()).unwrap_or(0))?;
            out.bytes(name.as_bytes())?;
        }
        if let Some(cursor) = &update.cursor {
            send_cursor(out, &update.settings.converter, cursor.as_ref())?;
        }
        let (width, height) = self.picture.size();
        let whole = Rectangle::new(0, 0, width, height);
        if !extensions.extended_desktop_size {
            if update.new_size {
                send_head(out, whole, number::DESKTOP_SIZE)?;
            }
            return Ok(());
        }
        if let Some(answer) = update.resize_answer {
            send_desktop(out, Rectangle::new(1, answer as u32, width, height))?;
        }
        if update.news.desktop {
            send_desktop(out, whole)?;
        }
        Ok(())
    }
}

impl Update {
    fn pseudo_rectangles(&self) -> usize {
        let news = self.news;
        let extended = self.settings.extensions.extended_desktop_size;
        [
            news.extended_keys,
            news.pointer,
            news.lights,
            news.name,
            self.cursor.is_some(),
            extended && self.resize_answer.is_some(),
            extended && news.desktop || self.new_size && !extended,
        ]
        .into_iter()
        .map(usize::from)
        .sum()
    }

    fn says_something(&self) -> bool {
        self.pseudo_rectangles() > 0 || self.changes != Changes::default()
    }
}

/// ExtendedDesktopSize: who asked and the outcome in place of the corner, then the one screen.
fn send_desktop(out: &mut Output, place: Rectangle) -> io::Result<()> {
    send_head(out, place, number::EXTENDED_DESKTOP_SIZE)?;
    out.bytes(&[1, 0, 0, 0])?;
    out.long(0)?;
    out.shorts([0, 0, short(place.width), short(place.height)])?;
    out.long(0)
}
