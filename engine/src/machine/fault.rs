//! What a drive does when its image fails: a full disk pauses the machine and the drive waits; anything else is told to the guest.

use crossbeam_channel::{Sender, bounded};
use parking_lot::Mutex;

use crate::disk::ImageError;
use crate::storage::{FaultHandler, Verdict};

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
    /// The drive waits: the machine is to be paused.
    pub pauses: bool,
}

/// Stands between the drives and the machine.
pub(super) struct FaultBridge {
    waiting: Mutex<Waiting>,
    tell: Box<dyn Fn(Fault) + Send + Sync>,
}

impl FaultBridge {
    /// Tells each failure to `tell`, which must not block.
    pub fn new(tell: impl Fn(Fault) + Send + Sync + 'static) -> Self {
        Self {
            waiting: Mutex::default(),
            tell: Box::new(tell),
        }
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
    fn failed(&self, drive: &str, error: &ImageError) -> Verdict {
        let pauses = matches!(error, ImageError::NoSpace { .. });
        let text = format!("The {drive}: {error}.");
        if !pauses {
            (self.tell)(Fault { text, pauses });
            return Verdict::Report;
        }
        let (sender, answer) = bounded(1);
        {
            let mut waiting = self.waiting.lock();
            if waiting.closing {
                return Verdict::Report;
            }
            waiting.drives.push(sender);
        }
        (self.tell)(Fault { text, pauses });
        answer.recv().unwrap_or(Verdict::Report)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn full() -> ImageError {
        ImageError::NoSpace {
            file: "disk.qcow2".into(),
        }
    }

    #[test]
    fn a_full_disk_waits_for_the_answer_and_other_faults_do_not() {
        let (told, tells) = bounded(8);
        let bridge = Arc::new(FaultBridge::new(move |fault| told.send(fault).unwrap()));
        let other = ImageError::OutOfRange {
            file: "disk.qcow2".into(),
            offset: 1,
            length: 2,
        };
        assert_eq!(bridge.failed("hard disk 1", &other), Verdict::Report);
        assert!(!tells.recv().unwrap().pauses);
        let drive = std::thread::spawn({
            let bridge = Arc::clone(&bridge);
            move || bridge.failed("hard disk 1", &full())
        });
        let fault = tells.recv().unwrap();
        assert!(
            fault.pauses && fault.text.contains("hard disk 1") && fault.text.contains("disk.qcow2"),
            "{fault:?}"
        );
        bridge.retry();
        assert_eq!(drive.join().unwrap(), Verdict::Retry);
    }

    #[test]
    fn a_machine_that_goes_leaves_no_drive_waiting() {
        let (told, tells) = bounded(8);
        let bridge = Arc::new(FaultBridge::new(move |fault| told.send(fault).unwrap()));
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
