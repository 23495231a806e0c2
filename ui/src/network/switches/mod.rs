//! The manager of virtual switches: a dialog with the switches of the library, who uses each, and a page to make or change one.

mod draft;
mod editor;

use std::sync::Arc;

use relm4::adw::prelude::*;
use relm4::prelude::*;
use relm4::{adw, gtk};

use self::editor::Editor;
use super::switch_name;
use crate::access;
use crate::dialogs::question;
use crate::model::{Machines, NAT, SwitchDefinition, SwitchKind, Uplinks};
use crate::text::{self, gettext, gettext_with, message};

/// The kinds of switch: what people read.
pub const KINDS: [(SwitchKind, &str); 4] = [
    (SwitchKind::Nat, message("NAT")),
    (SwitchKind::Internal, message("Internal")),
    (SwitchKind::Private, message("Private")),
    (SwitchKind::External, message("External")),
];

/// What the kind is called.
pub fn kind_name(kind: SwitchKind) -> String {
    let mut kinds = KINDS.iter();
    let found = kinds.find(|(one, _)| *one == kind);
    found.map_or_else(String::new, |(_, name)| gettext(*name))
}

/// A switch and the names of the machines that use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// The switch.
    pub switch: SwitchDefinition,
    /// The machines.
    pub users: Vec<String>,
}

/// The dialog.
pub struct SwitchManager {
    machines: Arc<Machines>,
    switches: Vec<Used>,
    uplinks: Uplinks,
    rows: Vec<adw::ActionRow>,
}

/// What it is told.
#[derive(Debug)]
pub enum ManagerInput {
    /// A person wants a new switch.
    New,
    /// A person wants to see or change this one.
    Open(usize),
    /// A person wants this one made.
    Create(Box<SwitchDefinition>),
    /// A person wants it to be this.
    Save(Box<SwitchDefinition>),
    /// A person wants it gone.
    Delete(String),
}

/// What a worker found out or did.
#[derive(Debug)]
pub enum ManagerCommand {
    /// The switches, and what external ones can be connected with.
    Read(Result<Vec<Used>, String>, Uplinks),
    /// It was done.
    Done,
    /// What could not be done, and why.
    Failed(String, String),
}

#[relm4::component(pub)]
impl Component for SwitchManager {
    type Init = Arc<Machines>;
    type Input = ManagerInput;
    /// It was closed.
    type Output = ();
    type CommandOutput = ManagerCommand;

    view! {
        #[root]
        adw::Dialog {
            set_title: &gettext("Virtual Switches"),
            set_content_width: 560,
            set_content_height: 620,
            connect_closed[sender] => move |_| { let _ = sender.output(()); },
            #[wrap(Some)]
            #[name = "pages"]
            set_child = &adw::NavigationView {
                add = &adw::NavigationPage {
                    set_title: &gettext("Virtual Switches"),
                    set_tag: Some("list"),
                    adw::ToolbarView {
                        add_top_bar = &adw::HeaderBar {
                            pack_start = &gtk::Button {
                                set_icon_name: "list-add-symbolic",
                                set_tooltip_text: Some(&gettext("New Virtual Switch")),
                                update_property: &[gtk::accessible::Property::Label(&gettext("New Virtual Switch"))],
                                connect_clicked => ManagerInput::New,
                            },
                        },
                        #[wrap(Some)]
                        set_content = &adw::PreferencesPage {
                            #[name = "group"]
                            add = &adw::PreferencesGroup {
                                set_description: Some(&gettext("Network cards are plugged into virtual switches. Machines at the same one reach each other.")),
                            },
                        },
                    },
                },
            },
        }
    }

    fn init(
        machines: Arc<Machines>,
        root: Self::Root,
        sender: ComponentSender<Self>,
    ) -> ComponentParts<Self> {
        let model = Self {
            machines,
            switches: Vec::new(),
            uplinks: Uplinks {
                possible: Vec::new(),
                reason: None,
            },
            rows: Vec::new(),
        };
        let widgets = view_output!();
        model.read(&sender);
        ComponentParts { model, widgets }
    }

