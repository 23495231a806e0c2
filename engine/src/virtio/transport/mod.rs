//! The PCI transport: a device as a function on the bus. Section 4.1.
//!
//! Memory window 1 is the MSI-X table; window 4 holds, a page each, the common configuration, the ISR status, the device's own
//! configuration and the doorbells, one of 4 bytes per queue. Vendor-specific capabilities in the configuration space say so; by
//! one of them firmware reaches window 4 through configuration space alone.

mod common;
mod layout;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::QueueRegisters;
use layout::{ConfigAccess, region};

use super::interrupt::Signals;
use super::queue::SharedQueue;
use super::{Activation, Interrupt, VirtioDevice, feature};
use crate::bus::{Action, DoorbellSink, InterruptLine, IoError, IoResult, MessageSink, Width};
use crate::memory::GuestMemory;
use crate::pci::{BaseAddress, ConfigSpace, ConfigSpaceBuilder, Identity, Msix, PciFunction, Pin};

/// What every device offers: it is the transport that does it.
const FEATURES: u64 = feature::VERSION_1 | feature::INDIRECT_DESCRIPTORS | feature::EVENT_INDEX;

/// What a function is wired to.
pub struct Connections {
    /// Where its interrupt pin A ends.
    pub line: InterruptLine,
    /// Where its messages go.
    pub messages: Arc<dyn MessageSink>,
    /// Who watches its doorbells.
    pub doorbells: Arc<dyn DoorbellSink>,
    /// The guest's memory.
    pub memory: GuestMemory,
}

/// A virtio device as a PCI function. A panic-free face to the guest: whatever it writes, the worst that happens is that the
/// device says that it needs a reset.
pub struct VirtioPci {
    space: ConfigSpace,
    device: Box<dyn VirtioDevice>,
    offered: u64,
    memory: GuestMemory,
    doorbells: Arc<dyn DoorbellSink>,
    /// Where window 4 is, while it is reached.
    base: Option<u64>,
    signals: Arc<Signals>,
    device_feature_select: u32,
    driver_feature_select: u32,
    driver_features: u64,
    queue_select: u16,
    queues: Vec<QueueRegisters>,
    paused: bool,
    /// The driver has reset the device, which still reaches into the guest's memory.
    resetting: bool,
}

impl VirtioPci {
    /// Makes a function of `device`.
    ///
    /// # Errors
    /// When the host has no more interrupt messages.
    pub fn new(device: Box<dyn VirtioDevice>, connections: Connections) -> io::Result<Self> {
        let class = device.device_type().class();
        Self::of_class(device, connections, class, |space| space)
    }

    /// The same with another PCI class code, and with what `add` adds to the configuration space besides windows 1 and 4.
    ///
    /// # Errors
    /// As [`VirtioPci::new`].
    pub(super) fn of_class(
        device: Box<dyn VirtioDevice>,
        connections: Connections,
        class: u32,
        add: impl FnOnce(ConfigSpaceBuilder) -> ConfigSpaceBuilder,
    ) -> io::Result<Self> {
        let kind = device.device_type();
        let queues: Vec<_> = device
            .queue_sizes()
            .into_iter()
            .take(layout::MOST_QUEUES)
            .map(QueueRegisters::new)
            .collect();
        let vectors = u16::try_from(queues.len() + 1).unwrap_or(Msix::VECTORS);
        let msix = Msix::new(layout::MSIX, vectors, &*connections.messages)?;
        let space = ConfigSpace::builder(Identity {
            vendor: 0x1af4,
            device: 0x1040 + kind.number(),
            revision: 1,
            class,
        })
        .subsystem(0x1af4, 0x1100)
        .interrupt_pin(Pin::A);
        let space = layout::add_capabilities(msix.add(space, layout::MSIX_WINDOW));
        let space = add(space).build();
        let signals = Signals::new(kind.name(), msix, connections.line, queues.len());
        Ok(Self {
            space,
            offered: device.features() | FEATURES,
            device,
            memory: connections.memory,
            doorbells: connections.doorbells,
            base: None,
            signals: Arc::new(signals),
            device_feature_select: 0,
            driver_feature_select: 0,
            driver_features: 0,
            queue_select: 0,
            queues,
            paused: false,
            resetting: false,
        })
    }

