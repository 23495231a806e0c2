//! Networks as guests see them: their own drivers for each card, addresses, names, transfers both ways, forwards.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Once;
use std::thread;
use std::time::Duration;

use guesthouse_engine::Definition;
use guesthouse_engine::definition::{CardModel, Forward, NAT, Protocol};
use guesthouse_engine::network::SWITCHES_FILE;
use guesthouse_tests::guest::Guest;
use guesthouse_tests::matrix::{Cell, Row};
use tempfile::TempDir;

use super::Kind;
use super::linux::{BOOT, COMMAND};

/// How much goes each way.
const MUCH: usize = 32 << 20;

/// A library's folder with a NAT that lets guests reach this host by the gateway's address, and a private switch.
fn library() -> TempDir {
    let library = tempfile::tempdir().unwrap();
    let text = "[[switch]]\nname = \"nat\"\nkind = \"nat\"\nhost_loopback = true\n\n\
                [[switch]]\nname = \"among us\"\nkind = \"private\"\n";
    std::fs::write(library.path().join(SWITCHES_FILE), text).unwrap();
    library
}

/// Starts a machine of a library, with a card of that model at a switch.
fn start_at(
    library: &TempDir,
    switch: &str,
    kind: Kind,
    mut definition: Definition,
    model: CardModel,
    forwards: Vec<Forward>,
) -> Guest {
    (kind.change)(&mut definition);
    definition.add_network_card(switch);
    let card = definition.networks.last_mut().unwrap();
    card.model = Some(model);
    card.forwards = forwards;
    let folder = tempfile::tempdir_in(library.path()).unwrap();
    Guest::start_in(folder, definition)
}

fn start(
    kind: Kind,
    definition: Definition,
    model: CardModel,
    forwards: Vec<Forward>,
) -> (Guest, TempDir) {
    let library = library();
    let guest = start_at(&library, NAT, kind, definition, model, forwards);
    (guest, library)
}

/// In the rig, whose network is ours: a name server of the host's, which knows the gateway as `gateway.test`.
fn serve_names() {
    static ONCE: Once = Once::new();
    if !guesthouse_tests::in_rig() {
        return;
    }
    ONCE.call_once(|| {
        let server = UdpSocket::bind("127.0.0.1:53").unwrap();
        std::fs::write("/etc/resolv.conf", "nameserver 127.0.0.1\n").unwrap();
        thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, client)) = server.recv_from(&mut question) {
                let mut answer = question[..length].to_vec();
                let known = answer[12..].starts_with(b"\x07gateway\x04test\0\0\x01");
                // An answer, recursion available, and no such name where it is not that one (RFC 1035, 4.1.1).
                answer[2] = 0x81;
                answer[3] = if known { 0x80 } else { 0x83 };
                if known {
                    answer[7] = 1;
                    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 2, 2]);
                }
                let _ = server.send_to(&answer, client);
            }
        });
    });
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn linux_on(kind: Kind, model: CardModel) {
    let mut row = Row::new(
        "Linux 6.1 in memory, from a CD",
        kind.name,
        &[Cell::Network],
    );
    let port = free_port();
    let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let datagram_port = datagrams.local_addr().unwrap().port();
    drop(datagrams);
    let forwards = vec![
        Forward::new(Protocol::Tcp, port, 5000),
        Forward::new(Protocol::Udp, datagram_port, 5001),
    ];
    serve_names();
    let (guest, _library) = start(kind, kind.with_medium("linux.iso", 512, 2), model, forwards);
    guest.wait_for_serial("guest login: ", BOOT);
    guest.log_in(COMMAND);
    let shell = |command: &str| guest.shell(command, COMMAND);
    shell("ip link set eth0 up; udhcpc -i eth0 -n -q -t 10");
    assert!(shell("ip address show dev eth0").contains("inet 10.0.2.15/24"));
    assert!(shell("ping -c 3 10.0.2.2").contains(" 0% packet loss"));
    let mac = guest.definition.mac_address(0).to_string();
    assert!(shell("cat /sys/class/net/eth0/address").contains(&mac));
    let card = shell("ethtool -i eth0; ethtool eth0");
    assert!(card.contains("Link detected: yes"), "{card}");
    if guesthouse_tests::in_rig() {
        assert!(shell("ping -c 1 gateway.test").contains("10.0.2.2"));
        assert_ne!(guest.try_shell("nslookup nobody.test", COMMAND).0, 0);
    }

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
    shell("( nc -l -p 5000 </tmp/page & )");
    let mut received = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        // Until the guest listens it refuses. An end of what is sent to it would be an end for the guest's program.
        if stream.read_to_end(&mut received).is_ok() && !received.is_empty() {
            break;
        }
        received.clear();
        thread::sleep(Duration::from_millis(300));
    }
    assert!(received == data, "{} bytes came back", received.len());

    // A datagram by its forward, and the answer.
    shell("( echo answer | nc.openbsd -u -l 5001 >/tmp/datagram 2>&1 & )");
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket
        .connect((Ipv4Addr::LOCALHOST, datagram_port))
        .unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    let mut answer = [0; 64];
    let length = (0..100)
        .find_map(|_| {
            // Until the guest listens nothing, or a refusal, comes back.
            socket.send(b"question\n").ok();
            socket.recv(&mut answer).ok()
        })
        .unwrap_or(0);
    assert_eq!(&answer[..length], b"answer\n");
    shell("killall nc.openbsd");
    assert!(shell("cat /tmp/datagram").starts_with("question"));

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
    row.works(Cell::Network);
}

