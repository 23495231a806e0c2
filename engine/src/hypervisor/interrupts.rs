//! The machine's interrupt controllers, which live in the kernel: two 8259 PICs, an I/O APIC, a local APIC a processor, and the
//! 8254 interval timer. Message-signalled interrupts come to them by events that the kernel waits for (irqfd), each with an entry
//! in the same routing table as the controllers' inputs.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use kvm_bindings::{
    KVM_IRQ_ROUTING_IRQCHIP, KVM_IRQ_ROUTING_MSI, KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_MASTER,
    KVM_IRQCHIP_PIC_SLAVE, KVM_PIT_SPEAKER_DUMMY, KvmIrqRouting, kvm_irq_routing_entry,
    kvm_irq_routing_irqchip, kvm_irq_routing_msi, kvm_irqchip, kvm_pit_config, kvm_pit_state2,
};
use kvm_ioctls::VmFd;
use parking_lot::Mutex;
use vmm_sys_util::eventfd::EventFd;

use super::HypervisorError;
use crate::bus::{InterruptSink, Message, MessageSink, MessageSource};

/// The first number that no controller's input has.
const FIRST_MESSAGE: u32 = 24;
/// How many entries the kernel's routing table has.
const ROUTES: u32 = 4096;

/// The controllers' state at power-on, to go back to at a reset.
struct PowerOnState {
    chips: [kvm_irqchip; 3],
    timer: kvm_pit_state2,
}

/// The interrupt controllers as devices reach them: inputs 0 to 15 are the ISA IRQs, 16 to 23 the I/O APIC's further pins.
pub struct InterruptController {
    vm: Arc<VmFd>,
    routing: Arc<Routing>,
    power_on: PowerOnState,
}

/// The kernel's table of where each interrupt goes, which can only be changed as a whole.
struct Routing {
    vm: Arc<VmFd>,
    /// By number; those that no message was written for yet have none.
    messages: Mutex<BTreeMap<u32, Option<Message>>>,
}

impl InterruptController {
    /// Makes the controllers and the timer. To be called before the first processor is made.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn new(vm: Arc<VmFd>) -> Result<Self, HypervisorError> {
        vm.create_irq_chip()
            .map_err(HypervisorError::during("make the interrupt controllers"))?;
        // The kernel answers port 0x61 too then, with the refresh toggle and timer 2's output.
        let config = kvm_pit_config {
            flags: KVM_PIT_SPEAKER_DUMMY,
            ..Default::default()
        };
        vm.create_pit2(config)
            .map_err(HypervisorError::during("make the interval timer"))?;
        let routing = Arc::new(Routing {
            vm: Arc::clone(&vm),
            messages: Mutex::default(),
        });
        routing
            .apply(&BTreeMap::new())
            .map_err(HypervisorError::during("wire the interrupt controllers"))?;
        let chip = |chip_id| {
            let mut state = kvm_irqchip {
                chip_id,
                ..Default::default()
            };
            vm.get_irqchip(&mut state)
                .map_err(HypervisorError::during("read an interrupt controller"))?;
            Ok(state)
        };
        let power_on = PowerOnState {
            chips: [
                chip(KVM_IRQCHIP_PIC_MASTER)?,
                chip(KVM_IRQCHIP_PIC_SLAVE)?,
                chip(KVM_IRQCHIP_IOAPIC)?,
            ],
            timer: vm
                .get_pit2()
                .map_err(HypervisorError::during("read the interval timer"))?,
        };
        Ok(Self {
            vm,
            routing,
            power_on,
        })
    }

    /// Puts controllers and timer into the state they had at power-on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn reset(&self) -> Result<(), HypervisorError> {
        for chip in &self.power_on.chips {
            self.vm
                .set_irqchip(chip)
                .map_err(HypervisorError::during("reset an interrupt controller"))?;
        }
        self.vm
            .set_pit2(&self.power_on.timer)
            .map_err(HypervisorError::during("reset the interval timer"))
    }
}

impl InterruptSink for InterruptController {
    fn set_level(&self, input: u32, level: bool) {
        if let Err(error) = self.vm.set_irq_line(input, level) {
            tracing::error!(input, level, %error, "the interrupt controller did not take a level");
        }
    }
}

impl Routing {
    fn apply(&self, messages: &BTreeMap<u32, Option<Message>>) -> Result<(), kvm_ioctls::Error> {
        let mut entries = routes();
        entries.extend(
            messages
                .iter()
                .filter_map(|(number, message)| Some(message_route(*number, (*message)?))),
        );
        let table = KvmIrqRouting::from_entries(&entries)
            .map_err(|_| kvm_ioctls::Error::new(rustix::io::Errno::TOOBIG.raw_os_error()))?;
        self.vm.set_gsi_routing(&table)
    }
}

fn message_route(gsi: u32, message: Message) -> kvm_irq_routing_entry {
    let [a0, a1, a2, a3, a4, a5, a6, a7] = message.address.to_le_bytes();
    let mut entry = kvm_irq_routing_entry {
        gsi,
        type_: KVM_IRQ_ROUTING_MSI,
        ..Default::default()
    };
    entry.u.msi = kvm_irq_routing_msi {
        address_lo: u32::from_le_bytes([a0, a1, a2, a3]),
        address_hi: u32::from_le_bytes([a4, a5, a6, a7]),
        data: message.data,
        ..Default::default()
    };
    entry
}

