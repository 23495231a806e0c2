//! A row of the list: the machine's screen, its name and what it is doing. The toolkit gives rows that are out of sight to other
//! machines, so a row follows whichever machine it is bound to.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use relm4::adw::prelude::*;
use relm4::gtk;
use relm4::gtk::glib;
use relm4::gtk::subclass::prelude::*;

use super::item::MachineObject;
use super::sign::{self, Size};
use crate::access;
use crate::text::gettext;

/// Tells what speaks against a name for the machine in a folder.
type Objection = Box<dyn Fn(&Path, &str) -> Option<String>>;

/// What the rows of a list ask of it.
pub struct Asks {
    /// Whether a heading says what the machine is doing.
    pub grouped: Rc<Cell<bool>>,
    /// What speaks against calling the machine in this folder so.
    pub objection: Objection,
    /// The machine in this folder is to be called so; without a name it keeps its own.
    pub renamed: Box<dyn Fn(PathBuf, Option<String>)>,
}

mod imp {
    use std::cell::{Cell, OnceCell, RefCell};
    use std::rc::Rc;

    use relm4::gtk::{self, glib, subclass::prelude::*};

    use super::{Asks, MachineObject};

    #[derive(Default)]
    pub struct MachineRow {
        pub asks: OnceCell<Rc<Asks>>,
        pub picture: gtk::Picture,
        pub badge: OnceCell<gtk::Label>,
        pub place: gtk::Overlay,
        pub names: gtk::Stack,
        pub name: gtk::Label,
        pub entry: gtk::Entry,
        pub description: gtk::Label,
        pub mark: gtk::Image,
        pub bound: RefCell<Option<(MachineObject, glib::SignalHandlerId)>>,
        /// The name is being written here.
        pub writing: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for MachineRow {
        const NAME: &'static str = "GuesthouseMachineRow";
        type Type = super::MachineRow;
        type ParentType = gtk::Box;
    }

    impl ObjectImpl for MachineRow {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj().build();
        }
    }
    impl WidgetImpl for MachineRow {}
    impl BoxImpl for MachineRow {}
}

