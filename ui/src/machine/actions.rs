//! The actions of a machine's page, which are the window's group "machine", and the menus over them. Which of them make sense follows from what the machine is doing.

use relm4::adw::prelude::*;
use relm4::gtk::gio;
use relm4::gtk::glib;

use super::{full_screen, keys};
use crate::display::Scaling;
use crate::model::State;
use crate::settings;
use crate::text::gettext;

const FIT: &str = "fit";
const ONE_TO_ONE: &str = "one-to-one";
const FOLLOW: &str = "follow";
const OTHER: &str = "other";

/// Something a person wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Start it, or go on with it.
    Start,
    /// Let it stand still.
    Pause,
    /// Start it from the beginning, as its reset button does.
    Reset,
    /// Press its power button.
    ShutDown,
    /// Pull its plug.
    PowerOff,
    /// Save its picture.
    Screenshot,
    /// Show its screen in a window of its own.
    Window,
    /// Copy it.
    Clone,
    /// Write it for other programs.
    Export,
    /// Write it into a file from which it can be brought back.
    BackUp,
    /// Make room for its disk.
    FreeSpace,
    /// Move it to the Trash.
    Delete,
    /// Type what is on the clipboard.
    TypeClipboard,
    /// Choose the layout by which the guest reads its keyboard.
    KeyboardLayout,
    /// Press these keys.
    SendKeys(String),
    /// Show the view with this name.
    View(String),
    /// Fit the picture like this.
    Scale(Scale),
    /// Make the picture a step larger.
    ZoomIn,
    /// Make it a step smaller.
    ZoomOut,
}

/// How a machine's picture and its window are fitted to one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// The picture is fitted like this, whatever the window.
    Picture(Scaling),
    /// A pixel of the guest is a pixel of the screen, and the window is as large as the picture.
    Follow,
}

impl Scale {
    /// What is done with the picture.
    pub fn scaling(self) -> Scaling {
        match self {
            Self::Picture(scaling) => scaling,
            Self::Follow => Scaling::ONE_TO_ONE,
        }
    }

    /// How settings and the action's state call it.
    fn name(self) -> &'static str {
        match self {
            Self::Picture(Scaling::Fit) => FIT,
            Self::Picture(Scaling::ONE_TO_ONE) => ONE_TO_ONE,
            Self::Picture(Scaling::Percent(_)) => OTHER,
            Self::Follow => FOLLOW,
        }
    }
}

/// The actions.
pub struct Actions {
    group: gio::SimpleActionGroup,
}

/// Makes a wish of an action's target.
type Targeted = fn(String) -> Act;

const PLAIN: [(&str, Act); 16] = [
    ("start", Act::Start),
    ("pause", Act::Pause),
    ("reset", Act::Reset),
    ("shut-down", Act::ShutDown),
    ("power-off", Act::PowerOff),
    ("screenshot", Act::Screenshot),
    ("type-clipboard", Act::TypeClipboard),
    ("keyboard-layout", Act::KeyboardLayout),
    ("window", Act::Window),
    ("clone", Act::Clone),
    ("export", Act::Export),
    ("back-up", Act::BackUp),
    ("free-space", Act::FreeSpace),
    ("delete", Act::Delete),
    ("zoom-in", Act::ZoomIn),
    ("zoom-out", Act::ZoomOut),
];

impl Actions {
    /// The actions, each of which calls `act`.
    pub fn new(act: impl Fn(Act) + Clone + 'static) -> Self {
        let group = gio::SimpleActionGroup::new();
        for (name, what) in PLAIN {
            let action = gio::SimpleAction::new(name, None);
            let act = act.clone();
            action.connect_activate(move |_, _| act(what.clone()));
            group.add_action(&action);
        }
        let with_target: [(&str, Targeted); 2] =
            [("send-keys", Act::SendKeys), ("view", Act::View)];
        for (name, what) in with_target {
            let action = gio::SimpleAction::new(name, Some(glib::VariantTy::STRING));
            let act = act.clone();
            action.connect_activate(move |_, target| {
                if let Some(target) = target.and_then(glib::Variant::get::<String>) {
                    act(what(target));
                }
            });
            group.add_action(&action);
        }
        let scale = gio::SimpleAction::new_stateful(
            "scale",
            Some(glib::VariantTy::STRING),
            &FIT.to_variant(),
        );
        scale.connect_activate(move |action, target| {
            if let Some(target) = target {
                action.set_state(target);
                act(Act::Scale(match target.str() {
                    Some(ONE_TO_ONE) => Scale::Picture(Scaling::ONE_TO_ONE),
                    Some(FOLLOW) => Scale::Follow,
                    _ => Scale::Picture(Scaling::Fit),
                }));
            }
        });
        group.add_action(&scale);
        Self { group }
    }

    /// The group, for the window.
    pub fn group(&self) -> &gio::SimpleActionGroup {
        &self.group
    }

    /// The picture is fitted like this now.
    pub fn set_scale(&self, scale: Scale) {
        let action = self.group.lookup_action("scale");
        if let Some(action) = action.and_downcast::<gio::SimpleAction>() {
            action.set_state(&scale.name().to_variant());
        }
    }

