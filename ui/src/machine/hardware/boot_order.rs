//! The drives and network cards in the order in which the firmware tries them. What is switched off is not tried, unless all are.
//! The order is changed by dragging a row, by its buttons, or with Alt and the arrow keys.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use relm4::adw::prelude::*;
use relm4::gtk::{gdk, glib};
use relm4::{adw, gtk};

use super::edit::{Bootable, Edit, boot_order};
use super::topic::{Editor, LATER, View};
use super::{card_title, titles};
use crate::access;
use crate::model::Definition;
use crate::text::{gettext, gettext_with};

/// The group.
pub struct BootOrder {
    group: adw::PreferencesGroup,
    editor: Editor,
    shown: Rc<RefCell<Vec<Item>>>,
    rows: RefCell<Vec<adw::ActionRow>>,
    /// What had the keyboard before the order changed: it gets it again.
    moved: Rc<Cell<Option<(Bootable, Part)>>>,
}

/// Something that can be started from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    what: Bootable,
    title: String,
    tried: bool,
}

/// What of a row was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Row,
    Earlier,
    Later,
    Switch,
}

/// All of them: those that are tried first, in order.
fn items(definition: &Definition) -> Vec<Item> {
    let order = boot_order(definition);
    let drives = titles(definition).into_iter().enumerate();
    let all: Vec<(Bootable, String)> = drives
        .map(|(number, title)| (Bootable::Drive(number), title))
        .chain((0..definition.networks.len()).map(|number| {
            let title = card_title(definition, number);
            (Bootable::Card(number), title)
        }))
        .collect();
    let title = |what: &Bootable| {
        let found = all.iter().find(|(one, _)| one == what);
        found.map(|(_, title)| title.clone()).unwrap_or_default()
    };
    let tried = order.iter().map(|what| Item {
        what: *what,
        title: title(what),
        tried: true,
    });
    let rest = all.iter().filter(|(what, _)| !order.contains(what));
    let rest = rest.map(|(what, title)| Item {
        what: *what,
        title: title.clone(),
        tried: false,
    });
    tried.chain(rest).collect()
}

/// Those that are tried after the one at `from` went to `to`; nothing if there is no such place.
fn moved(items: &[Item], from: usize, to: usize) -> Option<Vec<Bootable>> {
    let mut order: Vec<Bootable> = items
        .iter()
        .filter(|item| item.tried)
        .map(|item| item.what)
        .collect();
    if from >= order.len() || to >= order.len() || from == to {
        return None;
    }
    let one = order.remove(from);
    order.insert(to, one);
    Some(order)
}

impl BootOrder {
    /// An empty one.
    pub fn new(editor: &Editor) -> Self {
        Self {
            group: adw::PreferencesGroup::builder()
                .title(gettext("Boot Order"))
                .build(),
            editor: editor.clone(),
            shown: Rc::default(),
            rows: RefCell::default(),
            moved: Rc::default(),
        }
    }

    /// The group.
    pub fn group(&self) -> &adw::PreferencesGroup {
        &self.group
    }

    /// Shows the order.
    pub fn show(&self, view: &View) {
        self.group.set_description(Some(&if view.alive {
            gettext(LATER)
        } else {
            gettext("The firmware starts from the first one that holds something to start from.")
        }));
        let items = items(&view.definition);
        self.group.set_visible(!items.is_empty());
        if *self.shown.borrow() == items {
            return;
        }
        self.shown.replace(items.clone());
        for row in self.rows.take() {
            self.group.remove(&row);
        }
        let count = items.iter().filter(|item| item.tried).count();
        let rows: Vec<adw::ActionRow> = items
            .iter()
            .enumerate()
            .map(|(place, item)| self.row(place, item, count))
            .collect();
        for row in &rows {
            self.group.add(row);
        }
        self.rows.replace(rows);
    }

