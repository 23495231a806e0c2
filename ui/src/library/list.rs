//! The machines, in groups by what they are doing, with a search that leaves those whose name or operating system matches. It
//! shows what it is told and says which machines were chosen; it knows nothing of starting or deleting.
//!
//! The toolkit makes rows for the machines in sight only. What changes changes an object of the model, and its row follows.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use relm4::adw::prelude::*;
use relm4::gtk::{gio, glib};
use relm4::prelude::*;
use relm4::{adw, gtk};

use super::factories::{headings, rows};
use super::item::{Item, MachineObject, Order};
use super::pictures::Pictures;
use super::pointer::{by_pointer, follow_pointer};
use crate::model::Machines;
use crate::text::gettext;

/// The list.
pub struct MachineList {
    store: gio::ListStore,
    sorted: gtk::SortListModel,
    selection: gtk::MultiSelection,
    order: Rc<Cell<Order>>,
    sorter: gtk::CustomSorter,
    groups: gtk::CustomSorter,
    grouped: Rc<Cell<bool>>,
    headings: gtk::SignalListItemFactory,
    searched: Rc<RefCell<String>>,
    filter: gtk::CustomFilter,
    pictures: Rc<Pictures>,
    /// Whose page is shown.
    chosen: Option<PathBuf>,
}

/// What it begins with.
pub struct MachineListInit {
    /// The main menu.
    pub menu: gio::MenuModel,
    /// The menu over one machine, and the one over several.
    pub menus: [gio::Menu; 2],
    /// Whose screens are shown.
    pub machines: Arc<Machines>,
    /// What comes first.
    pub order: Order,
    /// Whether there are groups.
    pub grouped: bool,
}

/// What it is told.
#[derive(Debug)]
pub enum MachineListInput {
    /// These are the machines.
    Show(Vec<Item>),
    /// One machine is this now.
    Change(Item),
    /// Choose this machine's row.
    Select(Option<PathBuf>),
    /// Open the search, or close it.
    Search,
    /// This is searched for.
    Searched(String),
    /// Search for this.
    SearchFor(String),
    /// What comes first from now on.
    Order(Order),
    /// Whether there are groups from now on.
    Group(bool),
    /// Write the chosen machine's name.
    Rename,
    /// A machine's name was written, or not.
    Renamed(PathBuf, Option<String>),
    /// Other rows are selected.
    Chosen,
    /// A row was opened by the keyboard (false) or by a double click (true).
    Opened(u32, bool),
    /// A row was clicked on.
    Clicked,
}

/// What it tells.
#[derive(Debug)]
pub enum MachineListOutput {
    /// A machine was chosen.
    Selected(PathBuf),
    /// Several machines were.
    Several(Vec<PathBuf>),
    /// The chosen machine's page is wanted in front, where there is room for one of the two.
    Opened,
    /// This machine's screen is wanted in a window of its own.
    Window(PathBuf),
    /// The machine in this folder is to be called so.
    Rename(PathBuf, String),
}

#[relm4::component(pub)]
impl Component for MachineList {
    type Init = MachineListInit;
    type Input = MachineListInput;
    type Output = MachineListOutput;
    type CommandOutput = ();

    view! {
        #[root]
        adw::NavigationPage {
            set_title: &gettext("Guesthouse"),
            set_tag: Some("machines"),
            #[name = "view"]
            adw::ToolbarView {
                #[name = "header"]
                add_top_bar = &adw::HeaderBar {
                    pack_start = &gtk::Button {
                        set_icon_name: "list-add-symbolic",
                        set_tooltip_text: Some(&gettext("New Machine")),
                        set_action_name: Some("win.new-machine"),
                        update_property: &[gtk::accessible::Property::Label(&gettext("New Machine"))],
                    },
                    pack_end = &gtk::MenuButton {
                        set_icon_name: "open-menu-symbolic",
                        set_tooltip_text: Some(&gettext("Main Menu")),
                        set_primary: true,
                        set_menu_model: Some(&menu),
                        update_property: &[gtk::accessible::Property::Label(&gettext("Main Menu"))],
                    },
                    #[name = "search_button"]
                    pack_end = &gtk::ToggleButton {
                        set_icon_name: "system-search-symbolic",
                        set_tooltip_text: Some(&gettext("Search Machines")),
                        update_property: &[gtk::accessible::Property::Label(&gettext("Search Machines"))],
                    },
                },
                #[name = "search_bar"]
                add_top_bar = &gtk::SearchBar {
                    #[wrap(Some)]
                    #[name = "search_entry"]
                    set_child = &gtk::SearchEntry {
                        set_hexpand: true,
                        set_placeholder_text: Some(&gettext("Name or operating system")),
                        update_property: &[gtk::accessible::Property::Label(&gettext("Search Machines"))],
                        connect_search_changed[sender] => move |entry| sender.input(MachineListInput::Searched(entry.text().into())),
                    },
                },
                #[wrap(Some)]
                #[name = "stack"]
                set_content = &gtk::Stack {
                    add_named[Some("list")] = &gtk::ScrolledWindow {
                        set_hscrollbar_policy: gtk::PolicyType::Never,
                        #[local_ref]
                        list -> gtk::ListView {
                            add_css_class: "navigation-sidebar",
                            set_tab_behavior: gtk::ListTabBehavior::Item,
                            update_property: &[gtk::accessible::Property::Label(&gettext("Machines"))],
                        },
                    },
                    add_named[Some("nothing")] = &adw::StatusPage {
                        add_css_class: "compact",
                        set_icon_name: Some("system-search-symbolic"),
                        set_title: &gettext("No Machine Found"),
                        set_description: Some(&gettext("Try another name.")),
                    },
                },
            },
        }
    }

