//! The asking side of the control socket.

use std::io::{self, BufReader};
use std::os::unix::net::UnixStream;

use super::protocol::{Answer, Report, Request, payload, receive, send};

/// A connection to the process that holds a machine.
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the holder of the machine with this identifier; nothing if no process holds it.
    ///
    /// # Errors
    /// When the socket is there but does not answer for another reason.
    pub fn connect(uuid: &str) -> io::Result<Option<Self>> {
        match UnixStream::connect(super::socket(uuid)?) {
            Ok(stream) => Ok(Some(Self {
                stream: BufReader::new(stream),
            })),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Asks, and waits for the answer and what follows it.
    ///
    /// # Errors
    /// What the holder says against it, or that it went away.
    pub fn ask(&mut self, request: &Request) -> anyhow::Result<(Answer, Vec<u8>)> {
        send(self.stream.get_mut(), request)?;
        match receive(&mut self.stream)? {
            Some(Answer::Failed { message }) => Err(anyhow::anyhow!(message)),
            Some(Answer::Bytes { length }) => {
                let bytes = payload(&mut self.stream, length)?;
                Ok((Answer::Bytes { length }, bytes))
            }
            Some(answer) => Ok((answer, Vec::new())),
            None => Err(anyhow::anyhow!(
                "the process that holds the machine went away; ask for its state again"
            )),
        }
    }

    /// Has this connection become one to the machine's screen, by the remote framebuffer protocol.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn screen(self) -> anyhow::Result<UnixStream> {
        let mut stream = self.stream.into_inner();
        send(&mut stream, &Request::Screen)?;
        // Not a byte more than the answer is to be taken in: what follows is the screen's.
        match receive(&mut BufReader::with_capacity(1, &stream))? {
            Some(Answer::Done) => Ok(stream),
            Some(Answer::Failed { message }) => Err(anyhow::anyhow!(message)),
            other => anyhow::bail!("the process that holds the machine answered {other:?}"),
        }
    }

    /// Hears what the machine is doing, now and whenever that changes, as long as `hear` wants to and the holder lives.
    ///
    /// # Errors
    /// When the holder says something else, or the connection breaks.
    pub fn follow(mut self, mut hear: impl FnMut(Report) -> bool) -> anyhow::Result<()> {
        send(self.stream.get_mut(), &Request::Follow)?;
        while let Some(answer) = receive(&mut self.stream)? {
            match answer {
                Answer::Report(report) => {
                    if !hear(report) {
                        return Ok(());
                    }
                }
                other => anyhow::bail!("the process that holds the machine answered {other:?}"),
            }
        }
        Ok(())
    }

    /// What the machine is doing.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn report(&mut self) -> anyhow::Result<Report> {
        match self.ask(&Request::State)?.0 {
            Answer::Report(report) => Ok(report),
            other => Err(anyhow::anyhow!(
                "the process that holds the machine answered {other:?}; it may be another version of Guesthouse"
            )),
        }
    }
}