    /// Moves what is at one place of the order to another, and remembers what of its row was used for that.
    fn mover(&self) -> impl Fn(usize, usize, Part) + Clone + 'static {
        let (editor, shown, moved_one) =
            (self.editor.clone(), self.shown.clone(), self.moved.clone());
        move |from, to, part| {
            let order = moved(&shown.borrow(), from, to);
            let what = shown.borrow().get(from).map(|item| item.what);
            if let (Some(order), Some(what)) = (order, what) {
                moved_one.set(Some((what, part)));
                editor.edit(Edit::Boot(order));
            }
        }
    }

    fn row(&self, place: usize, item: &Item, count: usize) -> adw::ActionRow {
        let Item { what, title, tried } = item;
        let (what, tried) = (*what, *tried);
        let icon = match what {
            Bootable::Drive(_) => "drive-harddisk-symbolic",
            Bootable::Card(_) => "network-wired-symbolic",
        };
        let row = adw::ActionRow::builder().title(title).build();
        if tried {
            row.set_title(&format!("{}. {title}", place + 1));
        }
        let image = gtk::Image::from_icon_name(icon);
        image.set_accessible_role(gtk::AccessibleRole::Presentation);
        row.add_prefix(&image);
        let go = self.mover();
        let mut parts: Vec<(Part, gtk::Widget)> = vec![(Part::Row, row.clone().upcast())];
        if tried {
            let earlier = place.checked_sub(1);
            let later = Some(place + 1).filter(|to| *to < count);
            for (part, icon, name, to) in [
                (Part::Earlier, "go-up-symbolic", gettext("Earlier"), earlier),
                (Part::Later, "go-down-symbolic", gettext("Later"), later),
            ] {
                let button = gtk::Button::builder()
                    .icon_name(icon)
                    .tooltip_text(&name)
                    .valign(gtk::Align::Center)
                    .css_classes(["flat"])
                    .sensitive(to.is_some())
                    .build();
                access::name(&button, &format!("{name}: {title}"));
                let go = go.clone();
                button.connect_clicked(move |_| {
                    if let Some(to) = to {
                        go(place, to, part);
                    }
                });
                row.add_suffix(&button);
                parts.push((part, button.upcast()));
            }
            row.add_controller(arrows(place, go.clone(), earlier, later));
            drag(&row, place, go);
        }
        let switch = gtk::Switch::builder()
            .active(tried)
            .valign(gtk::Align::Center)
            .build();
        access::name(
            &switch,
            &gettext_with("Start from {drive}", &[("drive", title)]),
        );
        let (editor, shown, moved_one) =
            (self.editor.clone(), self.shown.clone(), self.moved.clone());
        switch.connect_active_notify(move |switch| {
            let items = shown.borrow();
            let mut order: Vec<Bootable> = items
                .iter()
                .filter(|item| item.tried && item.what != what)
                .map(|item| item.what)
                .collect();
            if switch.is_active() {
                order.push(what);
            }
            moved_one.set(Some((what, Part::Switch)));
            editor.edit(Edit::Boot(order));
        });
        row.add_suffix(&switch);
        parts.push((Part::Switch, switch.upcast()));
        if let Some((moved, part)) = self.moved.get()
            && moved == what
        {
            self.moved.set(None);
            focus_again(&parts, part);
        }
        row
    }
}

/// Gives the keyboard back to what had it in the row before the row was made anew, or to the part next to it that takes it.
fn focus_again(parts: &[(Part, gtk::Widget)], part: Part) {
    let mut parts: Vec<(Part, gtk::Widget)> = parts.to_vec();
    parts.sort_by_key(|(one, _)| *one != part);
    glib::idle_add_local_once(move || {
        for (_, widget) in parts {
            if widget.is_sensitive() && widget.grab_focus() {
                return;
            }
        }
    });
}

/// Alt and an arrow move the row.
fn arrows(
    place: usize,
    go: impl Fn(usize, usize, Part) + 'static,
    earlier: Option<usize>,
    later: Option<usize>,
) -> gtk::EventControllerKey {
    let keys = gtk::EventControllerKey::new();
    keys.connect_key_pressed(move |_, key, _, modifiers| {
        let to = match key {
            gdk::Key::Up => earlier,
            gdk::Key::Down => later,
            _ => return glib::Propagation::Proceed,
        };
        if !modifiers.contains(gdk::ModifierType::ALT_MASK) {
            return glib::Propagation::Proceed;
        }
        if let Some(to) = to {
            go(place, to, Part::Row);
        }
        glib::Propagation::Stop
    });
    keys
}

/// Lets `row` be dragged to the place of another one.
fn drag(row: &adw::ActionRow, place: usize, go: impl Fn(usize, usize, Part) + 'static) {
    let handle = gtk::Image::from_icon_name("list-drag-handle-symbolic");
    handle.set_accessible_role(gtk::AccessibleRole::Presentation);
    handle.add_css_class("dimmed");
    row.add_prefix(&handle);
    let number = u32::try_from(place).unwrap_or(u32::MAX);
    let source = gtk::DragSource::builder()
        .actions(gdk::DragAction::MOVE)
        .content(&gdk::ContentProvider::for_value(&number.to_value()))
        .build();
    let picture = row.downgrade();
    source.connect_drag_begin(move |source, _| {
        let paintable = gtk::WidgetPaintable::new(picture.upgrade().as_ref());
        source.set_icon(Some(&paintable), 24, 24);
    });
    row.add_controller(source);
    let target = gtk::DropTarget::new(u32::static_type(), gdk::DragAction::MOVE);
    // What is dropped says where it came from.
    target.connect_drop(move |_, value, _, _| {
        let from = value.get::<u32>().ok();
        let Some(from) = from.and_then(|from| usize::try_from(from).ok()) else {
            return false;
        };
        go(from, place, Part::Row);
        true
    });
    row.add_controller(target);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Drive, ImageFormat, NAT, Name};

    #[test]
    fn what_is_tried_comes_first_and_moves() {
        let mut definition = Definition::new(Name::new("Test").unwrap());
        definition.drives = [Some(3), None, Some(1)]
            .map(|boot| Drive {
                boot,
                ..Drive::disk("a".into(), ImageFormat::Raw)
            })
            .to_vec();
        definition.add_network_card(NAT);
        definition.networks[0].boot = Some(2);
        let items = items(&definition);
        let titles: Vec<_> = items.iter().map(|item| item.title.as_str()).collect();
        assert_eq!(
            titles,
            ["Hard Disk 3", "Network Card", "Hard Disk 1", "Hard Disk 2"]
        );
        let (drive, card) = (Bootable::Drive, Bootable::Card);
        assert_eq!(moved(&items, 0, 2), Some(vec![card(0), drive(0), drive(2)]));
        assert_eq!(moved(&items, 2, 0), Some(vec![drive(0), drive(2), card(0)]));
        assert_eq!(moved(&items, 3, 0), None, "it is not tried");
        assert_eq!(moved(&items, 1, 1), None);
    }
}
