//! The virtual switches of a library, in Hyper-V's words: NAT, internal, private, external. They are kept in `switches.toml` in the
//! library's folder, and each is alive in a process while a card of it is plugged in; machines of one process meet there.

mod definition;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

pub use self::definition::{SwitchDefinition, SwitchKind};

use self::definition::FIRST_LEASE;
use super::nat::{ForwardError, Nat, Options, Plan};
use super::uplink::{Connected, Uplink};
use super::{Cable, Switch};
use crate::definition::{Forward, MacAddress, NAT, Name, NameError, UNPLUGGED};
use crate::disk::place::sync_folder;

/// The file in the library's folder.
pub const SWITCHES_FILE: &str = "switches.toml";
/// What the file is called until it is whole.
const TEMPORARY: &str = ".switches.toml.part";
/// A longer file is none of ours.
const LONGEST: u64 = 1 << 20;

/// Why something could not be done with switches.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// No switch has the name.
    #[error("there is no virtual switch called {0:?}; choose another for the card, or create it")]
    NotFound(String),
    /// Another has it.
    #[error("a virtual switch called {0} exists already; choose another name")]
    Taken(String),
    /// The name cannot be a switch's.
    #[error("a virtual switch cannot be called that: {0}")]
    Name(#[from] NameError),
    /// Every library has it.
    #[error("the switch {NAT} is always there and cannot be deleted")]
    BuiltIn,
    /// Cards refer to it.
    #[error("the virtual switch is used by {0}; attach their cards elsewhere first")]
    Used(String),
    /// Not a network that guests could have.
    #[error(
        "{0} is not the beginning of a private network of 256 addresses; choose one such as 10.0.3.0 or 192.168.77.0"
    )]
    Network(Ipv4Addr),
    /// Not addresses that guests could be given.
    #[error(
        "guests cannot be given the addresses {0} to {1}; choose a first number from {FIRST_LEASE} on (those before are the gateway's) and a last one up to 254 that is not before it"
    )]
    Leases(u8, u8),
    /// An external switch that is connected with nothing.
    #[error(
        "an external switch needs a device of the host to be connected with: tap:NAME or bridge:NAME"
    )]
    NoUplink,
    /// Its kind is what it is made for.
    #[error("a virtual switch stays of its kind; create another one")]
    Kind,
    /// The host does not let it be connected.
    #[error(
        "the external switch could not be connected with {0}: {1}; see that the device is there, is yours to use and that no other program has it"
    )]
    Uplink(Uplink, io::Error),
    /// The file cannot be understood. It is never overwritten.
    #[error("{file} cannot be understood: {message}; correct the file in a text editor or restore it from a backup", file = .file.display())]
    Broken {
        /// `switches.toml`.
        file: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The host refused something.
    #[error("could not {action} {file}: {source}", file = .file.display())]
    Host {
        /// What was tried.
        action: &'static str,
        /// With what.
        file: PathBuf,
        /// The host's word.
        source: io::Error,
    },
    /// The network could not be made.
    #[error("the host does not let a network begin: {0}; close other programs")]
    Start(io::Error),
}

#[derive(Default, Serialize, Deserialize)]
struct Stored {
    #[serde(default, rename = "switch", skip_serializing_if = "Vec::is_empty")]
    switches: Vec<SwitchDefinition>,
}

/// A switch that is alive.
struct Live {
    definition: SwitchDefinition,
    // Before the switch's other holders go, its services do.
    nat: Option<Nat>,
    _uplink: Option<Connected>,
    switch: Arc<Switch>,
}

/// The switches of one library.
pub struct Switches {
    folder: PathBuf,
    live: Mutex<HashMap<String, Weak<Live>>>,
}

static LIBRARIES: LazyLock<Mutex<HashMap<PathBuf, Weak<Switches>>>> = LazyLock::new(Mutex::default);

impl Switches {
    /// The switches of the library in `folder`; the same ones for everybody in this process.
    pub fn of_library(folder: &Path) -> Arc<Self> {
        let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let mut libraries = LIBRARIES.lock();
        libraries.retain(|_, switches| switches.strong_count() > 0);
        if let Some(switches) = libraries.get(&folder).and_then(Weak::upgrade) {
            return switches;
        }
        let switches = Arc::new(Self {
            folder: folder.clone(),
            live: Mutex::default(),
        });
        libraries.insert(folder, Arc::downgrade(&switches));
        switches
    }

