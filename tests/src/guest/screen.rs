//! What is on the screen, and waiting for it.

use std::time::{Duration, Instant};

use super::font::Font;
use super::{Guest, PICTURES};
use crate::picture::{Picture, Reference};

impl Guest {
    /// The text on the screen, a line each row; empty when the screen shows no text, or graphics whose font was not learnt.
    pub fn screen(&self) -> String {
        let in_graphics = || Font::console().map(|font| font.read(&self.picture()));
        let lines = self.machine.screen_text().or_else(in_graphics);
        let lines = lines.unwrap_or_default();
        lines
            .iter()
            .map(|line| line.trim_end())
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// The picture on the screen.
    pub fn picture(&self) -> Picture {
        let picture = Picture::of(self.machine.surface());
        let mut pictures = self.pictures.lock();
        if pictures.last() != Some(&picture) {
            if pictures.len() == PICTURES {
                pictures.remove(0);
            }
            pictures.push(picture.clone());
        }
        picture
    }

    /// Waits until `seen` says so of the screen's text.
    ///
    /// # Panics
    /// When it does not within `seconds`.
    pub fn wait_until(&self, what: &str, seconds: u64, seen: impl Fn(&str) -> bool) {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            if seen(&self.screen()) {
                return;
            }
            self.check_time(what, seconds, end);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until `text` is on the screen.
    ///
    /// # Panics
    /// When it is not within `seconds`.
    pub fn wait_for(&self, text: &str, seconds: u64) {
        self.wait_until(&format!("{text:?}"), seconds, |screen| {
            screen.contains(text)
        });
    }

    /// Waits until the screen shows a picture that `seen` accepts and that stays the same for `still` seconds.
    ///
    /// # Panics
    /// When it does not within `seconds`.
    pub fn wait_for_picture(
        &self,
        what: &str,
        seconds: u64,
        still: u64,
        seen: impl Fn(&Picture) -> bool,
    ) -> Picture {
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut last = self.picture();
        let mut since = Instant::now();
        loop {
            std::thread::sleep(Duration::from_millis(250));
            let picture = self.picture();
            if picture != last {
                last = picture;
                since = Instant::now();
            } else if since.elapsed() >= Duration::from_secs(still) && seen(&last) {
                return last;
            }
            self.check_time(what, seconds, end);
        }
    }

    /// Waits until the screen looks like the reference picture tests/pictures/NAME.png. A first one is made from a screen that was looked
    /// at: each failure leaves its last screen's as `thumbnail.png`.
    ///
    /// # Panics
    /// When it does not within `seconds`, or there is no such reference picture.
    pub fn wait_for_likeness(&self, name: &str, seconds: u64) -> Picture {
        let reference = Reference::load(name);
        self.wait_for_picture(&format!("a screen like {name}"), seconds, 0, |picture| {
            reference.is_like(picture)
        })
    }
}
