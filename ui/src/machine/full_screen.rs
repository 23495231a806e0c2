//! The bars of a window that fills its monitor with a guest's screen: away, and back while the pointer is at the upper edge.

use std::cell::Cell;
use std::rc::Rc;

use relm4::adw;
use relm4::adw::prelude::*;
use relm4::gtk;

use crate::access;
use crate::text::gettext;

/// The bars of a view.
pub struct Bars {
    view: adw::ToolbarView,
    away: Rc<Cell<bool>>,
    leave: gtk::Button,
}

impl Bars {
    /// Those of `view`.
    pub fn new(view: &adw::ToolbarView) -> Self {
        const EDGE: f64 = 8.0;
        const AWAY: f64 = 120.0;
        let away = Rc::<Cell<bool>>::default();
        let pointer = gtk::EventControllerMotion::new();
        pointer.set_propagation_phase(gtk::PropagationPhase::Capture);
        let (shown, hidden) = (view.clone(), away.clone());
        pointer.connect_motion(move |_, _, y| {
            if hidden.get() && !(EDGE..AWAY).contains(&y) {
                shown.set_reveal_top_bars(y < EDGE);
            }
        });
        view.add_controller(pointer);
        let leave = gtk::Button::builder()
            .icon_name("view-restore-symbolic")
            .tooltip_text(gettext("Leave Full Screen"))
            .action_name("win.full-screen")
            .visible(false)
            .build();
        access::name(&leave, &gettext("Leave Full Screen"));
        Self {
            view: view.clone(),
            away,
            leave,
        }
    }

    /// The button that brings them back for good, for the header: there only while they are away.
    pub fn leave(&self) -> &gtk::Button {
        &self.leave
    }

    /// The window went full screen, or back.
    pub fn follow(&self, full_screen: bool) {
        self.away.set(full_screen);
        self.leave.set_visible(full_screen);
        self.view.set_reveal_top_bars(!full_screen);
        self.view.set_reveal_bottom_bars(!full_screen);
        self.view.set_extend_content_to_top_edge(full_screen);
    }
}
