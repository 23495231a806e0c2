//! A fuzz target: whatever a guest sends. The network's thread is this one, and the world outside is not there: connections end in
//! this process, datagrams at a socket of the target's own on the loopback network.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "none of this is part of the program"
)]

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{Shutdown, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use super::*;
use crate::fuzzing::virtio::frame;
use crate::fuzzing::{Input, Script};
use crate::network::{Cable, Checksum, Offload};

struct World {
    /// Where datagrams go.
    datagrams: UdpSocket,
    /// The other ends of connections.
    peers: Vec<UnixStream>,
    /// Nobody listens.
    refuses: bool,
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// The connection that is made instead of one to the outside, if this thread is fuzzed.
pub(super) fn connect() -> Option<io::Result<OwnedFd>> {
    WORLD.with_borrow_mut(|world| {
        let world = world.as_mut()?;
        if world.refuses {
            return Some(Err(io::ErrorKind::ConnectionRefused.into()));
        }
        Some(UnixStream::pair().and_then(|(ours, theirs)| {
            ours.set_nonblocking(true)?;
            theirs.set_nonblocking(true)?;
            world.peers.push(theirs);
            Ok(ours.into())
        }))
    })
}

/// Where `outside` is, if this thread is fuzzed.
pub(super) fn instead(outside: SocketAddr) -> Option<SocketAddr> {
    WORLD.with_borrow(|world| {
        let mut address = world.as_ref()?.datagrams.local_addr().unwrap();
        if outside.is_ipv6() {
            address.set_ip(std::net::Ipv6Addr::LOCALHOST.into());
        }
        Some(address)
    })
}

struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        WORLD.set(None);
    }
}

/// The guest's side of the connection that it began last.
#[derive(Default)]
struct Connection {
    sequence: u32,
    acknowledged: u32,
}

const GUEST: MacAddress = MacAddress([2, 0, 0, 0, 0, 9]);

/// Any frame; a packet; a segment; what the world does; time passes; the guest leaves.
const FRAME: u8 = 0;
const PACKET: u8 = 1;
const SEGMENT: u8 = 2;
const WORLDLY: u8 = 3;
const TIME: u8 = 4;

pub(crate) fn run(data: &[u8]) {
    drive(data);
}

/// How many bytes reached the world.
fn drive(data: &[u8]) -> usize {
    let mut input = Input::new(data);
    let choices = input.byte();
    let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    datagrams.set_nonblocking(true).unwrap();
    let port = datagrams.local_addr().unwrap().port();
    WORLD.set(Some(World {
        datagrams,
        peers: Vec::new(),
        refuses: choices & 8 != 0,
    }));
    let _leave = Leave;
    let switch = Switch::new();
    let (cable, bell) = (Cable::new().unwrap(), Arc::new(Bell::new().unwrap()));
    let mut plan = Plan::new(DEFAULT_NETWORK, choices & 1 == 0);
    plan.host_loopback = choices & 2 != 0;
    let options = Options {
        version6: Some(choices & 4 == 0),
        name_servers: vec![Ipv4Addr::LOCALHOST.into()],
        resolver: ResolverFile {
            port,
            ..ResolverFile::default()
        },
        ..Options::new(plan)
    };
    let (_commands, receiver) = unbounded();
    let outlet = Outlet::new(switch.connect(Arc::clone(&bell)), plan);
    let mut engine = Engine::new(outlet, options, bell, receiver).unwrap();
    cable.plug(&switch);
    let mut now = Instant::now();
    let mut connection = Connection::default();
    let mut reached = 0;
    while let Some(code) = input.code() {
        match code % 6 {
            FRAME => {
                let shape = input.byte();
                if let Some(frame) = frame(shape, &mut input) {
                    let _ = cable.send(frame);
                }
            }
            PACKET => {
                let [protocol, target] = [input.byte(), input.byte()];
                send(&cable, protocol, target, input.piece());
            }
            SEGMENT => segment(&cable, &mut input, &mut connection),
            WORLDLY => reached += world(&mut input),
            TIME => now += Duration::from_millis(u64::from(input.word()) << (code >> 6 << 1)),
            _ => engine.forget(&[GUEST]),
        }
        if choices & 16 != 0 {
            // The guest's card comes first.
            engine.stand_in(now);
        }
        turn(&mut engine, now, &cable, &mut connection);
    }
    reached
}

/// What the network's thread does, until there is no more to do.
fn turn(engine: &mut Engine, now: Instant, cable: &Cable, connection: &mut Connection) {
    let (mut events, mut ready) = (Events::new(), Vec::new());
    let turns = (0..200).take_while(|_| {
        ready.clear();
        engine
            .poll
            .wait(Some(Duration::ZERO), &mut events, &mut ready)
            .unwrap();
        let more = engine.turn(&ready, now).unwrap();
        let mut heard = false;
        while let Some(frame) = cable.receive() {
            heard = true;
            // The acknowledgement of a beginning says where the other side begins.
            if let Some(&[s0, s1, s2, s3, a0, a1, a2, a3, _, flags]) =
                frame.data().get(38..48).and_then(|part| part.first_chunk())
                && frame.data().get(23) == Some(&TCP)
            {
                let sequence = u32::from_be_bytes([s0, s1, s2, s3]);
                connection.acknowledged = sequence.wrapping_add(u32::from(flags & 2 != 0));
                connection.sequence = u32::from_be_bytes([a0, a1, a2, a3]);
            }
        }
        more || heard
    });
    assert!(turns.count() < 200, "the network never rests");
}

