//! The picture on a machine's screen, shared between the adapter that draws it and any number of viewers.
//!
//! One pixel is a `u32` of 0x00RRGGBB. The picture is kept in tiles of 64 by 64 pixels, each with the number of the change that
//! touched it last; a viewer remembers the number it has seen and asks for what is newer, so that every viewer gets on at its
//! own pace and none is waited for.

use std::time::Duration;

use parking_lot::{Condvar, Mutex, RwLock};

/// The edge length of a tile in pixels.
const TILE: u32 = 64;

/// The largest width and height in pixels.
pub const MAXIMUM_EDGE: u32 = 8192;

/// A part of the picture, in pixels from its top left corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rectangle {
    /// From the left edge.
    pub x: u32,
    /// From the top edge.
    pub y: u32,
    /// To the right.
    pub width: u32,
    /// Down.
    pub height: u32,
}

impl Rectangle {
    /// A rectangle by its corner and size.
    pub fn new(x: u32, y: u32, width: u32, height: u32) -> Self {
        Self {
            x,
            y,
            width,
            height,
        }
    }

    /// The part of it that lies within a picture of `width` by `height`, if any.
    pub fn clipped(self, width: u32, height: u32) -> Option<Self> {
        let (right, bottom) = (
            self.x.saturating_add(self.width).min(width),
            self.y.saturating_add(self.height).min(height),
        );
        (self.x < right && self.y < bottom)
            .then(|| Self::new(self.x, self.y, right - self.x, bottom - self.y))
    }

    /// Whether all of `other` lies within it.
    pub fn contains(self, other: Self) -> bool {
        self.x <= other.x
            && self.y <= other.y
            && self.right() >= other.right()
            && self.bottom() >= other.bottom()
    }

    /// The smallest rectangle around both.
    pub fn joined(self, other: Self) -> Self {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        Self::new(
            x,
            y,
            self.right().max(other.right()) - x,
            self.bottom().max(other.bottom()) - y,
        )
    }

    fn right(self) -> u32 {
        self.x.saturating_add(self.width)
    }

    fn bottom(self) -> u32 {
        self.y.saturating_add(self.height)
    }

    /// How many pixels it covers.
    pub fn area(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

/// A pointer shape that the viewer draws on top of the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Width in pixels, 0 to 256.
    pub width: u32,
    /// Height in pixels, 0 to 256.
    pub height: u32,
    /// The pixel of the shape that points, from the left.
    pub hot_x: u32,
    /// The pixel of the shape that points, from the top.
    pub hot_y: u32,
    /// 0xAARRGGBB, row by row.
    pub pixels: Vec<u32>,
}

/// The picture itself, as the adapter draws it.
pub struct Frame {
    width: u32,
    height: u32,
    pixels: Vec<u32>,
    /// The number of the latest change.
    sequence: u64,
    /// For each tile, row by row, the number of the change that touched it last.
    tiles: Vec<u64>,
    /// The number of the change that gave the picture its size.
    resized: u64,
    cursor: Option<Cursor>,
    cursor_changed: u64,
    /// Something was changed since `sequence` was counted on.
    pending: bool,
}

fn index(x: u32, y: u32, width: u32) -> usize {
    y as usize * width as usize + x as usize
}

impl Frame {
    /// The picture's width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// All pixels, row by row without gaps.
    pub fn pixels(&self) -> &[u32] {
        &self.pixels
    }

    /// Row `y` of the picture; empty below its end.
    pub fn row(&self, y: u32) -> &[u32] {
        let start = index(0, y, self.width);
        self.pixels
            .get(start..start.saturating_add(self.width as usize))
            .unwrap_or(&[])
    }

    /// Gives the picture a new size (1 to [`MAXIMUM_EDGE`] each way; other sizes are cut to it) and makes it black.
    pub fn resize(&mut self, width: u32, height: u32) {
        let (width, height) = (width.clamp(1, MAXIMUM_EDGE), height.clamp(1, MAXIMUM_EDGE));
        self.pending = true;
        self.width = width;
        self.height = height;
        self.pixels.clear();
        self.pixels.resize(index(0, height, width), 0);
        self.tiles.clear();
        self.tiles.resize(
            width.div_ceil(TILE) as usize * height.div_ceil(TILE) as usize,
            self.sequence + 1,
        );
        self.resized = self.sequence + 1;
    }

    /// Draws `row` at column `x` of line `y`; what lies outside the picture is cut off. Tells whether a pixel changed: a row
    /// that is the same as before makes no viewer do anything.
    pub fn draw_row(&mut self, x: u32, y: u32, row: &[u32]) -> bool {
        if x >= self.width || y >= self.height {
            return false;
        }
        let length = row.len().min((self.width - x) as usize);
        let start = index(x, y, self.width);
        let (Some(to), Some(from)) = (
            self.pixels.get_mut(start..start + length),
            row.get(..length),
        ) else {
            return false;
        };
        let columns = self.width.div_ceil(TILE) as usize;
        let (tile_row, next) = ((y / TILE) as usize * columns, self.sequence + 1);
        let mut changed = false;
        // Compared and copied tile by tile, so that one blinking character does not damage its whole line.
        let mut at = 0;
        while at < length {
            let tile = (x as usize + at) / TILE as usize;
            let end = ((tile + 1) * TILE as usize - x as usize).min(length);
            if let (Some(to), Some(from)) = (to.get_mut(at..end), from.get(at..end))
                && to != from
            {
                to.copy_from_slice(from);
                if let Some(number) = self.tiles.get_mut(tile_row + tile) {
                    *number = next;
                }
                changed = true;
            }
            at = end;
        }
        self.pending |= changed;
        changed
    }

