//! Where the guest's picture is drawn: always on whole pixels of the screen that the window is on, whatever its scale.

/// How the picture is fitted to the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scaling {
    /// As large as the window allows, all of it visible.
    #[default]
    Fit,
    /// A pixel of the guest has so many hundredths of a pixel of the screen; what does not fit is reached by scrolling.
    Percent(u16),
}

impl Scaling {
    /// A pixel of the guest is a pixel of the screen.
    pub const ONE_TO_ONE: Self = Self::Percent(100);

    /// A percentage that is not too small to see or too large to draw.
    pub fn percent(percent: f64) -> Self {
        let percent = percent.clamp(f64::from(LEAST), f64::from(MOST));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between the two"
        )]
        Self::Percent(percent.round() as u16)
    }
}

/// The steps in which a picture is made larger and smaller, in percent.
const STEPS: [u16; 15] = [
    LEAST, 33, 50, 67, 75, 100, 125, 150, 175, 200, 250, 300, 400, 600, MOST,
];
const LEAST: u16 = 25;
const MOST: u16 = 800;

/// The step after (or, to make it smaller, before) a picture that is shown at `percent`.
pub fn step(percent: f64, larger: bool) -> Scaling {
    // What is a step already, but for rounding, is not the next one.
    const SAME: f64 = 0.5;
    let found = if larger {
        STEPS
            .into_iter()
            .find(|step| f64::from(*step) > percent + SAME)
    } else {
        let mut steps = STEPS.into_iter().rev();
        steps.find(|step| f64::from(*step) < percent - SAME)
    };
    Scaling::Percent(found.unwrap_or(if larger { MOST } else { LEAST }))
}

/// How a texture's pixels become the screen's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Each as it is: nothing is blurred.
    Nearest,
    /// Mixed from its neighbours.
    Linear,
    /// Mixed from all that fall on it.
    Trilinear,
}

/// A place within a widget, in the toolkit's units, which are not pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    /// From the left.
    pub x: f64,
    /// From the top.
    pub y: f64,
    /// To the right.
    pub width: f64,
    /// Down.
    pub height: f64,
    /// To draw with.
    pub filter: Filter,
}

/// What a picture is placed in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Room {
    /// The widget's width and height in the toolkit's units.
    pub size: (f64, f64),
    /// Where the widget begins within the window's surface, in the toolkit's units.
    pub origin: (f64, f64),
    /// Pixels of the screen per unit: 1.5 at 150 %.
    pub scale: f64,
}

/// An enlargement is made a whole number when that loses less than this part of it: then every pixel of the guest has the same size.
const SNAP: f64 = 0.1;

fn factor(scaling: Scaling, guest: (f64, f64), pixels: (f64, f64)) -> f64 {
    match scaling {
        Scaling::Percent(percent) => f64::from(percent) / 100.0,
        Scaling::Fit => {
            let largest = (pixels.0 / guest.0).min(pixels.1 / guest.1);
            let whole = largest.floor();
            if whole >= 1.0 && largest - whole < SNAP * largest {
                whole
            } else {
                largest
            }
        }
    }
}

/// Where a picture of `guest` pixels goes; none when either has no extent.
pub fn place(scaling: Scaling, guest: (usize, usize), room: Room) -> Option<Placement> {
    // Pixels of a screen are far fewer than a double can count.
    #[expect(clippy::cast_precision_loss, reason = "at most 8192")]
    let guest = (guest.0 as f64, guest.1 as f64);
    let Room {
        size,
        origin,
        scale,
    } = room;
    let pixels = ((size.0 * scale).round(), (size.1 * scale).round());
    if guest.0 < 1.0 || guest.1 < 1.0 || pixels.0 < 1.0 || pixels.1 < 1.0 {
        return None;
    }
    let factor = factor(scaling, guest, pixels);
    let filter = if factor < 1.0 {
        Filter::Trilinear
    } else if factor.fract() == 0.0 {
        Filter::Nearest
    } else {
        Filter::Linear
    };
    let axis = |guest: f64, pixels: f64, origin: f64| {
        let length = (guest * factor).round().max(1.0);
        let before = ((pixels - length) / 2.0).floor().max(0.0);
        // The widget itself may begin between two pixels.
        let offset = (origin * scale).round() - origin * scale;
        ((before + offset) / scale, length / scale)
    };
    let (x, width) = axis(guest.0, pixels.0, origin.0);
    let (y, height) = axis(guest.1, pixels.1, origin.1);
    Some(Placement {
        x,
        y,
        width,
        height,
        filter,
    })
}

