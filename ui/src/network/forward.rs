//! The dialog in which a person says which port of this computer leads to which port of the guest. What speaks against a port
//! stands beneath it, and a port that another program has is found out at once.

use std::cell::Cell;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::rc::Rc;

use relm4::adw::prelude::*;
use relm4::{adw, gtk};

use crate::access;
use crate::model::{Forward, Protocol};
use crate::text::{gettext, gettext_with, message, whole};

const PROTOCOLS: [(Protocol, &str); 2] = [(Protocol::Tcp, "TCP"), (Protocol::Udp, "UDP")];

/// From where the port can be reached.
const REACH: [(IpAddr, &str); 2] = [
    (
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        message("This computer only"),
    ),
    (
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        message("The whole network"),
    ),
];

/// Where the SSH preset looks for a port first.
const SSH_ON_HOST: u16 = 2222;
const SSH: u16 = 22;

/// A forward to the guest's SSH server, from the first port that nothing else has.
pub fn ssh(others: &[Forward]) -> Forward {
    let forwards = (SSH_ON_HOST..=u16::MAX).map(|port| Forward::new(Protocol::Tcp, port, SSH));
    let mut free = forwards.filter(|forward| objection(forward, others).is_none());
    free.next()
        .unwrap_or_else(|| Forward::new(Protocol::Tcp, SSH_ON_HOST, SSH))
}

/// Why `forward` cannot be added to `others`, as a sentence.
pub fn objection(forward: &Forward, others: &[Forward]) -> Option<String> {
    if others.iter().any(|other| other.conflicts_with(forward)) {
        return Some(gettext(
            "Another forward of this machine has this port; choose a different one.",
        ));
    }
    let error = match forward.protocol {
        Protocol::Tcp => TcpListener::bind(forward.host()).map(drop),
        Protocol::Udp => UdpSocket::bind(forward.host()).map(drop),
    }
    .err()?;
    Some(match error.kind() {
        ErrorKind::AddrInUse => {
            gettext("Another program has this port now; choose a different one.")
        }
        ErrorKind::PermissionDenied => {
            gettext("The system keeps this port for administrators; choose one from 1024 on.")
        }
        ErrorKind::AddrNotAvailable => gettext(
            "This computer does not have the forward’s address; choose where it is reached anew.",
        ),
        _ => gettext_with("The port cannot be used: {reason}.", &[("reason", &error)]),
    })
}

/// Where `forward` is reached, as the dialog and the list put it.
pub fn reach(forward: &Forward) -> String {
    let known = REACH
        .iter()
        .find(|(address, _)| *address == forward.host_address);
    match forward.host_address {
        IpAddr::V6(Ipv6Addr::LOCALHOST) => gettext("This computer only, IPv6"),
        address => known.map_or_else(|| address.to_string(), |(_, name)| gettext(*name)),
    }
}

/// The dialog's fields.
struct Fields {
    protocol: adw::ComboRow,
    reach: adw::ComboRow,
    host: adw::SpinRow,
    guest: adw::SpinRow,
}

impl Fields {
    fn forward(&self) -> Forward {
        let chosen = |row: &adw::ComboRow| usize::try_from(row.selected()).unwrap_or(0);
        let port = |row: &adw::SpinRow| u16::try_from(whole(row.value())).unwrap_or(u16::MAX);
        let protocol = PROTOCOLS
            .get(chosen(&self.protocol))
            .map_or(Protocol::Tcp, |(protocol, _)| *protocol);
        let mut forward = Forward::new(protocol, port(&self.host), port(&self.guest));
        if let Some((address, _)) = REACH.get(chosen(&self.reach)) {
            forward.host_address = *address;
        }
        forward
    }
}

fn combo(title: &str, names: &[&str]) -> adw::ComboRow {
    adw::ComboRow::builder()
        .title(title)
        .model(&gtk::StringList::new(names))
        .build()
}

fn port_row(title: &str, value: u16) -> adw::SpinRow {
    let row = access::spin_row();
    row.set_title(title);
    row.set_adjustment(Some(&gtk::Adjustment::new(
        f64::from(value),
        1.0,
        65_535.0,
        1.0,
        100.0,
        0.0,
    )));
    row.set_numeric(true);
    row
}