    /// Draws what is at `from` (column and line) at `to` too; tells whether both are within the picture.
    pub fn copy(&mut self, to: Rectangle, from: (u32, u32)) -> bool {
        let all = Rectangle::new(0, 0, self.width, self.height);
        let source = Rectangle::new(from.0, from.1, to.width, to.height);
        if to.area() == 0 || !all.contains(to) || !all.contains(source) {
            return false;
        }
        let width = self.width;
        let mut copy = |line: u32| {
            let start = index(source.x, source.y + line, width);
            self.pixels.copy_within(
                start..start + to.width as usize,
                index(to.x, to.y + line, width),
            );
        };
        // Lines that are still to be read must not be written before.
        if source.y >= to.y {
            (0..to.height).for_each(&mut copy);
        } else {
            (0..to.height).rev().for_each(&mut copy);
        }
        let columns = self.width.div_ceil(TILE);
        for row in to.y / TILE..=(to.bottom() - 1) / TILE {
            for column in to.x / TILE..=(to.right() - 1) / TILE {
                if let Some(number) = self.tiles.get_mut(index(column, row, columns)) {
                    *number = self.sequence + 1;
                }
            }
        }
        self.pending = true;
        true
    }

    /// Sets (or with `None` takes away) the pointer shape that viewers draw.
    pub fn set_cursor(&mut self, cursor: Option<Cursor>) {
        if self.cursor != cursor {
            self.cursor = cursor;
            self.cursor_changed = self.sequence + 1;
            self.pending = true;
        }
    }

    /// The number of the latest change.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The pointer shape, and the number of the change that set it.
    pub fn cursor(&self) -> (Option<&Cursor>, u64) {
        (self.cursor.as_ref(), self.cursor_changed)
    }

    /// The number of the change that gave the picture its size.
    pub fn resized(&self) -> u64 {
        self.resized
    }

    /// Counts what is pending as one change; tells whether there was any.
    fn count(&mut self) -> bool {
        let changed = std::mem::take(&mut self.pending);
        self.sequence += u64::from(changed);
        changed
    }

    /// What changed after change number `seen`: tiles, joined to runs along each row of tiles. Empty when nothing did.
    pub fn changed_since(&self, seen: u64) -> Vec<Rectangle> {
        let columns = self.width.div_ceil(TILE);
        let mut found: Vec<Rectangle> = Vec::new();
        for (number, tile) in (0_u32..).zip(&self.tiles) {
            if *tile <= seen {
                continue;
            }
            let (x, y) = (number % columns * TILE, number / columns * TILE);
            let Some(part) = Rectangle::new(x, y, TILE, TILE).clipped(self.width, self.height)
            else {
                continue;
            };
            match found.last_mut() {
                Some(last) if last.y == part.y && last.x + last.width == part.x => {
                    last.width += part.width
                }
                _ => found.push(part),
            }
        }
        found
    }
}

/// A look at the picture that keeps it still while it lasts: keep it short.
pub type View<'a> = parking_lot::RwLockReadGuard<'a, Frame>;

/// The picture, shared.
pub struct Surface {
    frame: RwLock<Frame>,
    latest: Mutex<u64>,
    changed: Condvar,
}

impl Default for Surface {
    fn default() -> Self {
        Self::new(720, 400)
    }
}

impl Surface {
    /// A black picture of `width` by `height` pixels.
    pub fn new(width: u32, height: u32) -> Self {
        let mut frame = Frame {
            width: 0,
            height: 0,
            pixels: Vec::new(),
            sequence: 0,
            tiles: Vec::new(),
            resized: 0,
            cursor: None,
            cursor_changed: 0,
            pending: false,
        };
        frame.resize(width, height);
        frame.count();
        let latest = Mutex::new(frame.sequence);
        Self {
            frame: RwLock::new(frame),
            latest,
            changed: Condvar::new(),
        }
    }

    /// Lets `draw` change the picture, as one change, and wakes the viewers if it did.
    pub fn draw(&self, draw: impl FnOnce(&mut Frame)) {
        let mut frame = self.frame.write();
        draw(&mut frame);
        if frame.count() {
            let after = frame.sequence;
            drop(frame);
            let mut latest = self.latest.lock();
            *latest = after.max(*latest);
            self.changed.notify_all();
        }
    }

    /// Looks at the picture.
    pub fn view(&self) -> View<'_> {
        self.frame.read()
    }