/// How many pixels across and down a guest's screen has that fills `size` (in the toolkit's units, of which each has `scale` pixels)
/// without being blurred: one for each pixel, or where these are small for each two, three or more that way.
pub fn filling(size: (f64, f64), scale: f64) -> (u32, u32) {
    let whole = scale.max(1.0).floor();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a window's size is far below, and not less than 0"
    )]
    let [width, height] = [size.0, size.1].map(|units| (units * scale / whole).max(0.0) as u32);
    (width, height)
}

/// The units that `guest` pixels need to be drawn at `scaling` where a unit has `scale` pixels; in a picture that is fitted, one to one.
pub fn units(scaling: Scaling, guest: usize, scale: f64) -> i32 {
    let factor = match scaling {
        Scaling::Fit => 1.0,
        Scaling::Percent(percent) => f64::from(percent) / 100.0,
    };
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "at most 8192"
    )]
    let units = ((guest as f64 * factor).round() / scale.max(0.1)).ceil() as i32;
    units
}

impl Placement {
    /// The guest's pixel at a place of the widget; beyond the picture, the nearest.
    pub fn pixel(&self, (x, y): (f64, f64), guest: (usize, usize)) -> (u16, u16) {
        let axis = |at: f64, start: f64, length: f64, guest: usize| {
            let last = u16::try_from(guest.saturating_sub(1)).unwrap_or(u16::MAX);
            let part = ((at - start) / length).clamp(0.0, 1.0);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "between 0 and the guest's size, which is at most 8192"
            )]
            let pixel = (part * guest as f64) as u16;
            pixel.min(last)
        };
        (
            axis(x, self.x, self.width, guest.0),
            axis(y, self.y, self.height, guest.1),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(width: f64, height: f64, scale: f64) -> Room {
        Room {
            size: (width, height),
            origin: (0.0, 0.0),
            scale,
        }
    }

    #[test]
    fn fit_fills_the_window_and_keeps_the_shape() {
        for (guest, units, scale, expected) in [
            // Exactly as large.
            (
                (800, 600),
                (800.0, 600.0),
                1.0,
                (0.0, 0.0, 800.0, 600.0, Filter::Nearest),
            ),
            // A little larger: not blurred for a few pixels.
            (
                (800, 600),
                (850.0, 640.0),
                1.0,
                (25.0, 20.0, 800.0, 600.0, Filter::Nearest),
            ),
            // Twice.
            (
                (720, 400),
                (1440.0, 820.0),
                1.0,
                (0.0, 10.0, 1440.0, 800.0, Filter::Nearest),
            ),
            // In between.
            (
                (640, 480),
                (960.0, 800.0),
                1.0,
                (0.0, 40.0, 960.0, 720.0, Filter::Linear),
            ),
            // Smaller.
            (
                (1920, 1080),
                (960.0, 1000.0),
                1.0,
                (0.0, 230.0, 960.0, 540.0, Filter::Trilinear),
            ),
            // A screen at 200 %: the window has twice the pixels.
            (
                (800, 600),
                (400.0, 300.0),
                2.0,
                (0.0, 0.0, 400.0, 300.0, Filter::Nearest),
            ),
        ] {
            let placement = place(Scaling::Fit, guest, room(units.0, units.1, scale)).unwrap();
            let (x, y, width, height, filter) = expected;
            assert_eq!(
                placement,
                Placement {
                    x,
                    y,
                    width,
                    height,
                    filter
                },
                "{guest:?} {units:?}"
            );
        }
    }

    #[test]
    fn a_screen_that_fills_the_window_is_shown_pixel_by_pixel() {
        for (scale, expected) in [
            (1.0, (800, 600)),
            (1.25, (1000, 750)),
            (1.75, (1400, 1050)),
            (2.0, (800, 600)),
            (2.5, (1000, 750)),
            (3.0, (800, 600)),
        ] {
            let size = filling((800.0, 600.0), scale);
            assert_eq!(size, expected, "{scale}");
            let guest = (size.0 as usize, size.1 as usize);
            let placement = place(Scaling::Fit, guest, room(800.0, 600.0, scale)).unwrap();
            assert_eq!(
                (placement.filter, placement.x, placement.width),
                (Filter::Nearest, 0.0, 800.0),
                "{scale}"
            );
        }
        assert_eq!(filling((0.0, -1.0), 1.0), (0, 0));
    }

    #[test]
    fn one_to_one_is_exact_at_any_scale_and_origin() {
        for scale in [1.0, 1.25, 1.5, 1.75, 2.0, 1.3333] {
            for origin in [0.0, 1.0, 7.0, 46.0, 47.0] {
                let room = Room {
                    size: (1000.0, 701.0),
                    origin: (origin, origin),
                    scale,
                };
                let placement = place(Scaling::ONE_TO_ONE, (721, 401), room).unwrap();
                assert_eq!(placement.filter, Filter::Nearest);
                for (start, length, guest) in [
                    (placement.x, placement.width, 721.0),
                    (placement.y, placement.height, 401.0),
                ] {
                    assert!((length * scale - guest).abs() < 1e-6);
                    let pixel = (start + origin) * scale;
                    assert!(
                        (pixel - pixel.round()).abs() < 1e-6,
                        "{scale} {origin}: {pixel}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_picture_larger_than_the_window_begins_at_its_corner() {
        let placement = place(Scaling::ONE_TO_ONE, (1920, 1080), room(500.0, 400.0, 1.0)).unwrap();
        assert_eq!((placement.x, placement.y), (0.0, 0.0));
        for (scaling, guest, scale, expected) in [
            (Scaling::ONE_TO_ONE, 1920, 1.5, 1280),
            (Scaling::ONE_TO_ONE, 1080, 1.0, 1080),
            (Scaling::Fit, 721, 2.0, 361),
            (Scaling::Percent(150), 640, 1.0, 960),
            (Scaling::Percent(33), 100, 1.0, 33),
        ] {
            assert_eq!(units(scaling, guest, scale), expected, "{scaling:?}");
        }
    }

    #[test]
    fn a_picture_is_made_larger_and_smaller_in_steps() {
        for (percent, larger, expected) in [
            (100.0, true, 125),
            (100.0, false, 75),
            (99.8, true, 125),
            (110.0, true, 125),
            (110.0, false, 100),
            (5.0, true, 25),
            (5.0, false, 25),
            (25.0, false, 25),
            (800.0, true, 800),
            (f64::NAN, true, 800),
        ] {
            assert_eq!(
                step(percent, larger),
                Scaling::Percent(expected),
                "{percent}"
            );
        }
        for (percent, expected) in [(0.0, 25), (149.6, 150), (1e9, 800)] {
            assert_eq!(Scaling::percent(percent), Scaling::Percent(expected));
        }
        let placement = place(Scaling::Percent(150), (640, 400), room(2000.0, 400.0, 2.0)).unwrap();
        assert_eq!((placement.width, placement.height), (480.0, 300.0));
        assert_eq!(placement.filter, Filter::Linear);
    }

    #[test]
    fn nothing_has_no_place() {
        for (guest, size) in [
            ((0, 0), (10.0, 10.0)),
            ((10, 10), (0.0, 10.0)),
            ((10, 0), (1.0, 1.0)),
        ] {
            assert_eq!(place(Scaling::Fit, guest, room(size.0, size.1, 1.0)), None);
        }
    }

    #[test]
    fn places_become_pixels() {
        let placement = place(Scaling::Fit, (640, 480), room(1280.0, 1000.0, 1.0)).unwrap();
        for (at, pixel) in [
            ((0.0, 20.0), (0, 0)),
            ((1.9, 21.9), (0, 0)),
            ((2.0, 22.0), (1, 1)),
            ((1279.9, 979.9), (639, 479)),
            ((-50.0, 5000.0), (0, 479)),
            ((f64::NAN, f64::INFINITY), (0, 479)),
        ] {
            assert_eq!(placement.pixel(at, (640, 480)), pixel, "{at:?}");
        }
    }
}
