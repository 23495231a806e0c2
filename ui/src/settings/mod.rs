//! What a person prefers, kept by GSettings under the application's name: `data/*.gschema.xml` says what there is.

mod dialog;
mod keys;
mod machines;
mod session;

use std::collections::HashMap;

use relm4::adw::prelude::*;
use relm4::gtk::gio;
use relm4::{adw, gtk};
use uuid::Uuid;

pub use dialog::show;

use crate::display::Scaling;
use crate::library::Order;
use crate::machine::Scale;
use crate::model::Viewers;
use crate::text::message;
use crate::wizard::Preferred;

const COLOUR_SCHEME: &str = "colour-scheme";
const CLOSING: &str = "closing";
const RELEASE_KEYS: &str = "release-keys";
const START: &str = "start-after-creating";
const PROCESSORS: &str = "new-processors";
const MEMORY: &str = "new-memory";
const DISK_SIZE: &str = "new-disk-size";
const SESSION: &str = "start-with-session";
const VIEWERS: &str = "viewers";
const ORDER: &str = "library-order";
const GROUPS: &str = "library-groups";
const MACHINES: &str = "machine-windows";
const SCALES: &str = "machine-scales";
const LAYOUTS: &str = "machine-keyboard-layouts";
const MONITORS: &str = "machine-monitors";
const OWN_KEYS: &str = "own-keys";
const SIZE: &str = "window-size";
const MAXIMISED: &str = "window-maximised";

/// What a guest reads its keyboard by where nobody said otherwise.
const USUAL_LAYOUT: &str = "us";

/// In place of a percentage: the window is as large as the guest's screen.
const FOLLOWS: u16 = 0;

/// What closing the window does while machines run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenClosed {
    /// A question.
    Ask,
    /// They go on without a window.
    KeepRunning,
    /// Their power buttons are pressed.
    ShutDown,
}

/// The keys that, pressed together and let go without another, give the keyboard and the pointer back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReleaseKeys {
    /// Ctrl and Alt of either side.
    #[default]
    ControlAlt,
    /// The right Ctrl alone, as VirtualBox's users are used to.
    RightControl,
    /// Ctrl and Shift of either side.
    ControlShift,
}

impl ReleaseKeys {
    /// All of them in the order of the settings' numbers, with what they are called.
    pub const ALL: [(Self, &'static str); 3] = [
        (Self::ControlAlt, message("Ctrl+Alt")),
        (Self::RightControl, message("Right Ctrl")),
        (Self::ControlShift, message("Ctrl+Shift")),
    ];
}

/// The settings, or what they are at first where the program's schema is not installed.
#[derive(Debug, Clone)]
pub struct Settings(Option<gio::Settings>);

thread_local! {
    static SETTINGS: Settings = Settings::open();
}

/// The settings of this program.
pub fn get() -> Settings {
    SETTINGS.with(Clone::clone)
}

impl Settings {
    fn open() -> Self {
        let schema = schema();
        if schema.is_none() {
            tracing::warn!(
                "the schema of the settings is not installed: preferences cannot be kept"
            );
        }
        Self(
            schema.map(|schema| gio::Settings::new_full(&schema, gio::SettingsBackend::NONE, None)),
        )
    }

    /// Whether they can be kept.
    pub fn kept(&self) -> bool {
        self.0.is_some()
    }

    fn number(&self, key: &str) -> usize {
        let number = self.0.as_ref().map_or(0, |settings| settings.enum_(key));
        usize::try_from(number).unwrap_or(0)
    }

    fn set_number(&self, key: &str, number: u32) {
        let Some(settings) = &self.0 else { return };
        let number = i32::try_from(number).unwrap_or(0);
        if let Err(error) = settings.set_enum(key, number) {
            tracing::warn!(%error, key, "a preference was not kept");
        }
    }

    fn set(&self, key: &str, value: impl Into<gtk::glib::Variant>) {
        let Some(settings) = &self.0 else { return };
        if let Err(error) = settings.set_value(key, &value.into()) {
            tracing::warn!(%error, key, "a preference was not kept");
        }
    }

    /// What closing the window does while machines run.
    pub fn when_closed(&self) -> WhenClosed {
        match self.number(CLOSING) {
            1 => WhenClosed::KeepRunning,
            2 => WhenClosed::ShutDown,
            _ => WhenClosed::Ask,
        }
    }

