//! What clients say after the handshake (RFC 6143, section 7.5, and the community's extensions), read without ever keeping more
//! than a message may have.

use std::io::{self, Read};

use super::pixel::{FormatError, PixelFormat};
use crate::display::Rectangle;

/// The most bytes of text that are taken.
pub const LONGEST_TEXT: u32 = 1024 * 1024;
/// The most bytes that a fence carries.
pub const LONGEST_FENCE: u8 = 64;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Which pixels the client wants from now on.
    PixelFormat(PixelFormat),
    /// Which encodings it understands, the best first.
    Encodings(Vec<i32>),
    /// It wants to know what changed, or (not incremental) all of a part.
    UpdateRequest {
        /// Only what changed.
        incremental: bool,
        /// Of this part.
        part: Rectangle,
    },
    /// A key by its keysym, and by its position if the client knows it.
    Key {
        /// Down or up.
        down: bool,
        /// X11's name of what the key means.
        keysym: u32,
        /// Scan code set 1 with bit 7 for the prefix; 0 when unknown.
        position: u32,
    },
    /// The pointer: a place, or a motion around 0x7FFF.
    Pointer {
        /// A bit for each button.
        buttons: u8,
        /// From the left.
        x: u16,
        /// From the top.
        y: u16,
    },
    /// Text for the clipboard, in Latin-1.
    CutText(Vec<u8>),
    /// Whether it wants updates without asking for each.
    ContinuousUpdates(bool),
    /// A mark in the stream.
    Fence {
        /// What it asks for.
        flags: u32,
        /// To send back.
        payload: Vec<u8>,
    },
    /// It wants a screen of another size.
    DesktopSize {
        /// In pixels.
        width: u16,
        /// In pixels.
        height: u16,
    },
}

/// Why a client's messages cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The connection ended or broke.
    #[error(transparent)]
    Connection(#[from] io::Error),
    /// Its pixel format.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// Not a message that was offered.
    #[error("the client sent message {0}, which nobody offered to it")]
    Unknown(u8),
    /// Not a message of the extension for QEMU that was offered.
    #[error("the client sent extended message {0}, which nobody offered to it")]
    UnknownExtended(u8),
    /// Marks in the stream, and none of the answers read.
    #[error("the client sends fences and does not read the answers")]
    Flood,
    /// More than a message may have.
    #[error("the client sent {sent} bytes at once where {allowed} are allowed")]
    TooLong {
        /// How much.
        sent: u32,
        /// How much may be.
        allowed: u32,
    },
}

