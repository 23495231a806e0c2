//! Networks as guests see them: their own drivers for each card, addresses, names, transfers both ways, forwards.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use guesthouse_engine::Definition;
use guesthouse_engine::definition::{CardModel, Forward, NAT, Protocol};
use guesthouse_engine::network::SWITCHES_FILE;
use guesthouse_tests::guest::Guest;
use tempfile::TempDir;

use super::Kind;
use super::linux::{BOOT, COMMAND};

/// How much goes each way.
const MUCH: usize = 32 << 20;

/// A machine with a card of that model at the NAT, which lets it reach this host by the gateway's address.
fn start(mut definition: Definition, model: CardModel, forwards: Vec<Forward>) -> (Guest, TempDir) {
    let library = tempfile::tempdir().unwrap();
    let text = "[[switch]]\nname = \"nat\"\nkind = \"nat\"\nhost_loopback = true\n";
    std::fs::write(library.path().join(SWITCHES_FILE), text).unwrap();
    definition.add_network_card(NAT);
    let card = definition.networks.last_mut().unwrap();
    card.model = Some(model);
    card.forwards = forwards;
    let folder = tempfile::tempdir_in(library.path()).unwrap();
    (Guest::start_in(folder, definition), library)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn linux_on(kind: Kind, model: CardModel) {
    let port = free_port();
    let forward = Forward::new(Protocol::Tcp, port, 5000);
    let (guest, _library) = start(kind.with_medium("linux.iso", 512, 2), model, vec![forward]);
    guest.wait_for_serial("guest login: ", BOOT);
    guest.log_in(COMMAND);
    let shell = |command: &str| guest.shell(command, COMMAND);
    shell("ip link set eth0 up; udhcpc -i eth0 -n -q -t 10");
    assert!(shell("ip address show dev eth0").contains("inet 10.0.2.15/24"));
    assert!(shell("ping -c 3 10.0.2.2").contains(" 0% packet loss"));
    let mac = guest.definition.mac_address(0).to_string();
    assert!(shell("cat /sys/class/net/eth0/address").contains(&mac));

    // From the host to the guest: a page that it fetches.
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let page = server.local_addr().unwrap().port();
    let data: Vec<u8> = (0..MUCH)
        .map(|at| u8::try_from((at * 7 + at / 251) % 256).unwrap())
        .collect();
    let serving = thread::spawn({
        let data = data.clone();
        move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", data.len());
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&data).unwrap();
        }
    });
    shell(&format!("wget -q -O /tmp/page http://10.0.2.2:{page}/"));
    serving.join().unwrap();

    // Through the forward, back to the host.
    guest.send_serial("nc -l -p 5000 </tmp/page &\n");
    let mut received = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        // Until the guest listens it refuses.
        if stream.read_to_end(&mut received).is_ok() && !received.is_empty() {
            break;
        }
        received.clear();
        thread::sleep(std::time::Duration::from_millis(300));
    }
    assert!(received == data, "{} bytes came back", received.len());

    // The cable is pulled and plugged in again.
    let mut card = guest.definition.networks[0].clone();
    card.link = false;
    guest.machine.change_network(0, &card).unwrap();
    shell(
        "for turn in $(seq 100); do [ $(cat /sys/class/net/eth0/carrier) = 0 ] && break; sleep 0.2; done; [ $(cat /sys/class/net/eth0/carrier) = 0 ]",
    );
    card.link = true;
    guest.machine.change_network(0, &card).unwrap();
    shell(
        "for turn in $(seq 100); do [ $(cat /sys/class/net/eth0/carrier) = 1 ] && break; sleep 0.2; done; ping -c 1 -w 60 10.0.2.2",
    );
    guest.judge_kernel_messages(COMMAND);
}

pub fn linux_on_e1000(kind: Kind) {
    linux_on(kind, CardModel::E1000);
}

pub fn linux_on_virtio(kind: Kind) {
    linux_on(kind, CardModel::Virtio);
}

fn ipxe_on(kind: Kind, model: CardModel) {
    let (guest, _library) = start(kind.with_medium("ipxe.iso", 64, 1), model, Vec::new());
    guest.wait_for("Ctrl-B", 240);
    guest.press("ctrl-b");
    guest.wait_for("iPXE>", 60);
    guest.type_text("dhcp\n");
    guest.wait_for("ok", 120);
    guest.type_text("route\n");
    guest.wait_for("10.0.2.15/255.255.255.0 gw 10.0.2.2", 60);
    guest.keep_screen("route");
}

pub fn ipxe_on_e1000(kind: Kind) {
    ipxe_on(kind, CardModel::E1000);
}

pub fn ipxe_on_virtio(kind: Kind) {
    ipxe_on(kind, CardModel::Virtio);
}

/// Without a medium the firmware starts over the network, by the card's own ROM.
pub fn network_boot(kind: Kind) {
    let mut definition = kind.with_medium("ipxe.iso", 64, 1);
    definition.drives.clear();
    let (guest, _library) = start(definition, CardModel::E1000, Vec::new());
    guest.wait_until("the ROM's offer of an address", 300, |screen| {
        screen.contains("10.0.2.15/255.255.255.0 gw 10.0.2.2")
    });
    guest.keep_screen("address");
}
