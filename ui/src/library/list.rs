//! The machines by name, with a search that leaves those whose name or operating system matches. It shows what it is told and
//! says which machine was chosen; it knows nothing of starting or deleting.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use relm4::adw::prelude::*;
use relm4::factory::FactoryVecDeque;
use relm4::prelude::*;
use relm4::{adw, gtk};

use super::row::{Item, MachineRow, MachineRowInput};
use crate::model::State;
use crate::text::gettext;

/// The list.
pub struct MachineList {
    rows: FactoryVecDeque<MachineRow>,
    /// What the filter looks at, row by row, and what is searched for.
    searched: Rc<RefCell<(Vec<String>, String)>>,
}

/// What it is told.
#[derive(Debug)]
pub enum MachineListInput {
    /// These are the machines.
    Show(Vec<Item>),
    /// A machine does something else now.
    State(PathBuf, State),
    /// Choose this machine's row.
    Select(Option<PathBuf>),
    /// Open the search.
    Search,
    /// This is searched for.
    Searched(String),
    /// The row with this number was chosen; it is opened if it was clicked on or Return pressed.
    Chosen(i32, bool),
}

/// What it tells.
#[derive(Debug)]
pub enum MachineListOutput {
    /// A machine was chosen.
    Selected(PathBuf),
    /// Its page is wanted in front, where there is room for one of the two.
    Opened,
}

#[relm4::component(pub)]
impl Component for MachineList {
    type Init = gtk::gio::MenuModel;
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
                set_content = &gtk::ScrolledWindow {
                    set_hscrollbar_policy: gtk::PolicyType::Never,
                    #[local_ref]
                    list -> gtk::ListBox {
                        add_css_class: "navigation-sidebar",
                        set_selection_mode: gtk::SelectionMode::Browse,
                        update_property: &[gtk::accessible::Property::Label(&gettext("Machines"))],
                        connect_row_selected[sender] => move |_, row| if let Some(row) = row {
                            sender.input(MachineListInput::Chosen(row.index(), false));
                        },
                        connect_row_activated[sender] => move |_, row| sender.input(MachineListInput::Chosen(row.index(), true)),
                        #[wrap(Some)]
                        set_placeholder = &adw::StatusPage {
                            add_css_class: "compact",
                            set_icon_name: Some("system-search-symbolic"),
                            set_title: &gettext("No Machine Found"),
                            set_description: Some(&gettext("Try another name.")),
                        },
                    },
                },
            },
        }
    }

    fn init(
        menu: gtk::gio::MenuModel,
        root: Self::Root,
        sender: ComponentSender<Self>,
    ) -> ComponentParts<Self> {
        let rows = FactoryVecDeque::builder().launch_default().detach();
        let model = Self {
            rows,
            searched: Rc::default(),
        };
        let list = model.rows.widget();
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
        let searched = model.searched.clone();
        list.set_filter_func(move |row| {
            let (texts, wanted) = &*searched.borrow();
            let text = usize::try_from(row.index())
                .ok()
                .and_then(|index| texts.get(index));
            text.is_none_or(|text| text.contains(wanted.as_str()))
        });
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
            MachineListInput::State(folder, state) => {
                if let Some((index, mut item)) = self.find(&folder) {
                    item.state = Some(state);
                    self.rows.send(index, MachineRowInput(item));
                }
            }
            MachineListInput::Select(folder) => {
                let row = folder
                    .and_then(|folder| self.find(&folder))
                    .and_then(|(index, _)| {
                        self.rows.widget().row_at_index(i32::try_from(index).ok()?)
                    });
                self.rows.widget().select_row(row.as_ref());
            }
            MachineListInput::Search => {
                let active = widgets.search_button.is_active();
                widgets.search_button.set_active(!active);
            }
            MachineListInput::Searched(text) => {
                self.searched.borrow_mut().1 = text.trim().to_lowercase();
                self.rows.widget().invalidate_filter();
            }
            MachineListInput::Chosen(index, open) => {
                let row = usize::try_from(index)
                    .ok()
                    .and_then(|index| self.rows.get(index));
                if let Some(row) = row {
                    let _ = sender.output(MachineListOutput::Selected(row.item.folder.clone()));
                    if open {
                        let _ = sender.output(MachineListOutput::Opened);
                    }
                }
            }
        }
    }
}

impl MachineList {
    fn find(&self, folder: &std::path::Path) -> Option<(usize, Item)> {
        let mut rows = self.rows.iter().enumerate();
        rows.find(|(_, row)| row.item.folder == folder)
            .map(|(index, row)| (index, row.item.clone()))
    }

    fn show(&mut self, items: Vec<Item>) {
        let text = |item: &Item| {
            let system = item.system.as_deref().unwrap_or_default();
            format!("{}\n{system}", item.name).to_lowercase()
        };
        self.searched.borrow_mut().0 = items.iter().map(text).collect();
        let same = items.len() == self.rows.len()
            && self
                .rows
                .iter()
                .zip(&items)
                .all(|(row, item)| row.item.folder == item.folder);
        if same {
            for (index, item) in items.into_iter().enumerate() {
                self.rows.send(index, MachineRowInput(item));
            }
            self.rows.widget().invalidate_filter();
        } else {
            let mut rows = self.rows.guard();
            rows.clear();
            for item in items {
                rows.push_back(item);
            }
        }
    }
}