    fn file(&self) -> PathBuf {
        self.folder.join(SWITCHES_FILE)
    }

    fn read(&self) -> Result<Stored, SwitchError> {
        let file = self.file();
        let text = match fs::metadata(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Stored::default()),
            Ok(metadata) if metadata.len() > LONGEST => {
                return Err(SwitchError::Broken {
                    file,
                    message: "it is too long".to_owned(),
                });
            }
            _ => fs::read_to_string(&file),
        };
        let text = text.map_err(|source| SwitchError::Host {
            action: "read",
            file: file.clone(),
            source,
        })?;
        toml::from_str(&text).map_err(|error| SwitchError::Broken {
            file,
            message: error.message().to_owned(),
        })
    }

    /// All switches, the one that is always there first.
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub fn list(&self) -> Result<Vec<SwitchDefinition>, SwitchError> {
        let stored = self.read()?.switches;
        let mut all = Vec::with_capacity(stored.len() + 1);
        // Who writes it down changes it.
        if !stored.iter().any(|switch| switch.is_called(NAT)) {
            all.push(SwitchDefinition::new(NAT, SwitchKind::Nat));
        }
        all.extend(stored);
        Ok(all)
    }

    /// The switch called `name`, without regard to case.
    ///
    /// # Errors
    /// When there is none, or the file cannot be read.
    pub fn find(&self, name: &str) -> Result<SwitchDefinition, SwitchError> {
        self.list()?
            .into_iter()
            .find(|switch| switch.is_called(name))
            .ok_or_else(|| SwitchError::NotFound(name.to_owned()))
    }

    /// Adds a switch.
    ///
    /// # Errors
    /// When its name or network cannot be, or the file cannot be written; nothing changes then.
    pub fn create(&self, definition: &SwitchDefinition) -> Result<(), SwitchError> {
        let name = Name::new(&definition.name)?;
        if self
            .list()?
            .iter()
            .any(|switch| switch.is_called(name.as_str()))
            || name.matches(UNPLUGGED)
        {
            return Err(SwitchError::Taken(name.to_string()));
        }
        definition.check()?;
        let mut stored = self.read()?;
        stored.switches.push(SwitchDefinition {
            name: name.to_string(),
            ..definition.clone()
        });
        self.write(&stored)
    }

    /// Changes the switch of that name to `definition`. Machines that run keep it as it was until none is at it any more.
    ///
    /// # Errors
    /// When there is none, it cannot be so, or the file cannot be written; nothing changes then.
    pub fn update(&self, definition: &SwitchDefinition) -> Result<(), SwitchError> {
        let before = self.find(&definition.name)?;
        if before.kind != definition.kind {
            return Err(SwitchError::Kind);
        }
        definition.check()?;
        let wanted = SwitchDefinition {
            name: before.name,
            ..definition.clone()
        };
        let mut stored = self.read()?;
        let mut switches = stored.switches.iter_mut();
        match switches.find(|switch| switch.is_called(&wanted.name)) {
            Some(switch) => *switch = wanted,
            // The one that is always there is written down when it is another than it always is.
            None => stored.switches.insert(0, wanted),
        }
        self.write(&stored)
    }

    /// Takes a switch away. `users` are the names of the machines whose cards refer to it.
    ///
    /// # Errors
    /// When there is none of that name, machines use it, or the file cannot be written; nothing changes then.
    pub fn delete(&self, name: &str, users: &[String]) -> Result<(), SwitchError> {
        let mut stored = self.read()?;
        let before = stored.switches.len();
        stored.switches.retain(|switch| !switch.is_called(name));
        if stored.switches.len() == before {
            return Err(if name == NAT {
                SwitchError::BuiltIn
            } else {
                SwitchError::NotFound(name.to_owned())
            });
        }
        if !users.is_empty() && name != NAT {
            return Err(SwitchError::Used(users.join(", ")));
        }
        self.write(&stored)
    }

    fn write(&self, stored: &Stored) -> Result<(), SwitchError> {
        let file = self.file();
        let text = toml::to_string(stored).map_err(|error| SwitchError::Broken {
            file: file.clone(),
            message: error.to_string(),
        })?;
        let temporary = self.folder.join(TEMPORARY);
        let write = || -> io::Result<()> {
            let mut part = File::create(&temporary)?;
            part.write_all(text.as_bytes())?;
            part.sync_all()?;
            fs::rename(&temporary, &file)?;
            sync_folder(&self.folder)
        };
        write().map_err(|source| {
            let _ = fs::remove_file(&temporary);
            SwitchError::Host {
                action: "write",
                file,
                source,
            }
        })
    }

    /// Plugs `cable` into the switch called `name`, which begins to live if it did not. The cable is pulled when the connection is
    /// dropped.
    ///
    /// # Errors
    /// When there is no such switch, or the host does not let it begin.
    pub fn connect(&self, name: &str, cable: &Arc<Cable>) -> Result<Connection, SwitchError> {
        let definition = self.find(name)?;
        let key = definition.name.to_lowercase();
        let mut live = self.live.lock();
        live.retain(|_, switch| switch.strong_count() > 0);
        let switch = match live.get(&key).and_then(Weak::upgrade) {
            Some(switch) => switch,
            None => {
                let switch = Arc::new(Live::start(definition)?);
                live.insert(key, Arc::downgrade(&switch));
                switch
            }
        };
        cable.plug(&switch.switch);
        Ok(Connection {
            cable: Arc::clone(cable),
            live: switch,
        })
    }
}

