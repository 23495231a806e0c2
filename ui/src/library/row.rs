//! A machine in the list: a picture made of its operating system's name, its own name, and what it is doing.

use std::path::PathBuf;

use relm4::adw::prelude::*;
use relm4::prelude::*;
use relm4::{adw, gtk};

use crate::model::State;
use crate::text::{self, gettext};

/// What a row shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The machine's folder.
    pub folder: PathBuf,
    /// Its name, or its folder's if its file cannot be read.
    pub name: String,
    /// Its operating system's name, if it is known.
    pub system: Option<String>,
    /// What it is doing; nothing if its file cannot be read.
    pub state: Option<State>,
}

impl Item {
    fn description(&self) -> String {
        let state = self
            .state
            .as_ref()
            .map_or_else(|| gettext("Cannot be read"), text::state);
        match &self.system {
            Some(system) => format!("{state} · {system}"),
            None => state,
        }
    }

    fn mark(&self) -> Option<(&'static str, &'static str)> {
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
}

/// The row.
#[derive(Debug)]
pub struct MachineRow {
    /// What it shows.
    pub item: Item,
}

/// What it is told: what to show now.
#[derive(Debug)]
pub struct MachineRowInput(pub Item);

#[relm4::factory(pub)]
impl FactoryComponent for MachineRow {
    type Init = Item;
    type Input = MachineRowInput;
    type Output = ();
    type CommandOutput = ();
    type ParentWidget = gtk::ListBox;

    view! {
        #[root]
        gtk::ListBoxRow {
            #[watch]
            update_property: &[gtk::accessible::Property::Label(&format!("{}, {}", self.item.name, self.item.description()))],
            gtk::Box {
                set_spacing: 12,
                set_margin_vertical: 8,
                adw::Avatar {
                    set_size: 32,
                    set_show_initials: true,
                    #[watch]
                    set_text: Some(self.item.system.as_deref().unwrap_or(&self.item.name)),
                },
                gtk::Box {
                    set_orientation: gtk::Orientation::Vertical,
                    set_valign: gtk::Align::Center,
                    set_hexpand: true,
                    gtk::Label {
                        #[watch]
                        set_label: &self.item.name,
                        set_xalign: 0.0,
                        set_ellipsize: gtk::pango::EllipsizeMode::End,
                    },
                    gtk::Label {
                        #[watch]
                        set_label: &self.item.description(),
                        set_xalign: 0.0,
                        set_ellipsize: gtk::pango::EllipsizeMode::End,
                        set_css_classes: &["caption", "dimmed"],
                    },
                },
                gtk::Image {
                    set_accessible_role: gtk::AccessibleRole::Presentation,
                    #[watch]
                    set_visible: self.item.mark().is_some(),
                    #[watch]
                    set_icon_name: self.item.mark().map(|(icon, _)| icon),
                    #[watch]
                    set_css_classes: &[self.item.mark().map_or("", |(_, class)| class)],
                },
            },
        }
    }

    fn init_model(item: Item, _: &DynamicIndex, _: FactorySender<Self>) -> Self {
        Self { item }
    }

    fn update(&mut self, MachineRowInput(item): MachineRowInput, _: FactorySender<Self>) {
        self.item = item;
    }
}
