//! The picture as the session knows it, on its way to the toolkit's thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Areas that are kept one by one; more are joined to one.
const MOST_AREAS: usize = 128;

/// A part of the picture in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// From the left.
    pub x: usize,
    /// From the top.
    pub y: usize,
    /// To the right.
    pub width: usize,
    /// Down.
    pub height: usize,
}

impl Area {
    fn contains(self, other: Self) -> bool {
        self.x <= other.x
            && self.y <= other.y
            && self.x + self.width >= other.x + other.width
            && self.y + self.height >= other.y + other.height
    }

    /// The smallest area around both.
    fn joined(self, other: Self) -> Self {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        Self {
            x,
            y,
            width: (self.x + self.width).max(other.x + other.width) - x,
            height: (self.y + self.height).max(other.y + other.height) - y,
        }
    }
}

/// Areas that changed, few enough to be gone through.
#[derive(Debug, Clone, Default)]
pub struct Damage(Vec<Area>);

impl Damage {
    /// Notes one. What lies within another is not kept: buffers that are some pictures old copy each place once.
    pub fn add(&mut self, area: Area) {
        if self.0.iter().any(|other| other.contains(area)) {
            return;
        }
        self.0.retain(|other| !area.contains(*other));
        if self.0.len() < MOST_AREAS {
            self.0.push(area);
        } else {
            let all = self.0.drain(..).fold(area, Area::joined);
            self.0.push(all);
        }
    }

    /// Notes several.
    pub fn extend(&mut self, other: &Self) {
        for area in &other.0 {
            self.add(*area);
        }
    }

    /// What was noted.
    pub fn areas(&self) -> &[Area] {
        &self.0
    }
}

/// The picture: blue, green, red and an unused byte for each pixel.
#[derive(Default)]
pub struct Frame {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
    damage: Damage,
    /// The toolkit's thread was told of damage that it did not take yet.
    announced: bool,
    /// The session asks for no more until the damage was taken.
    waiting: bool,
}

/// Bytes of a pixel.
pub const PIXEL: usize = 4;

impl Frame {
    /// Width and height in pixels; zero before the first picture.
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// The bytes of `area` in row `y`, which is within the picture.
    pub fn row(&self, area: Area, y: usize) -> &[u8] {
        let start = (y * self.width + area.x) * PIXEL;
        self.pixels
            .get(start..start + area.width * PIXEL)
            .unwrap_or(&[])
    }

    /// Starts again with a black picture.
    pub fn resize(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.pixels.clear();
        self.pixels.resize(width * height * PIXEL, 0);
        self.damage = Damage::default();
        self.damage.add(Area {
            x: 0,
            y: 0,
            width,
            height,
        });
    }

    fn has(&self, area: Area) -> bool {
        area.x + area.width <= self.width && area.y + area.height <= self.height
    }

    /// Draws `data`, row by row, at `area`; tells whether it fits.
    pub fn put(&mut self, area: Area, data: &[u8]) -> bool {
        let length = area.width * PIXEL;
        if !self.has(area) || length == 0 || data.len() != length * area.height {
            return false;
        }
        for (y, row) in data.chunks_exact(length).enumerate() {
            let start = ((area.y + y) * self.width + area.x) * PIXEL;
            if let Some(place) = self.pixels.get_mut(start..start + length) {
                place.copy_from_slice(row);
            }
        }
        self.damage.add(area);
        true
    }

    /// Copies what is at `from` to `to`, which is of the same size; tells whether both fit.
    pub fn copy(&mut self, to: Area, from: Area) -> bool {
        let same_size = (to.width, to.height) == (from.width, from.height);
        if !same_size || !self.has(to) || !self.has(from) {
            return false;
        }
        let mut copy = |row: usize| {
            let start = |area: Area| ((area.y + row) * self.width + area.x) * PIXEL;
            let source = start(from)..start(from) + from.width * PIXEL;
            self.pixels.copy_within(source, start(to));
        };
        // Rows that are still to be read must not be written before.
        if from.y >= to.y {
            (0..to.height).for_each(&mut copy);
        } else {
            (0..to.height).rev().for_each(&mut copy);
        }
        self.damage.add(to);
        true
    }

