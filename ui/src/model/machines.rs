//! The machines of this process: those in the library, and the handles of those started here.
//!
//! One thread per started machine relays what its engine tells to everyone who subscribed; the windows never poll. What a
//! machine said last (its log, why it crashed) can be asked until it is started again.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, unbounded};
use guesthouse_engine::input::typing;
use parking_lot::Mutex;

use super::{
    Definition, Deleted, Drive, DriveKind, Elsewhere, Entry, Finding, Host, Library, LibraryError,
    Machine, MachineEvent, NewDisk, ScanCode, SerialConsole, StartError, StartOptions, State,
    StoredMachine, Switches, Wish,
};
use crate::text;

/// Something that those who follow the machines may want to show.
#[derive(Debug, Clone)]
pub enum Change {
    /// Machines were added, changed or removed on disk.
    Library,
    /// The machine in `folder` has a new handle.
    Started {
        /// Its folder.
        folder: PathBuf,
    },
    /// The machine in `folder` told something.
    Event {
        /// Its folder.
        folder: PathBuf,
        /// What.
        event: MachineEvent,
    },
    /// The guest of the machine in `folder`, whose disks were empty when it was started, has ended by itself with much on them, and
    /// an installer is in its drive still.
    Installed {
        /// Its folder.
        folder: PathBuf,
        /// What was written, in bytes.
        written: u64,
    },
}

/// How viewers of other programs reach the machines that are started in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Viewers {
    /// Not at all.
    #[default]
    None,
    /// By a socket in the file system, for this user only.
    Socket,
    /// By a TCP port that only this computer reaches.
    Port,
}

/// A machine that was started, and what was put into its optical drives or taken out since, by their numbers.
struct Handle {
    machine: Machine,
    serial: SerialConsole,
    media: HashMap<usize, Option<PathBuf>>,
    /// A system may be installed: its disks were empty when it was started, and a medium is in a drive.
    installing: bool,
    /// Where viewers of other programs reach it, or why they do not.
    address: Option<Result<String, String>>,
}

/// The least that an installed system writes, in bytes.
const INSTALLED: u64 = 64 << 20;
/// A disk whose file takes less of its file system is empty.
const EMPTY: u64 = 8 << 20;

/// Whether `machine` has a disk, nothing on its disks, and something to install from.
fn may_be_installed(machine: &StoredMachine) -> bool {
    let drives = &machine.definition.drives;
    let of = |kind| drives.iter().filter(move |drive| drive.kind == kind);
    let mut disks = of(DriveKind::Disk).peekable();
    let empty = |drive: &Drive| {
        let file = drive.file.as_ref().map(|file| machine.folder.join(file));
        let taken = file.and_then(|file| file.metadata().ok());
        taken.is_some_and(|data| data.blocks() * 512 < EMPTY)
    };
    disks.peek().is_some()
        && disks.all(empty)
        && of(DriveKind::Optical).any(|drive| drive.file.is_some())
}

/// The machines on disk and alive, shared by the window and the control socket.
pub struct Machines {
    library: Library,
    handles: Mutex<HashMap<PathBuf, Handle>>,
    /// The machines that other processes run, by their identifiers.
    elsewhere: Mutex<HashMap<String, Elsewhere>>,
    /// The identifiers of the machines that were read last, by their folders.
    identifiers: Mutex<HashMap<PathBuf, String>>,
    followers: Mutex<Vec<Sender<Change>>>,
    viewers: Mutex<Viewers>,
}

impl Machines {
    /// The machines of `library`, none of them alive.
    pub fn new(library: Library) -> Arc<Self> {
        Arc::new(Self {
            library,
            handles: Mutex::default(),
            elsewhere: Mutex::default(),
            identifiers: Mutex::default(),
            followers: Mutex::default(),
            viewers: Mutex::default(),
        })
    }

    /// Where the machines are.
    pub fn folder(&self) -> &Path {
        self.library.folder()
    }

    /// Everything that happens from now on.
    pub fn subscribe(&self) -> Receiver<Change> {
        let (sender, receiver) = unbounded();
        self.followers.lock().push(sender);
        receiver
    }

