//! What is said over a machine's control socket.
//!
//! The client sends one [`Request`] as a line of JSON; the server answers with one [`Answer`] as a line of JSON, followed by as
//! many bytes as it says. Then the client may ask again. Either side closes the connection when it is done.

use std::io::{self, BufRead, Read, Write};
use std::path::PathBuf;

use guesthouse_engine::definition::NetworkCard;
use guesthouse_engine::machine::State;
use serde::{Deserialize, Serialize};

/// The longest line that is read, in bytes.
const LINE: u64 = 1 << 20;
/// The most bytes that may follow an answer: a PNG of the largest screen is smaller.
const PAYLOAD: u64 = 256 << 20;

/// What the holder of a machine can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "request")]
pub enum Request {
    /// What it is doing.
    State,
    /// What it is doing, now and whenever that changes: an answer each time, until the client closes the connection.
    Follow,
    /// See [`guesthouse_engine::machine::Machine::pause`]; and so on.
    Pause,
    /// Go on.
    Resume,
    /// The reset button.
    Reset,
    /// The power button.
    Shutdown,
    /// Pull the plug.
    PowerOff,
    /// The screen as PNG, in the bytes after the answer.
    Screenshot,
    /// The screen's text, in the bytes after the answer.
    ScreenText,
    /// Types a text on a US keyboard.
    Type {
        /// Which.
        text: String,
    },
    /// Presses and lets go of a combination of keys.
    Keys {
        /// As [`guesthouse_engine::input::keys::combination`] reads it.
        combination: String,
    },
    /// Presses keys together and lets them go, by their positions (scan code set 1, bit 7 for the prefix).
    Press {
        /// The first goes down first.
        keys: Vec<u8>,
    },
    /// Asks the guest for a screen of another size, in pixels.
    AskForScreen {
        /// Across.
        width: u32,
        /// Down.
        height: u32,
    },
    /// What comes after the answer, in both directions, is the remote framebuffer protocol.
    Screen,
    /// Puts a medium into an optical drive.
    Insert {
        /// Counting from 0.
        drive: usize,
        /// Absolute.
        file: PathBuf,
    },
    /// Takes the medium out.
    Eject {
        /// Counting from 0.
        drive: usize,
        /// Even if the guest has locked it.
        force: bool,
    },
    /// How the network cards are doing, as JSON in the bytes after the answer.
    Networks,
    /// Attaches a network card elsewhere, or changes its forwards.
    ChangeNetwork {
        /// Counting from 0.
        card: usize,
        /// How it is to be.
        wanted: NetworkCard,
    },
    /// The latest lines of the log, in the bytes after the answer.
    Log,
}

/// What a machine is, for those who ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What it is doing.
    #[serde(flatten)]
    pub state: State,
    /// Width and height of its screen in pixels.
    pub screen: (u32, u32),
    /// The process that holds it.
    pub process: u32,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub enum Answer {
    /// It was done.
    Done,
    /// To [`Request::State`].
    Report(Report),
    /// So many bytes follow.
    Bytes {
        /// How many.
        length: u64,
    },
    /// It was not done.
    Failed {
        /// Cause and remedy.
        message: String,
    },
}

/// Writes one message as a line.
pub(super) fn send(stream: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// Reads one message; nothing at the end of the stream.
pub(super) fn receive<M: for<'de> Deserialize<'de>>(
    stream: &mut impl BufRead,
) -> io::Result<Option<M>> {
    let mut line = Vec::new();
    stream.take(LINE).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&line)?))
}

/// Reads the bytes that follow an answer.
pub(super) fn payload(stream: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    if length > PAYLOAD {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the answer is too long",
        ));
    }
    let mut bytes = Vec::new();
    stream.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length {
        Ok(bytes)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_way() {
        for request in [
            Request::State,
            Request::Type {
                text: "a\n\"b\"".to_owned(),
            },
            Request::Insert {
                drive: 1,
                file: "/isos/x.iso".into(),
            },
            Request::Eject {
                drive: 0,
                force: true,
            },
        ] {
            let mut bytes = Vec::new();
            send(&mut bytes, &request).unwrap();
            assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1);
            assert_eq!(
                receive::<Request>(&mut bytes.as_slice()).unwrap(),
                Some(request)
            );
        }
        let report = Answer::Report(Report {
            state: State::Paused { reason: None },
            screen: (720, 400),
            process: 7,
        });
        let mut bytes = Vec::new();
        send(&mut bytes, &report).unwrap();
        assert_eq!(
            receive::<Answer>(&mut bytes.as_slice()).unwrap(),
            Some(report)
        );
    }

    #[test]
    fn nonsense_ends_in_an_error_and_silence_in_nothing() {
        assert!(receive::<Request>(&mut b"".as_slice()).unwrap().is_none());
        assert!(receive::<Request>(&mut b"{\"request\":\"fly\"}\n".as_slice()).is_err());
        assert!(receive::<Request>(&mut vec![b'x'; 3 << 20].as_slice()).is_err());
        assert!(payload(&mut b"abc".as_slice(), 4).is_err());
        assert!(payload(&mut b"abc".as_slice(), u64::MAX).is_err());
    }
}
