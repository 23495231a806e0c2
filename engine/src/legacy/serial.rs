//! A serial port: a 16550A at eight ports, COM1 or another.
//!
//! The registers are those of vm-superio's `Serial`, which follows the National Semiconductor PC16550D data sheet. Beside them
//! stands a queue, because the chip takes one byte at a time here: each raises an interrupt of its own, so that drivers which
//! fetch one byte per interrupt get them all.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Write;

use vm_superio::Trigger;
use vm_superio::serial::{NoEvents, Serial};

use super::ByteDevice;
use crate::bus::{Action, InterruptLine, IoError, IoResult};

const DATA: u8 = 0;
const LINE_STATUS: u8 = 5;
const DATA_READY: u8 = 1;
const LAST_REGISTER: u16 = 7;
/// The bytes held for a guest that does not read.
const QUEUE: usize = 4096;

struct Edge(InterruptLine);

impl Trigger for Edge {
    type E = Infallible;

    fn trigger(&self) -> Result<(), Infallible> {
        self.0.pulse();
        Ok(())
    }
}

type Output = Box<dyn Write + Send>;

/// A serial port.
pub struct SerialPort {
    first_port: u16,
    interrupt: InterruptLine,
    uart: Serial<Edge, NoEvents, Output>,
    waiting: VecDeque<u8>,
}

impl SerialPort {
    /// Where COM1 is; its interrupt is ISA interrupt 4.
    pub const COM1: u16 = 0x3f8;
    /// Where COM2 is; its interrupt is ISA interrupt 3.
    pub const COM2: u16 = 0x2f8;

    /// A port as after power-on at the eight ports from `first_port` on. What the guest sends is written to `output` a byte at a
    /// time, with the port's lock held: it must not wait; what it does not take is lost.
    pub fn new(
        first_port: u16,
        interrupt: InterruptLine,
        output: impl Write + Send + 'static,
    ) -> Self {
        Self {
            first_port,
            uart: Serial::new(Edge(interrupt.clone()), Box::new(output)),
            interrupt,
            waiting: VecDeque::new(),
        }
    }

    /// As after power-on; what was waiting for the guest is dropped.
    pub fn reset(&mut self) {
        let fresh = |output: Output| Serial::new(Edge(self.interrupt.clone()), output);
        let old = std::mem::replace(&mut self.uart, fresh(Box::new(std::io::sink())));
        self.uart = fresh(old.into_writer());
        self.waiting.clear();
    }

    /// Sends `data` to the guest; returns how many bytes of it found room.
    pub fn receive(&mut self, data: &[u8]) -> usize {
        let taken = data.len().min(QUEUE.saturating_sub(self.waiting.len()));
        self.waiting.extend(data.iter().take(taken));
        self.feed();
        taken
    }

    /// Gives the chip its next byte, if it has none.
    fn feed(&mut self) {
        if self.uart.read(LINE_STATUS) & DATA_READY != 0 {
            return;
        }
        if let Some(byte) = self.waiting.front()
            // In its loop mode the chip takes nothing from outside.
            && self.uart.enqueue_raw_bytes(&[*byte]).is_ok_and(|taken| taken == 1)
        {
            self.waiting.pop_front();
        }
    }

    fn register(&self, port: u16) -> IoResult<u8> {
        port.checked_sub(self.first_port)
            .filter(|register| *register <= LAST_REGISTER)
            .and_then(|register| u8::try_from(register).ok())
            .ok_or(IoError::Unmapped)
    }
}

impl ByteDevice for SerialPort {
    fn read_byte(&mut self, port: u16) -> IoResult<u8> {
        let register = self.register(port)?;
        let value = self.uart.read(register);
        if register == DATA {
            self.feed();
        }
        Ok(value)
    }