    /// The library.
    pub(super) fn library(&self) -> &Library {
        &self.library
    }

    pub(super) fn tell(&self, change: &Change) {
        self.followers
            .lock()
            .retain(|follower| follower.send(change.clone()).is_ok());
    }

    /// What is on disk now, by name.
    ///
    /// # Errors
    /// When the library's folder cannot be read.
    pub fn scan(&self) -> Result<Vec<Entry>, LibraryError> {
        let entries = self.library.scan()?;
        let machines = entries.iter().filter_map(|entry| match entry {
            Entry::Machine(machine) => {
                Some((machine.folder.clone(), machine.definition.uuid.to_string()))
            }
            Entry::Broken(_) => None,
        });
        *self.identifiers.lock() = machines.collect();
        Ok(entries)
    }

    /// What another process tells of the machine with this identifier; nothing when it runs it no longer.
    pub fn set_elsewhere(&self, identifier: &str, elsewhere: Option<Elsewhere>) {
        let state = elsewhere
            .as_ref()
            .map_or(State::Off, |told| told.state.clone());
        let before = match elsewhere {
            Some(told) => self.elsewhere.lock().insert(identifier.to_owned(), told),
            None => self.elsewhere.lock().remove(identifier),
        };
        if before.map_or(State::Off, |told| told.state) == state {
            return;
        }
        let folder = self
            .identifiers
            .lock()
            .iter()
            .find_map(|(folder, known)| (known == identifier).then(|| folder.clone()));
        if let Some(folder) = folder {
            self.tell(&Change::Event {
                folder,
                event: MachineEvent::State(state),
            });
        }
    }

    /// The other process that runs the machine in `folder`.
    pub fn elsewhere(&self, folder: &Path) -> Option<Elsewhere> {
        let identifier = self.identifiers.lock().get(folder).cloned()?;
        self.elsewhere.lock().get(&identifier).cloned()
    }

    /// The picture of what the screen of the machine in `folder` showed last; there may be none.
    pub fn last_screen(&self, folder: &Path) -> PathBuf {
        folder.join(guesthouse_engine::snapshot::SCREEN)
    }

    /// The handle of the machine in `folder`, if it was started since this program began.
    pub fn handle(&self, folder: &Path) -> Option<Machine> {
        let handles = self.handles.lock();
        handles.get(folder).map(|handle| handle.machine.clone())
    }

    /// The other end of the serial line of the machine in `folder`, if it was started since this program began.
    pub fn serial(&self, folder: &Path) -> Option<SerialConsole> {
        let handles = self.handles.lock();
        handles.get(folder).map(|handle| handle.serial.clone())
    }

    /// What is in optical drive number `drive` of the machine in `folder`, if that has changed since it was started.
    pub fn medium(&self, folder: &Path, drive: usize) -> Option<Option<PathBuf>> {
        self.handles.lock().get(folder)?.media.get(&drive).cloned()
    }

    /// How viewers of other programs are to reach machines that are started from now on.
    pub fn viewers(&self) -> Viewers {
        *self.viewers.lock()
    }

    /// Has them reach machines that are started from now on like this.
    pub fn set_viewers(&self, viewers: Viewers) {
        *self.viewers.lock() = viewers;
    }

    /// Where viewers of other programs reach the machine in `folder`, or why they do not; nothing where they are not to.
    pub fn address(&self, folder: &Path) -> Option<Result<String, String>> {
        self.handles.lock().get(folder)?.address.clone()
    }

    /// They reach it there, or not.
    pub fn set_address(&self, folder: &Path, address: Result<String, String>) {
        if let Some(handle) = self.handles.lock().get_mut(folder) {
            handle.address = Some(address);
        }
    }

    /// What the machine in `folder` is doing.
    pub fn state(&self, folder: &Path) -> State {
        let own = self.handle(folder).map(|machine| machine.state());
        match own {
            Some(state) if state.is_alive() => state,
            own => self
                .elsewhere(folder)
                .map(|told| told.state)
                .or(own)
                .unwrap_or(State::Off),
        }
    }

