//! What a drive does when its image fails: the machine pauses and the drive waits, or the guest is told, as the definition says. A
//! full disk pauses the machine in any case; a request that no image could carry out is always the guest's own fault.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Sender, bounded};
use parking_lot::Mutex;

use crate::definition::{Definition, Drive, ErrorPolicy};
use crate::disk::ImageError;
use crate::storage::{FaultHandler, Verdict};

use super::PauseReason;

#[derive(Default)]
struct Waiting {
    closing: bool,
    drives: Vec<Sender<Verdict>>,
}

/// What the machine is told of a failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// Cause and remedy.
    pub text: String,
    /// The drive waits: the machine is to be paused for this.
    pub pause: Option<PauseReason>,
}

/// Stands between the drives and the machine.
pub(super) struct FaultBridge {
    waiting: Mutex<Waiting>,
    /// By the drives' names.
    policies: HashMap<String, ErrorPolicy>,
    read: AtomicU64,
    written: AtomicU64,
    tell: Box<dyn Fn(Fault) + Send + Sync>,
}

impl FaultBridge {
    /// Tells each failure to `tell`, which must not block. What else is done is in the definition.
    pub fn new(definition: &Definition, tell: impl Fn(Fault) + Send + Sync + 'static) -> Self {
        let names = definition.drive_names().into_iter();
        let policies = definition.drives.iter().map(Drive::error_policy);
        Self {
            waiting: Mutex::default(),
            policies: names.zip(policies).collect(),
            read: AtomicU64::new(0),
            written: AtomicU64::new(0),
            tell: Box::new(tell),
        }
    }

    /// How many bytes the drives have read and written.
    pub fn transferred(&self) -> (u64, u64) {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (value(&self.read), value(&self.written))
    }

    /// Lets all drives that wait make their requests again.
    pub fn retry(&self) {
        self.answer(Verdict::Retry);
    }

    /// Lets all drives that wait, and all that would from now on, report their failures: the machine goes.
    pub fn close(&self) {
        self.waiting.lock().closing = true;
        self.answer(Verdict::Report);
    }

    fn answer(&self, verdict: Verdict) {
        for drive in self.waiting.lock().drives.drain(..) {
            // A drive that does not wait any more needs no answer.
            let _ = drive.send(verdict);
        }
    }
}

impl FaultHandler for FaultBridge {
    fn transferred(&self, read: u64, written: u64) {
        self.read.fetch_add(read, Ordering::Relaxed);
        self.written.fetch_add(written, Ordering::Relaxed);
    }

    fn failed(&self, drive: &str, error: &ImageError) -> Verdict {
        let pauses = match error {
            ImageError::NoSpace { .. } => true,
            ImageError::Io { .. } => self.policies.get(drive) == Some(&ErrorPolicy::Pause),
            // The machine paused when that happened; now the guest must be able to come to an end.
            ImageError::Lost { .. }
            | ImageError::OutOfRange { .. }
            | ImageError::ReadOnly { .. }
            | ImageError::Unsupported { .. } => false,
        };
        let mut text = format!("The {drive}: {error}.");
        let Some(cause) = error.cause().filter(|_| pauses) else {
            (self.tell)(Fault { text, pause: None });
            return Verdict::Report;
        };
        if let Some(remedy) = error.remedy() {
            text += " ";
            text += remedy;
        }
        let pause = PauseReason {
            cause,
            file: error.file().to_owned(),
            text: text.clone(),
        };
        let (sender, answer) = bounded(1);
        {
            let mut waiting = self.waiting.lock();
            if waiting.closing {
                return Verdict::Report;
            }
            waiting.drives.push(sender);
        }
        (self.tell)(Fault {
            text,
            pause: Some(pause),
        });
        answer.recv().unwrap_or(Verdict::Report)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::definition::{ImageFormat, Name};
    use crate::disk::FaultCause;

    /// A machine with a disk, an optical drive and a disk whose guest hears of everything.
    fn definition() -> Definition {
        let mut definition = Definition::new(Name::new("test").unwrap());
        let disk = || Drive::disk("disk".into(), ImageFormat::Raw);
        definition.drives = vec![
            disk(),
            Drive::optical(None),
            Drive {
                on_error: Some(ErrorPolicy::Report),
                ..disk()
            },
        ];
        definition
    }

    #[test]
    fn the_definition_says_what_an_error_does() {
        let (told, tells) = bounded(8);
        let bridge = Arc::new(FaultBridge::new(&definition(), move |fault| {
            told.send(fault).unwrap();
        }));
        let broken = || ImageError::Io {
            action: "read",
            file: "disk".into(),
            source: std::io::Error::from_raw_os_error(5),
        };
        for drive in ["optical drive 1", "hard disk 2"] {
            assert_eq!(bridge.failed(drive, &broken()), Verdict::Report);
            assert_eq!(tells.recv().unwrap().pause, None);
        }
        for (drive, error, cause) in [
            ("hard disk 1", broken(), FaultCause::Device),
            ("hard disk 2", full(), FaultCause::NoSpace),
        ] {
            let waits = std::thread::spawn({
                let bridge = Arc::clone(&bridge);
                move || bridge.failed(drive, &error)
            });
            let fault = tells.recv().unwrap();
            let pause = fault.pause.unwrap();
            assert!(pause.text.contains(drive), "{pause}");
            assert_eq!((pause.cause, &pause.text), (cause, &fault.text));
            bridge.retry();
            assert_eq!(waits.join().unwrap(), Verdict::Retry);
        }
    }

    fn full() -> ImageError {
        ImageError::NoSpace {
            file: "disk.qcow2".into(),
        }
    }

    #[test]
    fn a_full_disk_waits_for_the_answer_and_other_faults_do_not() {
        let (told, tells) = bounded(8);
        let bridge = Arc::new(FaultBridge::new(&definition(), move |fault| {
            told.send(fault).unwrap();
        }));
        let other = ImageError::OutOfRange {
            file: "disk.qcow2".into(),
            offset: 1,
            length: 2,
        };
        assert_eq!(bridge.failed("hard disk 1", &other), Verdict::Report);
        assert_eq!(tells.recv().unwrap().pause, None);
        let drive = std::thread::spawn({
            let bridge = Arc::clone(&bridge);
            move || bridge.failed("hard disk 1", &full())
        });
        let fault = tells.recv().unwrap();
        let pause = fault.pause.unwrap();
        assert!(
            pause.text.contains("hard disk 1") && pause.text.contains("disk.qcow2"),
            "{pause}"
        );
        assert_eq!(pause.file, Path::new("disk.qcow2"));
        bridge.retry();
        assert_eq!(drive.join().unwrap(), Verdict::Retry);
    }

    #[test]
    fn a_machine_that_goes_leaves_no_drive_waiting() {
        let (told, tells) = bounded(8);
        let bridge = Arc::new(FaultBridge::new(&definition(), move |fault| {
            told.send(fault).unwrap();
        }));
        let drive = std::thread::spawn({
            let bridge = Arc::clone(&bridge);
            move || bridge.failed("hard disk 1", &full())
        });
        tells.recv().unwrap();
        bridge.close();
        assert_eq!(drive.join().unwrap(), Verdict::Report);
        assert_eq!(
            bridge.failed("hard disk 1", &full()),
            Verdict::Report,
            "nobody would answer any more"
        );
    }
}