    fn init(
        init: MachineListInit,
        root: Self::Root,
        sender: ComponentSender<Self>,
    ) -> ComponentParts<Self> {
        let MachineListInit {
            menu,
            menus,
            machines,
            order,
            grouped,
        } = init;
        let store = gio::ListStore::new::<MachineObject>();
        let searched = Rc::<RefCell<String>>::default();
        let filter = gtk::CustomFilter::new({
            let searched = searched.clone();
            move |object| machine(object).is_none_or(|object| object.fits(&searched.borrow()))
        });
        let order = Rc::new(Cell::new(order));
        let sorter = gtk::CustomSorter::new({
            let order = order.clone();
            move |one, two| match (machine(one), machine(two)) {
                (Some(one), Some(two)) => one.compare(two, order.get()).into(),
                _ => gtk::Ordering::Equal,
            }
        });
        let groups = gtk::CustomSorter::new(|one, two| match (machine(one), machine(two)) {
            (Some(one), Some(two)) => one.with(Item::group).cmp(&two.with(Item::group)).into(),
            _ => gtk::Ordering::Equal,
        });
        let filtered = gtk::FilterListModel::new(Some(store.clone()), Some(filter.clone()));
        let sorted = gtk::SortListModel::new(Some(filtered), Some(sorter.clone()));
        let selection = gtk::MultiSelection::new(Some(sorted.clone()));
        let list = gtk::ListView::new(Some(selection.clone()), None::<gtk::ListItemFactory>);
        let pictures = Pictures::new(machines, &list);
        let headed = Rc::new(Cell::new(grouped));
        list.set_factory(Some(&rows(&store, &pictures, &headed, &sender)));
        follow_pointer(&list, &selection, menus, &sender);
        let opened = sender.input_sender().clone();
        let pointed = by_pointer(&list);
        list.connect_activate(move |_, position| {
            let _ = opened.send(MachineListInput::Opened(position, pointed.get()));
        });
        let chosen = sender.input_sender().clone();
        selection.connect_selection_changed(move |_, _, _| {
            let _ = chosen.send(MachineListInput::Chosen);
        });
        let model = Self {
            store,
            sorted,
            selection,
            order,
            sorter,
            groups,
            grouped: headed,
            headings: headings(),
            searched,
            filter,
            pictures,
            chosen: None,
        };
        let widgets = view_output!();
        widgets.search_bar.connect_entry(&widgets.search_entry);
        widgets
            .search_bar
            .set_key_capture_widget(Some(&widgets.view));
        widgets
            .search_button
            .bind_property("active", &widgets.search_bar, "search-mode-enabled")
            .bidirectional()
            .build();
        let (stack, sorted) = (widgets.stack.clone(), model.sorted.clone());
        sorted.connect_items_changed(move |sorted, _, _, _| {
            let name = if sorted.n_items() == 0 {
                "nothing"
            } else {
                "list"
            };
            stack.set_visible_child_name(name);
        });
        model.group(grouped, &widgets);
        ComponentParts { model, widgets }
    }

    fn update_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        message: MachineListInput,
        sender: ComponentSender<Self>,
        _: &Self::Root,
    ) {
        match message {
            MachineListInput::Show(items) => self.show(items),
            MachineListInput::Change(item) => {
                if let Some(object) = self.find(&item.folder) {
                    self.set(&object, item);
                }
            }
            MachineListInput::Select(folder) => {
                self.chosen = folder;
                self.select_chosen(widgets);
            }
            MachineListInput::Search => {
                let active = widgets.search_button.is_active();
                widgets.search_button.set_active(!active);
            }
            MachineListInput::Searched(text) => {
                self.searched.replace(text.to_lowercase());
                self.filter.changed(gtk::FilterChange::Different);
                if self.selection.selection().is_empty() {
                    self.select_chosen(widgets);
                }
            }
            MachineListInput::SearchFor(text) => {
                widgets.search_button.set_active(true);
                widgets.search_entry.set_text(&text);
                widgets.search_entry.set_position(-1);
            }
            MachineListInput::Order(order) => {
                self.order.set(order);
                self.sorter.changed(gtk::SorterChange::Different);
            }
            MachineListInput::Group(grouped) => self.group(grouped, widgets),
            MachineListInput::Rename => {
                if let [folder] = self.selected().as_slice()
                    && let Some(object) = self.find(folder)
                    && object.with(|item| item.state.is_some())
                {
                    if let Some(position) = self.position(folder) {
                        let list = &widgets.list;
                        list.scroll_to(position, gtk::ListScrollFlags::FOCUS, None);
                    }
                    object.set_renaming(true);
                }
            }
            MachineListInput::Renamed(folder, name) => {
                if let Some(position) = self.position(&folder) {
                    let list = &widgets.list;
                    list.scroll_to(position, gtk::ListScrollFlags::FOCUS, None);
                }
                if let Some(name) = name {
                    let _ = sender.output(MachineListOutput::Rename(folder, name));
                }
            }
            MachineListInput::Chosen => {
                let mut selected = self.selected();
                if selected.len() > 1 {
                    let _ = sender.output(MachineListOutput::Several(selected));
                } else if let Some(folder) = selected.pop() {
                    self.chosen = Some(folder.clone());
                    let _ = sender.output(MachineListOutput::Selected(folder));
                }
            }
            MachineListInput::Opened(position, by_pointer) => {
                let object = self.selection.item(position);
                if by_pointer && let Some(object) = object.and_downcast_ref::<MachineObject>() {
                    let folder = object.with(|item| item.folder.clone());
                    let _ = sender.output(MachineListOutput::Window(folder));
                } else {
                    let _ = sender.output(MachineListOutput::Opened);
                }
            }
            MachineListInput::Clicked => drop(sender.output(MachineListOutput::Opened)),
        }
    }
}

