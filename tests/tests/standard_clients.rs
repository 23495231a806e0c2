//! Clients that other people wrote get the picture from the engine's RFB server, and what is typed there arrives: TigerVNC's
//! vncviewer, in a virtual X server whose picture is compared pixel by pixel.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use guesthouse_engine::display::Surface;
use guesthouse_engine::input::{InputEvent, InputSink, ScanCode};
use guesthouse_engine::remote::{Address, Options, RemoteServer};

/// The virtual X server's screen in pixels.
const SCREEN: (usize, usize) = (1000, 700);
/// The guest's, small enough that the viewer shows all of it.
const GUEST: (u32, u32) = (640, 400);

/// A program that ends with the test.
struct Program(Child);

impl Program {
    fn start(command: &mut Command) -> Self {
        let name = command.get_program().to_owned();
        let started = command.stdin(Stdio::null()).spawn();
        Self(started.unwrap_or_else(|error| panic!("{name:?} cannot be run: {error}")))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A virtual X server, and the address of its display.
fn display() -> (Program, String) {
    let (width, height) = SCREEN;
    let screen = format!("{width}x{height}x24");
    let mut server = Program::start(
        Command::new("Xvfb")
            .args([
                "-displayfd",
                "1",
                "-nolisten",
                "tcp",
                "-screen",
                "0",
                &screen,
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null()),
    );
    let mut number = String::new();
    let output = server.0.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut number).unwrap();
    (server, format!(":{}", number.trim()))
}

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

fn soon(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < deadline, "{what} did not come to pass");
        std::thread::sleep(Duration::from_millis(200));
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

#[test]
fn vncviewer_shows_the_guest_and_sends_keys() {
    let (_server, display) = display();
    // Somebody has to give the viewer the keyboard.
    let _windows = Program::start(
        Command::new("openbox")
            .env("DISPLAY", &display)
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    );
    for encoding in ["Tight", "ZRLE", "Raw"] {
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
        let _viewer = Program::start(
            Command::new("vncviewer")
                .args(["-SecurityTypes=VncAuth", "-AutoSelect=0", "-RemoteResize=0"])
                .args(["-AlertOnFatalError=0", "-ReconnectOnError=0", "-NoJPEG=1"])
                .arg(format!("-PreferredEncoding={encoding}"))
                .arg(format!("127.0.0.1::{}", address.port()))
                .env("DISPLAY", &display)
                .env("VNC_PASSWORD", "secret")
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        );
        soon("the picture", || shows(&display, &surface));
        assert_eq!(server.viewers().len(), 1);
        // Scrolled as text is, by which CopyRect comes into it.
        for offset in [16, 32] {
            draw(&surface, offset);
            soon("the scrolled picture", || shows(&display, &surface));
        }
        // The cursor-up key, which the keypad has too: by position it is this one.
        let typed = Command::new("xdotool")
            .args([
                "mousemove",
                "500",
                "350",
                "click",
                "1",
                "key",
                "a",
                "Up",
                "F2",
            ])
            .env("DISPLAY", &display)
            .status()
            .unwrap();
        assert!(typed.success());
        for code in [0x1e, 0xc8, 0x3c] {
            soon("the key", || {
                input.has(code, true) && input.has(code, false)
            });
        }
    }
}
