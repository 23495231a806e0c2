//! What is known of the machines without looking at the disk: the library as it was read last, and what each machine told since.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use guesthouse_engine::library::{Entry, StoredMachine};
use guesthouse_engine::machine::{MachineEvent, State};
use guesthouse_ui::model::{Change, Machines};
use parking_lot::Mutex;

use super::Refusal;

/// A machine that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its identifier.
    pub identifier: String,
    /// Its name.
    pub name: String,
    /// The state it came into.
    pub state: State,
}

/// The machines, by their folders.
pub struct Known {
    machines: Arc<Machines>,
    entries: Mutex<BTreeMap<PathBuf, Entry>>,
}

impl Known {
    /// Knows nothing yet.
    pub fn new(machines: &Arc<Machines>) -> Arc<Self> {
        Arc::new(Self {
            machines: Arc::clone(machines),
            entries: Mutex::default(),
        })
    }

    /// Follows the machines by a thread that calls `told` when the state of one has changed.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn follow(self: Arc<Self>, told: impl Fn(&Told) + Send + 'static) -> anyhow::Result<()> {
        let changes = self.machines.subscribe();
        let follow = move || {
            self.read();
            for change in changes {
                match change {
                    Change::Library => self.read(),
                    // Not what it is doing by now: each state is told, however short it was.
                    Change::Event {
                        folder,
                        event: MachineEvent::State(state),
                    } => {
                        if let Some(machine) = self.told(&folder, state) {
                            told(&machine);
                        }
                    }
                    Change::Started { .. } | Change::Event { .. } | Change::Installed { .. } => {}
                }
            }
        };
        std::thread::Builder::new()
            .name("bus".to_owned())
            .spawn(follow)?;
        Ok(())
    }

    fn told(&self, folder: &Path, state: State) -> Option<Told> {
        match self.entries.lock().get(folder)? {
            Entry::Machine(machine) => Some(Told {
                identifier: machine.definition.uuid.to_string(),
                name: machine.definition.name.to_string(),
                state,
            }),
            Entry::Broken(_) => None,
        }
    }

    /// Reads the library.
    fn read(&self) {
        match self.machines.scan() {
            Ok(entries) => {
                let entries = entries
                    .into_iter()
                    .map(|entry| (entry.folder().to_owned(), entry));
                *self.entries.lock() = entries.collect();
            }
            Err(error) => tracing::warn!(%error, "the bus does not know the machines"),
        }
    }

    /// The machines of this process.
    pub fn machines(&self) -> &Arc<Machines> {
        &self.machines
    }

    /// What is in the library now: not for the main loop.
    pub fn entries(&self) -> Vec<Entry> {
        self.read();
        let mut entries: Vec<_> = self.entries.lock().values().cloned().collect();
        entries.sort_by_cached_key(|entry| entry.title().to_lowercase());
        entries
    }

    /// The state of each machine that can be read, by its identifier, as it was known last.
    pub fn states(&self) -> BTreeMap<String, String> {
        let entries = self.entries.lock();
        let machines = entries.values().filter_map(|entry| match entry {
            Entry::Machine(machine) => Some(machine),
            Entry::Broken(_) => None,
        });
        let state = |machine: &StoredMachine| word(&self.machines.state(&machine.folder)).0;
        machines
            .map(|machine| {
                (
                    machine.definition.uuid.to_string(),
                    state(machine).to_owned(),
                )
            })
            .collect()
    }

    /// The machine with this identifier or name: not for the main loop.
    pub fn find(&self, named: &str) -> Result<StoredMachine, Refusal> {
        let entries = self.entries();
        let by = |fits: &dyn Fn(&Entry) -> bool| entries.iter().find(|entry| fits(entry));
        let identified = by(
            &|entry| matches!(entry, Entry::Machine(machine) if machine.definition.uuid.to_string() == named),
        );
        let lower = named.to_lowercase();
        let found = identified.or_else(|| by(&|entry| entry.title().to_lowercase() == lower));
        match found {
            Some(Entry::Machine(machine)) => Ok(machine.clone()),
            Some(Entry::Broken(broken)) => Err(Refusal::failed(&broken.clone().into_error())),
            None => Err(Refusal {
                name: "NotFound",
                message: format!("there is no machine called {named}"),
            }),
        }
    }
}

/// A state as the bus calls it, and why.
pub fn word(state: &State) -> (&'static str, &str) {
    match state {
        State::Off => ("off", ""),
        State::Starting => ("starting", ""),
        State::Running => ("running", ""),
        State::Paused { reason } => (
            "paused",
            reason.as_ref().map_or("", |reason| reason.text.as_str()),
        ),
        State::Crashed { reason } => ("crashed", reason),
    }
}
