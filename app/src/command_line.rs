//! The command line: what can be asked for, in clap's words. Without a command the window opens.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use guesthouse_engine::definition::Forward;
use guesthouse_engine::library::Library;
use guesthouse_engine::network::Uplink;
use guesthouse_ui::text::message;

use crate::disk_command_line::DiskCommand;

/// What the program does.
const ABOUT: &str =
    message("Makes and runs virtual machines. Without a command, the window opens.");

/// Where what every command knows stands in its help.
const LAST: usize = 900;

/// A virtual machine manager: without a command, its window.
#[derive(Debug, Parser)]
#[command(
    name = "guesthouse",
    version,
    about = ABOUT
)]
pub struct CommandLine {
    /// Print JSON instead of text.
    #[arg(long, global = true, display_order = LAST)]
    pub json: bool,
    /// Where the machines are.
    #[command(flatten)]
    pub place: Place,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Where the machines are.
#[derive(Debug, Args)]
pub struct Place {
    /// The folder that holds the machines [default: the one chosen in the preferences, or guesthouse/machines in the user's data folder]
    #[arg(
        long,
        global = true,
        display_order = LAST,
        value_name = "FOLDER",
        env = "GUESTHOUSE_MACHINES"
    )]
    pub machines: Option<PathBuf>,
}

impl Place {
    /// The library of machines that is meant.
    ///
    /// # Errors
    /// When its folder is not known or cannot be used.
    pub fn library(&self) -> anyhow::Result<Library> {
        Ok(match &self.machines {
            Some(folder) => Library::open(&std::path::absolute(folder)?)?,
            None => Library::open_usual()?,
        })
    }
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a machine
    Create(Create),
    /// List the machines
    List,
    /// Show what a machine is and does
    Show(Named),
    /// Move a machine to the trash
    Delete(Named),
    /// Copy a machine
    Clone(CloneMachine),
    /// Give a machine another name
    Rename(Rename),
    /// Change what a machine is: memory=2G, cpus=2, boot=2,1
    Set(Set),
    /// Keep a machine as it is now, and go back to it
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Make a machine of a disk image in any format, or of a machine that was packed up (OVA, OVF)
    Import(Import),
    /// Pack a machine up for other programs (FILE.ova), or copy a disk of it (FILE.qcow2, FILE.raw, FILE.vmdk)
    Export(ExportMachine),
    /// Write a machine with its disks, snapshots and all else into one file
    Backup(Backup),
    /// Bring a machine back from a backup
    Restore(Restore),
    /// Start a machine in the background
    Start(Named),
    /// Run a machine here, without a window, until its guest powers off
    Run(Run),
    /// Stop the guest where it is
    Pause(Named),
    /// Let a paused guest go on
    Resume(Named),
    /// Press the reset button
    Reset(Named),
    /// Press the power button: ask the guest to shut down
    Shutdown(Named),
    /// Pull the plug: what the guest has not written to its disk is lost
    Poweroff(Named),
    /// Store the screen as a picture (.png) or, in text modes, as text (.txt)
    Screenshot(Screenshot),
    /// Type a text on the machine's keyboard (US layout)
    Type(TypeText),
    /// Press keys together: ctrl-alt-delete, f12, enter
    Keys(Keys),
    /// Put a medium into an optical drive
    Insert(Insert),
    /// Take the medium out of an optical drive
    Eject(Eject),
    /// Let ports of this computer lead to a machine
    #[command(subcommand)]
    Forward(ForwardCommand),
    /// Virtual switches, which connect machines
    #[command(subcommand)]
    Switch(SwitchCommand),
    /// Work on disk images: create, check, repair, resize, convert...
    #[command(subcommand)]
    Disk(DiskCommand),
    /// Say whether this computer can run machines, and if not, why
    CheckHost,
    /// Open the window; with a file, make a machine from it
    Open(Open),
    /// Write the manual's pages and what shells complete from into a folder
    #[command(hide = true)]
    Document(Document),
}

/// What the window is to open with.
#[derive(Debug, Clone, Default, Args)]
pub struct Open {
    /// Begin to make a machine
    #[arg(long)]
    pub new: bool,
    /// Serve the session bus without a window until one is asked for
    #[arg(long = "gapplication-service", hide = true)]
    pub service: bool,
    /// Wait without a window until one is asked for
    #[arg(long)]
    pub background: bool,
    /// An installation medium or disk image to make a machine from: a file's name, or a file: address
    pub file: Option<OsString>,
}

