//! Frames that no decent guest sends. Whatever comes, the network goes on, and what is kept stays bounded.

use super::*;
use crate::network::{Cable, Checksum, Offload, SegmentKind, Segmentation};

/// A small generator of numbers, always the same (xorshift).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }
}

fn frame(protocol: u16, payload: &[u8]) -> Vec<u8> {
    [
        &[0x52, 0x55, 0x0a, 0, 2, 2, 2, 0, 0, 0, 0, 9][..],
        &protocol.to_be_bytes(),
        payload,
    ]
    .concat()
}

fn version4(protocol: u8, body: &[u8]) -> Vec<u8> {
    let envelope = Envelope {
        from: MacAddress([2, 0, 0, 0, 0, 9]),
        to: MacAddress([0x52, 0x55, 0x0a, 0, 2, 2]),
        source: Ipv4Addr::new(10, 0, 2, 99).into(),
        destination: Ipv4Addr::new(10, 0, 2, 2).into(),
        protocol,
    };
    let mut data = vec![0; 34];
    envelope.write(&mut data, 1, body.len());
    data.extend_from_slice(body);
    data
}

/// Frames of every kind that the gateway looks at.
fn seeds() -> Vec<Vec<u8>> {
    let mut tcp = vec![
        0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x80, 2, 0xff, 0xff, 0, 0, 0, 0,
    ];
    tcp.extend_from_slice(&[2, 4, 5, 0xb4, 3, 3, 7, 1, 1, 1, 1, 0]);
    let mut dhcp = vec![0; 300];
    dhcp[..4].copy_from_slice(&[1, 1, 6, 0]);
    dhcp[28] = 2;
    dhcp[236..244].copy_from_slice(&[0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255]);
    let udp = |source: u16, target: u16, payload: &[u8]| {
        let length = u16::try_from(payload.len() + 8).unwrap();
        let header: Vec<u8> = [source, target, length, 0]
            .iter()
            .flat_map(|part| part.to_be_bytes())
            .collect();
        version4(17, &[header.as_slice(), payload].concat())
    };
    let mut version6 = vec![0x60, 0, 0, 0, 0, 32, 58, 255];
    version6.extend_from_slice(&[0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
    version6.extend_from_slice(&[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 2]);
    version6.extend_from_slice(&[135, 0, 0, 0, 0, 0, 0, 0]);
    version6.extend_from_slice(&plan::LINK_LOCAL.octets());
    version6.extend_from_slice(&[1, 1, 2, 0, 0, 0, 0, 9]);
    let mut arp = vec![0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 9, 10, 0, 2, 99];
    arp.extend_from_slice(&[0, 0, 0, 0, 0, 0, 10, 0, 2, 2]);
    vec![
        version4(6, &tcp),
        udp(68, 67, &dhcp),
        udp(1000, 53, &[0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
        udp(1000, 2000, b"hello"),
        version4(1, &[8, 0, 0xf7, 0xfe, 0, 0, 0, 1]),
        frame(0x86dd, &version6),
        frame(0x0806, &arp),
    ]
}

/// Sends `count` frames made of the seeds by changing some of their bytes, their lengths and what is left undone.
fn attack(cable: &Cable, numbers: &mut Numbers, count: usize) {
    let seeds = seeds();
    for _ in 0..count {
        let mut data = seeds[numbers.below(seeds.len())].clone();
        for _ in 0..numbers.below(6) {
            let at = numbers.below(data.len());
            data[at] = numbers.next().to_le_bytes()[0];
        }
        match numbers.below(8) {
            0 => data.truncate(numbers.below(data.len()).max(14)),
            1 => data.resize(data.len() + numbers.below(3000), 0x5a),
            _ => {}
        }
        // Most are to come past the first check.
        if numbers.below(4) > 0 && data[12..14] == [8, 0] && data.len() >= 34 {
            let length = u16::try_from(data.len() - 14).unwrap();
            data[16..18].copy_from_slice(&length.to_be_bytes());
            data[24..26].fill(0);
            let sum = crate::network::checksum::Sum::default()
                .with(&data[14..34])
                .finish();
            data[24..26].copy_from_slice(&sum);
        }
        let number =
            |numbers: &mut Numbers, bound: u64| u16::try_from(numbers.next() % bound).unwrap();
        let checksum = match numbers.below(3) {
            0 => Checksum::Complete,
            1 => Checksum::Valid,
            _ => Checksum::Partial {
                start: number(numbers, 100),
                offset: number(numbers, 30),
            },
        };
        let kinds = [SegmentKind::Tcp4, SegmentKind::Tcp6, SegmentKind::Udp];
        let segmentation = (numbers.below(4) == 0).then(|| Segmentation {
            kind: kinds[numbers.below(3)],
            size: number(numbers, 3000),
            congestion: false,
        });
        if let Some(frame) = Frame::new(
            data.into(),
            Offload {
                checksum,
                segmentation,
            },
        ) {
            let _ = Segments::frames(frame.clone());
            let _ = cable.send(frame);
        }
        while cable.receive().is_some() {}
    }
}

#[test]
fn hostile_frames_neither_stop_the_network_nor_grow_it() {
    let (switch, _nat) = network(Options {
        version6: Some(true),
        ..Options::new(Plan::new(DEFAULT_NETWORK, true))
    });
    let cable = Cable::new().unwrap();
    cable.plug(&switch);
    let mut numbers = Numbers(0x1234_5678_9abc_def1);
    attack(&cable, &mut numbers, 60_000);
    let mut guest = Guest::with_lease(&switch, 1);
    assert!(
        guest
            .ping(gateway(0).ip(), b"still here")
            .ends_with(b"still here")
    );
}

#[test]
fn beginnings_without_end_are_bounded() {
    let (switch, _nat) = network(open_options());
    let listener = TcpListener::bind(loopback(0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let cable = Cable::new().unwrap();
    cable.plug(&switch);
    for number in 0..20_000_u16 {
        let mut tcp = vec![0; 20];
        tcp[..2].copy_from_slice(&(number + 1).to_be_bytes());
        tcp[2..4].copy_from_slice(&port.to_be_bytes());
        tcp[12..14].copy_from_slice(&[0x50, 2]);
        let offload = Offload {
            checksum: Checksum::Valid,
            segmentation: None,
        };
        let frame = Frame::new(version4(6, &tcp).into(), offload).unwrap();
        let _ = cable.send(frame);
        while cable.receive().is_some() {}
    }
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count();
    assert!(open < 3000, "{open} file descriptors");
    // Another guest is served all the same.
    let mut guest = Guest::with_lease(&switch, 1);
    assert!(
        guest
            .ping(gateway(0).ip(), b"still here")
            .ends_with(b"still here")
    );
}
