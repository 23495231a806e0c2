//! Where viewers of other programs reach the machines that run in the window: a socket of the user's beside the control socket, or
//! the first port that is free from VNC's usual one on.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use guesthouse_engine::machine::Machine;
use guesthouse_engine::remote::{Address, RemoteError};
use guesthouse_ui::model::Viewers;

use crate::control;

/// The ports of VNC's displays 0 to 99.
const PORTS: std::ops::RangeInclusive<u16> = 5900..=5999;

/// Lets viewers come to `machine`, and tells where, as people give it to them; nothing where they are not to come.
pub fn admit(machine: &Machine, viewers: Viewers) -> Option<Result<String, String>> {
    let admitted = match viewers {
        Viewers::None => return None,
        Viewers::Socket => at_socket(machine),
        Viewers::Port => at_port(machine),
    };
    Some(admitted.map_err(|error| crate::explain(&error)))
}

fn at_socket(machine: &Machine) -> anyhow::Result<String> {
    let folder = control::folder().context("there is no place for sockets")?;
    let path = folder.join(format!("{}.vnc", machine.uuid()));
    machine.listen(&Address::Unix(path.clone()))?;
    Ok(path.display().to_string())
}

fn at_port(machine: &Machine) -> anyhow::Result<String> {
    for port in PORTS {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        match machine.listen(&Address::Tcp(address)) {
            Ok(_) => return Ok(address.to_string()),
            Err(RemoteError::Listen { source, .. })
                if source.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error.into()),
        }
    }
    anyhow::bail!(
        "the ports {} to {} are all in use; choose a socket for other viewers in the preferences, or end a VNC server",
        PORTS.start(),
        PORTS.end()
    )
}
