//! The tools for a disk's image, each with what has to be asked, its progress and what came of it.

use std::sync::Arc;

use relm4::adw;

use super::add::size_objection;
use crate::dialogs::form::{self, Field};
use crate::dialogs::{progress, question, toast};
use crate::model::{Drive, Machines, StoredMachine};
use crate::text;

/// A tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Makes the disk larger.
    Grow,
}

impl Tool {
    /// All of them, with what their buttons say.
    pub const ALL: [(Self, &str); 1] = [(Self::Grow, "Grow…")];

    /// Whether it can be used on the image in `drive`.
    pub fn suits(self, drive: &Drive) -> bool {
        match self {
            Self::Grow => !drive.read_only,
        }
    }
}

/// Uses `tool` on the image in drive number `drive`, which has `size` bytes as far as is known.
pub async fn run(
    tool: Tool,
    machines: Arc<Machines>,
    machine: StoredMachine,
    drive: usize,
    size: u64,
    root: adw::PreferencesGroup,
) {
    let outcome = match tool {
        Tool::Grow => grow(machines, machine, drive, size, &root).await,
    };
    match outcome {
        Some(Ok(said)) => toast::say(&root, &said),
        Some(Err((heading, body))) => question::error(&root, heading, &body),
        None => {}
    }
}

type Outcome = Option<Result<String, (&'static str, String)>>;

async fn grow(
    machines: Arc<Machines>,
    machine: StoredMachine,
    drive: usize,
    size: u64,
    root: &adw::PreferencesGroup,
) -> Outcome {
    let heading = (
        "Grow Hard Disk",
        "The guest finds free space at the disk’s end; its partitions are made larger there.",
    );
    // Twice what it has, in whole GiB.
    let wish = (size >> 29).max(1).to_string();
    let fields = [Field::Text("New Size in GiB", &wish)];
    let values = form::ask(root, heading, &fields, "_Grow", move |values| {
        size_objection(values.first()?.text(), size)
    })
    .await?;
    let wanted = text::gibibytes(values.first()?.text())?;
    let grown = progress::run(root, "Growing the Disk", move |job| {
        machines.grow(&machine, drive, wanted, job)
    });
    Some(match grown.await? {
        Ok(()) => Ok(format!("The disk has {} now", text::bytes(wanted))),
        Err(body) => Err(("The disk did not grow", body)),
    })
}