/// Where to write.
#[derive(Debug, Args)]
pub struct Document {
    /// A folder, which becomes like /usr/share
    pub folder: PathBuf,
}

/// A machine by its name.
#[derive(Debug, Args)]
pub struct Named {
    /// The machine's name
    pub name: String,
}

/// What to copy.
#[derive(Debug, Args)]
pub struct CloneMachine {
    /// The machine's name
    pub name: String,
    /// The copy's name
    pub new: String,
    /// Hold only what differs from the machine as it is now, which is kept as a snapshot
    #[arg(long)]
    pub linked: bool,
}

/// What to call a machine.
#[derive(Debug, Args)]
pub struct Rename {
    /// The machine's name
    pub name: String,
    /// Its new name
    pub new: String,
}

/// What to change.
#[derive(Debug, Args)]
pub struct Set {
    /// The machine's name
    pub name: String,
    /// What is to be what: memory=2G, cpus=2, clock=local, boot-menu=on, boot=2,1, drive.2.file=FILE, drive.1.read-only=on
    #[arg(required = true, value_name = "KEY=VALUE")]
    pub assignments: Vec<String>,
}

/// What can be done with snapshots. The machine must be off.
#[derive(Debug, Subcommand)]
pub enum SnapshotCommand {
    /// Take a snapshot of the machine as it is now
    Create(TakeSnapshot),
    /// List a machine's snapshots; the one that it goes on from has a *
    List(Named),
    /// Bring a machine back to a snapshot; what it was since its last snapshot is lost
    Revert(OneSnapshot),
    /// Delete a snapshot; the machine and its other snapshots stay as they are
    Delete(OneSnapshot),
    /// Make a new machine from a snapshot
    Branch(Branch),
    /// Give a snapshot another name
    Rename(RenameSnapshot),
    /// Take the disks that a machine's snapshots keep as they are now, although they were changed by another program
    Accept(Named),
}

/// A snapshot to be taken.
#[derive(Debug, Args)]
pub struct TakeSnapshot {
    /// The machine's name
    pub name: String,
    /// The snapshot's name [default: the time]
    pub snapshot: Option<String>,
    /// What to write down about it
    #[arg(long)]
    pub notes: Option<String>,
}

/// A snapshot of a machine.
#[derive(Debug, Args)]
pub struct OneSnapshot {
    /// The machine's name
    pub name: String,
    /// The snapshot's name, or the beginning of its identifier
    pub snapshot: String,
}

/// A machine to be made from a snapshot.
#[derive(Debug, Args)]
pub struct Branch {
    /// The machine's name
    pub name: String,
    /// The snapshot's name, or the beginning of its identifier
    pub snapshot: String,
    /// The new machine's name
    pub new: String,
}

/// What to call a snapshot.
#[derive(Debug, Args)]
pub struct RenameSnapshot {
    /// The machine's name
    pub name: String,
    /// The snapshot's name, or the beginning of its identifier
    pub snapshot: String,
    /// Its new name
    pub new: String,
}

/// How a new machine is to be.
#[derive(Debug, Args)]
pub struct Create {
    /// The machine's name
    pub name: String,
    /// An installation medium for its optical drive
    #[arg(long, value_name = "FILE")]
    pub iso: Option<PathBuf>,
    /// Its hard disk: a size for a new one (20G), an image file, or "none" [default: what suits the operating system]
    #[arg(long, value_name = "SIZE|FILE|none")]
    pub disk: Option<String>,
    /// Give it a copy of the image file, which may then be of any format (VMDK, VDI, VHD, VHDX)
    #[arg(long)]
    pub copy_disk: bool,
    /// Its memory (2G, 512M) [default: what suits the operating system]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Its processors [default: what suits the operating system]
    #[arg(long, value_name = "N")]
    pub cpus: Option<u32>,
    /// The kind of machine: 1 is a BIOS machine that every operating system knows
    #[arg(long, value_name = "1 or 2", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub generation: u8,
    /// Start only what the firmware's keys vouch for (UEFI Secure Boot, generation 2)
    #[arg(long)]
    pub secure_boot: bool,
    /// What its clock shows [default: what suits the operating system]
    #[arg(long)]
    pub clock: Option<ClockChoice>,
    /// Show the firmware's boot menu at each start
    #[arg(long)]
    pub boot_menu: bool,
    /// Where its network card is attached: "nat", "none" for no card, or a virtual switch
    #[arg(long, value_name = "nat|none|SWITCH", default_value = "nat")]
    pub network: String,
    /// Its network card [default: what suits the machine]
    #[arg(long, value_name = "MODEL")]
    pub card: Option<CardChoice>,
    /// Let a port of this computer lead to the machine: 2222:22; may be given several times
    #[arg(long, value_name = "FORWARD")]
    pub forward: Vec<Forward>,
    /// Start it at once, in the background
    #[arg(long)]
    pub start: bool,
}