impl MachineListWidgets {
    /// Leaves the title its room where the list has the whole of a narrow window: `split` is "collapsed" then.
    pub fn adapt(&self, split: &gtk::Widget) {
        split
            .bind_property("collapsed", &self.header, "decoration-layout")
            .transform_to(|_, collapsed: bool| Some(collapsed.then_some(":close")))
            .sync_create()
            .build();
    }
}

/// The model's objects are machines.
fn machine(object: &glib::Object) -> Option<&MachineObject> {
    object.downcast_ref()
}

impl MachineList {
    fn find(&self, folder: &Path) -> Option<MachineObject> {
        let mut objects = self.store.iter::<MachineObject>().flatten();
        objects.find(|object| object.with(|item| item.folder == folder))
    }

    /// Where the machine in `folder` stands among those that are shown.
    fn position(&self, folder: &Path) -> Option<u32> {
        (0..self.selection.n_items()).find(|position| {
            let object = self
                .selection
                .item(*position)
                .and_downcast::<MachineObject>();
            object.is_some_and(|object| object.with(|item| item.folder == folder))
        })
    }

    fn selected(&self) -> Vec<PathBuf> {
        let positions = self.selection.selection();
        let positions = (0..u32::try_from(positions.size()).unwrap_or(0)).map(|n| positions.nth(n));
        let objects = positions.filter_map(|position| {
            self.selection
                .item(position)
                .and_downcast::<MachineObject>()
        });
        objects
            .map(|object| object.with(|item| item.folder.clone()))
            .collect()
    }

    fn select_chosen(&self, widgets: &MachineListWidgets) {
        let Some(position) = self
            .chosen
            .as_deref()
            .and_then(|folder| self.position(folder))
        else {
            return;
        };
        self.selection.select_item(position, true);
        widgets
            .list
            .scroll_to(position, gtk::ListScrollFlags::NONE, None);
    }

    fn set(&self, object: &MachineObject, item: Item) {
        if object.set(item) {
            self.arrange();
        }
        self.pictures.changed(object);
    }

    /// Has every machine stand where it belongs now.
    fn arrange(&self) {
        self.filter.changed(gtk::FilterChange::Different);
        self.sorter.changed(gtk::SorterChange::Different);
        self.groups.changed(gtk::SorterChange::Different);
        // Where all of them stay in their places, the toolkit leaves the headings in theirs: a group that now ends earlier would not.
        let count = self.sorted.n_items();
        if count > 0 {
            self.sorted.sections_changed(0, count);
        }
    }

    fn show(&self, items: Vec<Item>) {
        let known: HashMap<PathBuf, MachineObject> = self
            .store
            .iter::<MachineObject>()
            .flatten()
            .map(|object| (object.with(|item| item.folder.clone()), object))
            .collect();
        let mut moved = false;
        let mut new = Vec::new();
        let mut kept = HashMap::new();
        for item in items {
            match known.get(&item.folder) {
                Some(object) => {
                    kept.insert(item.folder.clone(), ());
                    moved |= object.set(item);
                }
                None => new.push(MachineObject::new(item)),
            }
        }
        if kept.len() < known.len() {
            self.store.retain(|object| {
                machine(object)
                    .is_some_and(|object| object.with(|item| kept.contains_key(&item.folder)))
            });
        }
        self.store.extend_from_slice(&new);
        if moved {
            self.arrange();
        }
        for object in known.values() {
            self.pictures.changed(object);
        }
    }

    fn group(&self, grouped: bool, widgets: &MachineListWidgets) {
        self.sorted
            .set_section_sorter(grouped.then_some(&self.groups));
        widgets
            .list
            .set_header_factory(grouped.then_some(&self.headings));
        if self.grouped.replace(grouped) != grouped {
            for object in self.store.iter::<MachineObject>().flatten() {
                object.tell();
            }
        }
    }
}
