//! A fuzz target: registers, descriptors and frames.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "none of this is part of the program"
)]

use super::registers::{
    RXCSUM, VET, receive as receive_bits, statistic, transmit as transmit_bits,
};
use super::*;
use crate::fuzzing::guest::{OWN, access, memory};
use crate::fuzzing::virtio::{frame, tcp_headers};
use crate::fuzzing::{Input, Script};
use crate::network::Switch;

/// The card works; a frame comes; the cable is pulled or plugged; the machine is paused or not; the card is reset.
const WORK: u8 = OWN;
const FRAME: u8 = OWN + 1;
const CABLE: u8 = OWN + 2;
/// More registers than a window's offset of 16 bits reaches, by the ports.
const REGISTER: u8 = OWN + 3;

pub(crate) fn run(data: &[u8]) {
    drive(data);
}

/// How many bytes the card sent, and how many frames it received.
fn drive(data: &[u8]) -> (u64, u32) {
    let mut input = Input::new(data);
    let memory = memory(1 << 20);
    let switch = Switch::new();
    let (cable, peer) = (Cable::new().unwrap(), Cable::new().unwrap());
    cable.plug(&switch);
    peer.plug(&switch);
    let line = InterruptLine::unconnected("e1000");
    let mac = MacAddress([2, 0, 0, 0, 0, 1]);
    let mut card = E1000::new(mac, Arc::clone(&cable), line, memory.clone(), None);
    card.write_config(4, Width::Word, 7);
    while let Some(code) = input.code() {
        match code % 10 {
            WORK => work(&mut card, &peer),
            FRAME => {
                let shape = input.byte();
                if let Some(frame) = frame(shape, &mut input) {
                    let _ = peer.send(frame);
                }
                work(&mut card, &peer);
            }
            CABLE => match input.byte() & 7 {
                0 => cable.pull(),
                1 => cable.plug(&switch),
                2 => card.set_paused(true),
                3 => card.reset(),
                _ => card.set_paused(false),
            },
            REGISTER => {
                let _ = card.write_window(1, 0, &input.long().to_le_bytes());
                let _ = card.write_window(1, 4, &input.long().to_le_bytes());
                let _ = card.read_window(1, 4, &mut [0; 4]);
            }
            9 => card.set_paused(false),
            code => access(code, &mut input, &mut card, &memory),
        }
    }
    work(&mut card, &peer);
    (
        peer.traffic().received_bytes,
        card.get(statistic::GOOD_RECEIVED),
    )
}

fn work(card: &mut E1000, peer: &Cable) {
    // One turn after the other is not for ever: each takes descriptors from rings that only the guest fills.
    let turns = (0..5000).take_while(|_| {
        let again = card.work() == Some(Duration::ZERO);
        while peer.receive().is_some() {}
        again
    });
    assert!(turns.count() < 5000, "the card never rests");
    assert!(card.unsent.len() < 2000 && card.waiting.len() < 2000);
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let set = |script: Script, register: u32, value: u32| {
        script.set(0, u16::try_from(register).unwrap(), 4, value.into())
    };
    let mut script = Script::default();
    for (register, value) in [
        (RDBAL, 0x2000),
        (RDLEN, 128),
        (RDH, 0),
        (RDT, 7),
        (TDBAL, 0x1000),
        (TDLEN, 128),
        (RCTL, receive_bits::ENABLE | receive_bits::BROADCAST),
        (TCTL, transmit_bits::ENABLE),
        (RXCSUM, 0x300),
        (IMS, 0xff),
    ] {
        script = set(script, register, value);
    }
    for number in 0..8 {
        let buffer = 0x1_0000 + u64::from(number) * 4096;
        script = script.memory(0x2000 + number * 16, &buffer.to_le_bytes());
    }
    let send = |mut script: Script, descriptors: &[(u32, [u8; 16])]| {
        for (at, raw) in descriptors {
            script = script.memory(*at, raw);
        }
        let last = descriptors.last().map_or(0, |(at, _)| (at - 0x1000) / 16);
        set(script, TDT, (last + 1) % 8).code(WORK).get(0, 0xc0, 4)
    };
    // A legacy descriptor: to be sent as it is, and reported.
    let raw = |length: u16, extended: u8, command: u8, options: u8| {
        let mut raw = [0; 16];
        raw[..8].copy_from_slice(&0x8000_u64.to_le_bytes());
        raw[8..10].copy_from_slice(&length.to_le_bytes());
        [raw[10], raw[11], raw[13]] = [extended, command, options];
        raw
    };
    let at = |number: u32, raw: [u8; 16]| (0x1000 + number * 16, raw);
    let legacy = raw(100, 0, 0x0b, 0);
    let simple = send(script.clone(), &[at(0, legacy), at(1, legacy)]);
    let simple = simple
        .code(FRAME)
        .byte(1)
        .word(80)
        .piece(&[0xff; 14])
        .get(0, RDH as u16, 4);
    // A context and its data: 3000 bytes of TCP in segments of 1000.
    let context = [14, 24, 33, 0, 34, 50, 0, 0, 0, 0, 0, 0x27, 0, 54, 0xe8, 3];
    let data = raw(3054, 0x10, 0x2d, 3);
    let segmented = script.clone().memory(0x8000, &tcp_headers(3054));
    let segmented = send(segmented, &[at(0, context), at(1, data)]);
    let segmented = segmented
        .code(FRAME)
        .byte(0x0d)
        .word(3000)
        .piece(&tcp_headers(3054))
        .byte(34)
        .byte(16)
        .word(1000);
    let mut around = script.get(0, 8, 4);
    for (register, value) in [
        (EECD, 0x110),
        (EERD, 0x0001),
        (MDIC, 0x0821_0000),
        (MDIC, 0x0420_1200),
        (CTRL, 0x0400_0000),
        (ITR, 100),
        (ICS, 4),
        (VET, 0x8100),
    ] {
        around = set(around, register, value)
            .code(WORK)
            .get(0, register as u16, 4);
    }
    let around = around
        .code(CABLE)
        .byte(0)
        .code(WORK)
        .code(CABLE)
        .byte(1)
        .code(WORK);
    vec![
        simple.done(),
        segmented.done(),
        around.code(REGISTER).long(0x1_0008).long(5).done(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_send_and_receive() {
        let outcomes: Vec<(u64, u32)> = seeds().iter().map(|seed| drive(seed)).collect();
        assert_eq!(outcomes[0], (2 * 100, 1));
        assert!(outcomes[1].0 >= 3054 && outcomes[1].1 > 0, "{outcomes:?}");
    }
}
