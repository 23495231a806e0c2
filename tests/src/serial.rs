//! The other end of a guest's first serial port.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use guesthouse_engine::machine::{SerialConnection, StartOptions};
use parking_lot::Mutex;

/// Collects what a guest sends, and sends to it.
#[derive(Debug)]
pub struct SerialLine {
    received: Received,
    to_guest: UnixStream,
    from_us: Option<UnixStream>,
}

#[derive(Debug, Clone, Default)]
struct Received(Arc<Mutex<Vec<u8>>>);

impl Write for Received {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Default for SerialLine {
    fn default() -> Self {
        let (to_guest, from_us) = UnixStream::pair().unwrap();
        Self {
            received: Received::default(),
            to_guest,
            from_us: Some(from_us),
        }
    }
}

impl SerialLine {
    /// Joins a machine to this line.
    ///
    /// # Panics
    /// When it was joined before.
    pub fn options(&mut self) -> StartOptions {
        StartOptions {
            serial: Some(SerialConnection {
                input: Some(Box::new(self.from_us.take().unwrap())),
                output: Box::new(self.received.clone()),
            }),
            ..StartOptions::default()
        }
    }

    /// What came so far, without the sequences that move cursors and choose colours.
    pub fn text(&self) -> String {
        self.since(0)
    }

    /// How many bytes came so far: a mark for [`SerialLine::since`].
    pub fn mark(&self) -> usize {
        self.received.0.lock().len()
    }

    /// What came after `mark`, as [`SerialLine::text`] gives it.
    pub fn since(&self, mark: usize) -> String {
        let received = self.received.0.lock();
        plain(&String::from_utf8_lossy(
            received.get(mark..).unwrap_or_default(),
        ))
    }

    /// Sends a text to the guest.
    ///
    /// # Panics
    /// When the line is cut.
    pub fn send(&self, text: &str) {
        (&self.to_guest).write_all(text.as_bytes()).unwrap();
    }
}

/// A terminal's text without control sequences (ECMA-48, 5.4).
fn plain(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|character| ('@'..='~').contains(&character));
        plain += end.and_then(|end| part.get(end + 1..)).unwrap_or_default();
    }
    plain
}

#[cfg(test)]
mod tests {
    #[test]
    fn control_sequences_are_taken_out() {
        let text = "\x1b[2J\x1b[01;01H\x1b[1m\x1b[32mkept \x1b[0m= \x1b[=3hyes\r\n\x1b[3";
        assert_eq!(super::plain(text), "kept = yes\r\n");
    }
}
