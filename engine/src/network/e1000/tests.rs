//! The card as drivers and hostile guests use it, without its thread: each test lets it work.

use super::registers::{MULTICAST, RXCSUM, statistic};
use super::*;
use crate::bus::Recorder;
use crate::network::{Checksum, Segments, Switch};

const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
const TX: u64 = 0x1000;
const RX: u64 = 0x2000;
const BUFFERS: u64 = 0x1_0000;

struct Rig {
    card: E1000,
    memory: GuestMemory,
    line: Arc<Recorder>,
    peer: Arc<Cable>,
    switch: Arc<Switch>,
}

fn rig() -> Rig {
    let region = MemoryRegion::new("test", 4 << 20).unwrap();
    let memory = GuestMemory::new(vec![(0, region)]).unwrap();
    let line = Arc::new(Recorder::default());
    let switch = Switch::new();
    let (cable, peer) = (Cable::new().unwrap(), Cable::new().unwrap());
    cable.plug(&switch);
    peer.plug(&switch);
    let wire = InterruptLine::new("test", line.clone(), 11);
    let mut card = E1000::new(MAC, cable, wire, memory.clone(), None);
    card.write_config(4, Width::Word, 7);
    Rig {
        card,
        memory,
        line,
        peer,
        switch,
    }
}

impl Rig {
    fn read(&mut self, register: u32) -> u32 {
        let mut data = [0; 4];
        self.card
            .read_window(0, register.into(), &mut data)
            .unwrap();
        u32::from_le_bytes(data)
    }

    fn write(&mut self, register: u32, value: u32) {
        self.card
            .write_window(0, register.into(), &value.to_le_bytes())
            .unwrap();
    }

    /// As a driver sets the card up: rings of 8 descriptors, buffers of 2048 bytes.
    fn ready(&mut self) {
        for (register, value) in [
            (RDBAL, u32::try_from(RX).unwrap()),
            (RDLEN, 128),
            (RDH, 0),
            (RDT, 7),
            (TDBAL, u32::try_from(TX).unwrap()),
            (TDLEN, 128),
            (
                RCTL,
                registers::receive::ENABLE
                    | registers::receive::BROADCAST
                    | registers::receive::STRIP_CHECKSUM,
            ),
            (TCTL, registers::transmit::ENABLE),
            (IMS, 0xff),
        ] {
            self.write(register, value);
        }
        for number in 0..8_u64 {
            self.memory
                .write(RX + number * 16, &(BUFFERS + number * 4096).to_le_bytes())
                .unwrap();
            self.memory.write(RX + number * 16 + 8, &[0; 8]).unwrap();
        }
    }

    fn descriptor(&self, base: u64, number: u64) -> [u8; 16] {
        let mut raw = [0; 16];
        self.memory.read(base + number * 16, &mut raw).unwrap();
        raw
    }

    fn send(&mut self, number: u64, raw: [u8; 16]) {
        self.memory.write(TX + number * 16, &raw).unwrap();
        self.write(TDT, u32::try_from((number + 1) % 8).unwrap());
        self.card.work();
    }

    fn give(&mut self, frame: &[u8]) {
        self.peer.send(Frame::copy_of(frame).unwrap());
        self.card.work();
    }
}

fn frame(to: [u8; 6], length: usize) -> Vec<u8> {
    let mut data = vec![0x5a; length];
    data[..6].copy_from_slice(&to);
    data[6..14].copy_from_slice(&[2, 0, 0, 0, 0, 9, 0x88, 0xb5]);
    data
}

fn legacy(address: u64, length: u16, command: u8) -> [u8; 16] {
    let mut raw = [0; 16];
    raw[..8].copy_from_slice(&address.to_le_bytes());
    raw[8..10].copy_from_slice(&length.to_le_bytes());
    raw[11] = command;
    raw
}

#[test]
fn registers_read_as_the_manual_says() {
    let mut rig = rig();
    assert_eq!(rig.card.read_config(0, Width::Dword), 0x100e_8086);
    for (register, value) in [
        (STATUS, 0x283),
        (PBA, 0x0010_0030),
        (ADDRESSES, 0x0000_0002),
        (ADDRESSES + 4, 0x8000_0100),
        (IMS, 0),
        (ICR, 0),
        (TDH, 0),
        (RDT, 0),
    ] {
        assert_eq!(rig.read(register), value, "{register:#x}");
    }
    for (register, value, kept) in [
        (TDLEN, 0xffff_ffff, 0x000f_ff80),
        (TDBAL, 0xffff_ffff, 0xffff_fff0),
        (RDH, 0x1_2345, 0x2345),
        (STATUS, 0, 0x283),
        (MULTICAST + 4, 0x55, 0x55),
        (ITR, 0x1_0100, 0x100),
        (0x4080, 7, 0),
    ] {
        rig.write(register, value);
        assert_eq!(rig.read(register), kept, "{register:#x}");
    }
    // Through the ports.
    rig.card.write_window(1, 0, &RCTL.to_le_bytes()).unwrap();
    rig.card
        .write_window(1, 4, &0x8002_u32.to_le_bytes())
        .unwrap();
    assert_eq!(rig.read(RCTL), 0x8002);
    rig.write(CTRL, ctrl::RESET);
    assert_eq!((rig.read(RCTL), rig.read(CTRL)), (0, ctrl::POWER_ON));
    rig.write(MDIC, 0x0823_0000);
    assert_eq!(rig.read(MDIC) & 0xffff, 0x0c20);
    rig.write(MDIC, 0x0842_0000);
    assert_ne!(rig.read(MDIC) & 1 << 30, 0, "another PHY");
}