fn place(choice: u8) -> Ipv4Addr {
    match choice & 7 {
        0..3 => Ipv4Addr::new(10, 0, 2, 2),
        3 => Ipv4Addr::new(10, 0, 2, 3),
        4 => Ipv4Addr::new(192, 0, 2, 1),
        5 => Ipv4Addr::BROADCAST,
        6 => Ipv4Addr::LOCALHOST,
        _ => Ipv4Addr::new(10, 0, 2, choice),
    }
}

/// Sends `body` behind the headers that it needs.
fn send(cable: &Cable, protocol: u8, choice: u8, body: &[u8]) {
    let version6 = choice & 0x40 != 0;
    let prefix = Plan::new(DEFAULT_NETWORK, true).prefix6().segments();
    let six = |last| {
        let [a, b, c, d, ..] = prefix;
        std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, last)
    };
    let (source, destination): (IpAddr, IpAddr) = match (version6, choice & 7) {
        (false, _) => (Ipv4Addr::new(10, 0, 2, 99).into(), place(choice).into()),
        (true, 0..3) => (six(99).into(), six(2).into()),
        (true, 3) => (six(99).into(), six(3).into()),
        (true, 4) => (six(99).into(), plan::ALL_NODES.into()),
        (true, 5) => (plan::ALL_NODES.into(), plan::LINK_LOCAL.into()),
        (true, _) => (
            six(99).into(),
            std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        ),
    };
    let envelope = Envelope {
        from: GUEST,
        to: MacAddress([0x52, 0x55, 0x0a, 0, 2, 2]),
        source,
        destination,
        protocol,
    };
    let mut data = vec![0; packet::header_length(destination)];
    envelope.write(&mut data, 1, body.len());
    data.extend_from_slice(body);
    let offload = Offload {
        checksum: Checksum::Valid,
        segmentation: None,
    };
    if let Some(frame) = Frame::new(data.into(), offload) {
        let _ = cable.send(frame);
    }
}

/// Sends a segment of the connection: what of it is not said is as it should be.
fn segment(cable: &Cable, input: &mut Input<'_>, connection: &mut Connection) {
    let [shape, flags, port] = [input.byte(), input.byte(), input.byte()];
    let (ahead, acknowledged) = (
        i32::from(input.word() as i16),
        i32::from(input.word() as i16),
    );
    let window = input.word();
    let options = input.piece();
    let payload = input.piece();
    let options = &options[..options.len().min(40) & !3];
    let sequence = connection.sequence.wrapping_add_signed(ahead);
    let acknowledged = connection.acknowledged.wrapping_add_signed(acknowledged);
    let mut body = Vec::new();
    body.extend(u16::from(port).wrapping_add(1000).to_be_bytes());
    body.extend(80_u16.to_be_bytes());
    body.extend(sequence.to_be_bytes());
    body.extend(acknowledged.to_be_bytes());
    body.extend([(5 + options.len() as u8 / 4) << 4, flags]);
    body.extend(window.to_be_bytes());
    body.extend([0; 4]);
    body.extend_from_slice(options);
    let times = if shape & 0x80 == 0 { 1 } else { 20 };
    body.extend(payload.repeat(times));
    connection.sequence =
        sequence.wrapping_add((payload.len() * times) as u32 + u32::from(flags & 3 != 0));
    send(cable, TCP, shape, &body);
}

