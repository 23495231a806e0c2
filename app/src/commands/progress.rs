//! Work that takes its time: how far it is on the error stream, if that is a terminal, and Ctrl+C to stop it.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use guesthouse_engine::disk::tools::{Cancel, Job, Phase, Progress};
use guesthouse_ui::text::gettext;

/// Carries out `work`.
///
/// # Errors
/// Those of `work`.
pub fn with_progress<T>(work: impl FnOnce(&Job<'_>) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let cancel = Cancel::default();
    let asked = Arc::new(AtomicBool::new(false));
    let signals = [
        signal_hook::consts::signal::SIGINT,
        signal_hook::consts::signal::SIGTERM,
    ];
    let mut registered = Vec::new();
    for signal in signals {
        registered.push(signal_hook::flag::register(signal, Arc::clone(&asked))?);
    }
    let terminal = std::io::stderr().is_terminal();
    let report = |progress: Progress| {
        if terminal {
            // A terminal that went away needs nothing told.
            let _ = show(progress);
        }
    };
    let ended = AtomicBool::new(false);
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                if asked.load(Ordering::Relaxed) {
                    cancel.cancel();
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let outcome = work(&Job::new(&report, cancel.clone()));
        ended.store(true, Ordering::Relaxed);
        outcome
    });
    if terminal {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
    for id in registered {
        signal_hook::low_level::unregister(id);
    }
    outcome
}

fn show(progress: Progress) -> std::io::Result<()> {
    let Progress { phase, done, total } = progress;
    let part = if total == 0 {
        String::new()
    } else {
        format!(" {} %", u128::from(done) * 100 / u128::from(total))
    };
    let phase = match phase {
        Phase::Checking => gettext("Checking"),
        Phase::Copying => gettext("Copying"),
        Phase::Verifying => gettext("Verifying"),
        Phase::Storing => gettext("Storing"),
    };
    write!(std::io::stderr(), "\r\x1b[K{phase}{part}")
}
