//! The list of a network card's forwards: a row each, the SSH server by one click, others by a dialog. What a running machine
//! says against one stands in its row.

use relm4::adw::prelude::*;
use relm4::prelude::*;
use relm4::{adw, gtk};

use super::forward;
use crate::access;
use crate::model::{Forward, ForwardStatus, Protocol};
use crate::text::{self, gettext, gettext_with};

/// The list.
pub struct Forwards {
    forwards: Vec<Forward>,
    /// How they are doing in a running machine.
    status: Vec<ForwardStatus>,
    rows: Vec<adw::ActionRow>,
}

/// What it is told.
#[derive(Debug)]
pub enum ForwardsInput {
    /// These are the forwards.
    Show(Vec<Forward>),
    /// A running machine says this of them.
    Status(Vec<ForwardStatus>),
    /// A person wants the guest's SSH server.
    Ssh,
    /// A person wants another port.
    Add,
    /// A person said which.
    Added(Forward),
    /// A person wants it gone.
    Remove(Forward),
}

/// What `forward` does, in a line.
pub fn title(forward: &Forward) -> String {
    let protocol = match forward.protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
    };
    gettext_with(
        "{protocol} port {port} to the guest’s port {guest_port}",
        &[
            ("protocol", &protocol),
            ("port", &forward.host_port),
            ("guest_port", &forward.guest_port),
        ],
    )
}

#[relm4::component(pub)]
impl Component for Forwards {
    type Init = ();
    type Input = ForwardsInput;
    /// All forwards, after a change.
    type Output = Vec<Forward>;
    type CommandOutput = ();

    view! {
        #[root]
        adw::PreferencesGroup {
            set_title: &gettext("Forwarded Ports"),
            set_description: Some(&gettext("Connections to these ports of this computer lead to the guest.")),
            #[wrap(Some)]
            set_header_suffix = &gtk::Box {
                set_spacing: 6,
                set_valign: gtk::Align::Center,
                gtk::Button {
                    set_label: &gettext("SSH"),
                    set_tooltip_text: Some(&gettext("Forward a port to the guest’s SSH server")),
                    add_css_class: "flat",
                    connect_clicked => ForwardsInput::Ssh,
                },
                gtk::Button {
                    set_icon_name: "list-add-symbolic",
                    set_tooltip_text: Some(&gettext("Forward a port")),
                    add_css_class: "flat",
                    update_property: &[gtk::accessible::Property::Label(&gettext("Forward a port"))],
                    connect_clicked => ForwardsInput::Add,
                },
            },
        }
    }

    fn init(_: (), root: Self::Root, sender: ComponentSender<Self>) -> ComponentParts<Self> {
        let model = Self {
            forwards: Vec::new(),
            status: Vec::new(),
            rows: Vec::new(),
        };
        let widgets = view_output!();
        ComponentParts { model, widgets }
    }

    fn update(&mut self, message: ForwardsInput, sender: ComponentSender<Self>, root: &Self::Root) {
        match message {
            ForwardsInput::Show(forwards) => {
                if forwards == self.forwards {
                    return;
                }
                self.forwards = forwards;
            }
            ForwardsInput::Status(status) => {
                if status == self.status {
                    return;
                }
                self.status = status;
            }
            ForwardsInput::Ssh => {
                self.forwards.push(forward::ssh(&self.forwards));
                let _ = sender.output(self.forwards.clone());
            }
            ForwardsInput::Add => {
                let input = sender.input_sender().clone();
                forward::add(root, self.forwards.clone(), move |forward| {
                    let _ = input.send(ForwardsInput::Added(forward));
                });
                return;
            }
            ForwardsInput::Added(forward) => {
                self.forwards.push(forward);
                let _ = sender.output(self.forwards.clone());
            }
            ForwardsInput::Remove(forward) => {
                self.forwards.retain(|other| *other != forward);
                let _ = sender.output(self.forwards.clone());
            }
        }
        self.show(root, &sender);
    }
}

impl Forwards {
    fn show(&mut self, root: &adw::PreferencesGroup, sender: &ComponentSender<Self>) {
        for row in self.rows.drain(..) {
            root.remove(&row);
        }
        for forward in &self.forwards {
            let row = adw::ActionRow::builder()
                .title(text::escape(&title(forward)))
                .subtitle(text::escape(&forward::reach(forward)))
                .build();
            let status = self.status.iter().find(|one| one.forward == *forward);
            if let Some(error) = status.and_then(|status| status.error.as_ref()) {
                row.set_subtitle(&text::escape(&text::sentence(error)));
                row.add_css_class("error");
                let icon = gtk::Image::from_icon_name("dialog-error-symbolic");
                icon.set_accessible_role(gtk::AccessibleRole::Presentation);
                row.add_prefix(&icon);
            }
            let remove = gtk::Button::builder()
                .icon_name("user-trash-symbolic")
                .tooltip_text(gettext("Remove"))
                .valign(gtk::Align::Center)
                .css_classes(["flat"])
                .build();
            access::name(
                &remove,
                &gettext_with("Remove {forward}", &[("forward", &title(forward))]),
            );
            let (input, forward) = (sender.input_sender().clone(), *forward);
            remove.connect_clicked(move |_| {
                let _ = input.send(ForwardsInput::Remove(forward));
            });
            row.add_suffix(&remove);
            root.add(&row);
            self.rows.push(row);
        }
    }
}
