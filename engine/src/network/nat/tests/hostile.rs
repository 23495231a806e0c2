//! Frames that no decent guest sends. Whatever comes, the network goes on, and what is kept stays bounded.

use std::net::TcpListener;

use super::*;
use crate::network::{Cable, Checksum, Offload};

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
