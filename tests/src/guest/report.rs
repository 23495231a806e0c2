//! What is left of a guest when its test fails, and of all guests when the time is over.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once, Weak, mpsc};
use std::time::Duration;

use guesthouse_engine::machine::Machine;
use parking_lot::Mutex;

use super::Guest;
use crate::picture::Reference;
use crate::serial::SerialLine;

/// How long a machine may take to tell what its processors hold.
const REGISTERS: Duration = Duration::from_secs(20);

/// The folder for what this test leaves, target/guest-reports/TEST.
///
/// # Panics
/// When it cannot be made.
pub fn test_folder() -> PathBuf {
    let test = std::thread::current()
        .name()
        .unwrap_or("test")
        .replace("::", "-");
    let folder = crate::target_folder().join("guest-reports").join(test);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Writes down what can be seen of a machine.
fn describe(machine: &Arc<Machine>, serial: &SerialLine, folder: &Path) {
    // As much as can be had; the test fails for its own reason.
    if let Ok(picture) = machine.screenshot() {
        let _ = fs::write(folder.join("failed.png"), picture);
    }
    let _ = fs::write(folder.join("log.txt"), machine.log().join("\n"));
    let _ = fs::write(folder.join("serial.txt"), serial.text());
    // Twice: whether it moves.
    let mut text = String::new();
    for _ in 0..2 {
        text += &registers(machine);
        std::thread::sleep(Duration::from_secs(1));
    }
    let _ = fs::write(folder.join("registers.txt"), text);
}

/// What the processors of a machine hold; one whose processor does not leave the guest never tells.
pub(super) fn registers(machine: &Arc<Machine>) -> String {
    let (sender, states) = mpsc::channel();
    let machine = Arc::clone(machine);
    std::thread::spawn(move || sender.send(machine.processor_state()));
    match states.recv_timeout(REGISTERS) {
        Ok(Ok(states)) => states.iter().map(|state| format!("{state}\n\n")).collect(),
        Ok(Err(error)) => format!("no registers: {error}\n"),
        Err(_) => "no registers: a processor does not leave the guest\n".to_owned(),
    }
}

impl Guest {
    /// Stores what the guest shows and has said so far.
    pub(super) fn keep_progress(&self) {
        let folder = test_folder();
        if let Ok(picture) = self.machine.screenshot() {
            let _ = fs::write(folder.join("now.png"), picture);
        }
        let _ = fs::write(folder.join("serial.txt"), self.serial.text());
    }

    /// Leaves what can be seen of the guest.
    pub(super) fn describe(&self) {
        self.described.store(true, Ordering::Relaxed);
        describe(&self.machine, &self.serial, &test_folder());
    }

    /// Ends the test, and leaves what can be seen of the guest.
    ///
    /// # Panics
    /// Always.
    pub fn fail(&self, why: &str) -> ! {
        let folder = test_folder();
        self.describe();
        let picture = self.picture();
        let _ = fs::write(folder.join("thumbnail.png"), Reference::of(&picture).png());
        for (number, picture) in self.pictures.lock().iter().rev().skip(1).enumerate() {
            let _ = fs::write(
                folder.join(format!("before-{}.png", number + 1)),
                picture.png(),
            );
        }
        crate::matrix::note_failure(why);
        let log = self.machine.log();
        let last = log[log.len().saturating_sub(12)..].join("\n");
        let serial = self.serial.text();
        let said: Vec<&str> = serial.lines().rev().take(12).collect();
        let said: Vec<&str> = said.into_iter().rev().collect();
        panic!(
            "{why}, {:.0} s after its start; the machine is {:?}; {} has its screens and registers; its screen:\n{}\nits serial line:\n{}\nits log:\n{last}",
            self.age().as_secs_f64(),
            self.machine.state(),
            folder.display(),
            self.screen(),
            said.join("\n"),
        );
    }
}

/// Whatever a test fails by, what can be seen of its guests is left.
impl Drop for Guest {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.described.load(Ordering::Relaxed) {
            describe(&self.machine, &self.serial, &test_folder());
        }
    }
}

type Watched = (Weak<Machine>, Weak<SerialLine>, PathBuf);

/// Remembers the machine for when the time is over: on SIGTERM the guests of all tests are described, and the program ends.
pub(super) fn watch_over(machine: &Arc<Machine>, serial: &Arc<SerialLine>) {
    static GUESTS: Mutex<Vec<Watched>> = Mutex::new(Vec::new());
    static ONCE: Once = Once::new();
    if !crate::in_rig() {
        return;
    }
    ONCE.call_once(|| {
        let over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&over);
        signal_hook::flag::register(signal_hook::consts::SIGTERM, flag).unwrap();
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(500));
            }
            eprintln!("The time is over.");
            for (machine, serial, folder) in &*GUESTS.lock() {
                if let (Some(machine), Some(serial)) = (machine.upgrade(), serial.upgrade()) {
                    eprintln!("a guest of {} still ran", folder.display());
                    describe(&machine, &serial, folder);
                }
            }
            std::process::exit(124);
        });
    });
    let mut guests = GUESTS.lock();
    guests.retain(|(_, serial, _)| serial.strong_count() > 0);
    guests.push((
        Arc::downgrade(machine),
        Arc::downgrade(serial),
        test_folder(),
    ));
}