    /// Leaves on what makes sense while the machine is in `state`.
    pub fn follow(&self, state: &State) {
        let running = *state == State::Running;
        let paused = matches!(state, State::Paused { .. });
        let rules = [
            ("start", paused || !state.is_alive()),
            ("pause", running),
            ("reset", running || paused),
            ("shut-down", running),
            ("power-off", running || paused),
            ("screenshot", running || paused),
            ("send-keys", running),
            ("type-clipboard", running),
            ("zoom-in", running || paused),
            ("zoom-out", running || paused),
            ("clone", !state.is_alive()),
            ("export", !state.is_alive()),
            ("back-up", !state.is_alive()),
            ("delete", *state != State::Starting),
        ];
        for (name, enabled) in rules {
            let action = self
                .group
                .lookup_action(name)
                .and_downcast::<gio::SimpleAction>();
            if let Some(action) = action {
                action.set_enabled(enabled);
            }
        }
    }
}

/// The menu beside Shut Down.
pub fn power_menu() -> gio::Menu {
    let menu = gio::Menu::new();
    menu.append(Some(&gettext("_Reset")), Some("machine.reset"));
    menu.append(Some(&gettext("_Force Off")), Some("machine.power-off"));
    menu
}

/// The menu over the machine's row.
pub fn row_menu() -> gio::Menu {
    let menu = gio::Menu::new();
    let power = gio::Menu::new();
    power.append(Some(&gettext("_Start")), Some("machine.start"));
    power.append(Some(&gettext("_Pause")), Some("machine.pause"));
    power.append(Some(&gettext("Shut Do_wn")), Some("machine.shut-down"));
    power.append(Some(&gettext("_Force Off")), Some("machine.power-off"));
    menu.append_section(None, &power);
    let window = gio::Menu::new();
    window.append(
        Some(&gettext("Open in New _Window")),
        Some("machine.window"),
    );
    menu.append_section(None, &window);
    menu.append_section(None, &belongings());
    let delete = gio::Menu::new();
    delete.append(Some(&gettext("_Delete")), Some("machine.delete"));
    menu.append_section(None, &delete);
    menu
}

/// What concerns the machine as a thing: its name and its copies.
fn belongings() -> gio::Menu {
    let menu = gio::Menu::new();
    menu.append(Some(&gettext("_Rename")), Some("win.rename"));
    menu.append(Some(&gettext("_Clone…")), Some("machine.clone"));
    menu.append(Some(&gettext("_Export…")), Some("machine.export"));
    menu.append(Some(&gettext("_Back Up…")), Some("machine.back-up"));
    menu
}

/// The key combinations.
pub fn keys_menu() -> gio::Menu {
    let keys = gio::Menu::new();
    for section in keys::MENU {
        let part = gio::Menu::new();
        for (written, label) in section {
            let action = format!("machine.send-keys::{written}");
            part.append(Some(&gettext(*label)), Some(&action));
        }
        keys.append_section(None, &part);
    }
    OWN_KEYS.with(|own| keys.append_section(None, own));
    let typed = gio::Menu::new();
    typed.append(
        Some(&gettext("Type the Clip_board")),
        Some("machine.type-clipboard"),
    );
    typed.append(
        Some(&gettext("Guest’s Keyboard _Layout…")),
        Some("machine.keyboard-layout"),
    );
    keys.append_section(None, &typed);
    keys
}

thread_local! {
    /// A person's own combinations, as the preferences have them now and later: one menu that all others have in them.
    static OWN_KEYS: gio::Menu = {
        let own = gio::Menu::new();
        fill_own_keys(&own);
        let filled = own.clone();
        settings::get().connect_own_keys_changed(move || fill_own_keys(&filled));
        own
    };
}

fn fill_own_keys(menu: &gio::Menu) {
    menu.remove_all();
    for written in settings::get().own_keys() {
        if let Some(label) = keys::label(&written) {
            let action = format!("machine.send-keys::{written}");
            menu.append(Some(&label), Some(&action));
        }
    }
}

/// The menu of a machine's own window, or (where `own` is false) the part of its page's menu that concerns its screen.
pub fn screen_menu(own: bool) -> gio::Menu {
    let display = gio::Menu::new();
    display.append(Some(&gettext("F_ull Screen")), Some("win.full-screen"));
    display.append_section(None, &full_screen::monitors_menu());
    let fit = gio::Menu::new();
    let mut ways = vec![
        (gettext("_Fit the Window"), FIT),
        (gettext("_One to One"), ONE_TO_ONE),
    ];
    if own {
        ways.push((gettext("Window as Large as the _Guest’s Screen"), FOLLOW));
    }
    for (label, target) in ways {
        fit.append(Some(&label), Some(&format!("machine.scale::{target}")));
    }
    let zoom = gio::Menu::new();
    zoom.append(Some(&gettext("Zoom _In")), Some("machine.zoom-in"));
    zoom.append(Some(&gettext("Zoom O_ut")), Some("machine.zoom-out"));
    let scale = gio::Menu::new();
    scale.append_section(None, &fit);
    scale.append_section(None, &zoom);
    display.append_submenu(Some(&gettext("_Scale")), &scale);
    display.append_submenu(Some(&gettext("Send _Keys")), &keys_menu());
    display.append(
        Some(&gettext("_Take Screenshot")),
        Some("machine.screenshot"),
    );
    display
}

/// The machine's own menu.
pub fn machine_menu() -> gio::Menu {
    let menu = gio::Menu::new();
    let window = gio::Menu::new();
    window.append(
        Some(&gettext("Open in New _Window")),
        Some("machine.window"),
    );
    menu.append_section(None, &window);
    menu.append_section(None, &screen_menu(false));
    menu.append_section(None, &belongings());
    let delete = gio::Menu::new();
    delete.append(Some(&gettext("_Delete")), Some("machine.delete"));
    menu.append_section(None, &delete);
    menu
}