#[test]
fn causes_and_mask_drive_the_line_and_reading_clears() {
    let mut rig = rig();
    rig.write(ICS, cause::LINK);
    assert!(!rig.line.level(11));
    rig.write(IMS, cause::LINK);
    assert!(rig.line.level(11));
    rig.write(IMC, cause::LINK);
    assert!(!rig.line.level(11));
    rig.write(IMS, cause::LINK);
    assert_eq!(rig.read(ICR), cause::LINK);
    assert!(!rig.line.level(11));
    assert_eq!(rig.read(ICR), 0);
}

#[test]
fn an_interrupt_is_held_back_until_the_throttle_lets_it() {
    let mut rig = rig();
    rig.write(ITR, 0xffff);
    rig.write(IMS, cause::LINK);
    rig.write(ICS, cause::LINK);
    assert!(rig.line.level(11));
    rig.read(ICR);
    rig.write(ICS, cause::LINK);
    assert!(!rig.line.level(11));
    while !rig.line.level(11) {
        if let Some(patience) = rig.card.work() {
            assert!(patience <= THROTTLE * 0xffff);
            thread::sleep(patience);
        }
    }
}

#[test]
fn frames_go_out_and_descriptors_come_back() {
    let mut rig = rig();
    rig.ready();
    let data = frame([0xff; 6], 100);
    rig.memory.write(BUFFERS, &data).unwrap();
    rig.send(0, legacy(BUFFERS, 50, 8));
    assert!(rig.peer.receive().is_none(), "not yet whole");
    rig.send(1, legacy(BUFFERS + 50, 50, 9));
    assert_eq!(rig.peer.receive().unwrap().data(), &data);
    assert_eq!(rig.descriptor(TX, 0)[12] & 1, 1);
    assert_eq!(rig.read(TDH), 2);
    assert_eq!(rig.read(ICR) & 3, 3);
    assert_eq!(
        (
            rig.read(statistic::GOOD_SENT),
            rig.read(statistic::OCTETS_SENT)
        ),
        (1, 104)
    );
    assert_eq!(rig.read(statistic::GOOD_SENT), 0);
    // Short ones are padded.
    rig.send(2, legacy(BUFFERS, 20, 9));
    assert_eq!(rig.peer.receive().unwrap().data().len(), 60);
}

#[test]
fn segmentation_is_left_to_whoever_gets_the_frame() {
    let mut rig = rig();
    rig.ready();
    let mut data = vec![0; 54 + 4000];
    data[..12].fill(0xff);
    data[6] = 2;
    data[12..15].copy_from_slice(&[8, 0, 0x45]);
    data[23] = 6;
    data[26..34].copy_from_slice(&[10, 0, 2, 15, 10, 0, 2, 2]);
    data[46] = 0x50;
    rig.memory.write(BUFFERS, &data).unwrap();
    let mut context = [14, 24, 33, 0, 34, 50, 0, 0, 0, 0, 0, 0x27, 0, 54, 0, 0];
    context[14..].copy_from_slice(&1000_u16.to_le_bytes());
    rig.memory.write(TX, &context).unwrap();
    let mut raw = legacy(BUFFERS, 4054, 0x25 | 8);
    raw[10] = 0x10;
    raw[13] = 3;
    rig.memory.write(TX + 16, &raw).unwrap();
    rig.write(TDT, 2);
    rig.card.work();
    let sent = rig.peer.receive().unwrap();
    assert_eq!(sent.offload().segmentation.unwrap().size, 1000);
    let segments = Segments::frames(sent);
    assert_eq!(
        segments
            .iter()
            .map(|segment| segment.data().len())
            .collect::<Vec<_>>(),
        [1054; 4]
    );
    for segment in segments {
        let packet = smoltcp::wire::Ipv4Packet::new_checked(&segment.data()[14..]).unwrap();
        assert!(packet.verify_checksum());
        let tcp = smoltcp::wire::TcpPacket::new_checked(packet.payload()).unwrap();
        assert!(tcp.verify_checksum(&packet.src_addr().into(), &packet.dst_addr().into()));
    }
}

