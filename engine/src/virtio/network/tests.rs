//! The card as a driver uses it, with another card at the switch.

use std::time::Duration;

use super::super::feature as transport;
use super::super::testing::Driver;
use super::*;
use crate::network::{Segmentation, Switch};

const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
const OFFLOADS: u64 =
    feature::CHECKSUM | feature::OFFLOADS | feature::HOST_TCP4 | feature::HOST_TCP6;

struct Rig {
    driver: Driver,
    cable: Arc<Cable>,
    peer: Arc<Cable>,
    switch: Arc<Switch>,
}

fn rig(features: u64) -> Rig {
    let switch = Switch::new();
    let (cable, peer) = (Cable::new().unwrap(), Cable::new().unwrap());
    cable.plug(&switch);
    peer.plug(&switch);
    let mut driver = Driver::new(Network::new(MAC, Arc::clone(&cable)));
    driver.start(features | transport::EVENT_INDEX);
    Rig {
        driver,
        cable,
        peer,
        switch,
    }
}

impl Rig {
    fn sent(&self) -> Frame {
        loop {
            if let Some(frame) = self.peer.receive() {
                return frame;
            }
            assert!(
                self.peer.bell().wait(Some(Duration::from_secs(30))),
                "nothing came"
            );
        }
    }
}

fn frame(to: [u8; 6], length: usize) -> Vec<u8> {
    let mut data: Vec<u8> = (0..=250).cycle().take(length).collect();
    data[..6].copy_from_slice(&to);
    data[6..14].copy_from_slice(&[2, 0, 0, 0, 0, 9, 0x88, 0xb5]);
    data
}

/// A TCP segment that is to be cut.
fn large() -> Frame {
    let mut data = frame(MAC.0, 54 + 5000);
    data[12..15].copy_from_slice(&[8, 0, 0x45]);
    data[16..18].copy_from_slice(&5040_u16.to_be_bytes());
    data[23] = 6;
    data[46] = 0x50;
    let offload = Offload {
        checksum: Checksum::Partial {
            start: 34,
            offset: 16,
        },
        segmentation: Some(Segmentation {
            kind: SegmentKind::Tcp4,
            size: 1000,
            congestion: false,
        }),
    };
    Frame::new(data.into(), offload).unwrap()
}

#[test]
fn the_configuration_says_address_link_and_mtu() {
    let mut rig = rig(feature::MAC | feature::STATUS);
    assert_eq!(
        rig.driver.config::<12>(0),
        [2, 0, 0, 0, 0, 1, 1, 0, 1, 0, 0xdc, 5]
    );
    rig.cable.pull();
    assert_eq!(rig.driver.config::<2>(6), [0, 0]);
    rig.cable.plug(&rig.switch);
    assert_eq!(rig.driver.config::<2>(6), [1, 0]);
}

#[test]
fn frames_are_sent_and_large_ones_left_whole() {
    let mut rig = rig(OFFLOADS);
    let data = frame([0xff; 6], 60);
    let used = rig.driver.request(1, &[&[0; 12], &data], &[]);
    assert_eq!(used.written, 0);
    assert_eq!(rig.sent().data(), &data);
    let whole = large();
    let header = whole.offload().to_virtio(whole.data(), 0);
    rig.driver.request(1, &[&header, whole.data()], &[]);
    // To an address of its own nothing goes over the switch; the peer's is not known yet.
    let sent = rig.sent();
    assert_eq!(
        (sent.offload(), sent.data()),
        (whole.offload(), whole.data())
    );
}

#[test]
fn frames_come_into_as_many_buffers_as_they_need() {
    let mut rig = rig(OFFLOADS | feature::MERGEABLE);
    for _ in 0..5 {
        rig.driver.add(0, &[], &[1500]);
    }
    rig.driver.kick(0);
    rig.peer.send(large());
    let used = rig.driver.wait_used(0, 4);
    assert_eq!(
        used.iter().map(|one| one.written).collect::<Vec<_>>(),
        [1500, 1500, 1500, 566]
    );
    let data: Vec<u8> = used
        .iter()
        .flat_map(|one| &one.data[..one.written as usize])
        .copied()
        .collect();
    assert_eq!(data[..12], large().offload().to_virtio(large().data(), 4));
    assert_eq!(data[12..], large().data()[..]);
}