    /// Does `wish` to the machine in `folder`, in this process or another, and waits until that is done: not for a thread that
    /// draws. Nothing where it is not alive.
    pub fn ask(&self, folder: &Path, wish: Wish) -> Option<Result<(), String>> {
        let machine = self.handle(folder);
        if let Some(machine) = machine.filter(|machine| machine.state().is_alive()) {
            let done = match wish {
                Wish::Pause => machine.pause(),
                Wish::Resume => machine.resume(),
                Wish::Reset => machine.reset(),
                Wish::ShutDown => machine.shutdown(),
                Wish::PowerOff => machine.power_off(),
            };
            return Some(done.map_err(|error| error.to_string()));
        }
        Some(self.elsewhere(folder)?.holder.ask(wish))
    }

    /// Asks the guest of the machine in `folder`, in this process or another, for a screen of so many pixels. Takes its time.
    pub fn ask_for_screen(&self, folder: &Path, width: u32, height: u32) {
        let machine = self.handle(folder);
        if let Some(machine) = machine.filter(|machine| machine.state().is_alive()) {
            machine.ask_for_screen(width, height);
        } else if let Some(elsewhere) = self.elsewhere(folder)
            && let Err(error) = elsewhere.holder.ask_for_screen(width, height)
        {
            tracing::debug!(error, "the guest was not asked for another screen");
        }
    }