#[test]
fn frames_come_in_filtered_and_span_buffers() {
    let mut rig = rig();
    rig.ready();
    rig.give(&frame(MAC.0, 100));
    let raw = rig.descriptor(RX, 0);
    assert_eq!((raw[8], raw[12] & 3, rig.read(RDH)), (100, 3, 1));
    let mut data = [0; 100];
    rig.memory.read(BUFFERS, &mut data).unwrap();
    assert_eq!(data[..], frame(MAC.0, 100));
    assert!(rig.line.level(11));
    assert_eq!(rig.read(ICR) & cause::RECEIVED, cause::RECEIVED);
    for (to, taken) in [
        ([2, 0, 0, 0, 0, 7], false),
        ([0xff; 6], true),
        ([1, 0, 0x5e, 0, 0, 1], false),
    ] {
        let before = rig.read(RDH);
        rig.give(&frame(to, 60));
        assert_eq!(rig.read(RDH) != before, taken, "{to:?}");
    }
    // Joined: bits 47 to 36 of 01:00:5e:00:00:01 are 0x010.
    rig.write(MULTICAST, 1 << 16);
    let before = rig.read(RDH);
    rig.give(&frame([1, 0, 0x5e, 0, 0, 1], 60));
    assert_ne!(rig.read(RDH), before);
    rig.give(&frame(MAC.0, 1515));
    assert_eq!(rig.read(statistic::OVERSIZE_RECEIVED), 1);
    // Buffers of 256 bytes.
    rig.ready();
    let control = rig.read(RCTL) | 3 << 16;
    rig.write(RCTL, control);
    rig.give(&frame(MAC.0, 600));
    let lengths: Vec<_> = (0..3)
        .map(|number| {
            (
                rig.descriptor(RX, number)[8],
                rig.descriptor(RX, number)[9],
                rig.descriptor(RX, number)[12] & 3,
            )
        })
        .collect();
    assert_eq!(lengths, [(0, 1, 1), (0, 1, 1), (88, 0, 3)]);
}

#[test]
fn a_card_without_buffers_waits_and_loses_nothing() {
    let mut rig = rig();
    rig.ready();
    rig.write(RDT, 2);
    for _ in 0..5 {
        rig.give(&frame(MAC.0, 100));
    }
    assert_eq!(rig.read(RDH), 2);
    rig.write(RDT, 7);
    rig.card.work();
    assert_eq!(rig.read(RDH), 5);
}

#[test]
fn a_tail_outside_of_the_ring_sends_nothing_without_end() {
    let mut rig = rig();
    rig.ready();
    for number in 0..8 {
        let raw = legacy(BUFFERS, 60, 0x0b);
        rig.memory.write(TX + number * 16, &raw).unwrap();
    }
    rig.write(TDT, 8);
    assert_eq!(rig.card.work(), None);
    assert!(rig.peer.receive().is_none());
    assert_eq!(rig.read(TDH), 0);
    rig.write(TDT, 7);
    rig.card.work();
    assert_eq!(rig.read(TDH), 7);
}

#[test]
fn checksums_are_whole_whether_the_guest_trusts_the_card_or_not() {
    let mut rig = rig();
    rig.ready();
    let mut data = frame(MAC.0, 60);
    data[14..].fill(1);
    let offload = crate::network::Offload {
        checksum: Checksum::Partial {
            start: 34,
            offset: 16,
        },
        segmentation: None,
    };
    let partial = Frame::new(data.clone().into(), offload).unwrap();
    rig.peer.send(partial.clone());
    rig.card.work();
    let mut got = [0; 60];
    rig.memory.read(BUFFERS, &mut got).unwrap();
    let whole = partial.clone().with_checksum();
    assert_ne!(whole.data()[50..52], [1, 1]);
    assert_eq!(got[..], whole.data()[..]);
    rig.write(RXCSUM, 0x300);
    rig.peer.send(partial);
    rig.card.work();
    rig.memory.read(BUFFERS + 4096, &mut got).unwrap();
    assert_eq!(got[..], whole.data()[..]);
    assert_eq!(rig.descriptor(RX, 1)[12] & 0x24, 0x20);
}

#[test]
fn the_link_follows_the_cable() {
    let mut rig = rig();
    rig.write(IMS, cause::LINK);
    let cable = Arc::clone(&rig.card.cable);
    cable.pull();
    rig.card.work();
    assert_eq!(rig.read(STATUS) & 2, 0);
    assert_eq!(rig.read(ICR), cause::LINK);
    cable.plug(&rig.switch);
    rig.card.work();
    assert_eq!(rig.read(STATUS) & 2, 2);
}

#[test]
fn a_paused_card_leaves_memory_alone() {
    let mut rig = rig();
    rig.ready();
    rig.card.set_paused(true);
    rig.give(&frame(MAC.0, 100));
    assert_eq!(rig.read(RDH), 0);
    rig.card.set_paused(false);
    rig.card.work();
    assert_eq!(rig.read(RDH), 1);
}
