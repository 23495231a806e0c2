//! Work that takes its time: a dialog with how far it is and Cancel. Work that is quick shows none.

use std::time::Duration;

use relm4::adw::prelude::*;
use relm4::{adw, gtk};

use super::question;
use crate::access;
use crate::model::{Cancel, Job, Phase, Progress};
use crate::text::{gettext, gettext_with};

/// How long work may take before a dialog appears.
const PATIENCE: Duration = Duration::from_millis(400);

/// Lets a worker do `work`, which asks the job whether it is still wanted. Gives what the work gave, or nothing when it ended in a
/// panic.
pub async fn run<T: Send + 'static>(
    parent: &impl IsA<gtk::Widget>,
    heading: String,
    work: impl FnOnce(&Job<'_>) -> T + Send + 'static,
) -> Option<T> {
    let cancel = Cancel::default();
    let (sender, receiver) = relm4::channel();
    let asked = cancel.clone();
    let worker = relm4::spawn_blocking(move || {
        let report = move |progress: Progress| {
            // The dialog may be gone.
            let _ = sender.send(progress);
        };
        work(&Job::new(&report, asked))
    });
    tokio::pin!(worker);
    let patience = tokio::time::sleep(PATIENCE);
    tokio::pin!(patience);
    let mut dialog: Option<(adw::AlertDialog, gtk::ProgressBar)> = None;
    let mut last = None;
    let outcome = loop {
        tokio::select! {
            outcome = &mut worker => break outcome,
            Some(progress) = receiver.recv() => {
                last = Some(progress);
                if let Some((_, bar)) = &dialog {
                    show(bar, progress);
                }
            }
            () = &mut patience, if dialog.is_none() => {
                let (made, bar) = present(parent, &heading, &cancel);
                if let Some(progress) = last {
                    show(&bar, progress);
                }
                dialog = Some((made, bar));
            }
        }
    };
    if let Some((dialog, _)) = dialog {
        dialog.force_close();
    }
    match outcome {
        Ok(outcome) => Some(outcome),
        Err(error) => {
            tracing::error!(%error, "work on images ended in a panic");
            None
        }
    }
}

fn present(
    parent: &impl IsA<gtk::Widget>,
    heading: &str,
    cancel: &Cancel,
) -> (adw::AlertDialog, gtk::ProgressBar) {
    let bar = gtk::ProgressBar::builder().show_text(true).build();
    access::name(&bar, heading);
    bar.set_text(Some(&word(Phase::Checking)));
    let dialog = question::new(heading, "");
    dialog.set_extra_child(Some(&bar));
    dialog.add_response("cancel", &gettext("_Cancel"));
    dialog.set_close_response("cancel");
    dialog.set_default_response(Some("cancel"));
    let cancel = cancel.clone();
    dialog.connect_response(Some("cancel"), move |_, _| cancel.cancel());
    dialog.present(Some(parent));
    (dialog, bar)
}

/// Shows how far the work is.
pub fn show(bar: &gtk::ProgressBar, progress: Progress) {
    let Progress { phase, done, total } = progress;
    let word = word(phase);
    if total == 0 {
        bar.pulse();
        bar.set_text(Some(&word));
    } else {
        let thousandths = u128::from(done).saturating_mul(1000) / u128::from(total);
        let thousandths = u32::try_from(thousandths).unwrap_or(1000).min(1000);
        bar.set_fraction(f64::from(thousandths) / 1000.0);
        bar.set_text(Some(&gettext_with(
            "{phase} {number} %",
            &[("phase", &word), ("number", &(thousandths / 10))],
        )));
    }
}

fn word(phase: Phase) -> String {
    match phase {
        Phase::Checking => gettext("Checking"),
        Phase::Copying => gettext("Copying"),
        Phase::Verifying => gettext("Verifying"),
        Phase::Storing => gettext("Storing"),
    }
}
