//! The picture made larger and smaller: by the wheel with Ctrl, and by two fingers.

use std::cell::Cell;
use std::rc::Rc;

use relm4::gtk::{self, gdk, glib, prelude::*};

use super::geometry::{Scaling, step, units};
use super::grab::Grab;
use super::screen::Screen;

/// How much a touch pad's scrolling by one unit makes the picture larger.
const SCROLLED: f64 = 1.005;

/// Notches of one event beyond which nobody meant it.
const MOST_NOTCHES: f64 = 16.0;

/// Another size of the picture that a person wants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Zoom {
    /// How large.
    pub scaling: Scaling,
    /// What stays where it is, as a place of what scrolls the picture; the middle, where nobody points.
    pub around: Option<(f64, f64)>,
}

/// Follows what is done on `scroller`, which has `screen` in it, and tells what is wanted. While the guest has the pointer, the wheel
/// is the guest's.
pub fn follow(
    scroller: &gtk::ScrolledWindow,
    screen: &Screen,
    grab: &Rc<Grab>,
    wanted: impl Fn(Zoom) + Clone + 'static,
) {
    let pointer = Rc::new(Cell::new(None));
    let motion = gtk::EventControllerMotion::new();
    motion.set_propagation_phase(gtk::PropagationPhase::Capture);
    let (entered, moved, left) = (pointer.clone(), pointer.clone(), pointer.clone());
    motion.connect_enter(move |_, x, y| entered.set(Some((x, y))));
    motion.connect_motion(move |_, x, y| moved.set(Some((x, y))));
    motion.connect_leave(move |_| left.set(None));
    scroller.add_controller(motion);

    let wheel = gtk::EventControllerScroll::new(gtk::EventControllerScrollFlags::VERTICAL);
    wheel.set_propagation_phase(gtk::PropagationPhase::Capture);
    let (seen, weak, want) = (screen.clone(), Rc::downgrade(grab), wanted.clone());
    wheel.connect_scroll(move |wheel, _, turned| {
        let control = gdk::ModifierType::CONTROL_MASK;
        let taken = weak.upgrade().is_none_or(|grab| grab.has_pointer());
        if taken || !wheel.current_event_state().contains(control) || turned == 0.0 {
            return glib::Propagation::Proceed;
        }
        let percent = seen.percent();
        let scaling = match wheel.unit() {
            gdk::ScrollUnit::Surface => Scaling::percent(percent * SCROLLED.powf(-turned)),
            // Several notches may come at once.
            _ => {
                let notches = turned.abs().clamp(1.0, MOST_NOTCHES);
                let mut scaling = step(percent, turned < 0.0);
                let mut turn = 2.0;
                while turn <= notches
                    && let Scaling::Percent(percent) = scaling
                {
                    scaling = step(percent.into(), turned < 0.0);
                    turn += 1.0;
                }
                scaling
            }
        };
        want(Zoom {
            scaling,
            around: pointer.get(),
        });
        glib::Propagation::Stop
    });
    scroller.add_controller(wheel);

    let fingers = gtk::GestureZoom::new();
    fingers.set_propagation_phase(gtk::PropagationPhase::Capture);
    let first = Rc::new(Cell::new(100.0));
    let (begun, seen) = (first.clone(), screen.clone());
    fingers.connect_begin(move |_, _| begun.set(seen.percent()));
    fingers.connect_scale_changed(move |fingers, by| {
        wanted(Zoom {
            scaling: Scaling::percent(first.get() * by),
            around: fingers.bounding_box_center(),
        });
    });
    scroller.add_controller(fingers);
}

/// Scrolls so that what is at `around` stays there when the picture is shown at `scaling`. To be called before that.
pub fn keep_in_place(scroller: &gtk::ScrolledWindow, screen: &Screen, zoom: Zoom) {
    let Some((left, top, width, height)) = screen.picture_place() else {
        return;
    };
    let (across, down) = screen.guest_size();
    let sides = [
        (scroller.hadjustment(), left, width, across),
        (scroller.vadjustment(), top, height, down),
    ];
    let around = zoom.around.map(|(x, y)| [x, y]);
    for (side, (adjustment, start, length, guest)) in sides.into_iter().enumerate() {
        let page = adjustment.page_size();
        let at = around.map_or(page / 2.0, |around| {
            around.get(side).copied().unwrap_or(0.0)
        });
        let part = (adjustment.value() + at - start) / length;
        let needed = f64::from(units(zoom.scaling, guest, screen.pixels_per_unit()));
        adjustment.set_upper(needed.max(page));
        adjustment.set_value(part * needed - at);
    }
}
