//! What a connection's guest sends: kept until the host's socket takes it, and when the guest hears that it came.

use std::io::IoSlice;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, Shutdown};

use super::super::segment::Segment;
use super::{Flow, MOST_QUEUED, SCALE, ahead, length32};

/// Pieces smaller than this are joined, so that their frames need not be kept.
const SMALL: usize = 1024;
const JOINED: usize = 16 << 10;

/// An answer within this time is a quick one; one that is waited for longer does not come.
const QUICK: Duration = Duration::from_millis(10);
/// After so many quick answers in a row the next one is counted on.
const TRUSTED: u8 = 16;

/// How question and answer follow each other. Each word to the guest interrupts what it does; where answers come quickly they tell it
/// as well that its question came, as RFC 9293, section 3.8.6.3, allows, and nothing else needs to.
pub(super) struct Conversation {
    /// When the guest asked last.
    asked: Instant,
    /// How many segments it sent since it was answered.
    questions: u8,
    /// How many single segments in a row were answered quickly.
    quick: u8,
    /// The guest is to hear that its question came, by the answer or when that does not come.
    pub owes: bool,
}

impl Conversation {
    pub fn new(now: Instant) -> Self {
        Self {
            asked: now,
            questions: 0,
            quick: 0,
            owes: false,
        }
    }
}

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
    pub(super) fn take(&mut self, segment: &Segment, now: Instant) {
        if segment.length() == 0 {
            // A guest that asks whether we are still there uses a number of the past.
            if segment.sequence != self.next_expected {
                self.acknowledge = true;
            }
            return;
        }
        let Some(known) = ahead(self.next_expected, segment.sequence) else {
            // Something before it is missing: the guest sends it again when it hears so.
            self.acknowledge = true;
            return;
        };
        if self.guest_ended || known >= segment.length() {
            self.acknowledge = true;
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
        let conversation = &mut self.conversation;
        conversation.asked = now;
        conversation.questions = conversation.questions.saturating_add(1);
        let single = conversation.questions == 1 && segment.length() < u32::from(self.size);
        if single && fits && !segment.fin && conversation.quick >= TRUSTED {
            conversation.owes = true;
        } else {
            self.acknowledge = true;
        }
    }

    /// A segment with payload was sent. It says as well what came from the guest, if it was made since.
    pub(super) fn has_answered(&mut self, now: Instant) {
        if self.told != self.next_expected {
            return;
        }
        self.acknowledge = false;
        let conversation = &mut self.conversation;
        conversation.owes = false;
        conversation.quick = match conversation.questions {
            0 => return,
            1 if now.duration_since(conversation.asked) < QUICK => {
                conversation.quick.saturating_add(1)
            }
            _ => 0,
        };
        conversation.questions = 0;
    }

    /// Whether the guest is to hear at last that its question came, since no answer did.
    pub(in super::super) fn keep_promise(&mut self, now: Instant) -> bool {
        let late = self.conversation.owes && now.duration_since(self.conversation.asked) >= QUICK;
        if late {
            self.conversation.quick = 0;
            self.acknowledge = true;
        }
        late
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
