//! Clients that mean harm, or make no sense: they are hung up on, and nobody else notices.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use super::{Rig, client::Client, soon};
use crate::remote::Options;

/// A small generator of numbers without pattern (xorshift), so that a failure can be repeated.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn bytes(&mut self, count: u64) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}

/// Reads and throws away, so that the server is never held up by a full socket.
fn drain(stream: &UnixStream) -> std::thread::JoinHandle<()> {
    let mut stream = stream.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while matches!(stream.read(&mut bytes), Ok(1..)) {}
    })
}

fn still_serves(rig: &Rig) {
    let mut client = Client::new(rig.server.connect().unwrap());
    client.refresh();
    soon(|| rig.server.viewers().len() == 1);
}

#[test]
fn any_bytes_after_the_greeting() {
    let rig = Rig::new(300, 200, Options::default());
    let mut numbers = Numbers(0x1234_5678_9abc_def1);
    let kinds = [0, 2, 3, 4, 5, 6, 150, 248, 251, 255, 7];
    for round in 0..200 {
        let client = Client::new(rig.server.connect().unwrap());
        let reader = drain(&client.stream);
        let mut stream = client.stream;
        for _ in 0..20 {
            let kind = kinds[usize::try_from(numbers.below(11)).unwrap()];
            let count = numbers.below(40);
            let message = [&[kind], numbers.bytes(count).as_slice()].concat();
            // Fails when the server hung up, which is what it should do.
            if stream.write_all(&message).is_err() {
                break;
            }
        }
        rig.draw(|x, y| x * round + y);
        let _ = stream.shutdown(std::net::Shutdown::Both);
        reader.join().unwrap();
    }
    still_serves(&rig);
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
        let _ = theirs.write_all(&numbers.bytes(count));
        let _ = theirs.shutdown(std::net::Shutdown::Write);
        let mut all = Vec::new();
        let _ = theirs.read_to_end(&mut all);
        assert!(all.len() <= 12 + 2 + 16 + 30);
    }
    still_serves(&rig);
}

#[test]
fn well_formed_messages_with_any_values() {
    let rig = Rig::new(300, 200, Options::default());
    let mut numbers = Numbers(99);
    let lengths = [(0, 19), (3, 9), (4, 7), (5, 5), (150, 9), (255, 11)];
    for round in 0..100 {
        let client = Client::new(rig.server.connect().unwrap());
        let reader = drain(&client.stream);
        let mut stream = client.stream;
        let encodings: Vec<u8> = [
            0, 1, 7, 16, -223, -224, -239, -247, -257, -258, -261, -307, -308, -312, -313,
        ]
        .iter()
        .filter(|_| numbers.below(2) == 0)
        .flat_map(|encoding: &i32| encoding.to_be_bytes())
        .collect();
        let count = u16::try_from(encodings.len() / 4).unwrap().to_be_bytes();
        stream
            .write_all(&[&[2, 0], count.as_slice(), &encodings].concat())
            .unwrap();
        for _ in 0..50 {
            let (kind, length) = lengths[usize::try_from(numbers.below(6)).unwrap()];
            let mut message = numbers.bytes(length);
            match kind {
                // Formats that can be, with any maxima and shifts.
                0 => {
                    message[3] = [8, 16, 32][usize::try_from(numbers.below(3)).unwrap()];
                    message[6] = 1;
                    for maximum in [7, 9, 11] {
                        message[maximum] = 0;
                    }
                    for shift in [13, 14, 15] {
                        message[shift] &= 7;
                    }
                }
                255 => message[0] = 0,
                _ => {}
            }
            message.insert(0, kind);
            if stream.write_all(&message).is_err() {
                break;
            }
            if numbers.below(10) == 0 {
                let (width, height) = (numbers.below(400), numbers.below(300));
                rig.surface.draw(|frame| {
                    frame.resize(
                        u32::try_from(width).unwrap(),
                        u32::try_from(height).unwrap(),
                    );
                });
            }
            rig.draw(|x, y| (x / 5 * round) ^ (y / 3));
        }
        let _ = stream.shutdown(std::net::Shutdown::Both);
        reader.join().unwrap();
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
