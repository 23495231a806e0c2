//! The host's side of what a guest sends and is sent over TCP, one connection at a time.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// When a slow network has been measured well enough.
pub const LONGEST: Duration = Duration::from_secs(240);
/// When a network that nothing comes through any more has failed.
pub const SILENCE: Duration = Duration::from_secs(120);

/// What the host's side of a transfer does with the connection, of so many bytes and until then, and how much that was.
pub type Work = fn(TcpStream, usize, Instant) -> std::io::Result<usize>;

/// The port of the loopback network where `work` is done, and what comes of it: how much in a second, from its begin to its end.
#[expect(clippy::cast_precision_loss, reason = "few enough")]
pub fn serve(work: Work, bytes: usize) -> anyhow::Result<(u16, JoinHandle<anyhow::Result<f64>>)> {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = server.local_addr()?.port();
    let served = thread::spawn(move || {
        let (stream, _) = server.accept()?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        let begin = Instant::now();
        let much = work(stream, bytes, begin + LONGEST)?;
        Ok(much as f64 / begin.elapsed().as_secs_f64())
    });
    Ok((port, served))
}

/// Sends them.
pub fn send(mut stream: TcpStream, bytes: usize, end: Instant) -> std::io::Result<usize> {
    let part = vec![0x5a; 64 << 10];
    let mut sent = 0;
    while sent < bytes && Instant::now() < end {
        stream.write_all(&part)?;
        sent += part.len();
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    // The guest closes when it has everything.
    std::io::copy(&mut stream, &mut std::io::sink())?;
    Ok(sent)
}

/// Receives them.
pub fn receive(mut stream: TcpStream, bytes: usize, end: Instant) -> std::io::Result<usize> {
    let mut part = vec![0; 64 << 10];
    let mut received = 0;
    loop {
        match stream.read(&mut part)? {
            0 if received < bytes => {
                let fault = format!("only {received} bytes came");
                return Err(std::io::Error::other(fault));
            }
            0 => return Ok(received),
            length => received += length,
        }
        if Instant::now() > end {
            return Ok(received);
        }
    }
}

/// Says again what is said, and counts how often.
pub fn answer(mut stream: TcpStream, _bytes: usize, end: Instant) -> std::io::Result<usize> {
    let mut question = [0; 64];
    let mut answered = 0;
    loop {
        match stream.read(&mut question)? {
            0 => return Ok(answered),
            length => stream.write_all(&question[..length])?,
        }
        answered += 1;
        if Instant::now() > end {
            return Ok(answered);
        }
    }
}