fn bytes<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn some_bytes(from: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Encodings that are kept of a client's list; nobody knows as many.
const MOST_ENCODINGS: usize = 256;

/// Reads one message.
pub fn read(from: &mut impl Read) -> Result<Message, MessageError> {
    let [kind] = bytes(from)?;
    Ok(match kind {
        0 => {
            let [_, _, _, format @ ..]: [u8; 19] = bytes(from)?;
            Message::PixelFormat(PixelFormat::parse(&format)?)
        }
        2 => {
            let [_, high, low]: [u8; 3] = bytes(from)?;
            let mut encodings = Vec::new();
            for _ in 0..u16::from_be_bytes([high, low]) {
                let encoding = i32::from_be_bytes(bytes(from)?);
                if encodings.len() < MOST_ENCODINGS {
                    encodings.push(encoding);
                }
            }
            Message::Encodings(encodings)
        }
        3 => {
            let [incremental, x1, x0, y1, y0, w1, w0, h1, h0] = bytes(from)?;
            let number = |high, low| u32::from(u16::from_be_bytes([high, low]));
            Message::UpdateRequest {
                incremental: incremental != 0,
                part: Rectangle::new(
                    number(x1, x0),
                    number(y1, y0),
                    number(w1, w0),
                    number(h1, h0),
                ),
            }
        }
        4 => {
            let [down, _, _, a, b, c, d] = bytes(from)?;
            Message::Key {
                down: down != 0,
                keysym: u32::from_be_bytes([a, b, c, d]),
                position: 0,
            }
        }
        5 => {
            let [buttons, x1, x0, y1, y0] = bytes(from)?;
            Message::Pointer {
                buttons,
                x: u16::from_be_bytes([x1, x0]),
                y: u16::from_be_bytes([y1, y0]),
            }
        }
        6 => {
            let [_, _, _, a, b, c, d] = bytes(from)?;
            let length = u32::from_be_bytes([a, b, c, d]);
            if length > LONGEST_TEXT {
                return Err(MessageError::TooLong {
                    sent: length,
                    allowed: LONGEST_TEXT,
                });
            }
            // Read as it comes, so that a length alone takes no memory.
            let mut text = Vec::new();
            let read = from.take(length.into()).read_to_end(&mut text)?;
            if read < length as usize {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            Message::CutText(text)
        }
        150 => {
            let [enable, ..]: [u8; 9] = bytes(from)?;
            Message::ContinuousUpdates(enable != 0)
        }
        248 => {
            let [_, _, _, a, b, c, d, length] = bytes(from)?;
            if length > LONGEST_FENCE {
                return Err(MessageError::TooLong {
                    sent: length.into(),
                    allowed: LONGEST_FENCE.into(),
                });
            }
            Message::Fence {
                flags: u32::from_be_bytes([a, b, c, d]),
                payload: some_bytes(from, length.into())?,
            }
        }
        251 => {
            let [_, w1, w0, h1, h0, screens, _] = bytes(from)?;
            // A machine has one screen: where the client would place several does not matter.
            some_bytes(from, usize::from(screens) * 16)?;
            Message::DesktopSize {
                width: u16::from_be_bytes([w1, w0]),
                height: u16::from_be_bytes([h1, h0]),
            }
        }
        255 => {
            let [kind] = bytes(from)?;
            if kind != 0 {
                return Err(MessageError::UnknownExtended(kind));
            }
            let [d1, d0, a, b, c, d, e, f, g, h] = bytes(from)?;
            Message::Key {
                down: [d1, d0] != [0, 0],
                keysym: u32::from_be_bytes([a, b, c, d]),
                position: u32::from_be_bytes([e, f, g, h]),
            }
        }
        unknown => return Err(MessageError::Unknown(unknown)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_by_hand() {
        let key = |position| Message::Key {
            down: true,
            keysym: 0x61,
            position,
        };
        let table: &[(&[u8], Message)] = &[
            (
                &[3, 1, 0, 1, 0, 2, 4, 0, 3, 0],
                Message::UpdateRequest {
                    incremental: true,
                    part: Rectangle::new(1, 2, 1024, 768),
                },
            ),
            (&[4, 1, 0, 0, 0, 0, 0, 0x61], key(0)),
            (&[255, 0, 0, 1, 0, 0, 0, 0x61, 0, 0, 0, 0x1e], key(0x1e)),
            (
                &[5, 0x11, 1, 0, 0, 9],
                Message::Pointer {
                    buttons: 0x11,
                    x: 256,
                    y: 9,
                },
            ),
            (
                &[6, 0, 0, 0, 0, 0, 0, 2, b'h', 0xe9],
                Message::CutText(vec![b'h', 0xe9]),
            ),
            (
                &[2, 0, 0, 2, 0, 0, 0, 16, 0xff, 0xff, 0xff, 0x11],
                Message::Encodings(vec![16, -239]),
            ),
            (
                &[150, 1, 0, 0, 0, 0, 4, 0, 3, 0],
                Message::ContinuousUpdates(true),
            ),
            (
                &[248, 0, 0, 0, 0x80, 0, 0, 1, 2, 7, 8],
                Message::Fence {
                    flags: 0x8000_0001,
                    payload: vec![7, 8],
                },
            ),
            (
                &[251, 0, 4, 0, 3, 0, 0, 0],
                Message::DesktopSize {
                    width: 1024,
                    height: 768,
                },
            ),
        ];
        for (wire, message) in table {
            let mut rest = *wire;
            assert_eq!(read(&mut rest).unwrap(), *message);
            assert!(rest.is_empty(), "{message:?}");
            for cut in 0..wire.len() {
                let result = read(&mut wire.get(..cut).unwrap());
                assert!(matches!(result, Err(MessageError::Connection(_))), "{cut}");
            }
        }
        let mut format = vec![0, 0, 0, 0];
        format.extend(PixelFormat::NATIVE.to_bytes());
        assert_eq!(
            read(&mut format.as_slice()).unwrap(),
            Message::PixelFormat(PixelFormat::NATIVE)
        );
    }

    #[test]
    fn what_is_too_long_or_was_not_offered_is_refused() {
        for wire in [
            [6, 0, 0, 0, 0, 0x10, 0, 1, 0, 0].as_slice(),
            &[6, 0, 0, 0, 0xff, 0xff, 0xff, 0xf0],
            &[248, 0, 0, 0, 0, 0, 0, 0, 65],
        ] {
            let result = read(&mut [wire, &[0; 100]].concat().as_slice());
            assert!(matches!(result, Err(MessageError::TooLong { .. })));
        }
        for kind in [1, 7, 100, 249, 250, 252, 254] {
            let result = read(&mut [kind; 64].as_slice());
            assert!(matches!(result, Err(MessageError::Unknown(unknown)) if unknown == kind));
        }
        assert!(matches!(
            read(&mut [255, 1, 0, 0].as_slice()),
            Err(MessageError::UnknownExtended(1))
        ));
    }
}
