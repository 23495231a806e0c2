//! What the list knows of a machine, and the object by which the toolkit's lists hold it: rows follow the object, so that a
//! machine that changes changes its own row alone.

use std::cmp::Ordering;
use std::path::PathBuf;
use std::time::SystemTime;

use relm4::gtk::{gdk, glib, prelude::*, subclass::prelude::*};

use crate::model::State;
use crate::text::{self, gettext, ngettext_with};

/// What a row shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Item {
    /// The machine's folder.
    pub folder: PathBuf,
    /// Its name, or its folder's if its file cannot be read.
    pub name: String,
    /// Its operating system's name, if it is known.
    pub system: Option<String>,
    /// How many processors it has and how many bytes of memory, if its file can be read.
    pub size: Option<(u32, u64)>,
    /// What it is doing; nothing if its file cannot be read.
    pub state: Option<State>,
    /// When it was used last; nothing if it never ran.
    pub used: Option<SystemTime>,
}

/// The groups of the list, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Those that run.
    Running,
    /// Those that cannot go on or cannot be read.
    Attention,
    /// The others.
    Off,
}

impl Group {
    /// Its heading.
    pub fn title(self) -> String {
        match self {
            Self::Running => gettext("Running"),
            Self::Attention => gettext("Needs Attention"),
            Self::Off => gettext("Off"),
        }
    }
}

/// What comes first in the list, or in each of its groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Names, as people count: "vm 9" before "vm 10".
    #[default]
    Name,
    /// What was used last.
    LastUse,
}

impl Item {
    /// What it is doing, and its operating system.
    pub fn description(&self) -> String {
        let state = self
            .state
            .as_ref()
            .map_or_else(|| gettext("Cannot be read"), text::state);
        match &self.system {
            Some(system) => format!("{state} · {system}"),
            None => state,
        }
    }

    /// What stands beneath the name. Where the machines are `grouped`, the heading says of most what they are doing.
    pub fn beneath(&self, grouped: bool) -> String {
        let said = grouped && matches!(self.state, Some(State::Off | State::Running));
        match (said, &self.system, self.size) {
            (true, Some(system), _) => system.clone(),
            (true, None, Some((processors, memory))) => ngettext_with(
                "{number} processor, {memory}",
                "{number} processors, {memory}",
                u64::from(processors),
                &[("memory", &text::bytes(memory))],
            ),
            _ => self.description(),
        }
    }

    /// A sign for what the machine is doing, and the style class of its colour.
    pub fn mark(&self) -> Option<(&'static str, &'static str)> {
        match self.state.as_ref() {
            None => Some(("dialog-error-symbolic", "error")),
            Some(State::Off) => None,
            Some(State::Starting) => Some(("content-loading-symbolic", "dimmed")),
            Some(State::Running) => Some(("media-playback-start-symbolic", "success")),
            Some(State::Paused { reason: None }) => {
                Some(("media-playback-pause-symbolic", "dimmed"))
            }
            Some(State::Paused { .. }) => Some(("dialog-warning-symbolic", "warning")),
            Some(State::Crashed { .. }) => Some(("dialog-error-symbolic", "error")),
        }
    }

    /// The group that it belongs to.
    pub fn group(&self) -> Group {
        match &self.state {
            None | Some(State::Crashed { .. }) => Group::Attention,
            Some(State::Off) => Group::Off,
            Some(_) => Group::Running,
        }
    }

    /// Whether it holds a screen that can be looked at now.
    pub fn is_alive(&self) -> bool {
        self.state.as_ref().is_some_and(State::is_alive)
    }
}

/// What is compared and searched, made once for each change.
#[derive(Debug, Default)]
struct Keys {
    name: Option<glib::FilenameCollationKey>,
    searched: String,
}

impl Keys {
    fn of(item: &Item) -> Self {
        let system = item.system.as_deref().unwrap_or_default();
        Self {
            name: Some(glib::FilenameCollationKey::from(item.name.to_lowercase())),
            searched: format!("{}\n{system}", item.name).to_lowercase(),
        }
    }
}

mod imp {
    use std::cell::{Cell, RefCell};
    use std::sync::LazyLock;

