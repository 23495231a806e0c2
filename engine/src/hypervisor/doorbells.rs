//! Writes that the kernel turns into events without leaving to us (ioeventfd).

use std::io;
use std::sync::Arc;

use kvm_ioctls::{IoEventAddress, NoDatamatch, VmFd};
use vmm_sys_util::eventfd::EventFd;

use crate::bus::DoorbellSink;

/// The doorbells of one virtual machine.
pub struct Doorbells(Arc<VmFd>);

impl Doorbells {
    pub(super) fn new(vm: Arc<VmFd>) -> Self {
        Self(vm)
    }
}

impl DoorbellSink for Doorbells {
    fn attach(&self, address: u64, event: &EventFd) -> io::Result<()> {
        // Without a value to compare, the kernel need not even decode the instruction.
        self.0
            .register_ioevent(event, &IoEventAddress::Mmio(address), NoDatamatch)
            .map_err(|error| io::Error::from_raw_os_error(error.errno()))
    }

    fn detach(&self, address: u64, event: &EventFd) {
        if let Err(error) =
            self.0
                .unregister_ioevent(event, &IoEventAddress::Mmio(address), NoDatamatch)
        {
            tracing::error!(address = format_args!("{address:#x}"), %error, "a doorbell stays");
        }
    }
}