#[test]
fn who_takes_no_large_frames_gets_segments_with_their_checksums() {
    let mut rig = rig(0);
    for _ in 0..5 {
        rig.driver.add(0, &[], &[1600]);
    }
    rig.driver.kick(0);
    rig.peer.send(large());
    let used = rig.driver.wait_used(0, 5);
    let expected = Segments::frames(large());
    for (one, segment) in used.iter().zip(&expected) {
        assert_eq!(one.data[..12], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
        assert_eq!(one.data[12..one.written as usize], segment.data()[..]);
    }
}

#[test]
fn frames_wait_for_buffers() {
    let mut rig = rig(OFFLOADS | feature::MERGEABLE);
    rig.peer.send(Frame::copy_of(&frame(MAC.0, 700)).unwrap());
    rig.peer.send(Frame::copy_of(&frame(MAC.0, 60)).unwrap());
    rig.driver.add(0, &[], &[300]);
    rig.driver.kick(0);
    // So that the card has looked, and wants to hear of more than this one buffer.
    thread::sleep(Duration::from_millis(50));
    assert!(rig.driver.used(0).is_empty());
    rig.driver.add(0, &[], &[300, 300]);
    rig.driver.kick(0);
    let used = rig.driver.wait_used(0, 2);
    assert_eq!(used[0].written + used[1].written, 712);
    rig.driver.add(0, &[], &[300]);
    rig.driver.kick(0);
    assert_eq!(rig.driver.wait_used(0, 1)[0].written, 72);
}

#[test]
fn the_driver_orders_what_it_hears() {
    let mut rig = rig(OFFLOADS
        | feature::MERGEABLE
        | feature::CONTROL
        | feature::CONTROL_RECEIVE
        | feature::CONTROL_MAC
        | feature::CONTROL_OFFLOADS);
    let order = |rig: &mut Rig, parts: &[&[u8]]| rig.driver.request(2, parts, &[1]).data[0];
    assert_eq!(order(&mut rig, &[&[0, 0], &[0]]), 0);
    assert_eq!(
        order(
            &mut rig,
            &[&[1, 0], &[0, 0, 0, 0], &[1, 0, 0, 0, 1, 0, 0x5e, 0, 0, 5]]
        ),
        0
    );
    for _ in 0..2 {
        rig.driver.add(0, &[], &[1600]);
    }
    rig.driver.kick(0);
    for to in [
        [2, 0, 0, 0, 0, 7],
        [1, 0, 0x5e, 0, 0, 6],
        [1, 0, 0x5e, 0, 0, 5],
        MAC.0,
    ] {
        rig.peer.send(Frame::copy_of(&frame(to, 60)).unwrap());
    }
    let used = rig.driver.wait_used(0, 2);
    assert_eq!((used[0].data[17], used[1].data[17]), (5, 1));
    assert_eq!(order(&mut rig, &[&[1, 1], &[2, 0, 0, 0, 0, 8]]), 0);
    assert_eq!(rig.driver.config::<6>(0), [2, 0, 0, 0, 0, 8]);
    assert_eq!(order(&mut rig, &[&[5, 0], &[0; 8]]), 0);
    // What it does not know, and what does not hold together.
    assert_eq!(order(&mut rig, &[&[9, 9]]), 1);
    assert_eq!(order(&mut rig, &[&[5, 0], &[0xff; 8]]), 1);
    assert_eq!(order(&mut rig, &[&[1, 0], &[0xff, 0xff, 0xff, 0xff]]), 1);
    assert_eq!(order(&mut rig, &[&[0]]), 1);
}

#[test]
fn hostile_chains_send_nothing_and_end_nothing() {
    let mut rig = rig(feature::CHECKSUM);
    for header in [
        [0xff; 12],
        [1, 1, 0, 0, 1, 0, 34, 0, 16, 0, 0, 0],
        [1, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0],
    ] {
        rig.driver
            .request(1, &[&header, &frame([0xff; 6], 60)], &[]);
    }
    rig.driver.request(1, &[&[0; 12]], &[]);
    rig.driver.request(1, &[&[0; 5]], &[]);
    rig.driver
        .request(1, &[&[0; 12], &vec![0; MAX_FRAME + 1]], &[]);
    rig.driver.request(1, &[], &[100]);
    rig.driver
        .request(1, &[&[0; 12], &frame([0xff; 6], 61)], &[]);
    assert_eq!(rig.sent().data().len(), 61);
    // A buffer that is too small comes back.
    rig.driver.add(0, &[], &[20]);
    rig.driver.kick(0);
    rig.peer.send(Frame::copy_of(&frame(MAC.0, 60)).unwrap());
    assert_eq!(rig.driver.wait_used(0, 1)[0].written, 0);
}