    /// Waits until `ready`, which is given the latest number, says so. It is asked at once, after every change, and after every
    /// [`wake`](Self::wake); it must not use the surface.
    pub fn wait_until(&self, mut ready: impl FnMut(u64) -> bool) {
        let mut latest = self.latest.lock();
        while !ready(*latest) {
            self.changed.wait(&mut latest);
        }
    }

    /// Makes those who wait in [`wait_until`](Self::wait_until) ask again, because something beside the picture changed.
    pub fn wake(&self) {
        // Taken so that nobody is between asking and sleeping.
        drop(self.latest.lock());
        self.changed.notify_all();
    }

    /// Waits until there is a change newer than number `seen`, at most `timeout`; returns the latest number.
    pub fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        let mut latest = self.latest.lock();
        if *latest <= seen {
            self.changed.wait_for(&mut latest, timeout);
        }
        *latest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_damaged() {
        let surface = Surface::new(200, 130);
        let seen = surface.view().sequence();
        surface.draw(|frame| assert!(frame.draw_row(60, 65, &[0xffffff; 10])));
        let view = surface.view();
        assert_eq!(view.changed_since(seen), [Rectangle::new(0, 64, 128, 64)]);
        assert_eq!(view.changed_since(view.sequence()), []);
        assert_eq!(
            view.row(65)[59..=70],
            [[0].as_slice(), &[0xffffff; 10], &[0]].concat()
        );
    }

    #[test]
    fn drawing_the_same_again_wakes_nobody() {
        let surface = Surface::new(64, 64);
        surface.draw(|frame| assert!(frame.draw_row(0, 0, &[5; 64])));
        let seen = surface.view().sequence();
        surface.draw(|frame| assert!(!frame.draw_row(0, 0, &[5; 64])));
        assert_eq!(surface.wait(seen, Duration::from_millis(1)), seen);
    }

    #[test]
    fn a_new_size_damages_everything_and_edges_are_cut() {
        let surface = Surface::new(64, 64);
        let seen = surface.view().sequence();
        surface.draw(|frame| {
            frame.resize(100, 70);
            assert!(frame.draw_row(90, 69, &[1; 50]));
            assert!(!frame.draw_row(0, 70, &[1]) && !frame.draw_row(u32::MAX, u32::MAX, &[1]));
        });
        let view = surface.view();
        assert!(view.resized() > seen);
        assert_eq!(
            view.changed_since(seen),
            [Rectangle::new(0, 0, 100, 64), Rectangle::new(0, 64, 100, 6)]
        );
        assert_eq!(view.row(69)[89..], [[0].as_slice(), &[1; 10]].concat());
        drop(view);
        surface.draw(|frame| frame.resize(u32::MAX, 0));
        assert_eq!(surface.view().size(), (MAXIMUM_EDGE, 1));
    }

    #[test]
    fn copies_that_overlap() {
        for (to, from, expected) in [
            (
                Rectangle::new(0, 0, 3, 2),
                (0, 1),
                [3, 4, 5, 6, 7, 8, 6, 7, 8],
            ),
            (
                Rectangle::new(0, 1, 3, 2),
                (0, 0),
                [0, 1, 2, 0, 1, 2, 3, 4, 5],
            ),
            (
                Rectangle::new(1, 0, 2, 3),
                (0, 0),
                [0, 0, 1, 3, 3, 4, 6, 6, 7],
            ),
        ] {
            let surface = Surface::new(3, 3);
            surface.draw(|frame| {
                for y in 0..3 {
                    frame.draw_row(0, y, &[3 * y, 3 * y + 1, 3 * y + 2]);
                }
            });
            surface.draw(|frame| assert!(frame.copy(to, from)));
            assert_eq!(surface.view().pixels(), expected);
        }
    }

    #[test]
    fn a_copy_damages_where_it_goes_and_stays_within() {
        let surface = Surface::new(200, 130);
        let seen = surface.view().sequence();
        surface.draw(|frame| {
            assert!(frame.copy(Rectangle::new(63, 10, 2, 54), (0, 0)));
            for (to, from) in [
                (Rectangle::new(199, 0, 2, 1), (0, 0)),
                (Rectangle::new(0, 0, 2, 1), (0, 130)),
                (Rectangle::new(0, 0, 0, 1), (0, 0)),
                (Rectangle::new(1, 1, u32::MAX, 1), (0, 0)),
                (Rectangle::new(1, 1, 1, 1), (u32::MAX, 0)),
            ] {
                assert!(!frame.copy(to, from), "{to:?} {from:?}");
            }
        });
        let damage = surface.view().changed_since(seen);
        assert_eq!(damage, [Rectangle::new(0, 0, 128, 64)]);
    }

    #[test]
    fn two_changes_in_one_drawing_are_one_step_and_none_is_lost() {
        let surface = Surface::new(64, 64);
        let seen = surface.view().sequence();
        surface.draw(|frame| {
            frame.resize(64, 64);
            frame.draw_row(0, 0, &[1]);
        });
        let view = surface.view();
        assert_eq!(view.changed_since(seen).len(), 1);
        assert!(view.changed_since(view.sequence()).is_empty());
    }
}