impl Live {
    fn start(definition: SwitchDefinition) -> Result<Self, SwitchError> {
        let switch = Switch::new();
        let nat = if definition.kind.has_network() {
            let mut plan = Plan::new(definition.network, definition.kind == SwitchKind::Nat);
            plan.host_loopback = definition.host_loopback;
            plan.dhcp = definition.dhcp;
            plan.leases = definition.leases;
            let options = Options {
                name_servers: definition.name_servers.clone(),
                version6: definition.ipv6,
                ..Options::new(plan)
            };
            Some(Nat::start(&switch, options).map_err(SwitchError::Start)?)
        } else {
            None
        };
        let uplink = match (definition.kind, &definition.uplink) {
            (SwitchKind::External, None) => return Err(SwitchError::NoUplink),
            (SwitchKind::External, Some(uplink)) => {
                let connected = Connected::start(&switch, uplink);
                Some(connected.map_err(|error| SwitchError::Uplink(uplink.clone(), error))?)
            }
            _ => None,
        };
        Ok(Self {
            definition,
            nat,
            _uplink: uplink,
            switch,
        })
    }
}

/// A cable that is plugged into a switch, until this is dropped.
pub struct Connection {
    cable: Arc<Cable>,
    live: Arc<Live>,
}

impl Connection {
    /// The switch as it was when it began to live.
    pub fn definition(&self) -> &SwitchDefinition {
        &self.live.definition
    }

    /// Lets a port of the host lead to the guest whose card is `owner`.
    ///
    /// # Errors
    /// When the port cannot be had, or machines at the switch are among themselves.
    pub fn add_forward(&self, owner: MacAddress, forward: Forward) -> Result<(), ForwardError> {
        match &self.live.nat {
            Some(nat) => nat.add_forward(owner, forward),
            None => Err(ForwardError::Private(forward.host())),
        }
    }

    /// The addresses that the guest whose card is `owner` uses, as far as the switch knows: private and external ones do not.
    pub fn addresses(&self, owner: MacAddress) -> Vec<IpAddr> {
        let nat = self.live.nat.as_ref();
        nat.map_or_else(Vec::new, |nat| nat.addresses(owner))
    }

