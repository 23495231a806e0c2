//! The picture as one client knows it: the copy from which updates are encoded, so that the screen itself is held still only while
//! it is copied, and from which it shows what moved.

use crate::display::{Frame, Rectangle};

/// A scroll is looked for in damage of at least so many rows ...
const SCROLL_ROWS: u32 = 96;
/// ... and columns.
const SCROLL_COLUMNS: u32 = 128;
/// Rows of a part that is sent whole at a time.
const STRIP: u32 = 64;

/// A part of the picture that moved up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scroll {
    /// Where it went.
    pub to: Rectangle,
    /// The row its top came from; the columns stay the same.
    pub from_y: u32,
}

impl Scroll {
    /// From a place to itself: says that the place changed, to a client that sees how.
    fn in_place(part: Rectangle) -> Self {
        Self {
            to: part,
            from_y: part.y,
        }
    }
}

/// What a client has to be told to have the same picture.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// To do first.
    pub scroll: Option<Scroll>,
    /// To send then.
    pub parts: Vec<Rectangle>,
}

/// The picture as the client knows it.
pub struct Picture {
    width: u32,
    height: u32,
    pixels: Vec<u32>,
    /// The client sees the pixels without being sent them; none are kept here.
    shared: bool,
}

impl Picture {
    /// A black picture.
    pub fn new(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            pixels: vec![0; width as usize * height as usize],
            shared: false,
        }
    }

    /// The picture of a client that looks at the surface itself and is only told where it changed.
    pub fn shared(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            pixels: Vec::new(),
            shared: true,
        }
    }

    /// The same kind of picture in another size, black.
    pub fn resized(&self, width: u32, height: u32) -> Self {
        if self.shared {
            Self::shared(width, height)
        } else {
            Self::new(width, height)
        }
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// `length` pixels of row `y` from column `x` on; empty where the picture has none.
    pub fn row(&self, x: u32, y: u32, length: u32) -> &[u32] {
        let start = y as usize * self.width as usize + x as usize;
        self.pixels
            .get(start..start + length as usize)
            .unwrap_or(&[])
    }

    fn row_mut(&mut self, x: u32, y: u32, length: u32) -> &mut [u32] {
        let start = y as usize * self.width as usize + x as usize;
        self.pixels
            .get_mut(start..start + length as usize)
            .unwrap_or(&mut [])
    }

    /// Takes over all of `part` from `frame`, whether it changed or not. What the frame does not have becomes black.
    fn take_all(&mut self, frame: &Frame, part: Rectangle) {
        for y in part.y..part.y + part.height {
            let from = part_of(frame.row(y), part.x, part.width);
            let to = self.row_mut(part.x, y, part.width);
            let (copied, rest) = to.split_at_mut(from.len());
            copied.copy_from_slice(from);
            rest.fill(0);
        }
    }

    /// What to tell of `damage` (within both pictures) in `frame`, and of all of `wanted`; takes it over.
    pub fn changes(
        &mut self,
        frame: &Frame,
        damage: &[Rectangle],
        wanted: Option<Rectangle>,
        scrolls: bool,
    ) -> Changes {
        if self.shared {
            return Changes {
                scroll: damage
                    .iter()
                    .copied()
                    .chain(wanted)
                    .reduce(Rectangle::joined)
                    .map(Scroll::in_place),
                parts: Vec::new(),
            };
        }
        let mut changes = self.take(frame, damage, scrolls && wanted.is_none());
        if let Some(part) = wanted {
            self.take_all(frame, part);
            // What changed outside is still to be told; what changed inside is told with the rest.
            changes.parts.retain(|other| !part.contains(*other));
            changes.parts.extend(strips(part));
        }
        changes
    }

    /// Takes over what differs in `damage` from `frame`.
    fn take(&mut self, frame: &Frame, damage: &[Rectangle], scrolls: bool) -> Changes {
        let scroll = if scrolls {
            self.find_scroll(frame, damage)
        } else {
            None
        };
        if let Some(scroll) = scroll {
            self.apply(scroll);
        }
        let parts = damage
            .iter()
            .filter_map(|part| {
                let differs = |y: &u32| {
                    self.row(part.x, *y, part.width) != part_of(frame.row(*y), part.x, part.width)
                };
                let mut rows = part.y..part.y + part.height;
                let first = rows.find(differs)?;
                let last = rows.rev().find(differs).unwrap_or(first);
                let part = Rectangle::new(part.x, first, part.width, last - first + 1);
                self.take_all(frame, part);
                Some(part)
            })
            .collect();
        Changes { scroll, parts }
    }

    /// Finds whether most of the damage is the old picture moved up or down. Rows are compared, nothing is guessed.
    fn find_scroll(&self, frame: &Frame, damage: &[Rectangle]) -> Option<Scroll> {
        let left = damage.iter().map(|part| part.x).min()?;
        let right = damage.iter().map(|part| part.x + part.width).max()?;
        let top = damage.iter().map(|part| part.y).min()?;
        let bottom = damage.iter().map(|part| part.y + part.height).max()?;
        let (width, height) = (right - left, bottom - top);
        let area: u64 = damage.iter().map(|part| part.area()).sum();
        if width < SCROLL_COLUMNS
            || height < SCROLL_ROWS
            || area < u64::from(width) * u64::from(height) / 2
        {
            return None;
        }
        let new = |y: u32| part_of(frame.row(y), left, width);
        let old = |y: u32| self.row(left, y, width);
        // Rows by which a move can be told: not of one colour, and not the same as before.
        let telling = |y: &u32| {
            let row = new(*y);
            row != old(*y) && row.iter().any(|pixel| row.first() != Some(pixel))
        };
        let quarter = height / 4;
        let probes: Vec<u32> = (0..4)
            .filter_map(|part| {
                let start = top + part * quarter;
                (start..start + quarter).find(telling)
            })
            .collect();
        let middle = *probes.get(probes.len() / 2)?;
        let up = (1..=height / 2).map(i64::from);
        let distance = up
            .flat_map(|distance| [distance, -distance])
            .find(|distance| {
                let came = |y: u32| {
                    u32::try_from(i64::from(y) + distance)
                        .ok()
                        .filter(|from| (top..bottom).contains(from))
                };
                // The middle one must have come from within; of the others, those that could have.
                came(middle).is_some()
                    && probes
                        .iter()
                        .all(|y| came(*y).is_none_or(|from| new(*y) == old(from)))
            })?;
        let same = |y: u32| {
            u32::try_from(i64::from(y) + distance)
                .is_ok_and(|from| (top..bottom).contains(&from) && new(y) == old(from))
        };
        let first = (top..=middle).rev().take_while(|y| same(*y)).last()?;
        let last = (middle..bottom).take_while(|y| same(*y)).last()?;
        let rows = last - first + 1;
        (rows >= height / 2).then_some(Scroll {
            to: Rectangle::new(left, first, width, rows),
            from_y: u32::try_from(i64::from(first) + distance).ok()?,
        })
    }

    fn apply(&mut self, scroll: Scroll) {
        let Scroll { to, from_y } = scroll;
        let mut copy = |row: u32| {
            let start = |y: u32| (y + row) as usize * self.width as usize + to.x as usize;
            let from = start(from_y);
            self.pixels
                .copy_within(from..from + to.width as usize, start(to.y));
        };
        // Rows that are still to be read must not be written before.
        if from_y > to.y {
            (0..to.height).for_each(&mut copy);
        } else {
            (0..to.height).rev().for_each(&mut copy);
        }
    }
}

