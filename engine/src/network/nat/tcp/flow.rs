//! One connection: its half towards the guest, which is ours, and its half towards the world, which is a socket of the host's.

mod drain;
mod feed;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::net::sockopt;

use self::drain::{Chunk, Conversation};
use super::segment::{ACK, HEADER, Header, RST, SYN, Segment, segment_size, send_bare};
use crate::network::Frame;
use crate::network::nat::outlet::Outlet;

/// How often time passes for connections.
pub(in crate::network::nat) const TICK: Duration = Duration::from_millis(50);
/// How many bytes a guest may send that the host's socket has not taken: the largest window.
const MOST_QUEUED: u32 = 2 << 20;
/// How many bytes and pieces the guest has not acknowledged, at most.
const MOST_UNACKNOWLEDGED: u32 = 4 << 20;
const MOST_PIECES: usize = 1024;
/// Our window's scale.
const SCALE: u8 = 7;
/// How long the guest has to acknowledge before what it did not is sent again; doubled each time up to the longest.
const FIRST_PATIENCE: Duration = Duration::from_millis(300);
const LONGEST_PATIENCE: Duration = Duration::from_secs(8);
/// How often the beginning is tried.
const MOST_BEGINNINGS: u32 = 6;
/// How many frames are sent before others have their turn.
const TURN: usize = 16;
/// The largest payload that fits into one packet with IPv6's headers.
const LARGEST: usize = 65_535 - 40 - HEADER;

/// Which connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The guest's end.
    pub guest: SocketAddr,
    /// The other end, as the guest knows it.
    pub remote: SocketAddr,
}

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The guest began; the host's socket is not yet connected.
    Connecting,
    /// The guest began and was answered.
    Answered,
    /// Somebody connected to a forward; the guest was asked.
    Asked,
    /// Both ends know of each other.
    Open,
}

/// What is to be done after work at a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network::nat) enum Outcome {
    /// Nothing until something happens.
    Idle,
    /// More, when others had their turn.
    More,
    /// More, when there is room at the guest's port.
    Blocked,
    /// It is over.
    Done,
    /// It is over, and the host's peer is to hear that it was broken off.
    Aborted,
}

/// Payload on its way to the guest, in the frame that it goes in.
struct Piece {
    sequence: u32,
    length: u32,
    frame: Frame,
}

pub(super) struct Flow {
    pub key: Key,
    pub socket: OwnedFd,
    pub state: State,
    pub generation: u32,
    pub readable: bool,
    pub writable: bool,
    /// Whether it is to keep little: all connections together keep much.
    pub modest: bool,
    /// Whether it is in the list of those at which something is to be done.
    pub dirty: bool,
    pub last: Instant,

    // From the guest.
    first_received: u32,
    next_expected: u32,
    /// The right edge of the window that the guest was told.
    edge: u32,
    queue: VecDeque<Chunk>,
    queued: u32,
    /// How much of the first chunk the socket has taken.
    taken: usize,
    guest_ended: bool,
    shut: bool,
    acknowledge: bool,
    conversation: Conversation,
    /// What the guest was told last to send next.
    told: u32,

    // To the guest.
    unacknowledged: u32,
    /// What is sent next: behind what was sent, or further back when that is sent again.
    cursor: u32,
    /// Behind all that was ever sent.
    sent: u32,
    /// Behind the last payload that was read from the socket.
    end: u32,
    pieces: VecDeque<Piece>,
    window: u32,
    scale: u8,
    scales: bool,
    size: u16,
    world_ended: bool,
    fin_sent: bool,
    duplicates: u8,
    deadline: Option<Instant>,
    attempts: u32,
    /// One byte may go beyond a window that is closed, to hear whether it still is.
    probe: bool,
}

/// How far `to` is ahead of `from`; nothing if it is behind.
fn ahead(to: u32, from: u32) -> Option<u32> {
    let distance = to.wrapping_sub(from);
    (distance < 1 << 31).then_some(distance)
}