/// What a network card is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum CardChoice {
    /// The fastest, for systems with its driver
    Virtio,
    /// Intel's, which Windows and old systems know
    E1000,
}

/// What to import.
#[derive(Debug, Args)]
pub struct Import {
    /// A disk image (raw, qcow2, VMDK, VDI, VHD, VHDX), an OVA or an OVF; it is only read
    pub file: PathBuf,
    /// The machine's name [default: as in the file, or the file's]
    #[arg(long)]
    pub name: Option<String>,
    /// The kind of machine [default: as in the file, or 1, a BIOS machine]
    #[arg(long, value_name = "1 or 2", value_parser = clap::value_parser!(u8).range(1..=2))]
    pub generation: Option<u8>,
    /// Let a disk image take data from this file too, which it names; may be given several times
    #[arg(long, value_name = "FILE")]
    pub backing: Vec<PathBuf>,
    /// Start it at once, in the background
    #[arg(long)]
    pub start: bool,
}

/// What to export.
#[derive(Debug, Args)]
pub struct ExportMachine {
    /// The machine's name
    pub name: String,
    /// The file to write; its ending says what: .ova for the machine; .qcow2, .raw, .img or .vmdk for a disk
    pub file: PathBuf,
    /// Which hard disk, counting from 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    pub disk: u8,
    /// Let it take the place of a file of that name
    #[arg(long)]
    pub replace: bool,
}

/// What to back up.
#[derive(Debug, Args)]
pub struct Backup {
    /// The machine's name
    pub name: String,
    /// The file to write
    pub file: PathBuf,
    /// Let it take the place of a file of that name
    #[arg(long)]
    pub replace: bool,
}

/// What to restore.
#[derive(Debug, Args)]
pub struct Restore {
    /// The backup
    pub file: PathBuf,
    /// The machine's name [default: as it was]
    #[arg(long)]
    pub name: Option<String>,
    /// Make it another machine than the one that was backed up, with network addresses of its own; both may run
    #[arg(long)]
    pub new_identity: bool,
}

/// What can be done with forwards.
#[derive(Debug, Subcommand)]
pub enum ForwardCommand {
    /// Add a forward; a running machine has it at once
    Add(ForwardChange),
    /// Remove a forward
    Remove(ForwardChange),
    /// List a machine's forwards
    List(Named),
}

/// Which forward of which machine.
#[derive(Debug, Args)]
pub struct ForwardChange {
    /// The machine's name
    pub name: String,
    /// [tcp:|udp:][HOST-ADDRESS:]HOST-PORT:[GUEST-ADDRESS:]GUEST-PORT, as in 2222:22
    pub forward: Forward,
    /// Which network card, counting from 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    pub card: u8,
}

/// What can be done with virtual switches.
#[derive(Debug, Subcommand)]
pub enum SwitchCommand {
    /// List the switches
    List,
    /// Make a switch
    Create(SwitchCreate),
    /// Change a switch's network, or what an external one is connected with
    Edit(SwitchEdit),
    /// Say what of this computer an external switch can be connected with
    Uplinks,
    /// Take a switch away
    Delete(Named),
}

/// How a new switch is to be.
#[derive(Debug, Args)]
pub struct SwitchCreate {
    /// The switch's name
    pub name: String,
    /// What is at it besides machines
    #[arg(long, value_name = "KIND")]
    pub kind: SwitchChoice,
    /// How it is to be.
    #[command(flatten)]
    pub settings: SwitchSettings,
}

/// What is to be changed of a switch.
#[derive(Debug, Args)]
pub struct SwitchEdit {
    /// The switch's name
    pub name: String,
    /// How it is to be.
    #[command(flatten)]
    pub settings: SwitchSettings,
}