    use relm4::gtk::{gdk, glib, subclass::prelude::*};

    use super::{Item, Keys};

    #[derive(Default)]
    pub struct MachineObject {
        pub item: RefCell<Item>,
        pub(super) keys: RefCell<Keys>,
        pub picture: RefCell<Option<gdk::Texture>>,
        /// The screen's change that the picture shows; nothing while it is to be read anew from the machine's folder.
        pub shown: Cell<Option<u64>>,
        pub renaming: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for MachineObject {
        const NAME: &'static str = "GuesthouseMachineObject";
        type Type = super::MachineObject;
    }

    impl ObjectImpl for MachineObject {
        fn signals() -> &'static [glib::subclass::Signal] {
            static SIGNALS: LazyLock<[glib::subclass::Signal; 1]> =
                LazyLock::new(|| [glib::subclass::Signal::builder(super::CHANGED).build()]);
            &*SIGNALS
        }
    }
}

const CHANGED: &str = "machine-changed";

glib::wrapper! {
    /// A machine of the list.
    pub struct MachineObject(ObjectSubclass<imp::MachineObject>);
}

impl MachineObject {
    /// One for `item`.
    pub fn new(item: Item) -> Self {
        let object: Self = glib::Object::new();
        object.imp().keys.replace(Keys::of(&item));
        object.imp().item.replace(item);
        object
    }

    /// What it shows.
    pub fn item(&self) -> Item {
        self.imp().item.borrow().clone()
    }

    /// Looks at what it shows.
    pub fn with<T>(&self, look: impl FnOnce(&Item) -> T) -> T {
        look(&self.imp().item.borrow())
    }

    /// Shows `item` from now on; tells whether that may change its place in the list.
    pub fn set(&self, item: Item) -> bool {
        let imp = self.imp();
        if *imp.item.borrow() == item {
            return false;
        }
        let keys = Keys::of(&item);
        let old = imp.item.replace(item);
        let renamed = imp.keys.borrow().searched != keys.searched;
        imp.keys.replace(keys);
        let moved = self.with(|now| {
            renamed || now.name != old.name || now.group() != old.group() || now.used != old.used
        });
        if old.is_alive() && !self.with(Item::is_alive) {
            // What its screen showed last is in its folder.
            imp.shown.set(None);
        }
        self.tell();
        moved
    }

    /// Calls `changed` whenever the row is to look different.
    pub fn connect_changed(&self, changed: impl Fn(&Self) + 'static) -> glib::SignalHandlerId {
        self.connect_closure(
            CHANGED,
            false,
            glib::closure_local!(move |object: Self| changed(&object)),
        )
    }

    /// Has the row look at it again.
    pub fn tell(&self) {
        self.emit_by_name::<()>(CHANGED, &[]);
    }

    /// The screen, as it is or was last.
    pub fn picture(&self) -> Option<gdk::Texture> {
        self.imp().picture.borrow().clone()
    }

    /// Takes over the picture of the screen after its change number `change`.
    pub fn set_picture(&self, picture: Option<gdk::Texture>, change: u64) {
        self.imp().shown.set(Some(change));
        if picture.is_some() || self.imp().picture.borrow().is_some() {
            self.imp().picture.replace(picture);
            self.tell();
        }
    }

    /// Lets go of the picture: nobody sees the row.
    pub fn forget_picture(&self) {
        self.imp().shown.set(None);
        self.imp().picture.replace(None);
    }

    /// The change of the screen that the picture shows.
    pub fn shown(&self) -> Option<u64> {
        self.imp().shown.get()
    }

    /// Whether its name is being written.
    pub fn is_renaming(&self) -> bool {
        self.imp().renaming.get()
    }

    /// Begins or ends the writing of its name.
    pub fn set_renaming(&self, renaming: bool) {
        if self.imp().renaming.replace(renaming) != renaming {
            self.tell();
        }
    }

    /// Whether each of `words`, in lower case, is in its name or its operating system's.
    pub fn fits(&self, words: &str) -> bool {
        let keys = self.imp().keys.borrow();
        words
            .split_whitespace()
            .all(|word| keys.searched.contains(word))
    }

