//! What is said of virtual switches, their uplinks and forwarded ports.

use crate::text::message;

/// Networks.
pub const NETWORKS: &[&str] = &[
    message("there is no virtual switch called {name}; choose another for the card, or create it"),
    message("a virtual switch called {name} exists already; choose another name"),
    message("a virtual switch cannot be called that: {reason}"),
    message("the switch {name} is always there and cannot be deleted"),
    message("the virtual switch is used by {machines}; attach their cards elsewhere first"),
    message(
        "{network} is not the beginning of a private network of 256 addresses; choose one such as 10.0.3.0 or 192.168.77.0",
    ),
    message(
        "guests cannot be given the addresses {first} to {last}; choose a first number from {least} on (those before are the gateway's) and a last one up to 254 that is not before it",
    ),
    message(
        "an external switch needs a device of the host to be connected with: tap:NAME or bridge:NAME",
    ),
    message("a virtual switch stays of its kind; create another one"),
    message(
        "the external switch could not be connected with {device}: {source}; see that the device is there, is yours to use and that no other program has it",
    ),
    message("The capture {file} cannot be written: {source}; choose another file."),
    message("The card is not connected."),
    message("the host does not let a network begin: {source}; close other programs"),
    message("{text} is no uplink; write tap:NAME or bridge:NAME, as in bridge:br0"),
    message(
        "port {address} of this computer is in use by another program; choose another port, or close that program",
    ),
    message(
        "port {address} of this computer may only be used by its administrator; choose a port above 1023",
    ),
    message(
        "this computer does not have the address {address}; choose 127.0.0.1, or 0.0.0.0 for all of its addresses",
    ),
    message("port {address} of this computer could not be opened: {source}"),
    message(
        "port {address} cannot lead to a machine on a private switch; attach the card to a NAT or internal one",
    ),
    message("port {address} leads to a guest already; choose another port"),
    message(
        "This host has no tap devices (/dev/net/tun is missing); load the module tun, or run Guesthouse outside of its sandbox.",
    ),
    message(
        "There is neither a tap device of yours nor the bridge helper; have the administrator make one (ip tuntap add tap0 mode tap user NAME, attached to a bridge) or install qemu-bridge-helper and allow a bridge in /etc/qemu/bridge.conf.",
    ),
    message(
        "No bridge is allowed and no tap device is yours; have the administrator make a bridge and add a line such as \"allow br0\" to {file}.",
    ),
    message("it is too long"),
    message("there is no tap device called {name}"),
    message("it is no tap device with virtio headers"),
    message("qemu-bridge-helper is not installed"),
    message("the bridge helper ended with {status}"),
    message("the bridge helper says: {text}"),
];