    /// Withholds the driver's buffers from the device, and waits until it is done with those that it has. To be called while the
    /// processors stand still.
    pub fn pause(&mut self) {
        self.paused = true;
        for queue in self.live_queues() {
            queue.set_paused(true);
        }
        self.device.drain();
    }

    /// Undoes [`VirtioPci::pause`].
    pub fn resume(&mut self) {
        self.paused = false;
        for queue in self.live_queues() {
            queue.set_paused(false);
        }
    }

    fn live_queues(&self) -> impl Iterator<Item = &Arc<SharedQueue>> {
        self.queues.iter().filter_map(|queue| queue.live.as_ref())
    }

    fn status(&self) -> u8 {
        self.signals.status.load(Ordering::Acquire)
    }

    /// The driver is ready: makes the queues that it has enabled and hands them to the device.
    fn activate(&mut self) {
        let interrupt = Interrupt(Arc::clone(&self.signals));
        let event_index = self.driver_features & feature::EVENT_INDEX != 0;
        let mut queues = Vec::with_capacity(self.queues.len());
        for (number, registers) in self.queues.iter_mut().enumerate() {
            let queue = registers.enabled.then(|| {
                SharedQueue::new(
                    number,
                    registers.place(),
                    event_index,
                    &self.memory,
                    &interrupt,
                )
            });
            match queue.transpose() {
                Ok(queue) => {
                    registers.live.clone_from(&queue);
                    queues.push(queue);
                }
                Err(error) => {
                    interrupt.needs_reset(&format!("queue {number} cannot be used: {error}"));
                    self.kill_queues();
                    return;
                }
            }
        }
        if self.paused {
            for queue in self.live_queues() {
                queue.set_paused(true);
            }
        }
        self.attach_doorbells();
        let outcome = self.device.activate(Activation {
            features: self.driver_features,
            memory: self.memory.clone(),
            queues,
            interrupt: interrupt.clone(),
        });
        if let Err(error) = outcome {
            interrupt.needs_reset(&format!("the host does not give what it needs: {error}"));
            self.kill_queues();
            return;
        }
        // What the driver put in before it was ready.
        for queue in self.live_queues() {
            queue.wake();
        }
    }

    fn kill_queues(&mut self) {
        self.detach_doorbells();
        for registers in &mut self.queues {
            if let Some(queue) = registers.live.take() {
                queue.kill();
            }
        }
    }

    /// The driver lets go of the device.
    fn reset_device(&mut self) {
        self.kill_queues();
        self.device.reset();
        self.resetting = true;
        self.finish_reset();
    }

    /// Ends a reset once nothing reaches into the guest's memory any more. Returns whether there is none under way now.
    fn finish_reset(&mut self) -> bool {
        if self.resetting && self.device.is_quiet() {
            self.resetting = false;
            self.signals.reset();
            self.device_feature_select = 0;
            self.driver_feature_select = 0;
            self.driver_features = 0;
            self.queue_select = 0;
            for queue in &mut self.queues {
                queue.reset();
            }
        }
        !self.resetting
    }

    fn attach_doorbells(&mut self) {
        let Some(base) = self.base else { return };
        for (registers, address) in self.queues.iter_mut().zip(layout::doorbells(base)) {
            if let Some(queue) = &registers.live
                && registers.doorbell.is_none()
            {
                match self.doorbells.attach(address, queue.event()) {
                    Ok(()) => registers.doorbell = Some(address),
                    Err(error) => {
                        tracing::debug!(%error, "a doorbell is not watched by the kernel");
                    }
                }
            }
        }
    }

    fn detach_doorbells(&mut self) {
        for registers in &mut self.queues {
            if let Some(address) = registers.doorbell.take()
                && let Some(queue) = &registers.live
            {
                self.doorbells.detach(address, queue.event());
            }
        }
    }

