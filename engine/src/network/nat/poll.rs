//! What the NAT's thread waits for: the host's sockets, by epoll.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// Whose file descriptor is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Bell,
    Tcp { number: usize, generation: u32 },
    TcpForward(usize),
    Udp(usize),
    UdpForward(usize),
    Icmp(usize),
}

impl Token {
    fn pack(self) -> u64 {
        let (kind, number, generation) = match self {
            Self::Bell => (0, 0, 0),
            Self::Tcp { number, generation } => (1, number, generation),
            Self::TcpForward(number) => (2, number, 0),
            Self::Udp(number) => (3, number, 0),
            Self::UdpForward(number) => (4, number, 0),
            Self::Icmp(number) => (5, number, 0),
        };
        u64::from(generation) << 32 | kind << 28 | (number as u64 & 0x0fff_ffff)
    }

    fn unpack(data: u64) -> Self {
        let number = usize::try_from(data & 0x0fff_ffff).unwrap_or(0);
        match data >> 28 & 0xf {
            1 => Self::Tcp {
                number,
                generation: u32::try_from(data >> 32).unwrap_or(0),
            },
            2 => Self::TcpForward(number),
            3 => Self::Udp(number),
            4 => Self::UdpForward(number),
            5 => Self::Icmp(number),
            _ => Self::Bell,
        }
    }
}

/// Something happened to a file descriptor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ready {
    pub token: Token,
    pub readable: bool,
    pub writable: bool,
}

/// The set of file descriptors.
pub(super) struct Poll {
    epoll: OwnedFd,
}

/// Room for what is reported at once; of one thread only.
pub(super) struct Events(Vec<Event>);

impl Events {
    pub fn new() -> Self {
        Self(Vec::with_capacity(256))
    }
}

impl Poll {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
        })
    }

    /// Reports `source` whenever it is readable. It is forgotten when it is closed.
    pub fn add(&self, source: impl AsFd, token: Token) -> io::Result<()> {
        Ok(epoll::add(
            &self.epoll,
            source,
            EventData::new_u64(token.pack()),
            EventFlags::IN,
        )?)
    }

    /// Reports `source` once each time it becomes readable or writable.
    pub fn add_edges(&self, source: impl AsFd, token: Token) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(
            &self.epoll,
            source,
            EventData::new_u64(token.pack()),
            flags,
        )?)
    }

    /// Waits for something, at most for `patience`, and puts it into `ready`.
    pub fn wait(
        &self,
        patience: Option<Duration>,
        events: &mut Events,
        ready: &mut Vec<Ready>,
    ) -> io::Result<()> {
        let timeout = patience.and_then(|patience| Timespec::try_from(patience).ok());
        events.0.clear();
        match epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut events.0),
            timeout.as_ref(),
        ) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let ends = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
        ready.extend(events.0.iter().map(|event| {
            let (flags, data) = (event.flags, event.data);
            Ready {
                token: Token::unpack(data.u64()),
                readable: flags.intersects(EventFlags::IN | ends),
                writable: flags.intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR),
            }
        }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_kernel() {
        for token in [
            Token::Bell,
            Token::Tcp {
                number: 0x0fff_ffff,
                generation: u32::MAX,
            },
            Token::TcpForward(1),
            Token::Udp(2),
            Token::UdpForward(3),
            Token::Icmp(4),
        ] {
            assert_eq!(Token::unpack(token.pack()), token);
        }
    }
}
