//! The PCI bus: functions, their configuration spaces, and where their base address registers let them answer.
//! PCI Local Bus Specification 3.0.

mod bus;
mod config_space;
mod ecam;
mod function;
mod intx;
mod msi;
mod msix;
mod windows;

pub use bus::{DirectMapper, Occupied, PciBus};
pub use config_space::{ConfigSpace, ConfigSpaceBuilder, Identity, ROM_WINDOW};
pub use function::{Address, BaseAddress, PciFunction, Window};
pub use intx::{IntxWiring, Pin, Route, route_of_i440fx, route_of_q35};
pub use msi::Msi;
pub use msix::Msix;