    fn read_registers(&mut self, offset: u64, data: &mut [u8]) -> IoResult<()> {
        match region(offset) {
            Some((layout::Region::Common, offset)) => self.read_common(offset, data),
            Some((layout::Region::Isr, 0)) => {
                data.fill(0);
                if let Some(byte) = data.first_mut() {
                    *byte = self.signals.take_isr();
                }
            }
            Some((layout::Region::Device, offset)) => {
                data.fill(0);
                self.device.read_config(offset, data);
            }
            // A doorbell reads as zero.
            Some((layout::Region::Isr | layout::Region::Doorbells, _)) => data.fill(0),
            None => return Err(IoError::Unmapped),
        }
        Ok(())
    }

    fn write_registers(&mut self, offset: u64, data: &[u8]) -> IoResult<()> {
        match region(offset) {
            Some((layout::Region::Common, offset)) => self.write_common(offset, data),
            Some((layout::Region::Device, offset)) => self.device.write_config(offset, data),
            Some((layout::Region::Doorbells, offset)) => {
                let number = usize::try_from(offset / layout::DOORBELL).unwrap_or(usize::MAX);
                let queue = self.queues.get(number);
                if let Some(queue) = queue.and_then(|queue| queue.live.as_ref()) {
                    queue.wake();
                }
            }
            Some((layout::Region::Isr, _)) => {}
            None => return Err(IoError::Unmapped),
        }
        Ok(())
    }
}

impl PciFunction for VirtioPci {
    fn read_config(&mut self, offset: u8, width: Width) -> u32 {
        if ConfigAccess::is_data(offset)
            && let Some(access) = ConfigAccess::of(&self.space)
        {
            let mut data = [0; 4];
            if let Some(part) = data.get_mut(..access.length)
                && self
                    .read_window(access.window, access.offset, part)
                    .is_err()
            {
                part.fill(0xff);
            }
            ConfigAccess::set_data(&mut self.space, data);
        }
        self.space.interrupt_level(self.signals.is_asserted());
        self.space.read(offset, width)
    }

    fn write_config(&mut self, offset: u8, width: Width, value: u32) -> Option<Action> {
        self.space.write(offset, width, value);
        if ConfigAccess::is_data(offset)
            && let Some(access) = ConfigAccess::of(&self.space)
        {
            let data = ConfigAccess::data(&self.space);
            let part = data.get(..access.length).unwrap_or(&[]);
            // What nothing answers is lost.
            let _ = self.write_window(access.window, access.offset, part);
        }
        self.signals.msix.update(&self.space);
        self.signals.update_line(self.space.is_interrupt_disabled());
        None
    }

    fn base_addresses(&self) -> Vec<BaseAddress> {
        self.space.base_addresses()
    }

    fn read_window(&mut self, number: u8, offset: u64, data: &mut [u8]) -> IoResult<()> {
        match number {
            layout::MSIX_WINDOW => self.signals.msix.read(offset, data),
            layout::WINDOW => self.read_registers(offset, data),
            _ => Err(IoError::Unmapped),
        }
    }

    fn write_window(&mut self, number: u8, offset: u64, data: &[u8]) -> IoResult<Option<Action>> {
        match number {
            layout::MSIX_WINDOW => self.signals.msix.write(offset, data)?,
            layout::WINDOW => self.write_registers(offset, data)?,
            _ => return Err(IoError::Unmapped),
        }
        Ok(None)
    }

    fn window_placed(&mut self, number: u8, base: Option<u64>) {
        if number == layout::WINDOW {
            self.detach_doorbells();
            self.base = base;
            self.attach_doorbells();
        }
    }

    fn reset(&mut self) {
        self.reset_device();
        self.signals.msix.reset();
        self.space.reset();
        self.signals.update_line(false);
    }
}

impl Drop for VirtioPci {
    fn drop(&mut self) {
        self.kill_queues();
    }
}
