//! Full-screen updates per second through the server, over a socket pair as the window uses it, and what that costs the server.
//! Every encoding as fast as it goes, and Raw at 60 updates a second.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    sync::Arc,
    time::{Duration, Instant},
};

use guesthouse_engine::{
    display::Surface,
    input::{InputEvent, InputSink},
    remote::{Options, RemoteServer},
};
use guesthouse_tests::bench::{Harness, Needs, Unit, less, more, subject};

const WIDTH: u32 = 1920;
const HEIGHT: u32 = 1080;
const SECONDS: u64 = 3;

/// The colour of a place.
type Pixel = fn(u32, u32) -> u32;

struct Nowhere;

impl InputSink for Nowhere {
    fn input(&self, _event: InputEvent) {}
}

/// Processor time of the server's writing threads so far.
fn writers_time() -> anyhow::Result<Duration> {
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        let name = fs::read_to_string(task.join("comm"))?;
        if name.starts_with("viewer-") {
            let statistics = fs::read_to_string(task.join("schedstat"))?;
            sum += statistics.split(' ').next().unwrap_or("0").parse::<u64>()?;
        }
    }
    Ok(Duration::from_nanos(sum))
}

/// Goes through the greeting and asks for `encoding`.
fn greet(stream: &mut UnixStream, encoding: i32) -> anyhow::Result<()> {
    stream.read_exact(&mut [0; 12])?;
    stream.write_all(b"RFB 003.008\n")?;
    stream.read_exact(&mut [0; 2])?;
    stream.write_all(&[1])?;
    stream.read_exact(&mut [0; 4])?;
    stream.write_all(&[1])?;
    stream.read_exact(&mut [0; 24 + "bench".len()])?;
    stream.write_all(&[2, 0, 0, 1])?;
    stream.write_all(&encoding.to_be_bytes())?;
    Ok(())
}

/// Reads one update without decoding it, and tells how many bytes it had.
fn skip_update(stream: &mut UnixStream, buffer: &mut [u8]) -> anyhow::Result<usize> {
    let mut sum = 4;
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    for _ in 0..u16::from_be_bytes([head[2], head[3]]) {
        let mut rectangle = [0; 12];
        stream.read_exact(&mut rectangle)?;
        let number =
            |at: usize| usize::from(u16::from_be_bytes([rectangle[at], rectangle[at + 1]]));
        let mut length = match rectangle[11] {
            0 => number(4) * number(6) * 4,
            16 => {
                let mut length = [0; 4];
                stream.read_exact(&mut length)?;
                u32::from_be_bytes(length) as usize
            }
            other => anyhow::bail!("encoding {other}"),
        };
        sum += 12 + length;
        while length > 0 {
            let part = buffer.get_mut(..length.min(65_536)).unwrap_or_default();
            stream.read_exact(part)?;
            length -= part.len();
        }
    }
    Ok(sum)
}

/// Updates a second, the writing thread's share of a processor in hundredths, and KiB for each update.
#[expect(clippy::cast_precision_loss, reason = "bytes are few enough")]
fn updates(encoding: i32, rate: Option<u32>, pixel: Pixel) -> anyhow::Result<[f64; 3]> {
    let surface = Arc::new(Surface::new(WIDTH, HEIGHT));
    let server = RemoteServer::new(
        Arc::clone(&surface),
        Arc::new(Nowhere),
        "bench",
        Options::default(),
    );
    let mut stream = server.connect()?;
    greet(&mut stream, encoding)?;
    // Two pictures that differ everywhere, drawn in turn.
    let pictures: Vec<Vec<u32>> = [0, 0x01_0101]
        .map(|change| {
            (0..HEIGHT)
                .flat_map(|y| (0..WIDTH).map(move |x| (pixel(x, y) ^ change) & 0xff_ffff))
                .collect()
        })
        .into();
    let mut buffer = vec![0; 65_536];
    let (mut updates, mut bytes) = (0_u32, 0);
    let (start, before) = (Instant::now(), writers_time()?);
    while start.elapsed() < Duration::from_secs(SECONDS) {
        if let Some(rate) = rate {
            let due = start + Duration::from_secs(1) * updates / rate;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let picture = &pictures[updates as usize % 2];
        surface.draw(|frame| {
            for (y, row) in (0..HEIGHT).zip(picture.chunks(WIDTH as usize)) {
                frame.draw_row(0, y, row);
            }
        });
        stream.write_all(&[3, 1, 0, 0, 0, 0, 7, 128, 4, 56])?;
        bytes += skip_update(&mut stream, &mut buffer)?;
        updates += 1;
    }
    let (took, used) = (start.elapsed(), writers_time()? - before);
    Ok([
        f64::from(updates) / took.as_secs_f64(),
        used.as_secs_f64() / took.as_secs_f64() * 100.0,
        bytes as f64 / f64::from(updates.max(1)) / 1024.0,
    ])
}

/// Hands over the rows of this file.
pub fn measure(harness: &mut Harness) {
    let windows = |x: u32, y: u32| {
        if (x / 40).is_multiple_of(3) {
            0x20_4060
        } else {
            (y / 18) * 0x0a_0503
        }
    };
    let photo = |x: u32, y: u32| (x * 7 + y * 3).wrapping_mul(0x01_0305) ^ (x * y) << 4;
    let kinds: [(&str, i32, Option<u32>, Pixel); 4] = [
        ("Raw", 0, None, photo),
        ("Raw, at most 60 a second", 0, Some(60), photo),
        ("ZRLE, windows", 16, None, windows),
        ("ZRLE, a photograph", 16, None, photo),
    ];
    for (what, encoding, rate, pixel) in kinds {
        let name = format!("remote screen, {WIDTH}x{HEIGHT}, {what}");
        harness.measure(
            Needs::Nothing,
            [
                more(format!("{name}: updates"), Unit::PerSecond),
                less(
                    format!("{name}: the server's writing thread"),
                    Unit::PercentOfProcessor,
                ),
                less(format!("{name}: size of an update"), Unit::Kibibytes),
            ],
            3,
            vec![subject("Guesthouse's engine", || {
                updates(encoding, rate, pixel)
            })],
        );
    }
}
