//! An X server without a screen, for programs with windows; and without a window manager, which would place them when it gets to it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A process that ends with the test.
pub struct Background(pub Child);

impl Drop for Background {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running X server; it ends with the test.
pub struct XServer {
    _process: Background,
    /// Where it keeps what is on its screen.
    folder: TempDir,
    /// Bytes of its screen, and of a line of it.
    size: usize,
    line: usize,
    /// The name of its display.
    pub display: String,
}

impl XServer {
    /// One with a screen of `width` by `height` pixels.
    ///
    /// # Panics
    /// When Xvfb is not there or does not start.
    pub fn start(width: u32, height: u32) -> Self {
        let screen = format!("{width}x{height}x24");
        let folder = tempfile::tempdir().expect("a folder for the screen");
        let mut child = Command::new("Xvfb")
            // Without a reset whenever the last program leaves, in the middle of which the next one would come.
            .args(["-displayfd", "1", "-nolisten", "tcp", "-noreset"])
            .args(["-screen", "0", &screen])
            .arg("-fbdir")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb is missing: run `make test`, which installs it");
        let output = child.stdout.take().expect("its output was asked for");
        let process = Background(child);
        let mut number = String::new();
        let read = BufReader::new(output).read_line(&mut number);
        assert!(read.is_ok_and(|length| length > 1), "Xvfb did not start");
        Self {
            _process: process,
            folder,
            size: (width * height * 4) as usize,
            line: (width * 4) as usize,
            display: format!(":{}", number.trim()),
        }
    }

    /// What is on a part of its screen: the one with this left and upper border, width and height in pixels.
    ///
    /// # Panics
    /// When it has ended.
    pub fn part(&self, [left, top, width, height]: [usize; 4]) -> Vec<u8> {
        let file = self.folder.path().join("Xvfb_screen0");
        let file = File::open(file).expect("the X server runs");
        let length = file.metadata().expect("it is there").len();
        let mut lines = vec![0; self.line * height];
        let start = length - self.size as u64 + (self.line * top) as u64;
        file.read_exact_at(&mut lines, start)
            .expect("a part of the screen");
        let lines = lines.chunks(self.line);
        lines
            .flat_map(|line| line.iter().skip(left * 4).take(width * 4).copied())
            .collect()
    }

    /// What is on its screen: four bytes for each pixel.
    ///
    /// # Panics
    /// When it has ended.
    pub fn pixels(&self) -> Vec<u8> {
        let file = self.folder.path().join("Xvfb_screen0");
        let mut dump = std::fs::read(file).expect("the X server runs");
        // Before the pixels there are a header and a table of colours.
        dump.split_off(dump.len().saturating_sub(self.size))
    }
}