/// What can be said of a switch; what is not said stays.
#[derive(Debug, Args)]
pub struct SwitchSettings {
    /// Its network, the first of 256 addresses [default: 10.0.2.0]
    #[arg(long, value_name = "ADDRESS")]
    pub network: Option<std::net::Ipv4Addr>,
    /// Whether machines are given addresses by DHCP [default: on]
    #[arg(long, value_name = "on|off")]
    pub dhcp: Option<OnOff>,
    /// The last numbers of the first and the last address that machines are given [default: 15-254]
    #[arg(long, value_name = "FIRST-LAST")]
    pub leases: Option<String>,
    /// A name server that is asked for machines; may be given several times. "host" asks those of this computer [default: host]
    #[arg(long, value_name = "ADDRESS|host")]
    pub dns: Vec<String>,
    /// Whether machines have IPv6 [default: auto, if this computer has it]
    #[arg(long, value_name = "on|off|auto")]
    pub ipv6: Option<Version6>,
    /// Let machines reach services of this computer that listen on its loopback address, at the gateway's address [default: off]
    #[arg(long, value_name = "on|off", num_args = 0..=1, default_missing_value = "on")]
    pub host_loopback: Option<OnOff>,
    /// What of this computer an external switch is connected with: tap:NAME or bridge:NAME
    #[arg(long, value_name = "UPLINK")]
    pub uplink: Option<Uplink>,
}

/// Something that is or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnOff {
    /// It is
    On,
    /// It is not
    Off,
}

/// Whether machines have IPv6.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Version6 {
    /// They have
    On,
    /// They have not
    Off,
    /// If this computer has a way into the IPv6 Internet
    Auto,
}

/// What is at a switch.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum SwitchChoice {
    /// This computer's network, through address translation
    Nat,
    /// This computer only
    Internal,
    /// Machines among themselves
    Private,
    /// This computer's network itself, by a device of its own (--uplink)
    External,
}

/// What a clock shows.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ClockChoice {
    /// Coordinated universal time: Linux and the BSDs
    Utc,
    /// Local time: Windows and DOS
    Local,
}

/// How to run in the foreground.
#[derive(Debug, Args)]
pub struct Run {
    /// The machine's name
    pub name: String,
    /// Let VNC viewers connect: a loopback address (127.0.0.1:5900) or unix:PATH; may be given several times
    #[arg(long, value_name = "ADDRESS|unix:PATH")]
    pub vnc: Vec<String>,
    /// Where the first serial port goes: stdio, or a file to write what it sends to
    #[arg(long, value_name = "stdio|PATH")]
    pub serial: Option<String>,
}

/// Where to store the screen.
#[derive(Debug, Args)]
pub struct Screenshot {
    /// The machine's name
    pub name: String,
    /// The file to write; its ending says what: .png or .txt
    pub file: PathBuf,
}

/// What to type.
#[derive(Debug, Args)]
pub struct TypeText {
    /// The machine's name
    pub name: String,
    /// The text
    pub text: String,
}

/// What to press.
#[derive(Debug, Args)]
pub struct Keys {
    /// The machine's name
    pub name: String,
    /// One or more combinations, pressed one after the other
    #[arg(required = true, value_name = "KEYS")]
    pub combinations: Vec<String>,
}

/// What to insert where.
#[derive(Debug, Args)]
pub struct Insert {
    /// The machine's name
    pub name: String,
    /// The medium
    pub file: PathBuf,
    /// Which optical drive, counting from 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
    pub drive: u8,
}

/// What to eject.
#[derive(Debug, Args)]
pub struct Eject {
    /// The machine's name
    pub name: String,
    /// Which optical drive, counting from 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
    pub drive: u8,
    /// Even if the guest has locked it
    #[arg(long)]
    pub force: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_holds_together() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn what_is_wrong_is_refused_as_usage() {
        for wrong in [
            vec!["create"],
            vec!["create", "a", "--generation", "3"],
            vec!["eject", "a", "--drive", "0"],
            vec!["keys", "a"],
            vec!["forward", "add", "a", "22"],
            vec!["switch", "create", "a"],
            vec!["import"],
            vec!["export", "a"],
            vec!["export", "a", "b.ova", "--disk", "0"],
            vec!["backup", "a"],
            vec!["restore"],
            vec!["disk"],
            vec!["disk", "create", "a"],
            vec!["disk", "rebase", "a"],
            vec!["disk", "convert", "a"],
            vec!["fly"],
        ] {
            let error = CommandLine::try_parse_from([vec!["guesthouse"], wrong.clone()].concat())
                .unwrap_err();
            assert_eq!(error.exit_code(), 2, "{wrong:?}");
        }
        assert!(
            CommandLine::try_parse_from(["guesthouse"])
                .unwrap()
                .command
                .is_none()
        );
    }
}
