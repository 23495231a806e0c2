//! A machine's log: what its firmware and the engine had to say, for the window and for a file in the machine's folder.

use std::collections::VecDeque;
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

use parking_lot::Mutex;

use crate::library::MachineLog;

/// How many lines are kept for the window.
const LINES: usize = 2000;
/// How long a line may be, in bytes.
const LINE: usize = 500;
/// How many lines a guest may cause in a second; what comes beyond is counted, not kept.
const RATE: u32 = 400;

struct Inner {
    lines: VecDeque<String>,
    file: Option<MachineLog>,
    second: u64,
    in_second: u32,
}

/// The log of one machine.
pub(super) struct Log {
    inner: Mutex<Inner>,
}

impl Log {
    /// Goes on with the log in `folder`. When the file cannot be written, the log is kept in memory alone.
    pub fn open(folder: &Path) -> Self {
        let file = MachineLog::open(folder)
            .inspect_err(|error| tracing::warn!(folder = %folder.display(), %error, "no log file"))
            .ok();
        let inner = Inner {
            lines: VecDeque::new(),
            file,
            second: 0,
            in_second: 0,
        };
        Self {
            inner: Mutex::new(inner),
        }
    }

    /// Adds a line with the time; returns it as it was kept, or nothing if there were too many.
    pub fn add(&self, source: &str, text: &str) -> Option<String> {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let mut inner = self.inner.lock();
        if inner.second != now.as_secs() {
            let dropped = inner.in_second.saturating_sub(RATE);
            inner.second = now.as_secs();
            inner.in_second = 0;
            if dropped > 0 {
                inner.keep(format!(
                    "{} engine: {dropped} lines were left out",
                    time(now.as_secs())
                ));
            }
        }
        inner.in_second = inner.in_second.saturating_add(1);
        if inner.in_second > RATE {
            return None;
        }
        let clean: String = text
            .chars()
            .map(|character| {
                if character.is_control() {
                    ' '
                } else {
                    character
                }
            })
            .take(LINE)
            .collect();
        let line = format!("{} {source}: {}", time(now.as_secs()), clean.trim_end());
        inner.keep(line.clone());
        Some(line)
    }

    /// The latest lines, oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.inner.lock().lines.iter().cloned().collect()
    }
}

impl Inner {
    fn keep(&mut self, line: String) {
        if let Some(file) = &mut self.file
            && file.write_all(format!("{line}\n").as_bytes()).is_err()
        {
            // A full disk must not stop the machine for its log's sake.
            self.file = None;
        }
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
}

/// A time of day in UTC.
fn time(seconds: u64) -> String {
    let day = seconds % 86_400;
    format!("{:02}:{:02}:{:02}", day / 3600, day / 60 % 60, day % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cleaned_kept_and_written() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(folder.path());
        log.add("firmware", "SeaBIOS\u{1b}[2J (version)\r").unwrap();
        log.add("engine", &"x".repeat(10_000)).unwrap();
        let lines = log.lines();
        assert!(
            lines[0].ends_with("firmware: SeaBIOS [2J (version)"),
            "{lines:?}"
        );
        assert!(lines[1].len() < 600);
        let text = std::fs::read_to_string(folder.path().join("machine.log")).unwrap();
        assert_eq!(text.lines().collect::<Vec<_>>(), lines);
    }

    #[test]
    fn a_flood_is_bounded_in_memory_and_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(folder.path());
        for number in 0..20_000 {
            log.add("firmware", &format!("{number} {}", "y".repeat(400)));
        }
        assert!(log.lines().len() <= LINES);
        let size =
            |name: &str| std::fs::metadata(folder.path().join(name)).map_or(0, |data| data.len());
        assert!(size("machine.log") + size("machine.log.1") <= 2 << 20);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_no_hindrance() {
        let log = Log::open(Path::new("/nonexistent"));
        log.add("engine", "still here").unwrap();
        assert_eq!(log.lines().len(), 1);
    }
}
