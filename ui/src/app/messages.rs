//! What the window's parts tell it, and what its workers found out or did.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::SystemTime;

use super::closing;
use crate::library::{Order, Together};
use crate::machine::{BrokenOutput, PageOutput, WindowOutput};
use crate::model::{Change, Database, Deleted, Entry};
use crate::wizard::{Place, WizardOutput};

/// What it is told.
#[derive(Debug)]
pub enum AppInput {
    /// Something happened to the machines.
    Change(Change),
    /// A machine was chosen in the list.
    Selected(PathBuf),
    /// Several machines were.
    Several(Vec<PathBuf>),
    /// Something is to be done with all that are selected.
    Together(Together),
    /// The chosen machine's page is wanted in front.
    Opened,
    /// This machine's screen is wanted in a window of its own.
    OpenWindow(PathBuf),
    /// Show this machine's page.
    ShowMachine(PathBuf),
    /// Show it and start the machine.
    StartMachine(PathBuf),
    /// Go on with this machine.
    ResumeMachine(PathBuf),
    /// Show the machines that fit this.
    SearchFor(String),
    /// Take what this machine was installed from out of its drives.
    EjectInstaller(PathBuf),
    /// Nobody may need the program any more.
    Idle,
    /// What a machine's own window asks for.
    Window(PathBuf, WindowOutput),
    /// Write the chosen machine's name in the list.
    Rename,
    /// The machine in this folder is to be called so.
    Renamed(PathBuf, String),
    /// What comes first in the list.
    Order(Order),
    /// Whether the list has groups.
    Group(bool),
    /// Open the wizard.
    NewMachine,
    /// Open the wizard with this file.
    Medium(PathBuf),
    /// Choose a file from elsewhere and open the wizard with it.
    Import,
    /// Open the wizard with this file, from which nothing is to be started at once.
    NewFrom(PathBuf),
    /// Bring a machine back from a backup.
    RestoreBackup,
    /// Open the manager of virtual switches.
    Switches,
    /// It was closed.
    SwitchesClosed,
    /// What the wizard did.
    Wizard(WizardOutput),
    /// What a machine's page asks for.
    Page(PathBuf, PageOutput),
    /// What the page of a broken machine asks for.
    Broken(PathBuf, BrokenOutput),
    /// Bring a deleted machine back.
    Restore(Box<Deleted>),
    /// Start a machine, and take this file, which its disks are built on, as it is now.
    StartWithBase(PathBuf, PathBuf),
    /// Open or close the search.
    Search,
    /// Go full screen, or back.
    FullScreen,
    /// Go full screen on the monitor at this connector.
    FullScreenOn(String),
    /// The window went full screen, or back.
    FullScreened(bool),
    /// What program this is.
    About,
    /// Show the preferences.
    Preferences,
    /// The window appeared, for the first time or again.
    Shown,
    /// The keyboard shortcuts.
    Shortcuts,
    /// The window is to be closed.
    Close,
    /// The program is to end.
    Quit,
    /// An answer to what becomes of the machines that run.
    Closing(closing::Answer),
    /// The session ends, or somebody ends the program.
    SessionEnds,
    /// The desktop does not let the program run without a window.
    Refused,
    /// The window came to the front: somebody may have edited a file meanwhile.
    Refresh,
}

/// What is on disk, and when each machine was used last.
#[derive(Debug)]
pub struct Found {
    pub(super) entries: Vec<Entry>,
    pub(super) used: HashMap<PathBuf, SystemTime>,
}

/// Why a machine did not start.
#[derive(Debug)]
pub struct Refusal {
    pub(super) reason: String,
    /// The file that its disks are built on, if it would start were that taken as it is now.
    pub(super) base: Option<PathBuf>,
}

/// What a worker found out or did.
#[derive(Debug)]
pub enum AppCommand {
    /// What is on disk.
    Scanned(Result<Found, String>),
    /// What operating systems are called.
    Systems(&'static Database),
    /// What the wizard has to know, and what it begins with.
    Surveyed(Box<Place>, Option<PathBuf>),
    /// A machine runs, or why not.
    Started(PathBuf, Result<(), Refusal>),
    /// A machine, by its name, is in the Trash, or why not.
    Deleted(String, Result<Box<Deleted>, String>),
    /// A machine is back in this folder.
    Restored(PathBuf),
    /// What could not be done and why.
    Failed(String, String),
    /// It was done, and this is to be said in passing.
    Said(String),
    /// It was done.
    Done,
}
