//! Message-signalled interrupts: instead of driving a line, a device writes a value to an address that the processors'
//! interrupt controllers watch. PCI Local Bus Specification 3.0, section 6.8.

use std::io;

/// The write that is the interrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Message {
    /// Where.
    pub address: u64,
    /// What.
    pub data: u32,
}

/// Takes messages to the processors: the hypervisor.
pub trait MessageSink: Send + Sync {
    /// A new source of messages, for one vector of one device.
    ///
    /// # Errors
    /// When the host has no more.
    fn source(&self) -> io::Result<Box<dyn MessageSource>>;
}

/// One vector's way to the processors. Called from any thread.
pub trait MessageSource: Send + Sync {
    /// Which message [`MessageSource::signal`] sends from now on.
    fn route(&self, message: Message);

    /// Sends the message. Before the first [`MessageSource::route`] nothing is sent.
    fn signal(&self);
}

/// Messages, or doorbells, that end nowhere: for a device outside of any machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unconnected;

impl MessageSink for Unconnected {
    fn source(&self) -> io::Result<Box<dyn MessageSource>> {
        Ok(Box::new(Self))
    }
}

impl MessageSource for Unconnected {
    fn route(&self, _message: Message) {}
    fn signal(&self) {}
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use parking_lot::{Condvar, Mutex};

    use super::*;

    #[derive(Default)]
    struct Sent {
        messages: Mutex<Vec<Message>>,
        arrived: Condvar,
    }

    /// Writes down the messages that were sent, for the tests of every device.
    #[derive(Default, Clone)]
    pub(crate) struct MessageRecorder(Arc<Sent>);

    struct Source {
        sent: Arc<Sent>,
        message: Mutex<Option<Message>>,
    }

    impl MessageSink for MessageRecorder {
        fn source(&self) -> io::Result<Box<dyn MessageSource>> {
            Ok(Box::new(Source {
                sent: Arc::clone(&self.0),
                message: Mutex::default(),
            }))
        }
    }

    impl MessageSource for Source {
        fn route(&self, message: Message) {
            *self.message.lock() = Some(message);
        }
        fn signal(&self) {
            if let Some(message) = *self.message.lock() {
                self.sent.messages.lock().push(message);
                self.sent.arrived.notify_all();
            }
        }
    }

    impl MessageRecorder {
        /// What was sent since the last call.
        pub(crate) fn take(&self) -> Vec<Message> {
            std::mem::take(&mut *self.0.messages.lock())
        }

        /// Waits until something is sent, and takes it.
        pub(crate) fn wait(&self) -> Vec<Message> {
            let mut messages = self.0.messages.lock();
            while messages.is_empty() {
                let limit = std::time::Duration::from_secs(60);
                let waited = self.0.arrived.wait_for(&mut messages, limit);
                assert!(!waited.timed_out(), "no message came within a minute");
            }
            std::mem::take(&mut *messages)
        }
    }

    #[test]
    fn nothing_is_sent_before_it_is_known_where() {
        let recorder = MessageRecorder::default();
        let source = recorder.source().unwrap();
        source.signal();
        let message = Message {
            address: 0xfee0_0000,
            data: 0x41,
        };
        source.route(message);
        source.signal();
        assert_eq!(recorder.take(), [message]);
    }
}
