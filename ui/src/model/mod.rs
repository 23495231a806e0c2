//! What the windows show: the machines on disk and those alive, as the engine's facade gives them.
//!
//! No widget is in here, and nothing here knows one; whoever wants to follow what happens subscribes.

mod disk_tools;
mod elsewhere;
mod exchange;
pub mod images;
mod machines;
pub mod media;
mod snapshots;

pub use elsewhere::{Elsewhere, Holder, Wish};
pub use guesthouse_engine::backup::{About as BackupAbout, KeptIdentity};
pub use guesthouse_engine::definition::{
    CardModel, Clock, Definition, Drive, DriveKind, Finding, Forward, Generation, Host,
    ImageFormat, MAX_CARDS, MacAddress, NAT, Name, NetworkCard, Processor, Protocol, Severity,
    UNPLUGGED,
};
pub use guesthouse_engine::disk::tools::{
    Cancel, Job, Occupied, Phase, Progress, Source, TargetFormat,
};
pub use guesthouse_engine::disk::{FaultCause, Space};
pub use guesthouse_engine::display::{Surface, reduced};
pub use guesthouse_engine::hypervisor::{HostProblem, check_host, check_uefi};
pub use guesthouse_engine::input::typing::{Stroke, Typing};
pub use guesthouse_engine::input::{InputEvent, ScanCode};
pub use guesthouse_engine::library::{
    BrokenMachine, CopiedDisk, Deleted, Entry, Library, LibraryError, MachineLog, NewDisk,
    Original, StoredMachine, Suggestion, TrashedImage, copies_of, usable_name,
};
pub use guesthouse_engine::machine::{
    CardStatus, CommandError, ForwardStatus, Machine, MachineEvent, SerialConsole, StartError,
    StartOptions, State, Usage,
};
pub use guesthouse_engine::media::operating_system::{Defaults, suited};
pub use guesthouse_engine::media::{
    Database, Medium, MediumKind, OperatingSystem, Reason, Verdict, operating_systems,
};
pub use guesthouse_engine::network::{SwitchDefinition, SwitchKind, Switches, Uplink, Uplinks};
pub use guesthouse_engine::snapshot::{NewSnapshot, Snapshot, SnapshotError, Tree};
pub use machines::{Change, Machines, Viewers};