    /// The keys that release the keyboard and the pointer.
    pub fn release_keys(&self) -> ReleaseKeys {
        let found = ReleaseKeys::ALL.get(self.number(RELEASE_KEYS));
        found.map_or_else(ReleaseKeys::default, |(keys, _)| *keys)
    }

    /// Whether the wizard suggests to start a machine that it makes.
    pub fn start_after_creating(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|settings| settings.boolean(START))
    }

    /// What the wizard suggests for new machines, where it is not what their operating systems do.
    pub fn preferred(&self) -> Preferred {
        let kept = |key| {
            let kept = self.0.as_ref().map_or(0, |settings| settings.uint(key));
            (kept != 0).then_some(kept)
        };
        Preferred {
            processors: kept(PROCESSORS),
            memory: kept(MEMORY).map(u64::from),
            disk_size: kept(DISK_SIZE).map(u64::from),
        }
    }

    /// How other programs' viewers reach machines that are started in the window.
    pub fn viewers(&self) -> Viewers {
        match self.number(VIEWERS) {
            1 => Viewers::Socket,
            2 => Viewers::Port,
            _ => Viewers::None,
        }
    }

    /// Calls `changed` whenever they are to reach them in another way.
    pub fn connect_viewers_changed(&self, changed: impl Fn(Viewers) + 'static) {
        if let Some(settings) = &self.0 {
            settings.connect_changed(Some(VIEWERS), move |_, _| changed(get().viewers()));
        }
    }

    /// What comes first in the list of machines.
    pub fn order(&self) -> Order {
        match self.number(ORDER) {
            1 => Order::LastUse,
            _ => Order::Name,
        }
    }

    /// Keeps what comes first in the list of machines.
    pub fn set_order(&self, order: Order) {
        self.set_number(
            ORDER,
            match order {
                Order::Name => 0,
                Order::LastUse => 1,
            },
        );
    }

