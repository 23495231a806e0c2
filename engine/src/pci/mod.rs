//! The PCI bus: functions, their configuration spaces, and where their base address registers let them answer.
//! PCI Local Bus Specification 3.0.

mod function;

pub use function::{Address, BaseAddress, PciFunction, Window};