    fn write_byte(&mut self, port: u16, value: u8) -> IoResult<Option<Action>> {
        let register = self.register(port)?;
        if let Err(error) = self.uart.write(register, value) {
            tracing::trace!(%error, "a byte from the serial port was not taken");
        }
        // It may just have left its loop mode.
        self.feed();
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;
    use crate::bus::Recorder;

    #[derive(Clone, Default)]
    struct Wire(Arc<Mutex<Vec<u8>>>);
    impl Write for Wire {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            self.0.lock().extend(data);
            Ok(data.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn rig() -> (Arc<Recorder>, Wire, SerialPort) {
        let (interrupt, wire) = (Arc::new(Recorder::default()), Wire::default());
        let port = SerialPort::new(
            SerialPort::COM1,
            InterruptLine::new("com1", interrupt.clone(), 4),
            wire.clone(),
        );
        (interrupt, wire, port)
    }

    fn edges(interrupt: &Recorder) -> usize {
        let mut seen = interrupt.0.lock();
        let edges = seen.iter().filter(|(_, level)| *level).count();
        seen.clear();
        edges
    }

    #[test]
    fn seabios_finds_the_port() {
        let (_, _, mut port) = rig();
        port.write_byte(0x3f9, 0x02).unwrap();
        assert_eq!(port.read_byte(0x3f9), Ok(0x02));
        assert_eq!(port.read_byte(0x3fa).unwrap() & 0x3f, 0x02);
    }

    #[test]
    fn what_the_guest_writes_comes_out() {
        let (interrupt, wire, mut port) = rig();
        // 115200 baud, 8N1, FIFOs on: the divisor is not data.
        for (at, value) in [(3, 0x83), (0, 1), (1, 0), (3, 0x03), (2, 0xc7), (4, 0x0b)] {
            port.write_byte(0x3f8 + at, value).unwrap();
        }
        for byte in b"hello" {
            assert_eq!(port.read_byte(0x3fd).unwrap() & 0x60, 0x60);
            port.write_byte(0x3f8, *byte).unwrap();
        }
        assert_eq!(*wire.0.lock(), b"hello");
        assert_eq!(edges(&interrupt), 0, "no interrupt is enabled");
    }

    #[test]
    fn each_received_byte_raises_an_edge() {
        let (interrupt, _, mut port) = rig();
        port.write_byte(0x3f9, 0x01).unwrap();
        edges(&interrupt);
        assert_eq!(port.receive(b"ab"), 2);
        assert_eq!(edges(&interrupt), 1);
        assert_eq!(port.read_byte(0x3fa).unwrap() & 0x0f, 0x04);
        assert_eq!(port.read_byte(0x3f8), Ok(b'a'));
        assert_eq!(edges(&interrupt), 1);
        assert_eq!(port.read_byte(0x3fd).unwrap() & 1, 1);
        assert_eq!(port.read_byte(0x3f8), Ok(b'b'));
        assert_eq!(port.read_byte(0x3fd).unwrap() & 1, 0);
        assert_eq!(edges(&interrupt), 0);
    }

    #[test]
    fn a_guest_that_does_not_read_costs_no_more_than_the_queue() {
        let (_, _, mut port) = rig();
        assert_eq!(port.receive(&[7; 10_000]), QUEUE);
        assert_eq!(port.receive(&[7; 10_000]), 1, "one is in the chip");
        port.reset();
        assert_eq!(port.read_byte(0x3fd).unwrap() & 1, 0);
        assert_eq!(port.receive(b"x"), 1);
        assert_eq!(port.read_byte(0x3f8), Ok(b'x'));
    }

    #[test]
    fn in_loop_mode_the_guest_hears_itself_and_input_waits() {
        let (_, wire, mut port) = rig();
        port.write_byte(0x3fc, 0x10).unwrap();
        port.receive(b"z");
        port.write_byte(0x3f8, 0x55).unwrap();
        assert_eq!(port.read_byte(0x3f8), Ok(0x55));
        assert!(wire.0.lock().is_empty());
        port.write_byte(0x3fc, 0x00).unwrap();
        assert_eq!(port.read_byte(0x3f8), Ok(b'z'));
    }

    #[test]
    fn hostile_values_are_survived() {
        let (_, wire, mut port) = rig();
        for value in 0..=255 {
            for at in 0x3f0..0x408 {
                let _ = port.write_byte(at, value);
                let _ = port.read_byte(at);
                port.receive(&[value]);
            }
        }
        assert_eq!(port.read_byte(0x3f7), Err(IoError::Unmapped));
        assert_eq!(port.read_byte(0x400), Err(IoError::Unmapped));
        assert!(wire.0.lock().len() <= 256);
    }
}