    /// Which of two comes first.
    pub fn compare(&self, other: &Self, order: Order) -> Ordering {
        let (one, two) = (self.imp().item.borrow(), other.imp().item.borrow());
        let used = match order {
            Order::Name => Ordering::Equal,
            Order::LastUse => two.used.cmp(&one.used),
        };
        used.then_with(|| {
            let (one, two) = (self.imp().keys.borrow(), other.imp().keys.borrow());
            one.name.cmp(&two.name)
        })
        .then_with(|| one.folder.cmp(&two.folder))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn object(name: &str, used: Option<u64>, state: Option<State>) -> MachineObject {
        MachineObject::new(Item {
            folder: name.into(),
            name: name.to_owned(),
            system: Some("Debian 13".to_owned()),
            size: Some((2, 2 << 30)),
            state,
            used: used.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)),
        })
    }

    #[test]
    fn names_are_ordered_as_people_count_and_uses_by_how_long_ago_they_are() {
        let mut objects = [
            object("vm 10", Some(5), Some(State::Off)),
            object("VM 9", None, Some(State::Off)),
            object("alpha", Some(9), Some(State::Off)),
            object("Beta", None, Some(State::Off)),
        ];
        let names = |objects: &[MachineObject]| -> Vec<String> {
            objects.iter().map(|object| object.item().name).collect()
        };
        objects.sort_by(|one, two| one.compare(two, Order::Name));
        assert_eq!(names(&objects), ["alpha", "Beta", "VM 9", "vm 10"]);
        objects.sort_by(|one, two| one.compare(two, Order::LastUse));
        assert_eq!(names(&objects), ["alpha", "vm 10", "Beta", "VM 9"]);
    }

    #[test]
    fn all_words_are_searched_in_name_and_system() {
        let object = object("Build Server", None, Some(State::Off));
        for (words, fits) in [
            ("", true),
            ("server", true),
            ("serv bui", true),
            ("debian build", true),
            ("fedora", false),
            ("build fedora", false),
        ] {
            assert_eq!(object.fits(words), fits, "{words:?}");
        }
    }

    #[test]
    fn only_what_changes_a_place_sorts_anew() {
        let crashed = State::Crashed {
            reason: String::new(),
        };
        let changed = |change: &dyn Fn(&mut Item)| {
            let object = object("one", Some(1), Some(State::Running));
            let mut item = object.item();
            change(&mut item);
            object.set(item)
        };
        for (moved, change) in [
            (false, &(|_: &mut Item| {}) as &dyn Fn(&mut Item)),
            (false, &|item| {
                item.state = Some(State::Paused { reason: None })
            }),
            (true, &|item| item.state = Some(State::Off)),
            (true, &|item| item.state = Some(crashed.clone())),
            (true, &|item| item.state = None),
            (true, &|item| item.name = "two".into()),
            (true, &|item| item.used = None),
        ] {
            assert_eq!(changed(change), moved);
        }
    }

    #[test]
    fn a_row_says_what_its_heading_does_not() {
        let paused = State::Paused { reason: None };
        for (state, system, grouped, beneath) in [
            (Some(State::Off), true, false, "Off · Debian 13"),
            (Some(State::Off), true, true, "Debian 13"),
            (Some(State::Off), false, true, "2 processors, 2 GiB"),
            (Some(State::Running), true, true, "Debian 13"),
            (Some(State::Starting), true, true, "Starting · Debian 13"),
            (Some(paused), false, true, "Paused"),
            (None, false, true, "Cannot be read"),
        ] {
            let mut item = object("one", None, state).item();
            item.system = item.system.filter(|_| system);
            assert_eq!(item.beneath(grouped), beneath);
        }
    }

    #[test]
    fn groups_have_an_order() {
        let group = |state: Option<State>| object("a", None, state).with(Item::group);
        let crashed = State::Crashed {
            reason: String::new(),
        };
        assert!(group(Some(State::Starting)) < group(Some(crashed.clone())));
        assert_eq!(group(None), group(Some(crashed)));
        assert!(group(None) < group(Some(State::Off)));
    }
}