    /// Whether the list of machines has groups.
    pub fn grouped(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|settings| settings.boolean(GROUPS))
    }

    /// Keeps whether the list of machines has groups.
    pub fn set_grouped(&self, grouped: bool) {
        self.set(GROUPS, grouped);
    }

    /// The window's width and height, and whether it is maximised.
    pub fn window(&self) -> ((i32, i32), bool) {
        const USUAL: (i32, i32) = (1080, 720);
        let Some(settings) = &self.0 else {
            return (USUAL, false);
        };
        let size = settings.value(SIZE).get::<(i32, i32)>();
        let size = size.filter(|(width, height)| *width > 0 && *height > 0);
        (size.unwrap_or(USUAL), settings.boolean(MAXIMISED))
    }

    /// Keeps the window's size for the next time.
    pub fn keep_window(&self, window: &impl IsA<gtk::Window>) {
        let window = window.as_ref();
        if !window.is_maximized() && !window.is_fullscreen() {
            self.set(SIZE, window.default_size());
        }
        self.set(MAXIMISED, window.is_maximized());
    }

    /// The width and height of the window of the machine that `machine` identifies, and whether it is maximised.
    pub fn machine_window(&self, machine: Uuid) -> ((i32, i32), bool) {
        const USUAL: (i32, i32) = (1024, 815);
        let kept = self.machine_windows().remove(&machine.to_string());
        let (width, height, maximised) = kept.unwrap_or_default();
        if width > 0 && height > 0 {
            ((width, height), maximised)
        } else {
            (USUAL, maximised)
        }
    }

    /// Keeps the size of a machine's window for the next time.
    pub fn keep_machine_window(&self, machine: Uuid, window: &impl IsA<gtk::Window>) {
        let window = window.as_ref();
        let mut all = self.machine_windows();
        let kept = all.entry(machine.to_string()).or_default();
        if !window.is_maximized() && !window.is_fullscreen() {
            (kept.0, kept.1) = window.default_size();
        }
        kept.2 = window.is_maximized();
        self.set(MACHINES, all);
    }

    /// How the picture of the machine that `machine` identifies is fitted.
    pub fn scale(&self, machine: Uuid) -> Scale {
        let kept = self.scales().remove(&machine.to_string());
        kept.map_or(Scale::Picture(Scaling::Fit), |percent| match percent {
            FOLLOWS => Scale::Follow,
            percent => Scale::Picture(Scaling::percent(percent.into())),
        })
    }

    /// Keeps how a machine's picture is fitted for the next time.
    pub fn keep_scale(&self, machine: Uuid, scale: Scale) {
        let (mut all, machine) = (self.scales(), machine.to_string());
        let before = all.get(&machine).copied();
        let now = match scale {
            Scale::Picture(Scaling::Fit) => None,
            Scale::Picture(Scaling::Percent(percent)) => Some(percent),
            Scale::Follow => Some(FOLLOWS),
        };
        if now != before {
            match now {
                Some(percent) => all.insert(machine, percent),
                None => all.remove(&machine),
            };
            self.set(SCALES, all);
        }
    }

    fn scales(&self) -> HashMap<String, u16> {
        let kept = self.0.as_ref();
        let kept = kept.and_then(|settings| settings.value(SCALES).get());
        kept.unwrap_or_default()
    }

    /// The layout, as xkeyboard-config calls it, by which the guest of the machine that `machine` identifies reads its keyboard.
    pub fn keyboard_layout(&self, machine: Uuid) -> String {
        let kept = self.keyboard_layouts().remove(&machine.to_string());
        kept.unwrap_or_else(|| USUAL_LAYOUT.to_owned())
    }

    /// Keeps the layout by which a machine's guest reads its keyboard.
    pub fn keep_keyboard_layout(&self, machine: Uuid, layout: &str) {
        let mut all = self.keyboard_layouts();
        if layout == USUAL_LAYOUT {
            all.remove(&machine.to_string());
        } else {
            all.insert(machine.to_string(), layout.to_owned());
        }
        self.set(LAYOUTS, all);
    }

    fn keyboard_layouts(&self) -> HashMap<String, String> {
        let kept = self.0.as_ref();
        let kept = kept.and_then(|settings| settings.value(LAYOUTS).get());
        kept.unwrap_or_default()
    }

    /// The connector of the monitor that the screen of the machine that `machine` identifies fills, if one was chosen for it.
    pub fn monitor(&self, machine: Uuid) -> Option<String> {
        self.monitors().remove(&machine.to_string())
    }

    /// Keeps the monitor that a machine's screen fills, by its connector.
    pub fn keep_monitor(&self, machine: Uuid, connector: &str) {
        let mut all = self.monitors();
        all.insert(machine.to_string(), connector.to_owned());
        self.set(MONITORS, all);
    }

    fn monitors(&self) -> HashMap<String, String> {
        let kept = self.0.as_ref();
        let kept = kept.and_then(|settings| settings.value(MONITORS).get());
        kept.unwrap_or_default()
    }

    /// A person's own key combinations, as the command line writes them.
    pub fn own_keys(&self) -> Vec<String> {
        let kept = self.0.as_ref();
        let kept = kept.and_then(|settings| settings.value(OWN_KEYS).get());
        kept.unwrap_or_default()
    }

    /// Keeps a person's own key combinations.
    pub fn set_own_keys(&self, keys: Vec<String>) {
        self.set(OWN_KEYS, keys);
    }

    /// Calls `changed` whenever a person's own key combinations are others.
    pub fn connect_own_keys_changed(&self, changed: impl Fn() + 'static) {
        if let Some(settings) = &self.0 {
            settings.connect_changed(Some(OWN_KEYS), move |_, _| changed());
        }
    }

    fn machine_windows(&self) -> HashMap<String, (i32, i32, bool)> {
        let kept = self
            .0
            .as_ref()
            .and_then(|settings| settings.value(MACHINES).get());
        kept.unwrap_or_default()
    }

    /// Lets the windows look as the settings say, now and whenever they change.
    pub fn follow_colour_scheme(&self) {
        let apply = |number: i32| {
            adw::StyleManager::default().set_color_scheme(match number {
                1 => adw::ColorScheme::ForceLight,
                2 => adw::ColorScheme::ForceDark,
                _ => adw::ColorScheme::Default,
            });
        };
        if let Some(settings) = &self.0 {
            apply(settings.enum_(COLOUR_SCHEME));
            settings.connect_changed(Some(COLOUR_SCHEME), move |settings, key| {
                apply(settings.enum_(key))
            });
        }
    }
}

/// The schema: the system's, or that beside a program that was just built.
fn schema() -> Option<gio::SettingsSchema> {
    let installed = gio::SettingsSchemaSource::default();
    let found = installed
        .as_ref()
        .and_then(|source| source.lookup(crate::APPLICATION_ID, true));
    found.or_else(|| {
        crate::share::folders().into_iter().find_map(|share| {
            let folder = share.join("glib-2.0/schemas");
            let source =
                gio::SettingsSchemaSource::from_directory(folder, installed.as_ref(), false)
                    .ok()?;
            source.lookup(crate::APPLICATION_ID, false)
        })
    })
}
