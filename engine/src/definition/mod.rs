//! What a machine is: plain data, as `machine.toml` in the machine's folder holds it, with no KVM in it.

mod convert;
mod devices;
mod files;
mod machine;
mod network;
mod storage;
mod validate;

pub use devices::Devices;
pub use machine::{
    Clock, Definition, Firmware, Generation, Memory, Name, NameError, Processor, SCHEMA, Topology,
};
pub use network::{
    CardModel, Forward, MAX_CARDS, MAX_FORWARDS, MacAddress, NAT, NetworkCard, NotAForward,
    NotAMacAddress, Protocol, UNPLUGGED,
};
pub use storage::{Bus, CacheMode, DiscardMode, Drive, DriveKind, ErrorPolicy, ImageFormat};
pub use validate::{Finding, Host, Severity};
