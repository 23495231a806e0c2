//! What a guest sends over its serial port, kept to be looked at.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use guesthouse_engine::machine::{SerialConnection, StartOptions};

/// The end of the line that listens. Cloning gives another view of the same line.
#[derive(Debug, Clone, Default)]
pub struct SerialLog(Arc<Mutex<Vec<u8>>>);

impl SerialLog {
    /// What a machine is started with so that this is at its first serial port.
    pub fn options(&self) -> StartOptions {
        StartOptions {
            serial: Some(SerialConnection {
                input: None,
                output: Box::new(self.clone()),
            }),
        }
    }

    /// What has come so far.
    ///
    /// # Panics
    /// When the listening thread panicked.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for SerialLog {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