    /// Ends a forward.
    pub fn remove_forward(&self, owner: MacAddress, forward: &Forward) {
        if let Some(nat) = &self.live.nat {
            nat.remove_forward(owner, forward);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.cable.pull();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::nat::DEFAULT_NETWORK;

    #[test]
    fn switches_are_kept_and_shared() {
        let folder = tempfile::tempdir().unwrap();
        let switches = Switches::of_library(folder.path());
        assert_eq!(
            switches.list().unwrap(),
            [SwitchDefinition::new("nat", SwitchKind::Nat)]
        );
        switches
            .create(&SwitchDefinition::new(" Lab ", SwitchKind::Private))
            .unwrap();
        assert!(Arc::ptr_eq(&switches, &Switches::of_library(folder.path())));
        assert_eq!(switches.find("lab").unwrap().name, "Lab");
        for (name, network) in [
            ("LAB", "10.0.2.0"),
            ("none", "10.0.2.0"),
            ("nat", "10.0.2.0"),
            ("a/b", "10.0.2.0"),
            ("x", "10.0.2.1"),
            ("x", "8.8.8.0"),
        ] {
            let definition = SwitchDefinition {
                network: network.parse().unwrap(),
                ..SwitchDefinition::new(name, SwitchKind::Nat)
            };
            assert!(switches.create(&definition).is_err(), "{name} {network}");
        }
        let cables = [Cable::new().unwrap(), Cable::new().unwrap()];
        let connections = cables
            .each_ref()
            .map(|cable| switches.connect("lab", cable).unwrap());
        assert!(Arc::ptr_eq(&connections[0].live, &connections[1].live));
        let error = connections[0]
            .add_forward(MacAddress([2; 6]), "2222:22".parse().unwrap())
            .unwrap_err();
        assert!(error.to_string().contains("private"), "{error}");
        drop(connections);
        assert!(!cables[0].is_plugged());
        assert!(matches!(
            switches.delete("lab", &["Debian".to_owned()]),
            Err(SwitchError::Used(_))
        ));
        switches.delete("lab", &[]).unwrap();
        assert!(matches!(
            switches.delete("lab", &[]),
            Err(SwitchError::NotFound(_))
        ));
        assert!(matches!(
            switches.delete("nat", &[]),
            Err(SwitchError::BuiltIn)
        ));
        assert!(matches!(
            switches.connect("lab", &cables[0]),
            Err(SwitchError::NotFound(_))
        ));
    }

    #[test]
    fn switches_are_changed_within_reason() {
        let folder = tempfile::tempdir().unwrap();
        let switches = Switches::of_library(folder.path());
        let nat = SwitchDefinition {
            network: Ipv4Addr::new(192, 168, 77, 0),
            leases: (100, 120),
            name_servers: vec!["192.0.2.1".parse().unwrap()],
            ipv6: Some(false),
            ..SwitchDefinition::new("NAT", SwitchKind::Nat)
        };
        switches.update(&nat).unwrap();
        let stored = switches.find("nat").unwrap();
        assert_eq!(
            stored,
            SwitchDefinition {
                name: "nat".into(),
                ..nat.clone()
            }
        );
        assert_eq!(switches.list().unwrap().len(), 1);
        for wrong in [
            SwitchDefinition {
                leases: (3, 120),
                ..nat.clone()
            },
            SwitchDefinition {
                leases: (120, 100),
                ..nat.clone()
            },
            SwitchDefinition {
                leases: (100, 255),
                ..nat.clone()
            },
            SwitchDefinition {
                network: Ipv4Addr::new(8, 8, 8, 0),
                ..nat.clone()
            },
            SwitchDefinition {
                kind: SwitchKind::Private,
                ..nat.clone()
            },
            SwitchDefinition {
                name: "lab".into(),
                ..nat.clone()
            },
        ] {
            assert!(switches.update(&wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(switches.find("nat").unwrap(), stored);
        // Taken away, it is what it always is.
        switches.delete("nat", &["Debian".to_owned()]).unwrap();
        assert_eq!(switches.find("nat").unwrap().network, DEFAULT_NETWORK);
    }

    #[test]
    fn an_external_switch_says_why_it_is_not_connected() {
        let folder = tempfile::tempdir().unwrap();
        let switches = Switches::of_library(folder.path());
        let mut lan = SwitchDefinition::new("lan", SwitchKind::External);
        assert!(matches!(switches.create(&lan), Err(SwitchError::NoUplink)));
        lan.uplink = Some(Uplink::Tap("gh-not-there".to_owned()));
        switches.create(&lan).unwrap();
        assert_eq!(switches.find("lan").unwrap(), lan);
        let cable = Cable::new().unwrap();
        let error = switches.connect("lan", &cable).err().unwrap().to_string();
        assert!(error.contains("tap:gh-not-there"), "{error}");
        assert!(!cable.is_plugged());
    }

    #[test]
    fn a_broken_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(SWITCHES_FILE), "switch = 7").unwrap();
        let switches = Switches::of_library(folder.path());
        assert!(matches!(switches.list(), Err(SwitchError::Broken { .. })));
        assert!(
            switches
                .create(&SwitchDefinition::new("lab", SwitchKind::Private))
                .is_err()
        );
        assert_eq!(
            fs::read_to_string(folder.path().join(SWITCHES_FILE)).unwrap(),
            "switch = 7"
        );
    }
}
