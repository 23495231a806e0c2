//! Copies of files as they are: by reflink where the file system can share the blocks, else what is in them, holes left out.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{SeekFrom, ioctl_ficlone, seek};
use rustix::io::Errno;

use super::super::HeldFile;
use super::{Job, Phase, ToolError, Unfinished};

const PIECE: usize = 1 << 20;

/// Copies the file at `source`, whatever its format, to the new file `target`. Nothing may write to it meanwhile.
///
/// # Errors
/// When the source is in use for writing or cannot be read, the target exists, or the host cannot write it.
pub fn full_clone(source: &Path, target: &Path, job: &Job<'_>) -> Result<(), ToolError> {
    let held = HeldFile::open(source)?;
    let (from, length) = (&held.file, held.length);
    let unfinished = Unfinished::new(target)?;
    job.begin(Phase::Copying, length)?;
    if ioctl_ficlone(unfinished.file(), from).is_err() {
        copy_data(from, &unfinished, source, length, job)?;
    }
    job.begin(Phase::Storing, 0)?;
    unfinished.finish()
}

/// Copies what is there and leaves holes holes.
fn copy_data(
    from: &File,
    unfinished: &Unfinished,
    source: &Path,
    length: u64,
    job: &Job<'_>,
) -> Result<(), ToolError> {
    let read = |error: io::Error| ToolError::from_host("read", source, error);
    let write = |error| ToolError::from_host("write to", unfinished.target(), error);
    let to = unfinished.file();
    to.set_len(length).map_err(write)?;
    let mut piece = vec![0; PIECE];
    let mut position = 0;
    while position < length {
        let start = match seek(from, SeekFrom::Data(position)) {
            Ok(start) => start,
            // Only a hole follows.
            Err(Errno::NXIO) => break,
            // A device or a file system without holes.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => position,
            Err(errno) => return Err(read(errno.into())),
        };
        let end = match seek(from, SeekFrom::Hole(start)) {
            Ok(end) => end.min(length),
            Err(_) => length,
        };
        job.advance(start.saturating_sub(position))?;
        position = start;
        while position < end {
            let wanted = usize::try_from(end - position).unwrap_or(PIECE).min(PIECE);
            let part = piece.get_mut(..wanted).unwrap_or_default();
            from.read_exact_at(part, position).map_err(read)?;
            to.write_all_at(part, position).map_err(write)?;
            position = position.saturating_add(wanted as u64);
            job.advance(wanted as u64)?;
        }
    }
    Ok(())
}
