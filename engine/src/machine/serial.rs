//! Joins the first serial port to whatever the person wants at its other end.

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
