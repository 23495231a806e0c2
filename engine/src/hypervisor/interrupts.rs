//! The machine's interrupt controllers, which live in the kernel: two 8259 PICs, an I/O APIC, a local APIC a processor, and the
//! 8254 interval timer.

use std::sync::Arc;

use kvm_bindings::{
    KVM_IRQ_ROUTING_IRQCHIP, KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE,
    KVM_PIT_SPEAKER_DUMMY, KvmIrqRouting, kvm_irq_routing_entry, kvm_irq_routing_irqchip,
    kvm_irqchip, kvm_pit_config, kvm_pit_state2,
};
use kvm_ioctls::VmFd;

use super::HypervisorError;
use crate::bus::InterruptSink;

/// The controllers' state at power-on, to go back to at a reset.
struct PowerOnState {
    chips: [kvm_irqchip; 3],
    timer: kvm_pit_state2,
}

/// The interrupt controllers as devices reach them: inputs 0 to 15 are the ISA IRQs, 16 to 23 the I/O APIC's further pins.
pub struct InterruptController {
    vm: Arc<VmFd>,
    power_on: PowerOnState,
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
        let routing = KvmIrqRouting::from_entries(&routes()).map_err(|_| {
            HypervisorError::during("wire the interrupt controllers")(kvm_ioctls::Error::new(7))
        })?;
        vm.set_gsi_routing(&routing)
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
        Ok(Self { vm, power_on })
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