/// What happens at the other ends; how many bytes came there.
fn world(input: &mut Input<'_>) -> usize {
    let [what, which] = [input.byte(), input.byte()];
    WORLD.with_borrow_mut(|world| {
        let Some(world) = world else { return 0 };
        let number = usize::from(which) % world.peers.len().max(1);
        let mut buffer = [0; 4096];
        match (what & 7, world.peers.get_mut(number)) {
            (0..3, Some(peer)) => {
                let times = if what & 8 == 0 { 1 } else { 100 };
                let _ = peer.write(&input.piece().repeat(times));
            }
            (3, Some(peer)) => return peer.read(&mut buffer).unwrap_or(0),
            (4, Some(peer)) => {
                let _ = peer.shutdown(Shutdown::Write);
            }
            (5, Some(_)) => {
                world.peers.swap_remove(number);
            }
            _ => {
                // Whoever sent something is answered.
                if let Ok((length, from)) = world.datagrams.recv_from(&mut buffer) {
                    let times = if what & 8 == 0 { 1 } else { 30 };
                    let _ = world.datagrams.send_to(&input.piece().repeat(times), from);
                    return length;
                }
            }
        }
        0
    })
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let arp: &[u8] = &[
        0x52, 0x55, 0x0a, 0, 2, 2, 2, 0, 0, 0, 0, 9, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0,
        9, 10, 0, 2, 99, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2,
    ];
    let begin = |choices: u8| {
        Script::default()
            .byte(choices)
            .code(FRAME)
            .byte(0)
            .word(0)
            .piece(arp)
    };
    let packet = |script: Script, protocol: u8, target: u8, body: &[u8]| {
        script.code(PACKET).byte(protocol).byte(target).piece(body)
    };
    let udp = |source: u16, target: u16, payload: &[u8]| {
        let length = payload.len() as u16 + 8;
        let header: Vec<u8> = [source, target, length, 0]
            .iter()
            .flat_map(|part| part.to_be_bytes())
            .collect();
        [header.as_slice(), payload].concat()
    };
    let mut dhcp = vec![0; 244];
    dhcp[..4].copy_from_slice(&[1, 1, 6, 0]);
    dhcp[28] = 2;
    dhcp[236..].copy_from_slice(&[0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255]);
    let question = [
        0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1,
    ];
    let echo = [8, 0, 0xf7, 0xfe, 0, 0, 0, 1];
    let mut services = packet(begin(0), UDP, 5, &udp(68, 67, &dhcp));
    for (protocol, target, body) in [
        (UDP, 3, udp(1000, 53, &question)),
        (UDP, 4, udp(1000, 2000, b"hello")),
        (UDP, 0, udp(1000, 2000, b"hello")),
        (ICMP, 0, echo.to_vec()),
        (ICMP, 4, echo.to_vec()),
    ] {
        services = packet(services, protocol, target, &body);
        services = services.code(WORLDLY).byte(7).byte(0).piece(b"an answer");
    }
    let services = services.code(TIME).word(60_000).code(5);
    let mut solicitation = vec![135, 0, 0, 0, 0, 0, 0, 0];
    solicitation.extend(plan::LINK_LOCAL.octets());
    solicitation.extend([1, 1, 2, 0, 0, 0, 0, 9]);
    let mut version6 = begin(2);
    for (protocol, target, body) in [
        (ICMP6, 0x40, solicitation),
        (ICMP6, 0x44, vec![133, 0, 0, 0, 0, 0, 0, 0]),
        (ICMP6, 0x40, vec![128, 0, 0, 0, 0, 1, 0, 1, 9]),
        (UDP, 0x43, udp(1000, 53, &question)),
        (UDP, 0x46, udp(1000, 2000, b"hello")),
        (
            TCP,
            0x46,
            vec![
                4, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0,
            ],
        ),
    ] {
        version6 = packet(version6, protocol, target, &body);
    }
    let segment = |script: Script, flags: u8, window: u16, options: &[u8], payload: &[u8]| {
        script
            .code(SEGMENT)
            .byte(4)
            .byte(flags)
            .byte(0)
            .word(0)
            .word(0)
            .word(window)
            .piece(options)
            .piece(payload)
    };
    // A connection: a beginning, data both ways, windows, an end from either side.
    let open = segment(begin(0), 2, 0xffff, &[2, 4, 5, 0xb4, 3, 3, 7, 1], &[]);
    let open = segment(open, 0x10, 0xffff, &[], &[]);
    let talk = segment(open.clone(), 0x18, 0xffff, &[], b"GET / HTTP/1.0\r\n\r\n");
    let talk = talk.code(WORLDLY).byte(3).byte(0);
    let talk = talk.code(WORLDLY).byte(8).byte(0).piece(&[b'x'; 200]);
    let talk = segment(talk, 0x10, 0, &[], &[]).code(TIME).word(500);
    let talk = segment(talk, 0x10, 100, &[], &[]).code(TIME).word(2000);
    let talk = segment(talk, 0x10, 0xffff, &[], &[]);
    let theirs = talk.clone().code(WORLDLY).byte(4).byte(0);
    let theirs = segment(
        segment(theirs, 0x10, 0xffff, &[], &[]),
        0x11,
        0xffff,
        &[],
        &[],
    );
    let ours = segment(talk, 0x11, 0xffff, &[], b"bye")
        .code(WORLDLY)
        .byte(5)
        .byte(0);
    let ours = segment(ours, 4, 0, &[], &[]).code(TIME).word(60_000);
    let refused = segment(begin(8), 2, 0xffff, &[], &[]);
    vec![
        services.done(),
        version6.done(),
        theirs.code(TIME).word(60_000).done(),
        ours.done(),
        refused.done(),
        open.code(TIME).word(60_000).done(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_reach_the_world() {
        let reached: Vec<usize> = seeds().iter().map(|seed| drive(seed)).collect();
        let request = b"GET / HTTP/1.0\r\n\r\n".len();
        // A question, a datagram, and an echo request where the host lets users send it; the requests of both connections.
        assert!(reached[0] >= 19 + 5, "{reached:?}");
        assert_eq!(reached[2..4], [request; 2], "{reached:?}");
    }
}
