//! The MSI capability: one message-signalled interrupt with a 64-bit address and no masking.
//! PCI Local Bus Specification 3.0, section 6.8.1.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{ConfigSpace, ConfigSpaceBuilder};
use crate::bus::{Message, MessageSink, MessageSource};

const ID: u8 = 0x05;
/// Message control: the capability can hold a 64-bit address.
const ADDRESS_64: u8 = 1 << 7;
const ENABLE: u16 = 1 << 0;
const CONTROL: u8 = 2;
const ADDRESS_LOW: u8 = 4;
const ADDRESS_HIGH: u8 = 8;
const DATA: u8 = 12;

/// The one message of a function. Shared between the function, which tells it of writes to its configuration space, and
/// whatever thread has an interrupt to send.
pub struct Msi {
    offset: u8,
    enabled: AtomicBool,
    source: Box<dyn MessageSource>,
}

impl Msi {
    /// How many bytes the capability takes.
    pub const LENGTH: u8 = 14;

    /// The message of a function whose capability is at `offset`, by way of `sink`.
    ///
    /// # Errors
    /// When the host has no more messages.
    pub fn new(offset: u8, sink: &dyn MessageSink) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            offset,
            enabled: AtomicBool::new(false),
            source: sink.source()?,
        }))
    }

    /// Adds the capability to a configuration space.
    pub fn add(&self, space: ConfigSpaceBuilder) -> ConfigSpaceBuilder {
        let mut body = [0; 12];
        body[0] = ADDRESS_64;
        let writable = [
            1, 0, 0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        ];
        space.capability(self.offset, ID, body, writable)
    }

    /// To be called after each write to the function's configuration space, and after its reset.
    pub fn update(&self, space: &ConfigSpace) {
        let register = |at: u8| space.dword(self.offset.saturating_add(at));
        let enabled = space.word(self.offset.saturating_add(CONTROL)) & ENABLE != 0;
        if enabled {
            let address =
                u64::from(register(ADDRESS_HIGH)) << 32 | u64::from(register(ADDRESS_LOW));
            let data = u32::from(space.word(self.offset.saturating_add(DATA)));
            self.source.route(Message { address, data });
        }
        self.enabled.store(enabled, Ordering::Release);
    }

    /// Whether software has enabled the message: the function's INTx line is then not used.
    pub fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Acquire)
    }

    /// Sends the message, if it is enabled.
    pub fn signal(&self) {
        if self.is_enabled() {
            self.source.signal();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{MessageRecorder, Width};
    use crate::pci::Identity;

    #[test]
    fn the_message_goes_where_software_says_while_it_is_enabled() {
        let recorder = MessageRecorder::default();
        let msi = Msi::new(0x80, &recorder).unwrap();
        let identity = Identity {
            vendor: 0x8086,
            device: 0x2922,
            revision: 2,
            class: 0x01_06_01,
        };
        let mut space = msi.add(ConfigSpace::builder(identity)).build();
        assert_eq!(space.dword(0x80), 0x0080_0005);
        for (offset, value) in [(0x84, 0xfee0_1003), (0x88, 0x1), (0x8c, 0xffff_4041)] {
            space.write(offset, Width::Dword, value);
            msi.update(&space);
        }
        msi.signal();
        assert!(recorder.take().is_empty() && !msi.is_enabled());
        space.write(0x82, Width::Word, 0xffff);
        msi.update(&space);
        assert_eq!(space.word(0x82), 0x0081, "one message and no masks");
        msi.signal();
        let message = Message {
            address: 0x1_fee0_1000,
            data: 0x4041,
        };
        assert_eq!(recorder.take(), [message]);
        space.reset();
        msi.update(&space);
        msi.signal();
        assert!(recorder.take().is_empty());
    }
}