    /// Presses `keys` together on the keyboard of the machine in `folder`, in this process or another, and lets them go; tells whether
    /// it runs to take them. Takes its time.
    pub fn press(&self, folder: &Path, keys: &[ScanCode]) -> bool {
        let machine = self.handle(folder);
        if let Some(machine) = machine.filter(|machine| machine.state().is_alive()) {
            let runs = machine.state() == State::Running;
            if runs {
                typing::press(keys, &|event| machine.input(event));
            }
            return runs;
        }
        let elsewhere = self.elsewhere(folder);
        let elsewhere = elsewhere.filter(|told| told.state == State::Running);
        elsewhere.is_some_and(|told| match told.holder.press(keys) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "another process did not press keys");
                false
            }
        })
    }

    /// The machines of this process that are alive.
    pub fn alive(&self) -> Vec<(PathBuf, Machine)> {
        let handles = self.handles.lock();
        let machines = handles
            .iter()
            .map(|(folder, handle)| (folder.clone(), handle.machine.clone()));
        machines
            .filter(|(_, machine)| machine.state().is_alive())
            .collect()
    }

    /// Starts `machine`; waits until it runs or cannot, so not for a thread that draws.
    ///
    /// # Errors
    /// Why it cannot be started, and what to do.
    pub fn start(self: &Arc<Self>, machine: &StoredMachine) -> Result<Machine, StartError> {
        let StoredMachine { folder, definition } = machine;
        let installing = may_be_installed(machine);
        let (serial, connection) = SerialConsole::new();
        let options = StartOptions {
            serial: Some(connection),
            ..StartOptions::default()
        };
        let machine = Machine::start(definition, folder, options)?;
        let events = machine.subscribe();
        let handle = Handle {
            machine: machine.clone(),
            serial,
            media: HashMap::new(),
            installing,
            address: None,
        };
        let previous = self.handles.lock().insert(folder.clone(), handle);
        // It waits for the previous run's thread to end.
        drop(previous);
        self.tell(&Change::Started {
            folder: folder.clone(),
        });
        let (machines, folder) = (Arc::downgrade(self), folder.clone());
        let relay = move || {
            for event in events {
                let Some(machines) = machines.upgrade() else {
                    return;
                };
                machines.relay(&folder, event);
            }
        };
        if let Err(error) = std::thread::Builder::new()
            .name("machine-events".into())
            .spawn(relay)
        {
            tracing::error!(%error, "no thread could be made that relays a machine's events");
        }
        Ok(machine)
    }

    fn relay(&self, folder: &Path, event: MachineEvent) {
        if let MachineEvent::Medium { drive, file } = &event
            && let Some(handle) = self.handles.lock().get_mut(folder)
        {
            handle.media.insert(*drive, file.clone());
        }
        let installed = match event {
            MachineEvent::Ended { written } if written >= INSTALLED => {
                let mut handles = self.handles.lock();
                let handle = handles.get_mut(folder);
                // It is said once.
                let said = handle.map(|handle| std::mem::take(&mut handle.installing));
                said.unwrap_or(false).then_some(written)
            }
            _ => None,
        };
        self.tell(&Change::Event {
            folder: folder.to_owned(),
            event,
        });
        if let Some(written) = installed {
            self.tell(&Change::Installed {
                folder: folder.to_owned(),
                written,
            });
        }
    }

    /// Takes what is in the optical drives of `machine` out, now and for its next starts.
    ///
    /// # Errors
    /// Why that cannot be done, and what to do.
    pub fn eject_all(&self, machine: &StoredMachine) -> Result<(), String> {
        let handle = self.handle(&machine.folder);
        let handle = handle.filter(|machine| machine.state().is_alive());
        let mut definition = machine.definition.clone();
        let drives = definition.drives.iter_mut();
        let optical = drives.filter(|drive| drive.kind == DriveKind::Optical);
        for (number, drive) in optical.enumerate() {
            if let Some(handle) = &handle {
                let ejected = handle.eject(number, false);
                ejected.map_err(|error| text::sentence(&error))?;
            }
            drive.file = None;
        }
        if definition != machine.definition {
            let changed = self.update(machine, &definition);
            changed.map_err(|error| text::sentence(&error))?;
        }
        Ok(())
    }

    /// Makes a machine with new, empty `disks`.
    ///
    /// # Errors
    /// When its folder or a disk cannot be made.
    pub fn create(
        &self,
        definition: &Definition,
        disks: &[NewDisk],
    ) -> Result<StoredMachine, LibraryError> {
        let machine = self.library.create(definition, disks)?;
        self.tell(&Change::Library);
        Ok(machine)
    }

    /// Changes what `machine` is to `definition`.
    ///
    /// # Errors
    /// When its file was changed by somebody else or cannot be written, or its new name is taken.
    pub fn update(
        &self,
        machine: &StoredMachine,
        definition: &Definition,
    ) -> Result<StoredMachine, LibraryError> {
        let changed = self.library.update(machine, definition)?;
        self.tell(&Change::Library);
        Ok(changed)
    }

    /// Everything that speaks against `machine` as it is now; nothing where that cannot be found out.
    pub fn findings(&self, machine: &StoredMachine, definition: &Definition) -> Vec<Finding> {
        let found = Host::inspect()
            .map_err(|error| error.to_string())
            .and_then(|host| {
                self.library
                    .findings(definition, Some(&machine.folder), &host)
                    .map_err(|error| error.to_string())
            });
        found.unwrap_or_else(|error| {
            tracing::warn!(%error, "what speaks against a machine is not known");
            Vec::new()
        })
    }

    /// The names of the machines with a network card at the virtual switch `name`.
    ///
    /// # Errors
    /// When the library's folder cannot be read.
    pub fn users_of_switch(&self, name: &str) -> Result<Vec<String>, LibraryError> {
        self.library.users_of_switch(name)
    }

    /// The virtual switches of the library, the one that is always there first.
    pub fn switches(&self) -> Arc<Switches> {
        Switches::of_library(self.library.folder())
    }

    /// Moves `machine` to the Trash; what is returned brings it back.
    ///
    /// # Errors
    /// When it runs or cannot be moved there.
    pub fn delete(&self, machine: &Entry) -> Result<Deleted, LibraryError> {
        let deleted = self.library.delete(machine)?;
        let handle = self.handles.lock().remove(machine.folder());
        drop(handle);
        self.tell(&Change::Library);
        Ok(deleted)
    }

    /// Brings a deleted machine back.
    ///
    /// # Errors
    /// When it is no longer in the Trash or its place is taken.
    pub fn restore(&self, deleted: &Deleted) -> Result<Entry, LibraryError> {
        let machine = self.library.restore(deleted)?;
        self.tell(&Change::Library);
        Ok(machine)
    }

    /// Looks at the disk again for those who follow: somebody else may have changed it.
    pub fn refresh(&self) {
        self.tell(&Change::Library);
    }
}