/// Asks for a forward beside `others`, and hands over the one that a person added.
pub fn add(
    parent: &impl IsA<gtk::Widget>,
    others: Vec<Forward>,
    added: impl Fn(Forward) + 'static,
) {
    let suggestion = (8080..=u16::MAX)
        .map(|port| Forward::new(Protocol::Tcp, port, 80))
        .find(|forward| objection(forward, &others).is_none());
    let suggestion = suggestion.unwrap_or_else(|| Forward::new(Protocol::Tcp, 8080, 80));
    let reach = REACH.map(|(_, name)| gettext(name));
    let fields = Rc::new(Fields {
        protocol: combo(&gettext("Protocol"), &PROTOCOLS.map(|(_, name)| name)),
        reach: combo(
            &gettext("Reached From"),
            &reach.each_ref().map(String::as_str),
        ),
        host: port_row(&gettext("Port of This Computer"), suggestion.host_port),
        guest: port_row(&gettext("Port of the Guest"), suggestion.guest_port),
    });
    let reason = adw::ActionRow::builder()
        .visible(false)
        .activatable(false)
        .css_classes(["reason", "error"])
        .build();
    let icon = gtk::Image::from_icon_name("dialog-error-symbolic");
    icon.set_accessible_role(gtk::AccessibleRole::Presentation);
    reason.add_prefix(&icon);
    access::describe(&fields.host, &reason);

    let group = adw::PreferencesGroup::builder()
        .description(gettext(
            "Connections to a port of this computer lead to the guest, as long as it runs.",
        ))
        .build();
    group.add(&fields.protocol);
    group.add(&fields.host);
    group.add(&reason);
    group.add(&fields.reach);
    group.add(&fields.guest);
    let page = adw::PreferencesPage::new();
    page.add(&group);

    let cancel = gtk::Button::with_mnemonic(&gettext("_Cancel"));
    let confirm = gtk::Button::with_mnemonic(&gettext("_Add"));
    confirm.add_css_class("suggested-action");
    let header = adw::HeaderBar::builder()
        .show_start_title_buttons(false)
        .show_end_title_buttons(false)
        .build();
    header.pack_start(&cancel);
    header.pack_end(&confirm);
    let view = adw::ToolbarView::builder().content(&page).build();
    view.add_top_bar(&header);
    let dialog = adw::Dialog::builder()
        .title(gettext("Forward a Port"))
        .content_width(420)
        .child(&view)
        .default_widget(&confirm)
        .build();

    let check = {
        let (fields, reason, confirm) = (fields.clone(), reason.clone(), confirm.clone());
        move || {
            let message = objection(&fields.forward(), &others);
            confirm.set_sensitive(message.is_none());
            reason.set_visible(message.is_some());
            reason.set_title(message.as_deref().unwrap_or_default());
        }
    };
    check();
    let check = Rc::new(check);
    for row in [&fields.protocol, &fields.reach] {
        let check = check.clone();
        row.connect_selected_notify(move |_| check());
    }
    fields.host.connect_value_notify(move |_| check());
    cancel.connect_clicked({
        let dialog = dialog.clone();
        move |_| {
            dialog.close();
        }
    });
    let done = Cell::new(false);
    confirm.connect_clicked({
        let dialog = dialog.clone();
        move |_| {
            // A second click while the dialog fades away adds nothing.
            if !done.replace(true) {
                added(fields.forward());
            }
            dialog.close();
        }
    });
    dialog.present(Some(parent));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_named_before_it_is_tried() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let taken = Forward::new(Protocol::Tcp, address.port(), 22);
        let message = objection(&taken, &[]).unwrap();
        assert!(message.contains("Another program"), "{message}");
        drop(listener);
        assert_eq!(objection(&taken, &[]), None);
        let message = objection(&taken, &[taken]).unwrap();
        assert!(message.contains("Another forward"), "{message}");
    }

    #[test]
    fn the_preset_passes_over_ports_that_are_taken() {
        let first = ssh(&[]);
        assert_eq!(first.guest_port, 22);
        let second = ssh(&[first]);
        assert!(second.host_port > first.host_port);
    }

    #[test]
    fn addresses_are_said_in_words() {
        let mut forward = Forward::new(Protocol::Udp, 5353, 53);
        assert_eq!(reach(&forward), "This computer only");
        forward.host_address = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        assert_eq!(reach(&forward), "The whole network");
        forward.host_address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(reach(&forward), "192.0.2.1");
    }
}
