//! The tools for a disk's image, each with what has to be asked, its progress and what came of it.

use std::sync::Arc;

use relm4::adw;

use super::add::size_objection;
use crate::dialogs::form::{self, Field};
use crate::dialogs::{progress, question, toast};
use crate::model::{Drive, Machines, StoredMachine};
use crate::text::{self, gettext, gettext_with, message};

/// A tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Makes the disk larger.
    Grow,
}

impl Tool {
    /// All of them, with what their buttons say.
    pub const ALL: [(Self, &str); 1] = [(Self::Grow, message("Grow…"))];

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
        Some(Err((heading, body))) => question::error(&root, &heading, &body),
        None => {}
    }
}

type Outcome = Option<Result<String, (String, String)>>;

async fn grow(
    machines: Arc<Machines>,
    machine: StoredMachine,
    drive: usize,
    size: u64,
    root: &adw::PreferencesGroup,
) -> Outcome {
    let heading = gettext("Grow Hard Disk");
    let body = gettext(
        "The guest finds free space at the disk’s end; its partitions are made larger there.",
    );
    let (title, accept) = (gettext("New Size in GiB"), gettext("_Grow"));
    // Twice what it has, in whole GiB.
    let wish = (size >> 29).max(1).to_string();
    let fields = [Field::Text(&title, &wish)];
    let values = form::ask(root, (&heading, &body), &fields, &accept, move |values| {
        size_objection(values.first()?.text(), size)
    })
    .await?;
    let wanted = text::gibibytes(values.first()?.text())?;
    let grown = progress::run(root, gettext("Growing the Disk"), move |job| {
        machines.grow(&machine, drive, wanted, job)
    });
    Some(match grown.await? {
        Ok(()) => Ok(gettext_with(
            "The disk has {size} now",
            &[("size", &text::bytes(wanted))],
        )),
        Err(body) => Err((gettext("The disk did not grow"), body)),
    })
}
