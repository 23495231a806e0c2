//! The server as its clients meet it: a client of the tests' own, which shares no code with the server, speaks to it over sockets.

mod client;
mod encodings;
mod handshake;
mod hostile;
mod session;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{Options, RemoteServer};
use crate::{
    display::Surface,
    input::{InputEvent, InputSink},
};

/// Keeps what it is given.
#[derive(Default)]
pub struct Recorder(Mutex<Vec<InputEvent>>);

impl InputSink for Recorder {
    fn input(&self, event: InputEvent) {
        self.0.lock().push(event);
    }
}

impl Recorder {
    /// Waits until there are `count` events, and takes them.
    pub fn events(&self, count: usize) -> Vec<InputEvent> {
        soon(|| self.0.lock().len() >= count);
        std::mem::take(&mut *self.0.lock())
    }
}

/// Waits until something is so; fails when that takes far longer than it can.
pub fn soon(so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < deadline, "it did not come to pass");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A server, its surface and where its input goes.
pub struct Rig {
    pub surface: Arc<Surface>,
    pub input: Arc<Recorder>,
    pub server: RemoteServer,
}

impl Rig {
    pub fn new(width: u32, height: u32, options: Options) -> Self {
        let surface = Arc::new(Surface::new(width, height));
        let input = Arc::new(Recorder::default());
        let server = RemoteServer::new(
            Arc::clone(&surface),
            Arc::clone(&input) as Arc<dyn InputSink>,
            "A machine",
            options,
        );
        Self {
            surface,
            input,
            server,
        }
    }

    pub fn draw(&self, pixel: impl Fn(u32, u32) -> u32) {
        self.surface.draw(|frame| {
            let (width, height) = frame.size();
            for y in 0..height {
                let row: Vec<u32> = (0..width).map(|x| pixel(x, y) & 0xff_ffff).collect();
                frame.draw_row(0, y, &row);
            }
        });
    }
}

/// What a picture shows, and the colour at a place.
pub type Picture = (&'static str, fn(u32, u32) -> u32);

/// Pictures that bring out different ways of encoding.
pub fn pictures() -> Vec<Picture> {
    vec![
        ("one colour", |_, _| 0x0012_3456),
        ("two colours", |x, y| {
            if (x / 3 + y / 5) % 2 == 0 {
                0
            } else {
                0xff_ffff
            }
        }),
        ("three colours", |x, y| ((x * 7 + y) / 11 % 3) * 0x40_2010),
        ("sixteen colours", |x, y| ((x ^ y) % 16) * 0x0f_0e0d),
        ("a hundred colours in runs", |x, y| {
            ((x / 9 + y * 3) % 100) * 0x02_0103
        }),
        ("a hundred colours", |x, y| {
            ((x * 31 + y * 17) % 100) * 0x02_0103
        }),
        ("many colours in runs", |x, y| {
            (x / 16 + y * 977).wrapping_mul(0x9e37_79b9)
        }),
        ("noise", |x, y| {
            (x * 7919 + y * 104_729).wrapping_mul(0x9e37_79b9) ^ x << 3
        }),
        ("a window on a plain ground", |x, y| {
            if (70..150).contains(&x) && (30..100).contains(&y) {
                x * y
            } else {
                0x20_4060
            }
        }),
        ("long runs", |x, y| {
            if x == 0 && y % 40 == 7 { y } else { 0x77_7777 }
        }),
    ]
}
