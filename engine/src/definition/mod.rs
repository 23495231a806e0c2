//! What a machine is: plain data, as `machine.toml` in the machine's folder holds it, with no KVM in it.

mod files;
mod machine;
mod storage;
mod validate;

pub use machine::{
    Clock, Definition, Firmware, Generation, Memory, Name, NameError, Processor, SCHEMA,
};
pub use storage::{Bus, CacheMode, DiscardMode, Drive, DriveKind, ErrorPolicy, ImageFormat};
pub use validate::{Finding, Host, Severity};
