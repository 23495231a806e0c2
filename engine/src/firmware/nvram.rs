//! A machine's own UEFI variables, in a file of its folder: a copy of the firmware's template, made whole or not at all, and kept
//! up to date while the machine runs.
//!
//! Machines with and without Secure Boot have a file each: the keys are variables too, and what was booted without them need not
//! be what they vouch for.

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use super::Uefi;
use super::uefi::are_variables;
use crate::chipset::FlashStore;

/// The files that hold variables in a machine's folder: without and with Secure Boot. Either may be missing.
pub const NVRAM_FILES: [&str; 2] = ["nvram.fd", "nvram-secure-boot.fd"];

/// How long nothing must be stored before what was stored goes to the device.
const QUIET: Duration = Duration::from_millis(200);

/// Why there are no variables.
#[derive(Debug, thiserror::Error)]
pub enum NvramError {
    /// The host could not read or make the file.
    #[error("could not {action} the firmware's variables in {file}: {source}; check that the folder can be written to and has room", file = .file.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        file: PathBuf,
        /// The host's word.
        source: io::Error,
    },
    /// They are for another firmware.
    #[error("{file} does not hold the variables of this firmware ({template}): it is damaged, or the firmware was replaced by one of another layout; restore it from a backup, or move it away to start with new variables", file = .file.display(), template = .template.display())]
    Unsuitable {
        /// The file.
        file: PathBuf,
        /// The template.
        template: PathBuf,
    },
}

/// The variables of a machine.
#[derive(Debug)]
pub struct Nvram {
    file: File,
    path: PathBuf,
    /// What they are at this moment.
    pub content: Vec<u8>,
}

impl Nvram {
    /// Opens the variables of the machine in `folder`, or makes them from the template of `uefi`. The machine's lock must be held.
    ///
    /// # Errors
    /// When the host cannot, or the file is for another firmware; it is as it was then.
    pub fn open(folder: &Path, secure_boot: bool, uefi: &Uefi) -> Result<Self, NvramError> {
        let [plain, secure] = NVRAM_FILES;
        let path = folder.join(if secure_boot { secure } else { plain });
        let fault = |action, source| NvramError::Io {
            action,
            file: path.clone(),
            source,
        };
        let open = || File::options().read(true).write(true).open(&path);
        let mut file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make(folder, &path, &uefi.variables).map_err(|error| fault("make", error))?;
                open()
            }
            other => other,
        }
        .map_err(|error| fault("open", error))?;
        let mut content = Vec::new();
        let most = uefi.variables.len() as u64 + 1;
        Read::by_ref(&mut file)
            .take(most)
            .read_to_end(&mut content)
            .map_err(|error| fault("read", error))?;
        if content.len() != uefi.variables.len() || !are_variables(&content) {
            return Err(NvramError::Unsuitable {
                file: path,
                template: uefi.template.clone(),
            });
        }
        Ok(Self {
            file,
            path,
            content,
        })
    }

    /// What keeps the file up to date. `tell` hears, in words, when the host cannot store; it is tried again with the next change.
    ///
    /// # Errors
    /// When the host gives no thread.
    pub fn store(self, tell: impl Fn(String) + Send + 'static) -> io::Result<NvramStore> {
        let (sender, receiver) = unbounded();
        let file = self.file.try_clone()?;
        let path = self.path.clone();
        let thread = thread::Builder::new()
            .name("nvram".to_owned())
            .spawn(move || synchronise(&file, &path, &receiver))?;
        Ok(NvramStore {
            nvram: self,
            unsaved: None,
            tell: Box::new(tell),
            stored: Some(sender),
            thread: Some(thread),
        })
    }
}

/// Makes the file whole or not at all.
fn make(folder: &Path, path: &Path, data: &[u8]) -> io::Result<()> {
    let mut temporary = tempfile_in(folder)?;
    let result = temporary
        .1
        .write_all(data)
        .and_then(|()| temporary.1.sync_all())
        .and_then(|()| std::fs::rename(&temporary.0, path))
        .and_then(|()| File::open(folder)?.sync_all());
    if result.is_err() {
        // What is left of it says nothing to anybody.
        let _ = std::fs::remove_file(&temporary.0);
    }
    result
}

fn tempfile_in(folder: &Path) -> io::Result<(PathBuf, File)> {
    let path = folder.join(format!(".nvram.{}", std::process::id()));
    // One that an interrupted run left.
    let _ = std::fs::remove_file(&path);
    Ok((path.clone(), File::create_new(path)?))
}

