//! How one `guesthouse` process speaks to the one that holds a running machine: over a socket of the machine's own in the
//! user's runtime directory, a JSON line each way.

mod client;
mod protocol;
mod server;

pub use client::Client;
pub use protocol::{Report, Request};
pub use server::Server;

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::PathBuf;

/// Where the sockets are, private to the user: `guesthouse` in `$XDG_RUNTIME_DIR`, or without one a folder of the user's own in
/// the temporary directory. In a Flatpak it is in the part of the runtime directory that all the application's sandboxes share,
/// so that a command reaches a machine which another one runs.
///
/// # Errors
/// When the folder cannot be made, or belongs to somebody else.
pub fn folder() -> io::Result<PathBuf> {
    let user = rustix::process::geteuid();
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let path = match variable("XDG_RUNTIME_DIR").map(PathBuf::from) {
        Some(folder) => match variable("FLATPAK_ID") {
            Some(application) => folder.join("app").join(application).join("guesthouse"),
            None => folder.join("guesthouse"),
        },
        None => std::env::temp_dir().join(format!("guesthouse-{}", user.as_raw())),
    };
    match std::fs::DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let data = std::fs::symlink_metadata(&path)?;
    if !data.is_dir() || data.uid() != user.as_raw() || data.mode() & 0o077 != 0 {
        let text = format!(
            "{} is not a private folder of yours; remove it and try again",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    Ok(path)
}

/// The socket of the machine with this identifier.
///
/// # Errors
/// When there is no place for sockets.
pub fn socket(uuid: &str) -> io::Result<PathBuf> {
    Ok(folder()?.join(format!("{uuid}.sock")))
}