    fn update_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        message: ManagerInput,
        sender: ComponentSender<Self>,
        _: &Self::Root,
    ) {
        let switches = self.machines.switches();
        match message {
            ManagerInput::New => {
                let editor = Editor::new(None, &self.uplinks, sender.input_sender());
                widgets.pages.push(editor.page());
            }
            ManagerInput::Open(number) => {
                if let Some(used) = self.switches.get(number) {
                    let editor = Editor::new(Some(used), &self.uplinks, sender.input_sender());
                    widgets.pages.push(editor.page());
                }
            }
            ManagerInput::Create(switch) => sender.spawn_oneshot_command(move || {
                let made = switches.create(&switch);
                outcome(gettext("The virtual switch was not made"), made)
            }),
            ManagerInput::Save(switch) => sender.spawn_oneshot_command(move || {
                let saved = switches.update(&switch);
                outcome(gettext("The virtual switch was not changed"), saved)
            }),
            ManagerInput::Delete(name) => {
                let machines = self.machines.clone();
                sender.spawn_oneshot_command(move || {
                    let heading = gettext("The virtual switch was not deleted");
                    // Somebody may have attached a card meanwhile.
                    match machines.users_of_switch(&name) {
                        Ok(users) => outcome(heading, switches.delete(&name, &users)),
                        Err(error) => ManagerCommand::Failed(heading, text::sentence(&error)),
                    }
                });
            }
        }
    }

    fn update_cmd_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        message: ManagerCommand,
        sender: ComponentSender<Self>,
        root: &Self::Root,
    ) {
        match message {
            ManagerCommand::Read(Ok(switches), uplinks) => {
                self.switches = switches;
                self.uplinks = uplinks;
                self.show(&widgets.group, &sender);
            }
            ManagerCommand::Read(Err(body), _) => {
                question::error(root, &gettext("The virtual switches cannot be read"), &body);
            }
            ManagerCommand::Done => {
                widgets.pages.pop_to_tag("list");
                self.read(&sender);
                // Machines' pages show what switches there are.
                self.machines.refresh();
            }
            ManagerCommand::Failed(heading, body) => question::error(root, &heading, &body),
        }
    }
}

fn outcome(heading: String, result: Result<(), impl std::fmt::Display>) -> ManagerCommand {
    match result {
        Ok(()) => ManagerCommand::Done,
        Err(error) => ManagerCommand::Failed(heading, text::sentence(&error)),
    }
}

impl SwitchManager {
    fn read(&self, sender: &ComponentSender<Self>) {
        let machines = self.machines.clone();
        sender.spawn_oneshot_command(move || {
            let read = || {
                let switches = machines.switches().list();
                let switches = switches.map_err(|error| text::sentence(&error))?;
                let used = switches.into_iter().map(|switch| {
                    let users = machines.users_of_switch(&switch.name);
                    Ok(Used {
                        users: users.map_err(|error| text::sentence(&error))?,
                        switch,
                    })
                });
                used.collect()
            };
            ManagerCommand::Read(read(), Uplinks::of_host())
        });
    }

    fn show(&mut self, group: &adw::PreferencesGroup, sender: &ComponentSender<Self>) {
        for row in self.rows.drain(..) {
            group.remove(&row);
        }
        for (number, used) in self.switches.iter().enumerate() {
            let row = adw::ActionRow::builder()
                .title(text::escape(&switch_name(&used.switch.name)))
                .subtitle(text::escape(&describe(used)))
                .activatable(true)
                .build();
            let icon = gtk::Image::from_icon_name("network-wired-symbolic");
            let next = gtk::Image::from_icon_name("go-next-symbolic");
            for image in [&icon, &next] {
                image.set_accessible_role(gtk::AccessibleRole::Presentation);
            }
            row.add_prefix(&icon);
            row.add_suffix(&next);
            access::name(&row, &switch_name(&used.switch.name));
            let input = sender.input_sender().clone();
            row.connect_activated(move |_| drop(input.send(ManagerInput::Open(number))));
            group.add(&row);
            self.rows.push(row);
        }
    }
}

/// What a switch is and who uses it, in two lines.
fn describe(used: &Used) -> String {
    let Used { switch, users } = used;
    let kind = kind_name(switch.kind);
    let what = match (&switch.uplink, switch.kind.has_network()) {
        (Some(uplink), _) => format!("{kind} · {}", uplink.device()),
        (None, true) => format!("{kind} · {}/24", switch.network),
        (None, false) => kind,
    };
    let who = if users.is_empty() {
        gettext("No machine uses it")
    } else {
        gettext_with("Used by {machines}", &[("machines", &users.join(", "))])
    };
    format!("{what}\n{who}")
}

/// Why the switch cannot be deleted, if it cannot.
fn kept(used: &Used) -> Option<String> {
    if used.switch.is_called(NAT) {
        Some(gettext("This switch is always there."))
    } else if used.users.is_empty() {
        None
    } else {
        Some(gettext_with(
            "Used by {machines}: attach their network cards elsewhere to delete it.",
            &[("machines", &used.users.join(", "))],
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_in_use_is_kept_and_says_why() {
        let used = |name: &str, users: &[&str]| Used {
            switch: SwitchDefinition::new(name, SwitchKind::Private),
            users: users.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(kept(&used("lab", &[])), None);
        assert!(
            kept(&used("lab", &["Box", "Other"])).is_some_and(|why| why.contains("Box, Other"))
        );
        assert!(kept(&used("nat", &[])).is_some());
        assert!(describe(&used("lab", &["Box"])).contains("Box"));
        for kind in SwitchKind::ALL {
            assert!(!kind_name(kind).is_empty());
        }
    }
}