/// An event that the kernel turns into a message.
struct MessageEvent {
    routing: Arc<Routing>,
    event: EventFd,
    number: u32,
}

impl MessageSink for InterruptController {
    fn source(&self) -> io::Result<Box<dyn MessageSource>> {
        let event = EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC)?;
        let mut messages = self.routing.messages.lock();
        let number = (FIRST_MESSAGE..ROUTES)
            .find(|number| !messages.contains_key(number))
            .ok_or(io::ErrorKind::QuotaExceeded)?;
        self.vm
            .register_irqfd(&event, number)
            .map_err(|error| io::Error::from_raw_os_error(error.errno()))?;
        messages.insert(number, None);
        Ok(Box::new(MessageEvent {
            routing: Arc::clone(&self.routing),
            event,
            number,
        }))
    }
}

impl MessageSource for MessageEvent {
    fn route(&self, message: Message) {
        let mut messages = self.routing.messages.lock();
        if messages.insert(self.number, Some(message)) == Some(Some(message)) {
            return;
        }
        if let Err(error) = self.routing.apply(&messages) {
            tracing::error!(?message, %error, "an interrupt message goes where it went before");
        }
    }

    fn signal(&self) {
        if let Err(error) = self.event.write(1) {
            tracing::error!(%error, "an interrupt message was not sent");
        }
    }
}

impl Drop for MessageEvent {
    fn drop(&mut self) {
        if let Err(error) = self.routing.vm.unregister_irqfd(&self.event, self.number) {
            tracing::error!(%error, "an interrupt message's event stays");
        }
        self.routing.messages.lock().remove(&self.number);
    }
}

/// IRQ 0 reaches the PIC's input 0 and the I/O APIC's pin 2, as on every PC since the first with an APIC; IRQ 2 is the second
/// PIC's cascade; the others reach the input of their number on both; 16 to 23 are the I/O APIC's alone.
fn routes() -> Vec<kvm_irq_routing_entry> {
    let entry = |gsi, irqchip, pin| {
        let mut entry = kvm_irq_routing_entry {
            gsi,
            type_: KVM_IRQ_ROUTING_IRQCHIP,
            ..Default::default()
        };
        entry.u.irqchip = kvm_irq_routing_irqchip { irqchip, pin };
        entry
    };
    let mut routes = Vec::new();
    for irq in (0..16).filter(|irq| *irq != 2) {
        let (chip, pin) = if irq < 8 {
            (KVM_IRQCHIP_PIC_MASTER, irq)
        } else {
            (KVM_IRQCHIP_PIC_SLAVE, irq - 8)
        };
        routes.push(entry(irq, chip, pin));
        routes.push(entry(
            irq,
            KVM_IRQCHIP_IOAPIC,
            if irq == 0 { 2 } else { irq },
        ));
    }
    routes.extend((16..24).map(|irq| entry(irq, KVM_IRQCHIP_IOAPIC, irq)));
    routes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "reads the union that the test's subject wrote")]
    fn a_message_keeps_all_its_bits() {
        let message = Message {
            address: 0x1234_5678_fee0_100c,
            data: 0x4041,
        };
        let route = message_route(24, message);
        assert_eq!((route.gsi, route.type_), (24, KVM_IRQ_ROUTING_MSI));
        // SAFETY: the route has the type KVM_IRQ_ROUTING_MSI, for which this is the union's field.
        let msi = unsafe { route.u.msi };
        assert_eq!(
            (msi.address_hi, msi.address_lo, msi.data),
            (0x1234_5678, 0xfee0_100c, 0x4041)
        );
    }

    #[test]
    #[expect(unsafe_code, reason = "reads the union that the test's subject wrote")]
    fn every_irq_reaches_its_pins_once() {
        let mut pins: Vec<(u32, u32, u32)> = routes()
            .iter()
            .map(|route| {
                // SAFETY: every route has the type KVM_IRQ_ROUTING_IRQCHIP, for which this is the union's field.
                let chip = unsafe { route.u.irqchip };
                (route.gsi, chip.irqchip, chip.pin)
            })
            .collect();
        assert_eq!(pins.len(), 15 * 2 + 8);
        assert!(
            pins.contains(&(0, KVM_IRQCHIP_IOAPIC, 2))
                && pins.contains(&(0, KVM_IRQCHIP_PIC_MASTER, 0))
        );
        assert!(
            pins.contains(&(9, KVM_IRQCHIP_PIC_SLAVE, 1))
                && pins.contains(&(9, KVM_IRQCHIP_IOAPIC, 9))
        );
        assert!(!pins.iter().any(|(gsi, ..)| *gsi == 2));
        pins.sort_unstable();
        pins.dedup_by_key(|(_, chip, pin)| (*chip, *pin));
        assert_eq!(pins.len(), 15 * 2 + 8, "no pin has two inputs");
    }
}