fn length32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl Flow {
    fn new(key: Key, socket: OwnedFd, state: State, sequence: u32, now: Instant) -> Self {
        Self {
            key,
            socket,
            state,
            generation: 0,
            readable: false,
            writable: false,
            modest: false,
            dirty: false,
            last: now,
            first_received: 0,
            next_expected: 0,
            edge: 0,
            queue: VecDeque::new(),
            queued: 0,
            taken: 0,
            guest_ended: false,
            shut: false,
            acknowledge: false,
            conversation: Conversation::new(now),
            told: 0,
            unacknowledged: sequence,
            cursor: sequence.wrapping_add(1),
            sent: sequence.wrapping_add(1),
            end: sequence.wrapping_add(1),
            pieces: VecDeque::new(),
            window: 0,
            scale: 0,
            scales: true,
            size: segment_size(&key, None),
            world_ended: false,
            fin_sent: false,
            duplicates: 0,
            deadline: None,
            attempts: 0,
            probe: false,
        }
    }

    /// A connection that a guest begins with `segment`.
    pub fn from_guest(
        key: Key,
        socket: OwnedFd,
        segment: &Segment,
        sequence: u32,
        now: Instant,
    ) -> Self {
        let mut flow = Self::new(key, socket, State::Connecting, sequence, now);
        flow.begin(segment);
        flow
    }

    /// A connection that somebody begins to a guest.
    pub fn to_guest(key: Key, socket: OwnedFd, sequence: u32, now: Instant) -> Self {
        let mut flow = Self::new(key, socket, State::Asked, sequence, now);
        flow.writable = true;
        flow.readable = true;
        flow.deadline = Some(now);
        flow
    }

    fn begin(&mut self, segment: &Segment) {
        self.first_received = segment.sequence;
        self.next_expected = segment.sequence.wrapping_add(1);
        self.edge = self.next_expected;
        self.size = segment_size(&self.key, segment.largest);
        self.scales = segment.scale.is_some();
        self.scale = segment.scale.unwrap_or(0);
        // The first window is not scaled.
        self.window = u32::from(segment.window);
    }

    /// Whether a first segment with that number began this very connection.
    pub fn is_same_beginning(&self, sequence: u32) -> bool {
        self.state != State::Asked && sequence == self.first_received
    }

    /// Whether both ends may still send.
    pub fn is_open_both_ways(&self) -> bool {
        self.state == State::Open && !self.guest_ended && !self.world_ended
    }

    /// Whether something is to be sent again or given up.
    pub fn is_due(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    fn header(&mut self, sequence: u32, flags: u8) -> Header {
        self.told = self.next_expected;
        Header {
            sequence,
            acknowledged: self.next_expected,
            flags,
            window: self.own_window(),
        }
    }

    /// The guest sent `segment`.
    /// With `overload` what it brings is not kept: the guest sends it again.
    pub fn receive(&mut self, segment: &Segment, overload: bool, now: Instant) {
        self.last = now;
        match self.state {
            // It sends its first segment again.
            State::Connecting => {
                if segment.rst {
                    self.break_off();
                }
            }
            State::Asked => self.answered(segment),
            State::Answered | State::Open => {
                if segment.rst {
                    // Only where it is expected: others could make it up.
                    let inside =
                        ahead(segment.sequence, self.next_expected).is_some_and(|distance| {
                            distance <= self.edge.wrapping_sub(self.next_expected)
                        });
                    if inside {
                        self.break_off();
                    }
                    return;
                }
                if segment.syn {
                    // Our answer was lost.
                    self.acknowledge = true;
                    if self.state == State::Answered {
                        self.deadline = Some(now);
                    }
                    return;
                }
                if segment.ack {
                    self.acknowledged(segment, now);
                }
                if self.state == State::Open && (!overload || segment.payload.is_empty()) {
                    self.take(segment, now);
                }
            }
        }
    }

    /// The guest answered the first segment of a forward's connection.
    fn answered(&mut self, segment: &Segment) {
        let right = segment.ack && segment.acknowledged == self.end;
        if segment.rst && right {
            self.break_off();
        } else if segment.syn && right {
            self.begin(segment);
            self.unacknowledged = self.end;
            self.state = State::Open;
            self.deadline = None;
            self.attempts = 0;
            self.acknowledge = true;
        }
    }

    fn break_off(&mut self) {
        // Found when work is done.
        self.state = State::Open;
        self.guest_ended = true;
        self.world_ended = true;
        self.fin_sent = true;
        self.queue.clear();
        self.pieces.clear();
        self.probe = false;
        self.attempts = u32::MAX;
    }

    fn is_broken_off(&self) -> bool {
        self.attempts == u32::MAX
    }

    /// The guest acknowledged something, or told its window.
    fn acknowledged(&mut self, segment: &Segment, now: Instant) {
        let last = self.end.wrapping_add(u32::from(self.fin_sent));
        let Some(progress) = ahead(segment.acknowledged, self.unacknowledged) else {
            return;
        };
        if ahead(last, segment.acknowledged).is_none() {
            self.acknowledge = true;
            return;
        }
        if self.state == State::Answered {
            if progress == 0 {
                return;
            }
            self.state = State::Open;
        }
        let window = u32::from(segment.window) << self.scale;
        let opened = window > self.window;
        let same = window == self.window;
        self.window = window;
        if progress > 0 {
            self.unacknowledged = segment.acknowledged;
            if ahead(self.cursor, self.unacknowledged).is_none() {
                self.cursor = self.unacknowledged;
            }
            while let Some(piece) = self.pieces.front() {
                let piece_end = piece.sequence.wrapping_add(piece.length);
                if ahead(self.unacknowledged, piece_end).is_none() {
                    break;
                }
                self.pieces.pop_front();
            }
            self.duplicates = 0;
            self.attempts = 0;
            self.deadline = (self.unacknowledged != self.cursor).then(|| now + FIRST_PATIENCE);
        } else if same
            && segment.payload.is_empty()
            && !segment.fin
            && self.cursor != self.unacknowledged
            && window > 0
        {
            self.duplicates = self.duplicates.saturating_add(1);
            if self.duplicates == 3 {
                self.cursor = self.unacknowledged;
            }
        }
        if opened {
            self.probe = false;
            self.attempts = 0;
        }
    }

    /// Does what can be done now.
    pub fn work(&mut self, outlet: &mut Outlet, now: Instant) -> Outcome {
        if self.is_broken_off() {
            return Outcome::Aborted;
        }
        match self.state {
            State::Connecting => return self.connected(outlet, now),
            State::Answered | State::Asked => return self.introduce(outlet, now),
            State::Open => {}
        }
        if self.flush().is_err() {
            return self.reset(outlet);
        }
        if self.is_due(now) {
            self.patience_ended(now);
        }
        let outcome = match self.feed(outlet, now) {
            Ok(outcome) => outcome,
            Err(_) => return self.reset(outlet),
        };
        if self.window_opened() {
            self.acknowledge = true;
        }
        if self.acknowledge {
            self.acknowledge = false;
            self.conversation.owes = false;
            let header = self.header(self.sequence_now(), ACK);
            send_bare(outlet, &self.key, header, None);
        }
        let guest_heard_all = self.fin_sent && self.unacknowledged == self.end.wrapping_add(1);
        if self.shut && guest_heard_all {
            return Outcome::Done;
        }
        outcome
    }

    /// The number of a segment without payload: behind all that was ever sent, but within the window, or the guest drops it.
    fn sequence_now(&self) -> u32 {
        let under_way = self.sent.wrapping_sub(self.unacknowledged);
        self.unacknowledged.wrapping_add(under_way.min(self.window))
    }

    /// Notes how far was sent.
    fn advance(&mut self, cursor: u32) {
        self.cursor = cursor;
        if ahead(cursor, self.sent).is_some() {
            self.sent = cursor;
        }
    }

    /// How many bytes it keeps for either side.
    pub fn load(&self) -> u64 {
        u64::from(self.queued) + u64::from(ahead(self.end, self.unacknowledged).unwrap_or(0))
    }

    fn reset(&mut self, outlet: &mut Outlet) -> Outcome {
        let header = self.header(self.sequence_now(), RST | ACK);
        send_bare(outlet, &self.key, header, None);
        Outcome::Aborted
    }

    /// Looks whether the host's socket is connected, and answers the guest.
    fn connected(&mut self, outlet: &mut Outlet, now: Instant) -> Outcome {
        if !self.writable && !self.readable {
            return Outcome::Idle;
        }
        match sockopt::socket_error(&self.socket) {
            Ok(Ok(())) if self.writable => {
                self.state = State::Answered;
                self.deadline = Some(now);
                self.introduce(outlet, now)
            }
            Ok(Ok(())) => Outcome::Idle,
            Ok(Err(_)) | Err(_) => {
                let header = Header {
                    sequence: 0,
                    acknowledged: self.next_expected,
                    flags: RST | ACK,
                    window: 0,
                };
                send_bare(outlet, &self.key, header, None);
                Outcome::Aborted
            }
        }
    }

    /// Sends our first segment, and sends it again until the guest answers.
    fn introduce(&mut self, outlet: &mut Outlet, now: Instant) -> Outcome {
        if !self.is_due(now) {
            return Outcome::Idle;
        }
        if self.attempts >= MOST_BEGINNINGS {
            return Outcome::Aborted;
        }
        self.wait(now);
        let flags = if self.state == State::Asked {
            SYN
        } else {
            SYN | ACK
        };
        let scales = self.state == State::Asked || self.scales;
        let mut header = self.header(self.unacknowledged, flags);
        // The window of a first segment is not scaled.
        let window = if self.state == State::Asked {
            MOST_QUEUED
        } else {
            ahead(self.edge, self.next_expected).unwrap_or(0)
        };
        header.window = u16::try_from(window).unwrap_or(u16::MAX);
        send_bare(outlet, &self.key, header, scales.then_some(SCALE));
        Outcome::Idle
    }

    fn wait(&mut self, now: Instant) {
        let patience = FIRST_PATIENCE * (1 << self.attempts.min(5));
        self.deadline = Some(now + patience.min(LONGEST_PATIENCE));
        self.attempts = self.attempts.saturating_add(1).min(1000);
    }

    /// The guest did not acknowledge in time.
    fn patience_ended(&mut self, now: Instant) {
        let last = self.end.wrapping_add(u32::from(self.fin_sent));
        let nothing_waits = !self.readable || self.world_ended;
        if self.unacknowledged == last && self.cursor == last && (self.window > 0 || nothing_waits)
        {
            self.deadline = None;
            return;
        }
        self.cursor = self.unacknowledged;
        self.probe = self.window == 0;
        self.wait(now);
    }

    fn arm(&mut self, now: Instant) {
        if self.deadline.is_none() {
            self.deadline = Some(now + FIRST_PATIENCE);
        }
    }
}
