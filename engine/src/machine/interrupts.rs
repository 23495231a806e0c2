//! The interrupt controllers' inputs, each shared by those that are wired to it.

use std::sync::Arc;

use crate::bus::{InterruptLine, InterruptSink, SharedInterrupt};
use crate::hypervisor::Vm;

/// The inputs of the I/O APIC; the first sixteen are the ISA interrupts.
const INPUTS: u32 = 24;

/// The inputs, each shared by a device on ISA (member 0) and the lines of the PCI bus (member 1).
pub(super) struct Interrupts(Vec<Arc<SharedInterrupt>>);

impl Interrupts {
    /// The inputs of the controllers of `vm`.
    pub fn new(vm: &Vm) -> Self {
        let sink: Arc<dyn InterruptSink> = Arc::clone(vm.interrupts()) as _;
        Self(
            (0..INPUTS)
                .map(|input| SharedInterrupt::new(Arc::clone(&sink), input))
                .collect(),
        )
    }

    /// A line called `name` of an ISA device to interrupt `irq`.
    pub fn isa(&self, name: &'static str, irq: u32) -> InterruptLine {
        self.line(name, irq, 0)
    }

    /// The line from the PCI bus to input `input`.
    pub fn pci(&self, input: u32) -> InterruptLine {
        self.line("PCI interrupt", input, 1)
    }

    fn line(&self, name: &'static str, input: u32, member: u32) -> InterruptLine {
        let shared = usize::try_from(input)
            .ok()
            .and_then(|input| self.0.get(input));
        shared.map_or_else(
            || InterruptLine::unconnected(name),
            |input| input.line(name, member),
        )
    }
}