pub fn linux_on_e1000(kind: Kind) {
    linux_on(kind, CardModel::E1000);
}

pub fn linux_on_virtio(kind: Kind) {
    linux_on(kind, CardModel::Virtio);
}

/// How much goes each way when it is to be much.
const VERY_MUCH: u64 = 1 << 30;
/// Connections that are open at once.
const CONNECTIONS: usize = 200;

/// The sum that sha256sum gives for what `feed` writes.
fn sum_of(feed: impl FnOnce(&mut ChildStdin)) -> String {
    let mut child = Command::new("sha256sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    feed(&mut child.stdin.take().unwrap());
    let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    first_word(&said)
}

fn first_word(text: &str) -> String {
    text.split_whitespace().next().unwrap_or("").to_owned()
}

/// 1 GiB to the guest and 1 GiB from it by the NAT, compared by their sums, and two hundred connections at once, each with an answer of its own.
pub fn much_and_many(kind: Kind) {
    let definition = kind.with_medium("linux.iso", 512, 2);
    let (guest, _library) = start(kind, definition, CardModel::Virtio, Vec::new());
    guest.wait_for_serial("guest login: ", BOOT);
    guest.log_in(COMMAND);
    guest.shell("ip link set eth0 up; udhcpc -i eth0 -n -q -t 10", COMMAND);
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = server.local_addr().unwrap().port();
    // Threads that are left to themselves: one that still waits for the guest must not keep a failure from being told.
    let serve = |work: fn(TcpListener) -> String| {
        let server = server.try_clone().unwrap();
        thread::spawn(move || work(server))
    };

    let before = guest.age();
    let sending = serve(|server| {
        let (mut stream, _) = server.accept().unwrap();
        sum_of(|sum| {
            let mut state = 1_u64;
            let mut data = vec![0; 1 << 20];
            for _ in 0..VERY_MUCH >> 20 {
                for word in data.chunks_mut(8) {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    word.copy_from_slice(&state.to_le_bytes());
                }
                stream.write_all(&data).unwrap();
                sum.write_all(&data).unwrap();
            }
        })
    });
    let command = format!("nc.openbsd -d 10.0.2.2 {port} | sha256sum");
    let received = first_word(&guest.shell(&command, 10 * COMMAND));
    assert_eq!(received, sending.join().unwrap());
    let took = guest.age() - before;
    eprintln!("    1 GiB to the guest, {:.0} s", took.as_secs_f64());

    let before = guest.age();
    let receiving = serve(|server| {
        let (mut stream, _) = server.accept().unwrap();
        sum_of(|sum| {
            let length = std::io::copy(&mut stream, sum).unwrap();
            assert_eq!(length, VERY_MUCH);
        })
    });
    let command = format!(
        "mkfifo /tmp/copy; sha256sum /tmp/copy >/tmp/sum & head -c 1024m /dev/urandom | tee /tmp/copy | \
         nc.openbsd -N 10.0.2.2 {port} >/dev/null; wait; cat /tmp/sum"
    );
    let sent = first_word(&guest.shell(&command, 10 * COMMAND));
    assert_eq!(sent, receiving.join().unwrap());
    let took = guest.age() - before;
    eprintln!("    1 GiB from the guest, {:.0} s", took.as_secs_f64());

    serve(|server| {
        let mut streams = Vec::new();
        for _ in 0..CONNECTIONS {
            let (mut stream, _) = server.accept().unwrap();
            let mut question = [0; 4];
            stream.read_exact(&mut question).unwrap();
            streams.push((stream, question));
        }
        // Nobody hears anything before all have asked.
        for (mut stream, question) in streams {
            stream.write_all(b"answer to ").unwrap();
            stream.write_all(&question).unwrap();
        }
        String::new()
    });
    let heard = guest.shell(
        &format!(
            "mkdir /tmp/heard; for number in $(seq 1000 {}); do ( echo -n $number | nc.openbsd 10.0.2.2 {port} >/tmp/heard/$number ) & done; wait; \
             cd /tmp/heard && for number in *; do [ \"$(cat $number)\" = \"answer to $number\" ] && echo right; done | wc -l",
            999 + CONNECTIONS
        ),
        2 * COMMAND,
    );
    assert_eq!(heard.trim(), CONNECTIONS.to_string());
    eprintln!("    {CONNECTIONS} connections at once");
    guest.judge_kernel_messages(COMMAND);
}

/// Two machines at a private switch reach each other and nothing else.
pub fn two_at_a_private_switch(kind: Kind) {
    let library = library();
    let [one, other] = [CardModel::Virtio, CardModel::E1000].map(|model| {
        let definition = kind.with_medium("linux.iso", 256, 1);
        start_at(&library, "among us", kind, definition, model, Vec::new())
    });
    for (guest, address) in [(&one, "10.7.7.1"), (&other, "10.7.7.2")] {
        guest.wait_for_serial("guest login: ", 2 * BOOT);
        guest.log_in(COMMAND);
        guest.shell(
            &format!("ip link set eth0 up; ip address add {address}/24 dev eth0"),
            COMMAND,
        );
    }
    let pinged = one.shell("ping -c 3 10.7.7.2", COMMAND);
    assert!(pinged.contains(" 0% packet loss"), "{pinged}");
    one.shell(
        "head -c 8m /dev/urandom >/tmp/sent; ( nc.openbsd -N -l 5000 </tmp/sent & )",
        COMMAND,
    );
    let sum = |guest: &Guest, command: &str| {
        let text = guest.shell(command, COMMAND);
        text.split_whitespace().next().map(str::to_owned)
    };
    let received = sum(&other, "nc.openbsd -d 10.7.7.1 5000 | sha256sum");
    assert_eq!(received, sum(&one, "sha256sum /tmp/sent"));
    let (status, said) = one.try_shell("udhcpc -i eth0 -n -q -t 3 -T 1", COMMAND);
    assert_ne!(status, 0, "nobody gives addresses: {said}");
    for guest in [&one, &other] {
        guest.judge_kernel_messages(COMMAND);
    }
}

fn ipxe_on(kind: Kind, model: CardModel) {
    let mut row = Row::new("iPXE", kind.name, &[Cell::Network]);
    let (guest, _library) = start(kind, kind.with_medium("ipxe.iso", 64, 1), model, Vec::new());
    guest.wait_for("Ctrl-B", 240);
    guest.press("ctrl-b");
    guest.wait_for("iPXE>", 60);
    guest.type_text("dhcp\n");
    guest.wait_until("an address", 120, |screen| {
        let mut lines = screen.lines().map(str::trim_end);
        lines.any(|line| line.starts_with("Configuring") && line.ends_with("ok"))
    });
    guest.type_text("route\n");
    guest.wait_for("10.0.2.15/255.255.255.0 gw 10.0.2.2", 60);
    row.works(Cell::Network);
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
    let (guest, _library) = start(kind, definition, CardModel::E1000, Vec::new());
    guest.wait_until("the ROM's offer of an address", 300, |screen| {
        screen.contains("10.0.2.15/255.255.255.0 gw 10.0.2.2")
    });
    guest.keep_screen("address");
}
