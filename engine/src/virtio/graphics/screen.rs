//! What the driver's scanout and pointer make of the machine's screen.

use std::sync::Arc;

use super::protocol::Refusal;
use super::resource::{Resource, Resources};
use crate::display::{Cursor, Rectangle, ScreenOwner, Surface};

/// The most pixels of a screen: more than any size that is asked for has. Each viewer may keep as many.
const MOST_PIXELS: u64 = 4096 * 4096;
/// The greatest edge of a pointer's shape, in pixels.
const MOST_CURSOR: u32 = 256;
const OPAQUE: u32 = 0x00ff_ffff;

/// The picture that is shown, and which part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Scanout {
    resource: u32,
    part: Rectangle,
}

/// The screen, while the driver has it.
pub(super) struct Screen {
    surface: Arc<Surface>,
    owner: ScreenOwner,
    /// Whether the person's pointer is where the guest's is. Then viewers draw its shape; else it is drawn into the picture.
    pointer_is_placed: Box<dyn Fn() -> bool + Send>,
    scanout: Option<Scanout>,
    cursor: Option<Cursor>,
    /// Where the guest's pointer points to.
    pointer: (u32, u32),
    /// What of the picture the pointer covers, when it is drawn into it.
    covered: Option<Rectangle>,
}

impl Screen {
    pub fn new(
        surface: Arc<Surface>,
        owner: ScreenOwner,
        pointer_is_placed: Box<dyn Fn() -> bool + Send>,
    ) -> Self {
        Self {
            surface,
            owner,
            pointer_is_placed,
            scanout: None,
            cursor: None,
            pointer: (0, 0),
            covered: None,
        }
    }

    /// Gives the screen back to the adapter that had it.
    pub fn release(&mut self) {
        self.scanout = None;
        self.cursor = None;
        self.covered = None;
        self.surface.draw(|frame| frame.set_cursor(None));
        self.owner.release();
    }

    /// Shows `part` of a picture, or with number 0 nothing.
    ///
    /// # Errors
    /// When there is no such picture, or `part` is not within it or too large.
    pub fn show(
        &mut self,
        resources: &Resources,
        resource: u32,
        part: Rectangle,
    ) -> Result<(), Refusal> {
        if resource == 0 {
            self.blank();
            return Ok(());
        }
        if !resources.get(resource)?.has(part) || part.area() > MOST_PIXELS {
            return Err(Refusal::Parameter);
        }
        self.owner.take();
        self.scanout = Some(Scanout { resource, part });
        self.draw(resources, Rectangle::new(0, 0, part.width, part.height));
        Ok(())
    }

    /// A picture is gone.
    pub fn forget(&mut self, resource: u32) {
        if self
            .scanout
            .is_some_and(|scanout| scanout.resource == resource)
        {
            self.blank();
        }
    }

    fn blank(&mut self) {
        // The driver that shows nothing has not the screen yet, or has it and keeps it.
        if self.scanout.take().is_some() {
            self.surface.draw(|frame| {
                let (width, height) = frame.size();
                frame.resize(width, height);
            });
        }
    }

    /// Shows what has become of `part` of a picture.
    pub fn flush(&mut self, resources: &Resources, resource: u32, part: Rectangle) {
        let Some(scanout) = self.scanout.filter(|scanout| scanout.resource == resource) else {
            return;
        };
        let shown = scanout.part;
        let (left, top) = (part.x.max(shown.x), part.y.max(shown.y));
        let right = part.x.saturating_add(part.width);
        let bottom = part.y.saturating_add(part.height);
        let place = Rectangle::new(
            left - shown.x,
            top - shown.y,
            right.saturating_sub(left),
            bottom.saturating_sub(top),
        );
        if let Some(place) = place.clipped(shown.width, shown.height) {
            self.draw(resources, place);
        }
    }

