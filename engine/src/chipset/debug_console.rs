//! The debug console at port 0x402, to which SeaBIOS writes its log: a character a write. Reading it gives 0xE9, by which
//! firmware knows that it is there (QEMU documentation, "debugcon").

use std::sync::Arc;
use std::time::Duration;

use crate::bus::{Action, IoError, IoResult};
use crate::legacy::{ByteDevice, Clock};

const PRESENT: u8 = 0xe9;
/// A longer line is broken.
const LONGEST_LINE: usize = 256;
/// How many lines are taken in a [`PERIOD`]; those beyond are counted and dropped.
const LINES_PER_PERIOD: u32 = 1000;
const PERIOD: Duration = Duration::from_secs(1);

/// The debug console.
pub struct DebugConsole {
    sink: Box<dyn FnMut(&str) + Send>,
    clock: Arc<dyn Clock>,
    line: Vec<u8>,
    period_began: Duration,
    lines: u32,
    dropped: u64,
}

impl DebugConsole {
    /// The port to map it at.
    pub const PORT: u16 = 0x402;

    /// A console that gives each finished line, without its end, to `sink`: at most 256 bytes a line and 1000 lines a second by
    /// `clock`. The sink is called with the console's lock held and must not wait.
    pub fn new(sink: impl FnMut(&str) + Send + 'static, clock: Arc<dyn Clock>) -> Self {
        let period_began = clock.now();
        Self {
            sink: Box::new(sink),
            clock,
            line: Vec::with_capacity(LONGEST_LINE),
            period_began,
            lines: 0,
            dropped: 0,
        }
    }

    /// As after power-on; an unfinished line is given away first.
    pub fn reset(&mut self) {
        if !self.line.is_empty() {
            self.finish_line();
        }
    }

    fn put(&mut self, character: u8) {
        match character {
            b'\n' => self.finish_line(),
            b'\r' => {}
            _ => {
                if self.line.len() >= LONGEST_LINE {
                    self.finish_line();
                }
                self.line.push(character);
            }
        }
    }

    fn finish_line(&mut self) {
        let now = self.clock.now();
        if now.saturating_sub(self.period_began) >= PERIOD || now < self.period_began {
            self.period_began = now;
            self.lines = 0;
            if self.dropped > 0 {
                let dropped = std::mem::take(&mut self.dropped);
                (self.sink)(&format!("[{dropped} lines left out]"));
            }
        }
        if self.lines < LINES_PER_PERIOD {
            self.lines += 1;
            let text: String = String::from_utf8_lossy(&self.line)
                .chars()
                .map(|character| {
                    if character.is_control() && character != '\t' {
                        char::REPLACEMENT_CHARACTER
                    } else {
                        character
                    }
                })
                .collect();
            (self.sink)(&text);
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
        self.line.clear();
    }
}

impl ByteDevice for DebugConsole {
    fn read_byte(&mut self, port: u16) -> IoResult<u8> {
        if port == Self::PORT {
            Ok(PRESENT)
        } else {
            Err(IoError::Unmapped)
        }
    }

    fn write_byte(&mut self, port: u16, value: u8) -> IoResult<Option<Action>> {
        if port != Self::PORT {
            return Err(IoError::Unmapped);
        }
        self.put(value);
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;
    use crate::bus::{PortDevice, Width};
    use crate::legacy::TestClock;

    type Lines = Arc<Mutex<Vec<String>>>;

    fn console() -> (Arc<TestClock>, Lines, DebugConsole) {
        let (clock, lines) = (Arc::new(TestClock::default()), Lines::default());
        let sink = lines.clone();
        let console =
            DebugConsole::new(move |line| sink.lock().push(line.to_owned()), clock.clone());
        (clock, lines, console)
    }

    #[test]
    fn lines_arrive_whole() {
        let (_, lines, mut console) = console();
        assert_eq!(console.read_byte(0x402), Ok(0xe9));
        console.write_port_string(0x402, Width::Byte, b"SeaBIOS (version 1.16.2)\r\n\nBooting");
        assert_eq!(*lines.lock(), ["SeaBIOS (version 1.16.2)", ""]);
        console.reset();
        assert_eq!(lines.lock()[2], "Booting");
    }

    #[test]
    fn a_flood_is_bounded_in_length_and_rate() {
        let (clock, lines, mut console) = console();
        for _ in 0..LONGEST_LINE * 3 {
            console.write_byte(0x402, 0xff).unwrap();
        }
        assert_eq!(lines.lock().len(), 2);
        assert!(lines.lock()[0].chars().count() <= LONGEST_LINE);
        for _ in 0..5000 {
            console.write_byte(0x402, b'\n').unwrap();
        }
        assert_eq!(lines.lock().len(), 1000);
        clock.advance(PERIOD);
        console.write_port_string(0x402, Width::Byte, b"\x1b[2Jagain\n");
        assert_eq!(
            lines.lock()[1000..],
            ["[4002 lines left out]", "\u{fffd}[2Jagain"]
        );
    }
}