fn strips(part: Rectangle) -> impl Iterator<Item = Rectangle> {
    let bottom = part.y + part.height;
    (part.y..bottom)
        .step_by(STRIP as usize)
        .map(move |y| Rectangle::new(part.x, y, part.width, STRIP.min(bottom - y)))
}

fn part_of(row: &[u32], x: u32, width: u32) -> &[u32] {
    let row = row.get(x as usize..).unwrap_or(&[]);
    row.get(..width as usize).unwrap_or(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::Surface;

    /// Rows that all differ, as lines of text do.
    fn text(surface: &Surface, offset: u32) {
        surface.draw(|frame| {
            let (width, height) = frame.size();
            for y in 0..height {
                let row: Vec<u32> = (0..width)
                    .map(|x| (y + offset).wrapping_mul(0x9e37_79b9) >> (x % 16) & 0xff_ffff)
                    .collect();
                frame.draw_row(0, y, &row);
            }
        });
    }

    fn same(picture: &Picture, surface: &Surface) {
        let view = surface.view();
        for y in 0..view.size().1 {
            assert!(picture.row(0, y, view.size().0) == view.row(y), "row {y}");
        }
    }

    #[test]
    fn a_screen_that_scrolls_is_moved_not_sent() {
        let surface = Surface::new(640, 400);
        let mut picture = Picture::new(640, 400);
        text(&surface, 0);
        let view = surface.view();
        let changes = picture.take(&view, &view.changed_since(0), true);
        assert_eq!(changes.scroll, None);
        let seen = view.sequence();
        drop(view);
        for (offset, to, from_y, sent) in [
            (16, Rectangle::new(0, 0, 640, 384), 16, 384..400),
            (8, Rectangle::new(0, 8, 640, 392), 0, 0..8),
        ] {
            text(&surface, offset);
            let view = surface.view();
            let changes = picture.take(&view, &view.changed_since(seen), true);
            assert_eq!(changes.scroll, Some(Scroll { to, from_y }));
            let rows: u32 = changes.parts.iter().map(|part| part.height).sum();
            assert_eq!(rows, sent.end - sent.start);
            assert!(changes.parts.iter().all(|part| sent.contains(&part.y)));
            drop(view);
            same(&picture, &surface);
        }
    }

    #[test]
    fn what_did_not_change_is_not_sent() {
        let surface = Surface::new(200, 200);
        let mut picture = Picture::new(200, 200);
        surface.draw(|frame| {
            for y in 70..80 {
                frame.draw_row(65, y, &[7; 8]);
            }
        });
        let view = surface.view();
        let changes = picture.take(&view, &view.changed_since(0), true);
        assert_eq!(changes.parts, [Rectangle::new(0, 70, 200, 10)]);
        let again = picture.take(&view, &view.changed_since(0), true);
        assert_eq!(again, Changes::default());
    }

    #[test]
    fn who_sees_the_pixels_is_told_where_they_changed() {
        let surface = Surface::new(200, 200);
        let mut picture = Picture::shared(200, 200);
        let everything = Rectangle::new(0, 0, 200, 200);
        let view = surface.view();
        let changes = picture.changes(&view, &[], Some(everything), true);
        assert_eq!(changes.scroll, Some(Scroll::in_place(everything)));
        assert_eq!(picture.changes(&view, &[], None, true), Changes::default());
        let damage = [
            Rectangle::new(0, 0, 64, 64),
            Rectangle::new(128, 64, 64, 64),
        ];
        let changes = picture.changes(&view, &damage, None, true);
        let both = Rectangle::new(0, 0, 192, 128);
        assert_eq!(changes.scroll, Some(Scroll::in_place(both)));
        assert_eq!(changes.parts, []);
        assert!(picture.resized(10, 10).row(0, 0, 10).is_empty());
    }

    #[test]
    fn a_picture_larger_than_the_frame_is_black_beyond_it() {
        let surface = Surface::new(10, 10);
        surface.draw(|frame| assert!(frame.draw_row(0, 0, &[5; 10])));
        let mut picture = Picture::new(20, 20);
        picture.take_all(&surface.view(), Rectangle::new(0, 0, 20, 20));
        assert_eq!(picture.row(0, 0, 20), [[5; 10], [0; 10]].concat());
        assert_eq!(picture.row(0, 15, 20), [0; 20]);
        assert!(picture.row(0, 20, 20).is_empty());
    }
}
