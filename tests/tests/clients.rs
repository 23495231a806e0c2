//! Standard VNC clients at a machine's listeners: TigerVNC's viewer, over TCP and over a Unix socket, and vncdotool, over TCP, show
//! the screen to the pixel, and their keyboard is the machine's.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use guesthouse_engine::remote::Address;
use guesthouse_tests::guest::Guest;
use guesthouse_tests::media::{el_torito, program};
use guesthouse_tests::x_server::{Background, XServer};

const FIRMWARE: u64 = 90;
/// How long a client may take on a busy computer, in seconds.
const VIEWER: u64 = 60;

/// A picture in memory: width, and three bytes for each pixel.
#[derive(PartialEq)]
struct Picture {
    width: usize,
    pixels: Vec<u8>,
}

impl Picture {
    fn decode(file: &Path) -> Self {
        let size = Command::new("identify")
            .args(["-format", "%w"])
            .arg(file)
            .output()
            .unwrap();
        let decoded = Command::new("convert")
            .arg(file)
            .args(["-depth", "8", "rgb:-"])
            .output()
            .unwrap();
        assert!(decoded.status.success(), "{decoded:?}");
        Self {
            width: String::from_utf8(size.stdout).unwrap().parse().unwrap(),
            pixels: decoded.stdout,
        }
    }

    /// What `guest`'s screen shows now, which must not be nothing.
    fn of(guest: &Guest) -> Self {
        let file = guest.folder().join("screen.png");
        std::fs::write(&file, guest.machine.screenshot().unwrap()).unwrap();
        let screen = Self::decode(&file);
        assert!(screen.pixels.iter().any(|byte| *byte > 100), "it is black");
        screen
    }

    fn rows(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.pixels.chunks(self.width * 3)
    }

    /// Whether `other` is somewhere in this picture, every pixel as it is.
    fn holds(&self, other: &Self) -> bool {
        let length = other.width * 3;
        let Some(room) = self.width.checked_sub(other.width) else {
            return false;
        };
        (0..self.rows().count()).any(|top| {
            (0..=room).any(|left| {
                let mut rows = self.rows().skip(top);
                other.rows().all(|row| {
                    rows.next()
                        .is_some_and(|of| of[left * 3..][..length] == *row)
                })
            })
        })
    }
}

/// Copies a picture, when there is one, to target/screens/NAME.png, to be looked at.
fn keep(picture: &Path, name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/screens");
    std::fs::create_dir_all(&folder).unwrap();
    let kept = folder.join(format!("{name}.png"));
    let _ = std::fs::copy(picture, &kept);
    kept
}

/// Makes the machine listen at a free port of the loopback address; the port.
fn listen_on_loopback(guest: &Guest) -> u16 {
    let address = Address::Tcp(([127, 0, 0, 1], 0).into());
    match guest.machine.listen(&address).unwrap() {
        Address::Tcp(address) => address.port(),
        other => panic!("{other:?}"),
    }
}

