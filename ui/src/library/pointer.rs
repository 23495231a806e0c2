//! The pointer in the list of machines.

use std::cell::Cell;
use std::rc::Rc;

use relm4::gtk;
use relm4::gtk::prelude::*;
use relm4::gtk::{gio, glib};
use relm4::prelude::*;

use super::item::MachineObject;
use super::list::{MachineList, MachineListInput};
use super::row::MachineRow;

/// Whether what was done last in the list was done by the pointer.
pub fn by_pointer(list: &gtk::ListView) -> Rc<Cell<bool>> {
    let pointed = Rc::<Cell<bool>>::default();
    let clicks = gtk::GestureClick::new();
    clicks.set_propagation_phase(gtk::PropagationPhase::Capture);
    let pressed = pointed.clone();
    clicks.connect_pressed(move |_, _, _, _| pressed.set(true));
    list.add_controller(clicks);
    let keys = gtk::EventControllerKey::new();
    keys.set_propagation_phase(gtk::PropagationPhase::Capture);
    let pressed = pointed.clone();
    keys.connect_key_pressed(move |_, _, _, _| {
        pressed.set(false);
        glib::Propagation::Proceed
    });
    list.add_controller(keys);
    pointed
}

/// A click on a row brings its page in front; one of the other button opens the menu over what is selected.
pub fn follow_pointer(
    list: &gtk::ListView,
    selection: &gtk::MultiSelection,
    menus: [gio::Menu; 2],
    sender: &ComponentSender<MachineList>,
) {
    let clicks = gtk::GestureClick::new();
    clicks.set_propagation_phase(gtk::PropagationPhase::Capture);
    let input = sender.input_sender().clone();
    let shown = list.clone();
    clicks.connect_released(move |gesture, presses, x, y| {
        let more = gtk::gdk::ModifierType::CONTROL_MASK | gtk::gdk::ModifierType::SHIFT_MASK;
        let plain = !gesture.current_event_state().intersects(more);
        if presses == 1 && plain && row_at(&shown, x, y).is_some() {
            let _ = input.send(MachineListInput::Clicked);
        }
    });
    list.add_controller(clicks);

    let menu = gtk::GestureClick::builder().button(3).build();
    menu.set_propagation_phase(gtk::PropagationPhase::Capture);
    let (shown, selection) = (list.clone(), selection.clone());
    menu.connect_pressed(move |_, _, x, y| {
        let object = row_at(&shown, x, y);
        let position = (0..selection.n_items())
            .find(|position| selection.item(*position).and_downcast::<MachineObject>() == object);
        let (Some(_), Some(position)) = (&object, position) else {
            return;
        };
        if !selection.is_selected(position) {
            selection.select_item(position, true);
        }
        let [one, several] = &menus;
        let model = if selection.selection().size() > 1 {
            several
        } else {
            one
        };
        let popover = gtk::PopoverMenu::from_model(Some(model));
        popover.set_parent(&shown);
        popover.set_has_arrow(false);
        popover.set_halign(gtk::Align::Start);
        #[expect(clippy::cast_possible_truncation, reason = "a place within a window")]
        let place = gtk::gdk::Rectangle::new(x as i32, y as i32, 1, 1);
        popover.set_pointing_to(Some(&place));
        popover.connect_closed(|popover| {
            // What was chosen is carried out after the menu is closed.
            let popover = popover.clone();
            glib::idle_add_local_once(move || popover.unparent());
        });
        popover.popup();
    });
    list.add_controller(menu);
}

/// The machine whose row is at this place of the list.
fn row_at(list: &gtk::ListView, x: f64, y: f64) -> Option<MachineObject> {
    let mut widget = list.pick(x, y, gtk::PickFlags::DEFAULT)?;
    loop {
        if let Some(row) = widget.downcast_ref::<MachineRow>() {
            return row.object();
        }
        // The row's own margin.
        if let Some(row) = widget.first_child().and_downcast::<MachineRow>() {
            return row.object();
        }
        widget = widget.parent().filter(|parent| parent != list)?;
    }
}
