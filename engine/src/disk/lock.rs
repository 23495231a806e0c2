//! Locks that keep two programs from writing to one image, in the way QEMU does it (block/file-posix.c, "image locking"), so that
//! a machine of either program keeps the other out.
//!
//! What a program does with the file (its permissions: read, write, resize) is a shared lock on byte 100 + n; what it does not
//! bear others to do is a shared lock on byte 200 + n. Having taken its own, it asks whether somebody holds the counterpart of one
//! of them. The locks belong to the open file description: they end with its last descriptor, however the program ends. A process
//! that is just being started has copies of all descriptors for an instant; therefore who is done unlocks.

use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

const PERMISSION_BASE: i64 = 100;
const UNSHARED_BASE: i64 = 200;

/// Permissions by their number in QEMU's scheme.
const READ: i64 = 0;
const WRITE: i64 = 1;
const RESIZE: i64 = 3;

/// What the opener is going to do with the image. It never bears others to write to it or to resize it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Read only.
    Read,
    /// Read, write and let it grow.
    Write,
}

impl Access {
    fn permissions(self) -> &'static [i64] {
        match self {
            Self::Read => &[READ],
            Self::Write => &[READ, WRITE, RESIZE],
        }
    }
}

const UNSHARED: [i64; 2] = [WRITE, RESIZE];

/// The locks on an image. They end when it is dropped.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        let mut all = byte_lock(libc::F_UNLCK, PERMISSION_BASE);
        all.l_len = UNSHARED_BASE - PERMISSION_BASE + 100;
        // If that fails, closing does it.
        let _ = fcntl(&self.0, FcntlArg::F_OFD_SETLK(&all));
    }
}

/// Whether another program has `file` open for writing. Nothing is locked, so that nobody's opening fails for it.
///
/// # Errors
/// When the kernel does not say.
pub(super) fn is_written(file: &File) -> io::Result<bool> {
    for number in [WRITE, RESIZE] {
        let mut lock = byte_lock(libc::F_WRLCK, PERMISSION_BASE + number);
        match fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock)) {
            Ok(_) if i32::from(lock.l_type) != libc::F_UNLCK => return Ok(true),
            Ok(_)
            | Err(Errno::EINVAL | Errno::ENOLCK | Errno::ENOSYS | Errno::EOPNOTSUPP | Errno::EIO) =>
                {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(false)
}

/// Locks `file`; nothing when another program's locks forbid it. Where the file system knows no locks there are none.
///
/// # Errors
/// When the kernel refuses for another reason.
pub(super) fn acquire(file: &File, access: Access) -> io::Result<Option<Lock>> {
    let lock = Lock(file.try_clone()?);
    Ok(try_lock(file, access)?.then_some(lock))
}

fn try_lock(file: &File, access: Access) -> io::Result<bool> {
    let permissions = access.permissions();
    let own = permissions
        .iter()
        .map(|number| PERMISSION_BASE + number)
        .chain(UNSHARED.iter().map(|number| UNSHARED_BASE + number));
    for byte in own {
        match fcntl(file, FcntlArg::F_OFD_SETLK(&byte_lock(libc::F_RDLCK, byte))) {
            Ok(_) => {}
            Err(Errno::EAGAIN | Errno::EACCES) => return Ok(false),
            Err(Errno::EINVAL | Errno::ENOLCK | Errno::ENOSYS | Errno::EOPNOTSUPP) => {
                tracing::warn!(
                    "the file system of a disk image has no locks; nothing keeps other programs from writing to it"
                );
                return Ok(true);
            }
            Err(errno) => return Err(refusal(errno)),
        }
    }
    let foreign = permissions
        .iter()
        .map(|number| UNSHARED_BASE + number)
        .chain(UNSHARED.iter().map(|number| PERMISSION_BASE + number));
    for byte in foreign {
        let mut lock = byte_lock(libc::F_WRLCK, byte);
        fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock)).map_err(refusal)?;
        if i32::from(lock.l_type) != libc::F_UNLCK {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Why the kernel neither locks a file nor says who does.
fn refusal(errno: Errno) -> io::Error {
    match errno {
        // What the document portal's file system answers, which may well have other programs write to the file.
        Errno::EIO => io::Error::new(
            io::ErrorKind::Unsupported,
            "files cannot be locked there, so nothing would keep other programs from writing to it; a Flatpak is handed files in this way: copy the image into a folder of its own (below ~/.var/app) and use the copy",
        ),
        errno => errno.into(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the kernel's constants for lock types and SEEK_SET are 0 to 2"
)]
fn byte_lock(kind: i32, byte: i64) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte,
        l_len: 1,
        l_pid: 0,
    }
}
