//! Full screen: on which monitor, and the bars of a window that fills it with a guest's screen: away, and back while the pointer is
//! at the upper edge.

use std::cell::Cell;
use std::rc::Rc;

use relm4::adw;
use relm4::adw::prelude::*;
use relm4::gtk::{self, gdk, gio};
use uuid::Uuid;

use crate::text::gettext;
use crate::{access, settings};

/// Has `window` fill a monitor with the screen of the machine that `machine` identifies: the one that was chosen for it, if that is
/// connected.
pub fn enter(window: &impl IsA<gtk::Window>, machine: Uuid) {
    let window = window.as_ref();
    let chosen = settings::get().monitor(machine);
    match chosen.and_then(|chosen| monitors().into_iter().find(|one| connector(one) == chosen)) {
        Some(monitor) => window.fullscreen_on_monitor(&monitor),
        None => window.fullscreen(),
    }
}

/// Has it fill the monitor at `chosen`, which is kept for the next time.
pub fn enter_on(window: &impl IsA<gtk::Window>, machine: Uuid, chosen: &str) {
    settings::get().keep_monitor(machine, chosen);
    enter(window, machine);
}

/// The monitors of the display.
fn monitors() -> Vec<gdk::Monitor> {
    let list = gdk::Display::default().map(|display| display.monitors());
    let list = list
        .into_iter()
        .flat_map(|list| list.iter::<gdk::Monitor>().collect::<Vec<_>>());
    list.flatten().collect()
}

/// What a monitor is connected to, by which it is known again.
fn connector(monitor: &gdk::Monitor) -> String {
    monitor.connector().unwrap_or_default().into()
}

thread_local! {
    /// The menu with the monitors where there are several, now and later: one that all others have in them.
    static MONITORS: gio::Menu = {
        let menu = gio::Menu::new();
        fill(&menu);
        if let Some(display) = gdk::Display::default() {
            let filled = menu.clone();
            display.monitors().connect_items_changed(move |_, _, _, _| fill(&filled));
        }
        menu
    };
}

/// The part of a menu that offers the monitors, empty while there is only one.
pub fn monitors_menu() -> gio::Menu {
    MONITORS.with(Clone::clone)
}

fn fill(menu: &gio::Menu) {
    menu.remove_all();
    let monitors = monitors();
    if monitors.len() < 2 {
        return;
    }
    let choices = gio::Menu::new();
    for monitor in monitors {
        let connector = connector(&monitor);
        let name = monitor
            .description()
            .unwrap_or_else(|| connector.as_str().into());
        let name = if name == connector {
            connector.clone()
        } else {
            format!("{name} ({connector})")
        };
        let item = gio::MenuItem::new(Some(&name.replace('_', "__")), None);
        item.set_action_and_target_value(Some("win.full-screen-on"), Some(&connector.to_variant()));
        choices.append_item(&item);
    }
    menu.append_submenu(Some(&gettext("Full Screen on _Monitor")), &choices);
}

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
