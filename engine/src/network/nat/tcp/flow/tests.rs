//! One connection's half towards the guest, segment by segment.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::definition::MacAddress;
use crate::network::nat::plan::{DEFAULT_NETWORK, Plan};
use crate::network::{Bell, Cable, Sent, Switch};

const GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const CARD: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
const KEY: Key = Key {
    guest: SocketAddr::new(IpAddr::V4(GUEST), 40_000),
    remote: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 2, 2)), 80),
};

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

/// A connection that is open, and both its ends.
struct Rig {
    outlet: Outlet,
    cable: Arc<Cable>,
    world: UnixStream,
    flow: Flow,
}

impl Rig {
    fn new(now: Instant) -> Self {
        let switch = Switch::new();
        let cable = Cable::new().unwrap();
        cable.plug(&switch);
        let port = switch.connect(Arc::new(Bell::new().unwrap()));
        let mut outlet = Outlet::new(port, Plan::new(DEFAULT_NETWORK, true));
        outlet.hear(GUEST.into(), CARD, now);
        let hello = [&[0xff; 6][..], &CARD.0, &[0x88, 0xb5], &[0; 46]].concat();
        cable.send(Frame::copy_of(&hello).unwrap());
        let (ours, world) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let begin = Segment {
            syn: true,
            ack: false,
            ..segment(1000, 0, b"")
        };
        let mut flow = Flow::from_guest(KEY, ours.into(), &begin, 5000, now);
        flow.writable = true;
        flow.work(&mut outlet, now);
        assert!(cable.receive().is_some());
        flow.receive(&segment(1001, 5001, b""), false, now);
        assert_eq!(flow.state, State::Open);
        Self {
            outlet,
            cable,
            world,
            flow,
        }
    }

    /// The guest sends `segment`; returns what it hears then.
    fn send(&mut self, segment: &Segment, now: Instant) -> Vec<u32> {
        self.flow.receive(segment, false, now);
        self.work(now)
    }

    /// The world sends a byte; returns what the guest hears then.
    fn answer(&mut self, now: Instant) -> Vec<u32> {
        self.world.write_all(b"!").unwrap();
        self.flow.readable = true;
        self.work(now)
    }

    fn work(&mut self, now: Instant) -> Vec<u32> {
        assert_eq!(self.flow.work(&mut self.outlet, now), Outcome::Idle);
        let frames = std::iter::from_fn(|| self.cable.receive());
        frames.map(|frame| acknowledged(&frame)).collect()
    }

    /// The guest asks and is answered `times` times, from that byte and that answer on.
    fn converse(&mut self, times: u32, from: u32, now: Instant) -> Vec<usize> {
        (from..from + times)
            .map(|turn| {
                let heard = self.send(&segment(1001 + turn, 5001 + turn, b"?"), now);
                let answered = self.answer(now);
                assert_eq!(answered, [1002 + turn]);
                heard.len()
            })
            .collect()
    }
}

#[test]
fn what_came_while_a_piece_waited_for_room_is_acknowledged() {
    let now = Instant::now();
    let mut rig = Rig::new(now);
    // The guest's port is full when there is something for it.
    let from = rig.outlet.plan.mac();
    let other = [&CARD.0[..], &from.0, &[0x88, 0xb5], &[0; 46]].concat();
    let mut filled = 0;
    while let Sent::Taken = rig.outlet.send(Frame::copy_of(&other).unwrap()) {
        filled += 1;
    }
    rig.world.write_all(b"an answer").unwrap();
    rig.flow.readable = true;
    rig.flow.writable = false;
    assert_eq!(rig.flow.work(&mut rig.outlet, now), Outcome::Blocked);

    rig.flow.writable = true;
    rig.flow.receive(&segment(1001, 5001, b"more"), false, now);
    for _ in 0..filled {
        assert!(rig.cable.receive().is_some());
    }
    let heard = rig.work(now);
    assert_eq!(heard, [1001, 1005], "the piece, and what came since");
}

#[test]
fn quick_answers_tell_that_their_questions_came() {
    let now = Instant::now();
    let mut rig = Rig::new(now);
    assert_eq!(
        rig.converse(20, 0, now),
        [[1; 16].as_slice(), &[0; 4]].concat()
    );
    // No answer comes: the guest hears it by itself, and the answers after that are not counted on.
    assert!(rig.send(&segment(1021, 5021, b"?"), now).is_empty());
    assert!(!rig.flow.keep_promise(now));
    let late = now + Duration::from_millis(10);
    assert!(rig.flow.keep_promise(late));
    assert_eq!(rig.work(late), [1022]);
    assert!(!rig.flow.keep_promise(late));
    assert_eq!(rig.answer(late), [1022]);
    assert_eq!(rig.converse(17, 21, late).iter().sum::<usize>(), 16);
}

#[test]
fn a_guest_that_asks_in_parts_hears_of_each() {
    let now = Instant::now();
    let mut rig = Rig::new(now);
    // It waits with the second part until it heard of the first: none of them may be kept waiting.
    for turn in 0..40 {
        let (sequence, heard) = (1001 + 2 * turn, 5001 + turn);
        assert_eq!(
            rig.send(&segment(sequence, heard, b"a"), now),
            [sequence + 1]
        );
        assert_eq!(
            rig.send(&segment(sequence + 1, heard, b"b"), now),
            [sequence + 2]
        );
        assert_eq!(rig.answer(now), [sequence + 2]);
    }
    // One that begins with it in a conversation is not kept waiting either.
    let mut rig = Rig::new(now);
    rig.converse(20, 0, now);
    assert!(rig.send(&segment(1021, 5021, b"a"), now).is_empty());
    assert_eq!(rig.send(&segment(1022, 5021, b"b"), now), [1023]);
}

#[test]
fn slow_answers_are_not_counted_on() {
    let mut now = Instant::now();
    let mut rig = Rig::new(now);
    for turn in 0..40 {
        assert_eq!(
            rig.send(&segment(1001 + turn, 5001 + turn, b"?"), now)
                .len(),
            1
        );
        now += Duration::from_millis(10);
        assert_eq!(rig.answer(now), [1002 + turn]);
    }
}
