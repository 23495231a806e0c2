//! What a connection's guest sends, which is kept until the host's socket takes it.

use std::io::IoSlice;

use bytes::Bytes;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, Shutdown};

use super::super::segment::Segment;
use super::{Flow, MOST_QUEUED, SCALE, ahead, length32};

/// Pieces smaller than this are joined, so that their frames need not be kept.
const SMALL: usize = 1024;
const JOINED: usize = 16 << 10;

/// Payload on its way to the host's socket.
pub(super) enum Chunk {
    Shared(Bytes),
    Joined(Vec<u8>),
}

impl Chunk {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Joined(bytes) => bytes,
        }
    }
}

impl Flow {
    /// How much may wait for the socket.
    pub(super) fn most_queued(&self) -> u32 {
        if self.scales && !self.modest {
            MOST_QUEUED
        } else {
            65_535
        }
    }

    /// The window to tell the guest, which never takes back what was told before.
    pub(super) fn own_window(&mut self) -> u16 {
        let most = self.most_queued();
        let edge = self
            .next_expected
            .wrapping_add(most.saturating_sub(self.queued));
        if ahead(edge, self.edge).is_some() {
            self.edge = edge;
        }
        let window = ahead(self.edge, self.next_expected).unwrap_or(0);
        let window = if self.scales { window >> SCALE } else { window };
        u16::try_from(window).unwrap_or(u16::MAX)
    }

    /// Takes the payload and the end that `segment` brings, if they are the next.
    pub(super) fn take(&mut self, segment: &Segment) {
        if segment.length() == 0 {
            // A guest that asks whether we are still there uses a number of the past.
            if segment.sequence != self.next_expected {
                self.acknowledge = true;
            }
            return;
        }
        self.acknowledge = true;
        let Some(known) = ahead(self.next_expected, segment.sequence) else {
            // Something before it is missing: the guest sends it again when it hears so.
            return;
        };
        if self.guest_ended || known >= segment.length() {
            return;
        }
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        let payload = segment.payload.slice(known.min(segment.payload.len())..);
        let room = ahead(self.edge, self.next_expected).unwrap_or(0);
        let room = usize::try_from(room).unwrap_or(0);
        let fits = payload.len() <= room;
        let payload = payload.slice(..payload.len().min(room));
        self.next_expected = self.next_expected.wrapping_add(length32(payload.len()));
        self.enqueue(payload);
        if segment.fin && fits {
            self.next_expected = self.next_expected.wrapping_add(1);
            self.guest_ended = true;
        }
    }

    pub(super) fn enqueue(&mut self, payload: Bytes) {
        if payload.is_empty() {
            return;
        }
        self.queued = self.queued.saturating_add(length32(payload.len()));
        if payload.len() >= SMALL {
            self.queue.push_back(Chunk::Shared(payload));
            return;
        }
        if let Some(Chunk::Joined(last)) = self.queue.back_mut()
            && last.len() + payload.len() <= JOINED
        {
            last.extend_from_slice(&payload);
            return;
        }
        self.queue.push_back(Chunk::Joined(payload.to_vec()));
    }

    /// Gives the host's socket what the guest sent.
    pub(super) fn flush(&mut self) -> Result<(), Errno> {
        while self.writable && !self.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); 32];
            let mut wanted = 0;
            let mut skip = self.taken;
            for (slice, chunk) in slices.iter_mut().zip(&self.queue) {
                let part = chunk.as_slice().get(skip..).unwrap_or_default();
                skip = 0;
                wanted += part.len();
                *slice = IoSlice::new(part);
            }
            let count = self.queue.len().min(slices.len());
            let sent = rustix::net::sendmsg(
                &self.socket,
                slices.get(..count).unwrap_or_default(),
                &mut SendAncillaryBuffer::default(),
                SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
            );
            let sent = match sent {
                Ok(sent) => sent,
                Err(Errno::AGAIN) => {
                    self.writable = false;
                    break;
                }
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error),
            };
            self.queued = self.queued.saturating_sub(length32(sent));
            let mut left = sent;
            while let Some(first) = self.queue.front() {
                let rest = first.as_slice().len().saturating_sub(self.taken);
                if left < rest {
                    self.taken += left;
                    break;
                }
                left -= rest;
                self.taken = 0;
                self.queue.pop_front();
            }
            if sent < wanted {
                self.writable = false;
            }
        }
        if self.guest_ended && self.queue.is_empty() && !self.shut {
            self.shut = true;
            // It may be gone altogether; then reading says so.
            let _ = rustix::net::shutdown(&self.socket, Shutdown::Write);
        }
        Ok(())
    }

    /// Whether the window grew so much since the guest was told that it should hear of it.
    pub(super) fn window_opened(&self) -> bool {
        if self.guest_ended {
            return false;
        }
        let most = self.most_queued();
        let told = ahead(self.edge, self.next_expected).unwrap_or(0);
        let now = most.saturating_sub(self.queued);
        told < most / 2 && now.saturating_sub(told) >= most / 4
    }
}