/// Puts what was stored on the device whenever nothing more comes for a while.
fn synchronise(file: &File, path: &Path, stored: &Receiver<()>) {
    while stored.recv().is_ok() {
        let end = loop {
            match stored.recv_timeout(QUIET) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => break false,
                Err(RecvTimeoutError::Disconnected) => break true,
            }
        };
        if let Err(error) = file.sync_data() {
            tracing::error!(file = %path.display(), %error, "the firmware's variables may not survive a power cut");
        }
        if end {
            return;
        }
    }
}

/// Keeps the file of a machine's variables up to date. Dropping it puts everything on the device.
pub struct NvramStore {
    nvram: Nvram,
    /// What the file lacks.
    unsaved: Option<Range<usize>>,
    tell: Box<dyn Fn(String) + Send>,
    stored: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FlashStore for NvramStore {
    fn store(&mut self, offset: usize, data: &[u8]) {
        let end = offset.saturating_add(data.len());
        let Some(place) = self.nvram.content.get_mut(offset..end) else {
            return;
        };
        place.copy_from_slice(data);
        let range = match self.unsaved.take() {
            Some(before) => before.start.min(offset)..before.end.max(end),
            None => offset..end,
        };
        let part = self.nvram.content.get(range.clone()).unwrap_or_default();
        // In the host's hands before the guest goes on: it survives the end of this process.
        match self.nvram.file.write_all_at(part, range.start as u64) {
            Ok(()) => {
                if let Some(stored) = &self.stored {
                    // The thread ends only after this.
                    let _ = stored.send(());
                }
            }
            Err(source) => {
                self.unsaved = Some(range);
                let error = NvramError::Io {
                    action: "store",
                    file: self.nvram.path.clone(),
                    source,
                };
                (self.tell)(format!(
                    "{error}. They are stored with the guest's next change to them."
                ));
            }
        }
    }
}

impl Drop for NvramStore {
    fn drop(&mut self) {
        drop(self.stored.take());
        if let Some(thread) = self.thread.take() {
            // Its panics, of which there are none, were told.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn uefi(mark: u8) -> Uefi {
        let mut variables = vec![mark; 8192];
        variables[40..44].copy_from_slice(b"_FVH");
        Uefi {
            code: vec![0; 4096],
            variables,
            template: "template.fd".into(),
        }
    }

    #[test]
    fn variables_are_made_once_and_then_kept() {
        let folder = tempfile::tempdir().unwrap();
        let nvram = Nvram::open(folder.path(), false, &uefi(1)).unwrap();
        assert_eq!(nvram.content, uefi(1).variables);
        let mut store = nvram.store(|text| panic!("{text}")).unwrap();
        store.store(100, &[7, 8, 9]);
        // At once, whatever becomes of this process.
        assert_eq!(
            fs::read(folder.path().join("nvram.fd")).unwrap()[100..103],
            [7, 8, 9]
        );
        store.store(usize::MAX, &[1]);
        store.store(8191, &[1, 2]);
        drop(store);
        let again = Nvram::open(folder.path(), false, &uefi(2)).unwrap();
        assert_eq!((again.content[0], again.content[101]), (1, 8));
        let files: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(files, ["nvram.fd"], "nothing else is left");
    }

    #[test]
    fn secure_boot_has_variables_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        Nvram::open(folder.path(), false, &uefi(1)).unwrap();
        let secure = Nvram::open(folder.path(), true, &uefi(3)).unwrap();
        assert_eq!(secure.content[0], 3);
        for name in NVRAM_FILES {
            assert!(folder.path().join(name).is_file(), "{name}");
        }
    }

    #[test]
    fn files_of_another_layout_are_refused_and_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nvram.fd");
        for data in [vec![], vec![0; 8192], uefi(1).variables[..4096].to_vec()] {
            fs::write(&path, &data).unwrap();
            let error = Nvram::open(folder.path(), false, &uefi(1)).unwrap_err();
            assert!(error.to_string().contains("nvram.fd"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), data);
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = Nvram::open(Path::new("/nowhere/machine"), false, &uefi(1)).unwrap_err();
        assert!(
            error.to_string().contains("/nowhere/machine/nvram.fd"),
            "{error}"
        );
    }
}
