//! Joins the first serial port to whatever the person wants at its other end.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::Mutex;

use crate::bus::Shared;
use crate::legacy::SerialPort;

/// The two directions of a serial line.
pub struct SerialConnection {
    /// What the guest receives; read on a thread of its own until its end.
    pub input: Option<Box<dyn Read + Send>>,
    /// Where what it sends goes, on a thread of its own. What the guest sends while 64 KiB wait there is lost, as on a line
    /// without flow control.
    pub output: Box<dyn Write + Send>,
}

impl std::fmt::Debug for SerialConnection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SerialConnection")
            .finish_non_exhaustive()
    }
}

/// The other end of a serial line inside this program: keeps what the guest sent last, for whoever looks later, and sends it what a
/// person types. Clones are the same end.
#[derive(Clone)]
pub struct SerialConsole {
    sent: Arc<Mutex<Sent>>,
    typed: Sender<Vec<u8>>,
}

type Bell = Box<dyn Fn() + Send>;

/// What the guest sent.
#[derive(Default)]
struct Sent {
    kept: VecDeque<u8>,
    /// The number of the byte behind the last kept one.
    end: u64,
    bells: Vec<(Weak<()>, Bell)>,
}

/// A place in what the guest sends, whose bell rings while it lives.
pub struct SerialReader {
    sent: Arc<Mutex<Sent>>,
    next: u64,
    _alive: Arc<()>,
}

impl SerialConsole {
    /// The most of what the guest sent that is kept, in bytes.
    pub const KEPT: usize = 256 << 10;
    /// The most pieces of typed text that wait for a guest which does not read.
    const TYPED: usize = 256;

    /// A console, and the connection that makes it a machine's ([`super::StartOptions::serial`]).
    pub fn new() -> (Self, SerialConnection) {
        let (typed, typing) = bounded(Self::TYPED);
        let console = Self {
            sent: Arc::default(),
            typed,
        };
        let connection = SerialConnection {
            input: Some(Box::new(Typing {
                typing,
                rest: VecDeque::new(),
            })),
            output: Box::new(Keeping(console.sent.clone())),
        };
        (console, connection)
    }

    /// Sends `data` to the guest; whether it found room.
    pub fn send(&self, data: &[u8]) -> bool {
        self.typed.try_send(data.to_vec()).is_ok()
    }

    /// From the oldest byte that is kept. `bell` is called from a thread of the machine's whenever there may be more; it must not wait.
    pub fn read(&self, bell: impl Fn() + Send + 'static) -> SerialReader {
        let alive = Arc::new(());
        let mut sent = self.sent.lock();
        sent.bells.push((Arc::downgrade(&alive), Box::new(bell)));
        SerialReader {
            sent: self.sent.clone(),
            next: sent.end - sent.kept.len() as u64,
            _alive: alive,
        }
    }
}

impl std::fmt::Debug for SerialConsole {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SerialConsole")
            .finish_non_exhaustive()
    }
}

impl SerialReader {
    /// What the guest sent since the last time. Of what is more than [`SerialConsole::KEPT`] bytes back nothing is left.
    pub fn take(&mut self) -> Vec<u8> {
        let sent = self.sent.lock();
        let new = sent.end.saturating_sub(self.next);
        let kept = sent.kept.len();
        let skipped = kept.saturating_sub(usize::try_from(new).unwrap_or(usize::MAX));
        self.next = sent.end;
        sent.kept.iter().skip(skipped).copied().collect()
    }
}

/// Where the line's output goes.
struct Keeping(Arc<Mutex<Sent>>);

impl Write for Keeping {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let mut sent = self.0.lock();
        sent.kept.extend(data);
        sent.end += data.len() as u64;
        let excess = sent.kept.len().saturating_sub(SerialConsole::KEPT);
        sent.kept.drain(..excess);
        sent.bells.retain(|(alive, bell)| {
            let alive = alive.strong_count() > 0;
            if alive {
                bell();
            }
            alive
        });
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where the line's input comes from: ends when no console is left.
struct Typing {
    typing: Receiver<Vec<u8>>,
    rest: VecDeque<u8>,
}

impl Read for Typing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.typing.recv() {
                Ok(data) => self.rest.extend(data),
                Err(_) => return Ok(0),
            }
        }
        self.rest.read(buffer)
    }
}

const WAITING: usize = 64 << 10;
/// How long to wait before the guest is offered again what it had no room for: the time of some dozen bytes at 115,200 bit/s.
const FULL: Duration = Duration::from_millis(2);

/// The end of the line that the port writes to: never waits.
struct Sending(Sender<u8>);

