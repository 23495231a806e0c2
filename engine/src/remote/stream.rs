//! What the protocol runs over, and the buffered way out to it.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    os::unix::net::UnixStream,
    time::Duration,
};

/// A connection that two threads use at once, one reading, one writing, and that a third can close.
pub trait Stream: Read + Write + Send + Sync + 'static {
    /// A second handle to the same connection.
    fn duplicate(&self) -> io::Result<Box<dyn Stream>>;
    /// Ends the connection for every handle: whoever reads or writes stops.
    fn close(&self);
    /// How long one read may take; `None` is for ever.
    fn limit_reads(&self, limit: Option<Duration>) -> io::Result<()>;
    /// Who is at the other end, for people.
    fn peer(&self) -> String;
}

impl Stream for UnixStream {
    fn duplicate(&self) -> io::Result<Box<dyn Stream>> {
        Ok(Box::new(self.try_clone()?))
    }

    fn close(&self) {
        // Fails only when the other end has closed already.
        let _ = self.shutdown(Shutdown::Both);
    }

    fn limit_reads(&self, limit: Option<Duration>) -> io::Result<()> {
        self.set_read_timeout(limit)
    }

    fn peer(&self) -> String {
        "this computer".into()
    }
}

impl Stream for TcpStream {
    fn duplicate(&self) -> io::Result<Box<dyn Stream>> {
        Ok(Box::new(self.try_clone()?))
    }

    fn close(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }

    fn limit_reads(&self, limit: Option<Duration>) -> io::Result<()> {
        self.set_read_timeout(limit)
    }

    fn peer(&self) -> String {
        self.peer_addr()
            .map_or_else(|_| "unknown".into(), |address| address.to_string())
    }
}

/// From this many bytes on, what is buffered goes out.
const CHUNK: usize = 64 * 1024;

/// The way to a client: big-endian numbers and bytes, sent in chunks.
pub struct Output {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
}

impl Output {
    /// To `stream`.
    pub fn new(stream: Box<dyn Stream>) -> Self {
        Self {
            stream,
            buffer: Vec::with_capacity(2 * CHUNK),
        }
    }

    /// Appends bytes. They are few, or come in slices that are at most a chunk.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() >= CHUNK {
            self.flush()?;
            return self.stream.write_all(bytes);
        }
        self.fill(|buffer| buffer.extend_from_slice(bytes))
    }

    /// Appends numbers in the protocol's order of bytes.
    pub fn shorts<const N: usize>(&mut self, numbers: [u16; N]) -> io::Result<()> {
        self.fill(|buffer| {
            for number in numbers {
                buffer.extend_from_slice(&number.to_be_bytes());
            }
        })
    }

    /// Appends a number.
    pub fn long(&mut self, number: u32) -> io::Result<()> {
        self.bytes(&number.to_be_bytes())
    }

    /// Lets `fill` append to the buffer, which may thereby grow by a chunk at most.
    pub fn fill(&mut self, fill: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        fill(&mut self.buffer);
        if self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(())
    }

    /// Sends what is buffered. Waits for the client.
    pub fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.stream.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }
}