glib::wrapper! {
    /// The widget of a row.
    pub struct MachineRow(ObjectSubclass<imp::MachineRow>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

/// The width and height of a screen's picture in the toolkit's units.
const PICTURE: (i32, i32) = (64, 48);

impl MachineRow {
    /// A row that asks the list by `asks`.
    pub fn new(asks: Rc<Asks>) -> Self {
        let row: Self = glib::Object::new();
        // It was only just made: nobody set it before.
        let _ = row.imp().asks.set(asks);
        row
    }

    fn build(&self) {
        let imp = self.imp();
        self.set_spacing(12);
        self.set_margin_top(6);
        self.set_margin_bottom(6);

        imp.picture.set_content_fit(gtk::ContentFit::Cover);
        imp.picture.set_can_shrink(true);
        imp.picture
            .set_accessible_role(gtk::AccessibleRole::Presentation);
        let badge = sign::new();
        // What is laid over something else does not tell how large it wants to be: all tiles have one size.
        imp.place
            .set_child(Some(&gtk::Box::new(gtk::Orientation::Horizontal, 0)));
        imp.place.add_overlay(&imp.picture);
        imp.place.add_overlay(&badge);
        imp.place.set_size_request(PICTURE.0, PICTURE.1);
        imp.place.set_valign(gtk::Align::Center);
        imp.place.set_halign(gtk::Align::Start);
        imp.place.add_css_class("machine-tile");
        imp.place.set_overflow(gtk::Overflow::Hidden);
        self.append(&imp.place);
        let _ = imp.badge.set(badge);

        for (label, classes) in [
            (&imp.name, [].as_slice()),
            (&imp.description, ["caption", "dimmed"].as_slice()),
        ] {
            label.set_xalign(0.0);
            label.set_ellipsize(gtk::pango::EllipsizeMode::End);
            label.set_css_classes(classes);
        }
        imp.entry.set_max_length(64);
        imp.entry.set_width_chars(4);
        access::name(&imp.entry, &gettext("Name"));
        imp.names.add_child(&imp.name);
        imp.names.set_vhomogeneous(false);
        let words = gtk::Box::new(gtk::Orientation::Vertical, 0);
        words.set_valign(gtk::Align::Center);
        words.set_hexpand(true);
        words.append(&imp.names);
        words.append(&imp.description);
        self.append(&words);

        imp.mark
            .set_accessible_role(gtk::AccessibleRole::Presentation);
        self.append(&imp.mark);
        self.follow_entry();
    }

    fn follow_entry(&self) {
        let entry = &self.imp().entry;
        let weak = self.downgrade();
        entry.connect_changed(move |_| {
            if let Some(row) = weak.upgrade() {
                row.object_to_name();
            }
        });
        let weak = self.downgrade();
        entry.connect_activate(move |_| {
            if let Some(row) = weak.upgrade()
                && row.object_to_name()
            {
                row.end_writing(true);
            }
        });
        let keys = gtk::EventControllerKey::new();
        let weak = self.downgrade();
        keys.connect_key_pressed(move |_, key, _, _| {
            if let Some(row) = weak.upgrade()
                && key == gtk::gdk::Key::Escape
            {
                row.end_writing(false);
                return glib::Propagation::Stop;
            }
            glib::Propagation::Proceed
        });
        entry.add_controller(keys);
        let focus = gtk::EventControllerFocus::new();
        let weak = self.downgrade();
        focus.connect_leave(move |_| {
            if let Some(row) = weak.upgrade() {
                row.end_writing(false);
            }
        });
        entry.add_controller(focus);
    }

    /// Says beneath the name what speaks against it; tells whether nothing does.
    fn object_to_name(&self) -> bool {
        let imp = self.imp();
        let bound = imp.bound.borrow();
        let (Some((object, _)), Some(asks)) = (bound.as_ref(), imp.asks.get()) else {
            return false;
        };
        if !imp.writing.get() {
            return false;
        }
        let item = object.item();
        let objection = (asks.objection)(&item.folder, &imp.entry.text());
        let description = objection
            .clone()
            .unwrap_or_else(|| item.beneath(asks.grouped.get()));
        imp.description.set_label(&description);
        imp.description.set_tooltip_text(objection.as_deref());
        imp.description.set_wrap(objection.is_some());
        imp.description.set_ellipsize(if objection.is_some() {
            gtk::pango::EllipsizeMode::None
        } else {
            gtk::pango::EllipsizeMode::End
        });
        let classes: &[&str] = match objection {
            Some(_) => &["caption", "error"],
            None => &["caption", "dimmed"],
        };
        imp.description.set_css_classes(classes);
        let invalid = if objection.is_some() {
            imp.entry.add_css_class("error");
            gtk::AccessibleInvalidState::True
        } else {
            imp.entry.remove_css_class("error");
            gtk::AccessibleInvalidState::False
        };
        imp.entry
            .update_state(&[gtk::accessible::State::Invalid(invalid)]);
        access::describe(&imp.entry, &imp.description);
        objection.is_none()
    }

    fn begin_writing(&self, name: &str) {
        let imp = self.imp();
        if imp.writing.replace(true) {
            return;
        }
        imp.names.add_child(&imp.entry);
        imp.names.set_visible_child(&imp.entry);
        imp.entry.set_text(name);
        imp.entry.grab_focus();
    }

    fn end_writing(&self, keep: bool) {
        let imp = self.imp();
        if !imp.writing.replace(false) {
            return;
        }
        let bound = imp
            .bound
            .borrow()
            .as_ref()
            .map(|(object, _)| object.clone());
        if let (Some(object), Some(asks)) = (bound, imp.asks.get()) {
            let name = keep.then(|| imp.entry.text().trim().to_owned());
            let name = name.filter(|name| object.with(|item| item.name != *name));
            object.set_renaming(false);
            (asks.renamed)(object.item().folder, name);
        }
        self.show_name();
    }

    fn show_name(&self) {
        let imp = self.imp();
        imp.names.set_visible_child(&imp.name);
        if imp.entry.parent().is_some() {
            imp.names.remove(&imp.entry);
        }
        imp.description.set_css_classes(&["caption", "dimmed"]);
        imp.description.set_tooltip_text(None);
        imp.description.set_wrap(false);
        imp.description
            .set_ellipsize(gtk::pango::EllipsizeMode::End);
        imp.entry.remove_css_class("error");
    }

    /// Shows `object` in `cell` from now on.
    pub fn bind(&self, object: &MachineObject, cell: &gtk::ListItem) {
        let (row, cell) = (self.downgrade(), cell.downgrade());
        let show = move |object: &MachineObject| {
            if let (Some(row), Some(cell)) = (row.upgrade(), cell.upgrade()) {
                row.show(object, &cell);
            }
        };
        show(object);
        let handler = object.connect_changed(show);
        self.imp().bound.replace(Some((object.clone(), handler)));
        if object.is_renaming() {
            self.begin_writing(&object.item().name);
        }
    }

    /// The machine that it shows.
    pub fn object(&self) -> Option<MachineObject> {
        let bound = self.imp().bound.borrow();
        bound.as_ref().map(|(object, _)| object.clone())
    }

    /// Shows nothing any more.
    pub fn unbind(&self) {
        self.end_writing(false);
        if let Some((object, handler)) = self.imp().bound.take() {
            object.disconnect(handler);
        }
    }

    fn show(&self, object: &MachineObject, cell: &gtk::ListItem) {
        let imp = self.imp();
        let item = object.item();
        // Headings are not read with the rows beneath them.
        cell.set_accessible_label(&format!("{}, {}", item.name, item.description()));
        imp.name.set_label(&item.name);
        if !imp.writing.get() {
            let grouped = imp.asks.get().is_some_and(|asks| asks.grouped.get());
            imp.description.set_label(&item.beneath(grouped));
        }
        let mark = item.mark();
        imp.mark.set_visible(mark.is_some());
        imp.mark.set_icon_name(mark.map(|(icon, _)| icon));
        imp.mark
            .set_css_classes(&[mark.map_or("", |(_, class)| class)]);
        let picture = object.picture();
        if let Some(badge) = imp.badge.get() {
            let (size, align) = match picture {
                Some(_) => (Size::Badge, gtk::Align::End),
                None => (Size::Alone, gtk::Align::Center),
            };
            sign::show(badge, item.system.as_deref(), &item.name, size);
            badge.set_halign(align);
            badge.set_valign(align);
        }
        imp.picture.set_paintable(picture.as_ref());
        if object.is_renaming() && imp.bound.borrow().is_some() {
            self.begin_writing(&item.name);
        }
    }
}
