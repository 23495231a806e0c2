//! What a register write asks of the machine as a whole.

/// Something beyond the device itself that a write to one of its registers sets off. The virtual processor that made the
/// access hands it to the machine before it runs the guest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Every device and processor starts anew (port 0xCF9, the keyboard controller's pulse, port 0x92 bit 0).
    Reset,
    /// The machine switches itself off (ACPI sleep state S5).
    PowerOff,
}