    /// The pointer has another shape, or none, and points to `pointer`.
    pub fn set_cursor(
        &mut self,
        resources: &Resources,
        shape: Option<(&Resource, (u32, u32))>,
        pointer: (u32, u32),
    ) {
        self.cursor = shape
            .filter(|(shape, _)| shape.width <= MOST_CURSOR && shape.height <= MOST_CURSOR)
            .map(|(shape, (hot_x, hot_y))| Cursor {
                width: shape.width,
                height: shape.height,
                hot_x: hot_x.min(shape.width - 1),
                hot_y: hot_y.min(shape.height - 1),
                pixels: shape.pixels().to_vec(),
            });
        self.move_cursor(resources, pointer);
    }

    /// The pointer points to `pointer`.
    pub fn move_cursor(&mut self, resources: &Resources, pointer: (u32, u32)) {
        self.pointer = pointer;
        let placed = (self.pointer_is_placed)();
        let shape = self.cursor.as_ref().filter(|_| placed).cloned();
        self.surface.draw(|frame| frame.set_cursor(shape));
        let before = self.covered.take();
        self.covered = self.place_of_cursor().filter(|_| !placed);
        for part in [before, self.covered].into_iter().flatten() {
            self.draw(resources, part);
        }
    }

    /// What of the picture the pointer covers.
    fn place_of_cursor(&self) -> Option<Rectangle> {
        let (cursor, shown) = (self.cursor.as_ref()?, self.scanout?.part);
        let left = self.pointer.0.saturating_sub(cursor.hot_x);
        let top = self.pointer.1.saturating_sub(cursor.hot_y);
        Rectangle::new(left, top, cursor.width, cursor.height).clipped(shown.width, shown.height)
    }

    /// Draws `place` of the screen.
    fn draw(&self, resources: &Resources, place: Rectangle) {
        let Some(scanout) = self.scanout else { return };
        let Ok(resource) = resources.get(scanout.resource) else {
            return;
        };
        let shown = scanout.part;
        let Some(place) = place.clipped(shown.width, shown.height) else {
            return;
        };
        let mut row = Vec::with_capacity(place.width as usize);
        self.surface.draw(|frame| {
            if frame.size() != (shown.width, shown.height) {
                frame.resize(shown.width, shown.height);
            }
            for y in place.y..place.y + place.height {
                let from = resource.row(shown.x + place.x, shown.y + y, place.width);
                row.clear();
                row.extend(from.iter().map(|pixel| pixel & OPAQUE));
                self.draw_cursor(place.x, y, &mut row);
                frame.draw_row(place.x, y, &row);
            }
        });
    }

    /// Draws the pointer's part of row `y`, which begins at column `x`, if it is drawn into the picture.
    fn draw_cursor(&self, x: u32, y: u32, row: &mut [u32]) {
        let (Some(covered), Some(cursor)) = (self.covered, self.cursor.as_ref()) else {
            return;
        };
        // Where the shape's corner is, which may lie outside.
        let left = i64::from(self.pointer.0) - i64::from(cursor.hot_x);
        let top = i64::from(self.pointer.1) - i64::from(cursor.hot_y);
        if y < covered.y || y - covered.y >= covered.height {
            return;
        }
        let Ok(line) = usize::try_from(i64::from(y) - top) else {
            return;
        };
        let mut lines = cursor.pixels.chunks_exact(cursor.width as usize);
        let Some(line) = lines.nth(line) else { return };
        for (column, pixel) in (left..).zip(line) {
            let at = usize::try_from(column - i64::from(x)).ok();
            if let Some(to) = at.and_then(|at| row.get_mut(at)) {
                *to = blend(*to, *pixel);
            }
        }
    }
}

/// `pixel` (0xAARRGGBB, colours multiplied by alpha already) on `below`.
fn blend(below: u32, pixel: u32) -> u32 {
    let [alpha, above @ ..] = pixel.to_be_bytes();
    let [_, below @ ..] = below.to_be_bytes();
    let mixed = |above: u8, below: u8| {
        let through = u32::from(below) * (255 - u32::from(alpha)) / 255;
        u8::try_from(u32::from(above) + through).unwrap_or(u8::MAX)
    };
    let [red, green, blue] = [0, 1, 2].map(|at| match (above.get(at), below.get(at)) {
        (Some(above), Some(below)) => mixed(*above, *below),
        _ => 0,
    });
    u32::from_be_bytes([0, red, green, blue])
}
