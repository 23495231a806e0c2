//! One connection's half towards the guest, segment by segment.

use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::definition::MacAddress;
use crate::network::nat::plan::{DEFAULT_NETWORK, Plan};
use crate::network::{Bell, Cable, Sent, Switch};

const GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const CARD: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);

fn segment(sequence: u32, acknowledged: u32, payload: &'static [u8]) -> Segment {
    Segment {
        source_port: 40_000,
        target_port: 80,
        sequence,
        acknowledged,
        window: 65_535,
        syn: false,
        ack: true,
        fin: false,
        rst: false,
        largest: None,
        scale: None,
        payload: Bytes::from_static(payload),
    }
}

/// The number that the segment in `frame` says is expected next.
fn acknowledged(frame: &Frame) -> u32 {
    let place = frame.data().get(14 + 20 + 8..14 + 20 + 12).unwrap();
    u32::from_be_bytes(place.try_into().unwrap())
}

#[test]
fn what_came_while_a_piece_waited_for_room_is_acknowledged() {
    let now = Instant::now();
    let switch = Switch::new();
    let cable = Cable::new().unwrap();
    cable.plug(&switch);
    let port = switch.connect(Arc::new(Bell::new().unwrap()));
    let mut outlet = Outlet::new(port, Plan::new(DEFAULT_NETWORK, true));
    outlet.hear(GUEST.into(), CARD, now);
    let hello = [&[0xff; 6][..], &CARD.0, &[0x88, 0xb5], &[0; 46]].concat();
    cable.send(Frame::copy_of(&hello).unwrap());

    let key = Key {
        guest: SocketAddr::new(GUEST.into(), 40_000),
        remote: SocketAddr::new(Ipv4Addr::new(10, 0, 2, 2).into(), 80),
    };
    let (ours, mut world) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let begin = Segment {
        syn: true,
        ack: false,
        ..segment(1000, 0, b"")
    };
    let mut flow = Flow::from_guest(key, ours.into(), &begin, 5000, now);
    flow.state = State::Answered;
    flow.receive(&segment(1001, 5001, b""), false, now);
    assert_eq!(flow.state, State::Open);

    // The guest's port is full when there is something for it.
    let envelope = outlet.envelope(key.remote.ip(), key.guest.ip(), 6).unwrap();
    let mut filled = 0;
    loop {
        let other = [
            &envelope.to.0[..],
            &envelope.from.0,
            &[0x88, 0xb5],
            &[0; 46],
        ]
        .concat();
        match outlet.send(Frame::copy_of(&other).unwrap()) {
            Sent::Taken => filled += 1,
            Sent::Full(_) => break,
        }
    }
    world.write_all(b"an answer").unwrap();
    flow.readable = true;
    assert_eq!(flow.work(&mut outlet, now), Outcome::Blocked);

    flow.writable = true;
    flow.receive(&segment(1001, 5001, b"more"), false, now);
    for _ in 0..filled {
        assert!(cable.receive().is_some());
    }
    assert_eq!(flow.work(&mut outlet, now), Outcome::Idle);
    let heard: Vec<u32> = std::iter::from_fn(|| cable.receive())
        .map(|frame| acknowledged(&frame))
        .collect();
    assert_eq!(heard, [1001, 1005], "the piece, and what came since");
}
