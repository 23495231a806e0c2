//! What a connection's guest is sent: from the host's socket into pieces that are kept until the guest has acknowledged them.

use std::time::Instant;

use rustix::io::Errno;

use super::super::segment::{ACK, FIN, HEADER, PUSH, send_bare};
use super::{
    Flow, LARGEST, MOST_PIECES, MOST_UNACKNOWLEDGED, Outcome, Piece, TURN, ahead, length32,
};
use crate::network::nat::outlet::Outlet;
use crate::network::nat::packet::{Envelope, TCP, header_length};
use crate::network::{Buffer, Checksum, Frame, Offload, SegmentKind, Segmentation, Sent};

impl Flow {
    /// Sends the guest what it has room for: first what is kept, then what the socket has.
    pub(super) fn feed(&mut self, outlet: &mut Outlet, now: Instant) -> Result<Outcome, Errno> {
        for _ in 0..TURN {
            let under_way = self.cursor.wrapping_sub(self.unacknowledged);
            let mut room = self.window.saturating_sub(under_way);
            if room == 0 && self.probe {
                self.probe = false;
                room = 1;
            }
            let sent = if self.cursor != self.end
                && !(self.fin_sent && self.cursor == self.end.wrapping_add(1))
            {
                if room == 0 {
                    self.arm(now);
                    return Ok(Outcome::Idle);
                }
                self.send_kept(outlet, room)
            } else if self.readable && !self.world_ended {
                if room == 0 {
                    self.arm(now);
                    return Ok(Outcome::Idle);
                }
                let full = self.pieces.len() >= MOST_PIECES
                    || self.end.wrapping_sub(self.unacknowledged)
                        >= if self.modest {
                            65_535
                        } else {
                            MOST_UNACKNOWLEDGED
                        };
                let silly = room < u32::from(self.size) && under_way > 0;
                if full || silly {
                    return Ok(Outcome::Idle);
                }
                if !self.read(outlet, room)? {
                    continue;
                }
                self.send_kept(outlet, room)
            } else if self.world_ended && self.cursor == self.end {
                let header = self.header(self.end, FIN | ACK);
                send_bare(outlet, &self.key, header, None);
                self.acknowledge = false;
                self.conversation.owes = false;
                self.fin_sent = true;
                self.advance(self.end.wrapping_add(1));
                self.arm(now);
                return Ok(Outcome::Idle);
            } else {
                return Ok(Outcome::Idle);
            };
            match sent {
                Some(true) => {
                    self.has_answered(now);
                    self.arm(now);
                    self.last = now;
                }
                Some(false) => return Ok(Outcome::Blocked),
                None => return Ok(Outcome::Idle),
            }
        }
        Ok(Outcome::More)
    }

    /// Reads at most `room` bytes from the socket into a piece; says whether it did.
    fn read(&mut self, outlet: &mut Outlet, room: u32) -> Result<bool, Errno> {
        let size = usize::from(self.size);
        let most = LARGEST / size * size;
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let wanted = if room >= most { most } else { room };
        let Some(envelope) = outlet.envelope(self.key.remote.ip(), self.key.guest.ip(), TCP) else {
            // Whoever is not heard for so long that it was forgotten speaks first.
            self.readable = false;
            return Ok(false);
        };
        let begin = header_length(self.key.guest.ip()) + HEADER;
        let mut buffer = Buffer::new(begin + wanted);
        let place = buffer.get_mut(begin..begin + wanted).unwrap_or_default();
        let length = match rustix::io::read(&self.socket, place) {
            Ok(0) => {
                self.world_ended = true;
                self.readable = false;
                return Ok(false);
            }
            Ok(length) => length,
            Err(Errno::AGAIN) => {
                self.readable = false;
                return Ok(false);
            }
            Err(Errno::INTR) => return Ok(false),
            Err(error) => return Err(error),
        };
        let whole = begin + length;
        // A small piece is not to keep a large buffer.
        if whole * 4 < buffer.len() {
            buffer = Buffer::copy_of(buffer.get(..whole).unwrap_or_default());
        }
        let frame = self.dress(outlet, &envelope, buffer, length, self.end);
        if let Some(frame) = frame {
            let length = length32(length);
            self.pieces.push_back(Piece {
                sequence: self.end,
                length,
                frame,
            });
            self.end = self.end.wrapping_add(length);
        }
        Ok(true)
    }

    /// Writes the headers before `length` bytes of payload in `buffer`.
    fn dress(
        &mut self,
        outlet: &mut Outlet,
        envelope: &Envelope,
        mut buffer: Buffer,
        length: usize,
        sequence: u32,
    ) -> Option<Frame> {
        let transport = header_length(self.key.guest.ip());
        let body = HEADER + length;
        let identification = outlet.identification();
        envelope.write(&mut buffer, identification, body);
        let header = self.header(sequence, ACK | PUSH);
        let place = buffer.get_mut(transport..transport + HEADER)?;
        header.write(&self.key, place, 5);
        place
            .get_mut(16..18)?
            .copy_from_slice(&envelope.pseudo_header(body).folded());
        let segmentation = (length > usize::from(self.size)).then_some(Segmentation {
            kind: if self.key.guest.is_ipv4() {
                SegmentKind::Tcp4
            } else {
                SegmentKind::Tcp6
            },
            size: self.size,
            congestion: false,
        });
        let offload = Offload {
            checksum: Checksum::Partial {
                start: u16::try_from(transport).ok()?,
                offset: 16,
            },
            segmentation,
        };
        Frame::new(buffer.freeze(transport + body), offload)
    }

    /// Sends what is kept at the cursor, at most `room` bytes of it: whether there was room at the guest's port; nothing if nothing
    /// is kept there.
    fn send_kept(&mut self, outlet: &mut Outlet, room: u32) -> Option<bool> {
        let from = self.cursor.wrapping_sub(self.unacknowledged);
        let first = self.pieces.partition_point(|piece| {
            let end = piece.sequence.wrapping_add(piece.length);
            ahead(end, self.unacknowledged).is_none_or(|end| end <= from)
        });
        let piece = self.pieces.get(first)?;
        let skip = self.cursor.wrapping_sub(piece.sequence);
        let length = piece.length.checked_sub(skip)?.min(room);
        let frame = if skip == 0 && length == piece.length {
            piece.frame.clone()
        } else {
            // A part of it, in a frame of its own.
            let begin = header_length(self.key.guest.ip()) + HEADER;
            let (skip, part) = (usize::try_from(skip).ok()?, usize::try_from(length).ok()?);
            let payload = piece.frame.data().get(begin + skip..begin + skip + part)?;
            let mut buffer = Buffer::new(begin + part);
            buffer
                .get_mut(begin..begin + part)?
                .copy_from_slice(payload);
            let envelope = outlet.envelope(self.key.remote.ip(), self.key.guest.ip(), TCP)?;
            self.dress(outlet, &envelope, buffer, part, self.cursor)?
        };
        match outlet.send(frame) {
            Sent::Taken => {
                self.advance(self.cursor.wrapping_add(length));
                Some(true)
            }
            Sent::Full(_) => Some(false),
        }
    }
}