impl Write for Sending {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        for byte in data {
            match self.0.try_send(*byte) {
                Ok(()) | Err(TrySendError::Full(_)) => {}
                Err(TrySendError::Disconnected(_)) => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a port writes to that `connection` listens to, if anybody does; and what is to be started once the port is there.
pub(super) fn line(
    connection: Option<SerialConnection>,
) -> (Box<dyn Write + Send>, Option<Pending>) {
    match connection {
        None => (Box::new(io::sink()), None),
        Some(connection) => {
            let (sender, receiver) = bounded(WAITING);
            (
                Box::new(Sending(sender)),
                Some(Pending {
                    connection,
                    receiver,
                }),
            )
        }
    }
}

/// A connection whose port is not there yet.
pub(super) struct Pending {
    connection: SerialConnection,
    receiver: Receiver<u8>,
}

impl Pending {
    /// Starts the two directions. They end by themselves: the one from the guest with the port, the one to it with its source.
    ///
    /// # Errors
    /// When the host gives no thread.
    pub fn start(self, port: &Shared<SerialPort>) -> io::Result<()> {
        let Self {
            connection: SerialConnection { input, mut output },
            receiver,
        } = self;
        thread::Builder::new()
            .name("serial output".to_owned())
            .spawn(move || send(&receiver, &mut *output))?;
        if let Some(input) = input {
            let port = Arc::downgrade(port);
            thread::Builder::new()
                .name("serial input".to_owned())
                .spawn(move || receive(input, &port))?;
        }
        Ok(())
    }
}

fn send(receiver: &Receiver<u8>, output: &mut dyn Write) {
    while let Ok(first) = receiver.recv() {
        let bytes: Vec<u8> = std::iter::once(first)
            .chain(receiver.try_iter().take(4095))
            .collect();
        if let Err(error) = output.write_all(&bytes).and_then(|()| output.flush()) {
            tracing::warn!(%error, "nobody takes what the serial port sends any more");
            return;
        }
    }
}

fn receive(mut input: Box<dyn Read + Send>, port: &Weak<Mutex<SerialPort>>) {
    let mut buffer = [0; 256];
    loop {
        let count = match input.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                tracing::warn!(%error, "nothing more comes to the serial port");
                return;
            }
        };
        let mut rest = buffer.get(..count).unwrap_or(&[]);
        while !rest.is_empty() {
            let Some(port) = port.upgrade() else { return };
            let taken = port.lock().receive(rest);
            rest = rest.get(taken..).unwrap_or(&[]);
            if !rest.is_empty() {
                drop(port);
                thread::sleep(FULL);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_console_keeps_the_last_bytes_and_tells_of_new_ones() {
        let (console, mut connection) = SerialConsole::new();
        connection.output.write_all(b"before").unwrap();
        let rung = Arc::new(AtomicUsize::new(0));
        let mut reader = console.read({
            let rung = rung.clone();
            move || {
                rung.fetch_add(1, Ordering::Relaxed);
            }
        });
        assert_eq!(reader.take(), b"before");
        assert_eq!(reader.take(), b"");
        connection.output.write_all(b"after").unwrap();
        assert_eq!(rung.load(Ordering::Relaxed), 1);
        assert_eq!(reader.take(), b"after");

        let flood = vec![b'x'; 100_000];
        for _ in 0..10 {
            connection.output.write_all(&flood).unwrap();
        }
        connection.output.write_all(b"end").unwrap();
        let kept = reader.take();
        assert_eq!(kept.len(), SerialConsole::KEPT);
        assert!(kept.ends_with(b"xend"));
        let before = rung.load(Ordering::Relaxed);
        drop(reader);
        connection.output.write_all(b"nobody hears it").unwrap();
        assert_eq!(rung.load(Ordering::Relaxed), before);
    }

    #[test]
    fn what_is_typed_arrives_in_order_and_a_guest_that_does_not_read_costs_no_memory() {
        let (console, connection) = SerialConsole::new();
        let mut input = connection.input.unwrap();
        assert!(console.send(b"one ") && console.send(b"two"));
        let mut buffer = [0; 3];
        let mut heard: Vec<u8> = Vec::new();
        while heard.len() < 7 {
            let count = input.read(&mut buffer).unwrap();
            heard.extend(&buffer[..count]);
        }
        assert_eq!(heard, b"one two");
        let sent = (0..10_000).take_while(|_| console.send(b"x")).count();
        assert_eq!(sent, SerialConsole::TYPED);
        drop(console);
        let mut rest = Vec::new();
        input.read_to_end(&mut rest).unwrap();
        assert_eq!(rest.len(), sent, "and it ends when no console is left");
    }
}
