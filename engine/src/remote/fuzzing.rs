//! A fuzz target: what a client sends, from its first byte on. Reader and writer are this thread: whenever the reader wants more, the
//! picture changes and the writer sends what it may.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "none of this is part of the program"
)]

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::handshake::shake_hands;
use super::keyboard::Keyboard;
use super::picture::Picture;
use super::pointer::Pointer;
use super::server::Shared;
use super::stream::Stream;
use super::update::Writer;
use super::viewer::{Reader, Viewer};
use super::{Options, RemoteServer};
use crate::display::Surface;
use crate::fuzzing::Script;
use crate::input::{InputEvent, InputSink};

const WIDTH: u32 = 70;
const HEIGHT: u32 = 50;

/// The other end's bytes, so many at a time.
struct Wire {
    bytes: Mutex<VecDeque<u8>>,
    piece: usize,
    writer: Mutex<Option<Writer>>,
    shared: Arc<Shared>,
    looks: AtomicU32,
}

#[derive(Clone)]
struct End(Arc<Wire>);

impl Read for End {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let wire = &*self.0;
        if let Some(writer) = &mut *wire.writer.lock() {
            let look = wire.looks.fetch_add(1, Ordering::Relaxed);
            wire.shared.surface().draw(|frame| {
                if look % 16 == 15 {
                    frame.resize(WIDTH + look % 3, HEIGHT);
                }
                let row: Vec<u32> = (0..frame.size().0)
                    .map(|x| (x * look) << (look % 20) & 0xff_ffff)
                    .collect();
                frame.draw_row(0, look % HEIGHT, &row);
            });
            writer.turn()?;
        }
        let mut bytes = wire.bytes.lock();
        let count = bytes.len().min(room.len()).min(wire.piece);
        for (to, from) in room.iter_mut().zip(bytes.drain(..count)) {
            *to = from;
        }
        Ok(count)
    }
}

impl Write for End {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for End {
    fn duplicate(&self) -> io::Result<Box<dyn Stream>> {
        Ok(Box::new(self.clone()))
    }

    fn close(&self) {}

    fn limit_reads(&self, _limit: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn peer(&self) -> String {
        "the target".to_owned()
    }
}

struct Nobody;

impl InputSink for Nobody {
    fn input(&self, _event: InputEvent) {}
}

pub(crate) fn run(data: &[u8]) {
    let (first, data) = data.split_first().unwrap_or((&0, &[]));
    let server = RemoteServer::new(
        Arc::new(Surface::new(WIDTH, HEIGHT)),
        Arc::new(Nobody),
        "A machine",
        Options {
            ask_for_size: Some(Arc::new(|width, height| width > height)),
            take_text: Some(Arc::new(|_| {})),
            ..Options::default()
        },
    );
    let shared = server.shared();
    if first & 0x40 != 0 {
        server.set_relative(true);
    }
    let wire = Arc::new(Wire {
        bytes: Mutex::new(data.iter().copied().collect()),
        piece: usize::from(first & 0x3f) + 1,
        writer: Mutex::new(None),
        shared: Arc::clone(&shared),
        looks: AtomicU32::new(0),
    });
    let mut stream = End(Arc::clone(&wire));
    let viewer = Arc::new(Viewer::new(1, Box::new(stream.clone())));
    let size = || (WIDTH, HEIGHT);
    if shake_hands(&mut stream, None, "A machine", size).is_err() {
        return;
    }
    let picture = match first & 0x80 {
        0 => Picture::new(WIDTH, HEIGHT),
        _ => Picture::shared(WIDTH, HEIGHT),
    };
    let end = Box::new(stream.clone());
    *wire.writer.lock() = Some(Writer::new(
        Arc::clone(&shared),
        Arc::clone(&viewer),
        end,
        picture,
    ));
    let mut reader = Reader {
        shared,
        viewer,
        keyboard: Keyboard::default(),
        pointer: Pointer::default(),
    };
    reader.run(Box::new(stream));
    // They refer to one another.
    wire.writer.lock().take();
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let begin = |piece: u8| {
        Script::default()
            .byte(piece)
            .bytes(b"RFB 003.008\n\x01\x01")
    };
    let encodings = |script: Script, all: &[i32]| {
        let numbers: Vec<u8> = all.iter().flat_map(|one| one.to_be_bytes()).collect();
        script
            .bytes(&[2, 0])
            .bytes(&(all.len() as u16).to_be_bytes())
            .bytes(&numbers)
    };
    let request =
        |script: Script, incremental: u8| script.bytes(&[3, incremental, 0, 0, 0, 0, 0, 70, 0, 50]);
    let extensions = [
        1, -223, -224, -239, -257, -258, -261, -307, -308, -312, -313,
    ];
    let mut seeds: Vec<Vec<u8>> = [0, 7, 16]
        .into_iter()
        .map(|encoding| {
            let all = [&[encoding], &extensions[..], &[-250]].concat();
            let mut script = request(encodings(begin(20), &all), 0);
            // Other formats of pixels: 16 bits, 8 bits, big endian.
            for format in [
                [16, 16, 0, 1, 0, 31, 0, 63, 0, 31, 11, 5, 0, 0, 0, 0],
                [8, 8, 0, 1, 0, 7, 0, 7, 0, 3, 0, 3, 6, 0, 0, 0],
                [32, 24, 1, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16, 0, 0, 0],
            ] {
                script = script.bytes(&[0, 0, 0, 0]).bytes(&format);
                script = request(request(script, 0), 1);
            }
            script.done()
        })
        .collect();
    let mut messages = request(encodings(begin(0xc8), &extensions), 1);
    for message in [
        &[4_u8, 1, 0, 0, 0, 0, 0, 0x61][..],
        &[4, 0, 0, 0, 0, 0, 0xff, 0xe1],
        &[5, 1, 0, 10, 0, 10],
        &[5, 8, 0x7f, 0xff, 0x7f, 0xff],
        &[6, 0, 0, 0, 0, 0, 0, 3, b'a', b'b', b'c'],
        &[255, 0, 0, 1, 0, 0, 0, 0x61, 0, 0, 0, 0x1e],
        &[248, 0, 0, 0, 0x80, 0, 0, 1, 2, 9, 9],
        &[248, 0, 0, 0, 0, 0, 0, 0, 1, 1],
        &[150, 1, 0, 0, 0, 0, 0, 70, 0, 50],
        &[150, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[
            251, 0, 3, 32, 2, 88, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 3, 32, 2, 88, 0, 0, 0, 0,
        ],
    ] {
        messages = messages.bytes(message);
    }
    seeds.push(messages.done());
    seeds.push(
        Script::default()
            .byte(60)
            .bytes(b"RFB 003.003\n\x01")
            .done(),
    );
    seeds
}
