//! Clients that other people wrote get the picture from the engine's RFB server, and what is typed there arrives: TigerVNC's
//! vncviewer by each encoding, in a virtual X server whose picture is compared pixel by pixel.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use guesthouse_engine::display::Surface;
use guesthouse_engine::input::{InputEvent, InputSink, ScanCode};
use guesthouse_engine::remote::{Address, Options, RemoteServer};
use guesthouse_tests::x_server::{Background, XServer};

/// The virtual X server's screen in pixels.
const SCREEN: (usize, usize) = (1000, 700);
/// The guest's, small enough that the viewer shows all of it.
const GUEST: (u32, u32) = (640, 400);

/// The display's pixels, as 0x00RRGGBB.
fn pixels(display: &str) -> Vec<u32> {
    let shot = Command::new("import")
        .args([
            "-display", display, "-window", "root", "-depth", "8", "rgb:-",
        ])
        .output()
        .unwrap();
    assert!(
        shot.status.success(),
        "{}",
        String::from_utf8_lossy(&shot.stderr)
    );
    shot.stdout
        .chunks_exact(3)
        .map(|rgb| u32::from_be_bytes([0, rgb[0], rgb[1], rgb[2]]))
        .collect()
}

/// Whether all of the guest's picture is somewhere on the display.
fn shows(display: &str, surface: &Surface) -> bool {
    let all = pixels(display);
    let view = surface.view();
    let rows: Vec<&[u32]> = all.chunks_exact(SCREEN.0).collect();
    let (width, height) = (GUEST.0 as usize, GUEST.1 as usize);
    (0..rows.len().saturating_sub(height - 1)).any(|top| {
        (0..=SCREEN.0 - width).any(|left| {
            rows[top..top + height]
                .iter()
                .zip(0..)
                .all(|(row, y)| row[left..left + width] == *view.row(y))
        })
    })
}

/// Waits until something is so; fails with what the viewer said when that takes far longer than it can.
fn soon(what: &str, log: &Path, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !so() {
        let said = || std::fs::read_to_string(log).unwrap();
        assert!(
            Instant::now() < deadline,
            "{what} did not come to pass: {}",
            said()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[derive(Default)]
struct Recorder(Mutex<Vec<InputEvent>>);

impl InputSink for Recorder {
    fn input(&self, event: InputEvent) {
        self.0.lock().unwrap().push(event);
    }
}

impl Recorder {
    fn has(&self, code: u8, down: bool) -> bool {
        let key = InputEvent::Key {
            code: ScanCode(code),
            down,
        };
        self.0.lock().unwrap().contains(&key)
    }
}

/// Rows of a picture that no two rows or columns of are the same; `offset` scrolls it.
fn draw(surface: &Surface, offset: u32) {
    surface.draw(|frame| {
        for y in 0..GUEST.1 {
            let line = y + offset;
            let row: Vec<u32> = (0..GUEST.0)
                .map(|x| match line / 16 % 3 {
                    0 => 0x20_4060,
                    1 => (x * line).wrapping_mul(0x9e37_79b9) & 0xff_ffff,
                    _ => (x / 8 + line) % 16 * 0x0f_0e0d,
                })
                .collect();
            frame.draw_row(0, y, &row);
        }
    });
}

/// The viewer at a server with a password, by one encoding.
fn view(encoding: &str) {
    let x_server = XServer::start(SCREEN.0.try_into().unwrap(), SCREEN.1.try_into().unwrap());
    let display = &x_server.display;
    let home = tempfile::tempdir().unwrap();
    let surface = Arc::new(Surface::new(GUEST.0, GUEST.1));
    draw(&surface, 0);
    let input = Arc::new(Recorder::default());
    let options = Options {
        password: Some("secret".into()),
        ..Options::default()
    };
    let server = RemoteServer::new(
        Arc::clone(&surface),
        Arc::clone(&input) as Arc<dyn InputSink>,
        "A machine",
        options,
    );
    let address = server.listen(&Address::Tcp("127.0.0.1:0".parse().unwrap()));
    let Ok(Address::Tcp(address)) = address else {
        panic!("{address:?}");
    };
    let log = home.path().join("viewer.log");
    let _viewer = Background(
        Command::new("vncviewer")
            .args(["-SecurityTypes=VncAuth", "-AutoSelect=0", "-RemoteResize=0"])
            .args(["-AlertOnFatalError=0", "-ReconnectOnError=0", "-NoJPEG=1"])
            .arg(format!("-PreferredEncoding={encoding}"))
            .arg(format!("127.0.0.1::{}", address.port()))
            .env("DISPLAY", display)
            .env("HOME", home.path())
            .env("VNC_PASSWORD", "secret")
            .env_remove("WAYLAND_DISPLAY")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap(),
    );
    soon("the picture", &log, || shows(display, &surface));
    assert_eq!(server.viewers().len(), 1);
    // Scrolled as text is, by which CopyRect comes into it.
    for offset in [16, 32] {
        draw(&surface, offset);
        soon("the scrolled picture", &log, || shows(display, &surface));
    }
    // The cursor-up key, which the keypad has too: by position it is this one. Typed again until it comes: without a window manager
    // the viewer gets the keyboard when it takes note of it.
    for (name, code) in [("a", 0x1e), ("Up", 0xc8), ("F2", 0x3c)] {
        soon("the key", &log, || {
            let typed = Command::new("xdotool")
                .args(["search", "--onlyvisible", "--name", "TigerVNC"])
                .args(["windowfocus", "--sync", "key", name])
                .env("DISPLAY", display)
                .stderr(Stdio::null())
                .status();
            typed.unwrap().success() && input.has(code, true) && input.has(code, false)
        });
    }
}

#[test]
fn vncviewer_by_tight() {
    view("Tight");
}

#[test]
fn vncviewer_by_zrle() {
    view("ZRLE");
}

#[test]
fn vncviewer_by_raw() {
    view("Raw");
}
