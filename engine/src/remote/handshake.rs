//! From the first byte to the client's right to see and touch (RFC 6143, sections 7.1 to 7.3).

use std::{
    io,
    time::{Duration, Instant},
};

use super::{authentication, encoding::short, pixel::PixelFormat, stream::Stream};

/// How long a client has for all of it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a client with a wrong password waits for the answer, so that guessing takes time.
const PENALTY: Duration = Duration::from_secs(1);
/// The most bytes of a machine's name that are sent.
const LONGEST_NAME: usize = 1024;

const NONE: u8 = 1;
const VNC_AUTHENTICATION: u8 = 2;

/// Why a client was not let in.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The connection ended or broke.
    #[error(transparent)]
    Connection(#[from] io::Error),
    /// It took too long.
    #[error("the client did not finish its greeting in {} seconds", PATIENCE.as_secs())]
    Slow,
    /// Not this protocol.
    #[error("the client does not speak RFB")]
    Protocol,
    /// A way in that was not offered.
    #[error("the client chose security type {0}, which was not offered to it")]
    Security(u8),
    /// The password was wrong.
    #[error("the client gave a wrong password")]
    Password,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Version {
    V3_3,
    V3_7,
    V3_8,
}

impl Version {
    /// Numbers that nobody has published count as 3.3, as section 7.1.1 has it; later ones as the latest.
    fn parse(line: &[u8; 12]) -> Option<Self> {
        let text = line.strip_prefix(b"RFB ")?.strip_suffix(b"\n")?;
        let (major, minor) = std::str::from_utf8(text).ok()?.split_once('.')?;
        let digits = |number: &str| {
            (number.len() == 3 && number.bytes().all(|digit| digit.is_ascii_digit()))
                .then(|| number.parse::<u16>().ok())
                .flatten()
        };
        Some(match (digits(major)?, digits(minor)?) {
            (3, 7) => Self::V3_7,
            (3, 8..) | (4.., _) => Self::V3_8,
            _ => Self::V3_3,
        })
    }
}

/// Reads in time, however the bytes trickle in.
fn read<const N: usize>(
    stream: &mut dyn Stream,
    deadline: Instant,
) -> Result<[u8; N], HandshakeError> {
    let mut bytes = [0; N];
    let mut room = bytes.as_mut_slice();
    while !room.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(HandshakeError::Slow);
        }
        stream.limit_reads(Some(left))?;
        match stream.read(room) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(count) => room = room.get_mut(count..).unwrap_or(&mut []),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    return Err(HandshakeError::Slow);
                }
                io::ErrorKind::Interrupted => {}
                _ => return Err(error.into()),
            },
        }
    }
    Ok(bytes)
}

fn refuse(stream: &mut dyn Stream, version: Version, reason: &str) -> io::Result<()> {
    stream.write_all(&1_u32.to_be_bytes())?;
    if version >= Version::V3_8 {
        stream.write_all(&u32::try_from(reason.len()).unwrap_or(0).to_be_bytes())?;
        stream.write_all(reason.as_bytes())?;
    }
    Ok(())
}

/// Lets the client in, or not. Until the password was given, when there is one, it is told nothing about the machine.
pub fn shake_hands(
    stream: &mut dyn Stream,
    password: Option<&str>,
    name: &str,
    size: impl FnOnce() -> (u32, u32),
) -> Result<(u32, u32), HandshakeError> {
    let deadline = Instant::now() + PATIENCE;
    stream.write_all(b"RFB 003.008\n")?;
    let version = Version::parse(&read(stream, deadline)?).ok_or(HandshakeError::Protocol)?;
    // One type only, so that a client can choose nothing weaker.
    let offered = if password.is_some() {
        VNC_AUTHENTICATION
    } else {
        NONE
    };
    if version == Version::V3_3 {
        stream.write_all(&u32::from(offered).to_be_bytes())?;
    } else {
        stream.write_all(&[1, offered])?;
        let [chosen] = read(stream, deadline)?;
        if chosen != offered {
            refuse(stream, version, "This security type was not offered.")?;
            return Err(HandshakeError::Security(chosen));
        }
    }
    if let Some(password) = password {
        let challenge = authentication::challenge()?;
        stream.write_all(&challenge)?;
        let response = read(stream, deadline)?;
        if !authentication::accepted(password, challenge, response) {
            std::thread::sleep(PENALTY);
            refuse(stream, version, "The password is wrong.")?;
            return Err(HandshakeError::Password);
        }
    }
    if password.is_some() || version >= Version::V3_8 {
        stream.write_all(&0_u32.to_be_bytes())?;
    }
    // Whether to share the screen with others. It always is: a viewer cannot throw the window off its own machine.
    let [_shared]: [u8; 1] = read(stream, deadline)?;
    let (width, height) = size();
    let name = name
        .get(..name.floor_char_boundary(LONGEST_NAME))
        .unwrap_or(name);
    let mut init = Vec::new();
    init.extend(short(width).to_be_bytes());
    init.extend(short(height).to_be_bytes());
    init.extend(PixelFormat::NATIVE.to_bytes());
    init.extend(u32::try_from(name.len()).unwrap_or(0).to_be_bytes());
    init.extend(name.bytes());
    stream.write_all(&init)?;
    stream.limit_reads(None)?;
    Ok((width, height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (line, version) in [
            (b"RFB 003.003\n", Some(Version::V3_3)),
            (b"RFB 003.005\n", Some(Version::V3_3)),
            (b"RFB 003.007\n", Some(Version::V3_7)),
            (b"RFB 003.008\n", Some(Version::V3_8)),
            (b"RFB 003.889\n", Some(Version::V3_8)),
            (b"RFB 004.001\n", Some(Version::V3_8)),
            (b"RFB 000.000\n", Some(Version::V3_3)),
            (b"RFB +03.008\n", None),
            (b"RFB 003.008\r", None),
            (b"GET / HTTP/1", None),
            (b"RFB \xff\xff\xff.008\n", None),
        ] {
            assert_eq!(Version::parse(line), version, "{line:?}");
        }
    }
}
