//! Clients that mean harm, or make no sense: they are hung up on, and nobody else notices.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use super::{Rig, client::Client, soon};
use crate::fuzzing::Numbers;
use crate::remote::Options;

fn bytes(numbers: &mut Numbers, count: u64) -> Vec<u8> {
    (0..count).map(|_| numbers.byte()).collect()
}

fn still_serves(rig: &Rig) {
    let mut client = Client::new(rig.server.connect().unwrap());
    client.refresh();
    soon(|| rig.server.viewers().len() == 1);
}

#[test]
fn any_bytes_instead_of_the_greeting() {
    let rig = Rig::new(
        64,
        64,
        Options {
            password: Some("x".into()),
            ..Options::default()
        },
    );
    let mut numbers = Numbers(77);
    for _ in 0..50 {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        rig.server.attach(ours).unwrap();
        let count = numbers.below(30);
        let _ = theirs.write_all(&bytes(&mut numbers, count));
        let _ = theirs.shutdown(std::net::Shutdown::Write);
        let mut all = Vec::new();
        let _ = theirs.read_to_end(&mut all);
        assert!(all.len() <= 12 + 2 + 16 + 30);
    }
    still_serves(&rig);
}

#[test]
fn fences_without_reading_end_the_connection() {
    let rig = Rig::new(64, 64, Options::default());
    let mut client = Client::new(rig.server.connect().unwrap());
    client
        .stream
        .set_write_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let fence = [&[248, 0, 0, 0, 0x80, 0, 0, 0, 64], [9; 64].as_slice()].concat();
    let many = fence.repeat(1000);
    // The socket takes some, the queue takes some; no more than a few thousand in all.
    let refused = (0..10_000).any(|_| client.stream.write_all(&many).is_err());
    assert!(refused);
    soon(|| rig.server.viewers().is_empty());
    still_serves(&rig);
}

#[test]
fn text_that_does_not_come_takes_no_memory_and_holds_nobody_up() {
    let rig = Rig::new(64, 64, Options::default());
    let waiting: Vec<Client> = (0..20)
        .map(|_| {
            let mut client = Client::new(rig.server.connect().unwrap());
            client.send(&[6, 0, 0, 0, 0, 0x10, 0, 0, b'x']);
            client
        })
        .collect();
    let mut other = Client::new(rig.server.connect().unwrap());
    other.refresh();
    drop(waiting);
    soon(|| rig.server.viewers().len() == 1);
}