    /// What changed since this was asked last; and whether the session waits for that to be taken.
    pub fn take_damage(&mut self) -> (Damage, bool) {
        self.announced = false;
        let waiting = std::mem::take(&mut self.waiting);
        (std::mem::take(&mut self.damage), waiting)
    }

    /// Whether the toolkit's thread has to be told that there is damage. If it was before and did not take it yet, the session is
    /// to wait for that: what nobody looks at is not fetched.
    pub fn announce(&mut self) -> bool {
        self.waiting = self.announced;
        !std::mem::replace(&mut self.announced, true)
    }
}

/// The picture, shared between the session and the toolkit's thread.
#[derive(Clone, Default)]
pub struct SharedFrame(Arc<Mutex<Frame>>);

impl SharedFrame {
    /// The picture, for as short as possible.
    pub fn lock(&self) -> MutexGuard<'_, Frame> {
        // Pixels are never half of anything, whoever failed while drawing them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(x: usize, y: usize, width: usize, height: usize) -> Area {
        Area {
            x,
            y,
            width,
            height,
        }
    }

    fn frame() -> Frame {
        let mut frame = Frame::default();
        frame.resize(3, 3);
        let all: Vec<u8> = (0..9).flat_map(|pixel| [pixel; PIXEL]).collect();
        assert!(frame.put(area(0, 0, 3, 3), &all));
        frame.take_damage();
        frame
    }

    fn pixels(frame: &Frame) -> Vec<u8> {
        frame.pixels.iter().copied().step_by(PIXEL).collect()
    }

    #[test]
    fn copies_that_overlap() {
        for (to, from, expected) in [
            (
                area(0, 0, 3, 2),
                area(0, 1, 3, 2),
                [3, 4, 5, 6, 7, 8, 6, 7, 8],
            ),
            (
                area(0, 1, 3, 2),
                area(0, 0, 3, 2),
                [0, 1, 2, 0, 1, 2, 3, 4, 5],
            ),
            (
                area(1, 0, 2, 3),
                area(0, 0, 2, 3),
                [0, 0, 1, 3, 3, 4, 6, 6, 7],
            ),
        ] {
            let mut frame = frame();
            assert!(frame.copy(to, from));
            assert_eq!(pixels(&frame), expected);
            assert_eq!(frame.take_damage().0.areas(), [to]);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut frame = frame();
        assert!(!frame.put(area(2, 0, 2, 1), &[0; 8]));
        assert!(!frame.put(area(0, 0, 2, 1), &[0; 7]));
        assert!(!frame.put(area(0, 0, 0, 1), &[]));
        assert!(!frame.copy(area(0, 0, 1, 1), area(3, 0, 1, 1)));
        assert!(!frame.copy(area(0, 0, 2, 1), area(0, 0, 1, 1)));
        assert!(frame.take_damage().0.areas().is_empty());
        assert_eq!(pixels(&frame), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn the_session_is_one_picture_ahead_at_most() {
        let mut frame = frame();
        assert!(frame.announce());
        assert!(!frame.announce());
        assert!(frame.take_damage().1);
        assert!(frame.announce());
        assert!(!frame.take_damage().1);
    }

    #[test]
    fn damage_within_damage_is_noted_once() {
        let mut damage = Damage::default();
        for area in [area(0, 0, 4, 2), area(0, 2, 4, 2), area(2, 1, 2, 2)] {
            damage.add(area);
        }
        let noted = damage.clone();
        damage.extend(&noted);
        damage.add(area(1, 0, 3, 2));
        assert_eq!(damage.areas(), noted.areas());
        damage.add(area(0, 0, 4, 3));
        assert_eq!(damage.areas(), [area(0, 2, 4, 2), area(0, 0, 4, 3)]);
    }

    #[test]
    fn damage_stays_small_and_loses_nothing() {
        let mut damage = Damage::default();
        for x in 0..1000 {
            damage.add(area(x, 2 * x, 1, 1));
        }
        assert!(damage.areas().len() <= MOST_AREAS);
        let all = damage.areas().iter().copied().reduce(Area::joined);
        assert_eq!(all, Some(area(0, 0, 1000, 1999)));
    }
}