/// A viewer at `address` must show `guest`'s screen, and what is typed on its keyboard must reach the guest after `text`.
fn view(guest: &Guest, address: &str, text: &str, key: &str) {
    let server = XServer::start(1024, 768);
    let display = &server.display;
    let log = guest.folder().join("viewer.log");
    let mut viewer = Background(
        Command::new("vncviewer")
            .args(["-SecurityTypes", "None", "-AlertOnFatalError=0"])
            .args(["-ReconnectOnError=0", address])
            .env("DISPLAY", display)
            .env("HOME", guest.folder())
            .env_remove("WAYLAND_DISPLAY")
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap(),
    );
    let end = Instant::now() + Duration::from_secs(VIEWER);
    let window = guest.folder().join("window.png");
    // The cursor blinks: the two pictures are of one moment sooner or later.
    loop {
        let said = std::fs::read_to_string(&log).unwrap();
        assert!(viewer.0.try_wait().unwrap().is_none(), "it ended: {said}");
        assert!(
            Instant::now() < end,
            "the screen does not appear in the viewer; {} shows what does; it said: {said}",
            keep(&window, &format!("viewer-{key}")).display()
        );
        let grabbed = Command::new("import")
            .args(["-display", display, "-window", "root"])
            .arg(&window)
            .status()
            .unwrap();
        assert!(grabbed.success());
        if Picture::decode(&window).holds(&Picture::of(guest)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    // Without a window manager, nobody gives the viewer the keyboard.
    let typed = Command::new("xdotool")
        .args(["search", "--onlyvisible", "--name", "TigerVNC"])
        .args([
            "windowfocus",
            "--sync",
            "mousemove",
            "512",
            "384",
            "click",
            "1",
        ])
        .args(["sleep", "0.5", "key", "--delay", "50", key])
        .env("DISPLAY", display)
        .output()
        .unwrap();
    assert!(typed.status.success(), "{typed:?}");
    guest.wait_for(&format!("{text}{key}"), 30);
}

#[test]
fn tigervnc_shows_the_screen_and_types() {
    let guest = Guest::boot(&el_torito("VIEWED", &program::echo("viewed: ")));
    guest.wait_for("viewed:", FIRMWARE);
    let port = listen_on_loopback(&guest);
    view(&guest, &format!("127.0.0.1::{port}"), "viewed: ", "k");
    let socket = guest.folder().join("viewers");
    guest
        .machine
        .listen(&Address::Unix(socket.clone()))
        .unwrap();
    view(&guest, socket.to_str().unwrap(), "viewed: k", "m");
    assert!(
        guest
            .machine
            .listen(&Address::Tcp(([0, 0, 0, 0], 0).into()))
            .is_err(),
        "nobody listens to the network"
    );
    guest.machine.power_off().unwrap();
}

/// vncdotool, which must be here.
fn vncdotool() -> Command {
    let path = std::env::var_os("PATH").unwrap();
    if std::env::split_paths(&path).any(|folder| folder.join("vncdotool").exists()) {
        return Command::new("vncdotool");
    }
    // Where the distribution has no package of it, the build root, which `make test` makes everywhere for its media, has.
    assert!(
        std::env::var_os("GUESTHOUSE_BUILD_ROOT").is_none(),
        "vncdotool is missing: run `make test`, which installs it"
    );
    let mut command =
        Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../build-aux/enter-root"));
    command.arg("vncdotool");
    command
}

/// Runs vncdotool with these commands at a port of the loopback address.
fn automate(port: u16, commands: &[&str]) {
    let done = vncdotool()
        .args(["--timeout", &VIEWER.to_string()])
        .args(["--server", &format!("127.0.0.1::{port}")])
        .args(commands)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "vncdotool, which `make test` installs, failed: {done:?}"
    );
}

/// What vncdotool captures must be `guest`'s screen.
fn capture(guest: &Guest, port: u16, name: &str) {
    let file = guest.folder().join(format!("{name}.png"));
    let end = Instant::now() + Duration::from_secs(VIEWER);
    // The cursor blinks: the two pictures are of one moment sooner or later.
    loop {
        automate(port, &["capture", file.to_str().unwrap()]);
        if Picture::decode(&file) == Picture::of(guest) {
            return;
        }
        assert!(
            Instant::now() < end,
            "what vncdotool captures, {}, is not the screen, {}",
            keep(&file, name).display(),
            guest.keep_screen("screen").display()
        );
    }
}

#[test]
fn vncdotool_captures_the_screen_and_types() {
    let guest = Guest::boot(&el_torito("AUTOMATED", &program::echo("automated: ")));
    guest.wait_for("automated:", FIRMWARE);
    let port = listen_on_loopback(&guest);
    capture(&guest, port, "before");
    automate(port, &["key", "k"]);
    guest.wait_for("automated: k", 30);
    capture(&guest, port, "after");
    automate(port, &["type", "Ab1"]);
    guest.wait_for("automated: kAb1", 30);
    guest.machine.power_off().unwrap();
}
