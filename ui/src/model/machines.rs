//! The machines of this process: those in the library, and the handles of those started here.
//!
//! One thread per started machine relays what its engine tells to everyone who subscribed; the windows never poll. What a
//! machine said last (its log, why it crashed) can be asked until it is started again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::Mutex;

use super::{
    Definition, Deleted, Entry, Library, LibraryError, Machine, MachineEvent, Name, NewDisk,
    StartError, StartOptions, State,
};

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
}

/// A machine that was started, and what was put into its optical drives or taken out since, by their numbers.
struct Handle {
    machine: Machine,
    media: HashMap<usize, Option<PathBuf>>,
}

/// The machines on disk and alive, shared by the window and the control socket.
pub struct Machines {
    library: Library,
    handles: Mutex<HashMap<PathBuf, Handle>>,
    followers: Mutex<Vec<Sender<Change>>>,
}

impl Machines {
    /// The machines of `library`, none of them alive.
    pub fn new(library: Library) -> Arc<Self> {
        Arc::new(Self {
            library,
            handles: Mutex::default(),
            followers: Mutex::default(),
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

    fn tell(&self, change: &Change) {
        self.followers
            .lock()
            .retain(|follower| follower.send(change.clone()).is_ok());
    }

    /// What is on disk now, by name.
    ///
    /// # Errors
    /// When the library's folder cannot be read.
    pub fn scan(&self) -> Result<Vec<Entry>, LibraryError> {
        self.library.scan()
    }

    /// The handle of the machine in `folder`, if it was started since this program began.
    pub fn handle(&self, folder: &Path) -> Option<Machine> {
        let handles = self.handles.lock();
        handles.get(folder).map(|handle| handle.machine.clone())
    }

    /// What is in optical drive number `drive` of the machine in `folder`, if that has changed since it was started.
    pub fn medium(&self, folder: &Path, drive: usize) -> Option<Option<PathBuf>> {
        self.handles.lock().get(folder)?.media.get(&drive).cloned()
    }

    /// What the machine in `folder` is doing.
    pub fn state(&self, folder: &Path) -> State {
        self.handle(folder)
            .map_or(State::Off, |machine| machine.state())
    }

    /// The machines that are alive.
    pub fn alive(&self) -> Vec<(PathBuf, Machine)> {
        let handles = self.handles.lock();
        let machines = handles
            .iter()
            .map(|(folder, handle)| (folder.clone(), handle.machine.clone()));
        machines
            .filter(|(_, machine)| machine.state().is_alive())
            .collect()
    }

    /// Starts the machine in `folder`; waits until it runs or cannot, so not for a thread that draws.
    ///
    /// # Errors
    /// Why it cannot be started, and what to do.
    pub fn start(self: &Arc<Self>, folder: &Path) -> Result<Machine, StartError> {
        let definition = self.library.read(folder)?;
        let machine = Machine::start(&definition, folder, StartOptions::default())?;
        let events = machine.subscribe();
        self.handles.lock().insert(
            folder.to_owned(),
            Handle {
                machine: machine.clone(),
                media: HashMap::new(),
            },
        );
        self.tell(&Change::Started {
            folder: folder.to_owned(),
        });
        let (machines, folder) = (Arc::downgrade(self), folder.to_owned());
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
        self.tell(&Change::Event {
            folder: folder.to_owned(),
            event,
        });
    }

    /// Makes a machine, with a new disk if asked for; tells the folder it is in.
    ///
    /// # Errors
    /// When its folder or disk cannot be made.
    pub fn create(
        &self,
        definition: &Definition,
        disk: Option<NewDisk>,
    ) -> Result<PathBuf, LibraryError> {
        let folder = self.library.create(definition, disk)?;
        self.tell(&Change::Library);
        Ok(folder)
    }

    /// Changes what the machine in `folder` is.
    ///
    /// # Errors
    /// When its file cannot be written.
    pub fn update(&self, folder: &Path, definition: &Definition) -> Result<(), LibraryError> {
        self.library.update(folder, definition)?;
        self.tell(&Change::Library);
        Ok(())
    }

    /// Gives the machine in `folder` another name; tells the folder it is in then.
    ///
    /// # Errors
    /// When the name is taken or its file cannot be written.
    pub fn rename(&self, folder: &Path, name: Name) -> Result<PathBuf, LibraryError> {
        let renamed = self.library.rename(folder, name)?;
        let mut handles = self.handles.lock();
        if let Some(machine) = handles.remove(folder) {
            handles.insert(renamed.clone(), machine);
        }
        drop(handles);
        self.tell(&Change::Library);
        Ok(renamed)
    }

    /// Moves the machine in `folder` to the Trash; what is returned brings it back.
    ///
    /// # Errors
    /// When it cannot be moved there.
    pub fn delete(&self, folder: &Path) -> Result<Deleted, LibraryError> {
        let deleted = self.library.delete(folder)?;
        self.handles.lock().remove(folder);
        self.tell(&Change::Library);
        Ok(deleted)
    }

    /// Brings a deleted machine back; tells the folder it is in then.
    ///
    /// # Errors
    /// When it is no longer in the Trash or its place is taken.
    pub fn restore(&self, deleted: Deleted) -> Result<PathBuf, LibraryError> {
        let folder = self.library.restore(deleted)?;
        self.tell(&Change::Library);
        Ok(folder)
    }

    /// Looks at the disk again for those who follow: somebody else may have changed it.
    pub fn refresh(&self) {
        self.tell(&Change::Library);
    }
}
