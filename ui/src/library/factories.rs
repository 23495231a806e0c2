//! What the list shows machines with: the factories of its rows and of its groups' headings.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use relm4::gtk;
use relm4::gtk::prelude::*;
use relm4::gtk::{gio, glib};
use relm4::prelude::*;

use super::item::{Item, MachineObject};
use super::list::{MachineList, MachineListInput};
use super::pictures::Pictures;
use super::row::{Asks, MachineRow};
use crate::model::Name;
use crate::text::{self, gettext_with};

/// Makes rows and binds them to machines.
pub fn rows(
    store: &gio::ListStore,
    pictures: &Rc<Pictures>,
    grouped: &Rc<Cell<bool>>,
    sender: &ComponentSender<MachineList>,
) -> gtk::SignalListItemFactory {
    let (store, input) = (store.clone(), sender.input_sender().clone());
    let asks = Rc::new(Asks {
        grouped: grouped.clone(),
        objection: Box::new(move |folder, name| objection(&store, folder, name)),
        renamed: Box::new(move |folder, name| {
            let _ = input.send(MachineListInput::Renamed(folder, name));
        }),
    });
    let factory = gtk::SignalListItemFactory::new();
    factory.connect_setup(move |_, cell| {
        if let Some(cell) = cell.downcast_ref::<gtk::ListItem>() {
            cell.set_child(Some(&MachineRow::new(asks.clone())));
        }
    });
    let parts = |cell: &glib::Object| {
        let cell = cell.downcast_ref::<gtk::ListItem>()?.clone();
        let row = cell.child().and_downcast::<MachineRow>()?;
        let object = cell.item().and_downcast::<MachineObject>()?;
        Some((cell, row, object))
    };
    let seen = pictures.clone();
    factory.connect_bind(move |_, cell| {
        if let Some((cell, row, object)) = parts(cell) {
            row.bind(&object, &cell);
            seen.seen(&object);
        }
    });
    let unseen = pictures.clone();
    factory.connect_unbind(move |_, cell| {
        if let Some((_, row, object)) = parts(cell) {
            row.unbind();
            unseen.unseen(&object);
        }
    });
    factory
}

/// What speaks against calling the machine in `folder` so.
fn objection(store: &gio::ListStore, folder: &Path, name: &str) -> Option<String> {
    let name = match Name::new(name) {
        Ok(name) => name,
        Err(error) => return Some(text::sentence(&error)),
    };
    let mut others = store.iter::<MachineObject>().flatten();
    let taken =
        others.any(|object| object.with(|item| item.folder != folder && name.matches(&item.name)));
    taken.then(|| {
        gettext_with(
            "A machine called {name} exists already.",
            &[("name", &name)],
        )
    })
}

/// The headings of the groups.
pub fn headings() -> gtk::SignalListItemFactory {
    let factory = gtk::SignalListItemFactory::new();
    factory.connect_setup(|_, header| {
        if let Some(header) = header.downcast_ref::<gtk::ListHeader>() {
            let label = gtk::Label::builder()
                .xalign(0.0)
                .margin_start(12)
                .margin_top(6)
                .css_classes(["heading", "dimmed"])
                .build();
            header.set_child(Some(&label));
        }
    });
    // The first machine of a group may go to another and stay the first: then its heading is not bound anew.
    let followed = Rc::<RefCell<HashMap<gtk::ListHeader, _>>>::default();
    let followers = followed.clone();
    factory.connect_bind(move |_, header| {
        let Some(header) = header.downcast_ref::<gtk::ListHeader>() else {
            return;
        };
        let label = header.child().and_downcast::<gtk::Label>();
        let object = header.item().and_downcast::<MachineObject>();
        if let (Some(label), Some(object)) = (label, object) {
            let show = move |object: &MachineObject| {
                label.set_label(&object.with(Item::group).title());
            };
            show(&object);
            let handler = object.connect_changed(show);
            followers
                .borrow_mut()
                .insert(header.clone(), (object, handler));
        }
    });
    factory.connect_unbind(move |_, header| {
        let header = header.downcast_ref::<gtk::ListHeader>();
        let bound = header.and_then(|header| followed.borrow_mut().remove(header));
        if let Some((object, handler)) = bound {
            object.disconnect(handler);
        }
    });
    factory
}
