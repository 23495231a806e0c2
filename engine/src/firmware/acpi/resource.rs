//! AML that the acpi_tables crate does not have: legacy interrupt descriptors, lists of interrupts, processors.

use acpi_tables::{Aml, AmlSink};

/// AML made beforehand.
pub(super) struct Code(pub(super) Vec<u8>);

impl Code {
    /// The AML of all of `objects`.
    pub(super) fn of(objects: &[&dyn Aml]) -> Self {
        let mut bytes = Vec::new();
        for object in objects {
            object.to_aml_bytes(&mut bytes);
        }
        Self(bytes)
    }
}

impl Aml for Code {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        sink.vec(&self.0);
    }
}

/// An edge-triggered interrupt of an ISA device, 0 to 15: the two-byte descriptor that every system since Windows 98 reads.
pub(super) struct IsaInterrupt(pub(super) u8);

impl Aml for IsaInterrupt {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        let mask = 1_u16.checked_shl(u32::from(self.0)).unwrap_or(0);
        sink.byte(0x22);
        sink.word(mask);
    }
}

/// Level-triggered, active-high, shared interrupts, one of which a PCI interrupt link uses. The number of the first stands at
/// byte [`PciInterrupts::NUMBER`] of the descriptor.
pub(super) struct PciInterrupts<'a>(pub(super) &'a [u32]);

impl PciInterrupts<'_> {
    /// Where the first interrupt's number is in the descriptor, in bytes.
    pub(super) const NUMBER: u8 = 5;
}

impl Aml for PciInterrupts<'_> {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        const CONSUMER: u8 = 1;
        const SHARED: u8 = 1 << 3;
        let count = u8::try_from(self.0.len()).unwrap_or(u8::MAX);
        sink.byte(0x89);
        sink.word(2 + 4 * u16::from(count));
        sink.byte(CONSUMER | SHARED);
        sink.byte(count);
        for number in self.0.iter().take(usize::from(count)) {
            sink.dword(*number);
        }
    }
}

/// A processor, by the number that the MADT names it by. The Processor object of ACPI 1.0: later systems take it too.
pub(super) struct Processor(pub(super) u8);

impl Aml for Processor {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        // ProcessorOp, the length of what follows it, the name, the number, no P_BLK.
        sink.vec(&[0x5b, 0x83, 0x0b]);
        sink.vec(format!("C{:03X}", self.0).as_bytes());
        sink.byte(self.0);
        sink.dword(0);
        sink.byte(0);
    }
}
