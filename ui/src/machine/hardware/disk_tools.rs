//! The tools for a disk's image, each with what has to be asked, its progress and what came of it.

use std::sync::Arc;

use relm4::adw;

use super::add::size_objection;
use crate::dialogs::form::{self, Field};
use crate::dialogs::question::{self, Weight};
use crate::dialogs::{progress, toast};
use crate::model::images::Facts;
use crate::model::{Drive, ImageFormat, Job, Machines, StoredMachine};
use crate::text::{self, gettext, gettext_with, message, ngettext_with};

/// A tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Makes the disk larger.
    Grow,
    /// Looks for what is wrong with the image, and mends it.
    Check,
    /// Gives space that is not needed back to the host.
    Compact,
    /// Copies the disk into an image of another format.
    Convert,
    /// Takes what the image is based on into it.
    Detach,
    /// Moves what the image has into what it is based on.
    Commit,
}

impl Tool {
    /// All of them, with what their buttons say.
    pub const ALL: [(Self, &str); 6] = [
        (Self::Grow, message("Grow…")),
        (Self::Check, message("Check and Repair")),
        (Self::Compact, message("Compact")),
        (Self::Convert, message("Convert…")),
        (Self::Detach, message("Detach from Its Base")),
        (Self::Commit, message("Merge into Its Base…")),
    ];

    /// Whether it makes sense for an image that is this, as far as is known.
    pub fn is_for(self, facts: Option<&Facts>) -> bool {
        let based = facts.is_some_and(|facts| facts.base.is_some());
        match self {
            Self::Grow | Self::Check | Self::Compact | Self::Convert => true,
            Self::Detach | Self::Commit => based,
        }
    }

    /// Whether it can be used on the image in `drive`.
    pub fn suits(self, drive: &Drive) -> bool {
        match self {
            Self::Check | Self::Convert => true,
            Self::Grow | Self::Compact | Self::Detach | Self::Commit => !drive.read_only,
        }
    }
}

/// What a tool works on.
#[derive(Clone)]
struct Image {
    machines: Arc<Machines>,
    machine: StoredMachine,
    drive: usize,
}

/// A tool in use: what it works on, and where it asks.
struct Work {
    image: Image,
    root: adw::PreferencesGroup,
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
    let work = Work {
        image: Image {
            machines,
            machine,
            drive,
        },
        root: root.clone(),
    };
    let outcome = match tool {
        Tool::Grow => work.grow(size).await,
        Tool::Check => work.check().await,
        Tool::Compact => work.compact().await,
        Tool::Convert => work.convert().await,
        Tool::Detach => work.detach().await,
        Tool::Commit => work.commit().await,
    };
    match outcome {
        Some(Ok(said)) => toast::say(&root, &said),
        Some(Err((heading, body))) => question::error(&root, &heading, &body),
        None => {}
    }
}

type Outcome = Option<Result<String, (String, String)>>;

impl Work {
    /// Lets a worker do `work` on the image, with progress called `heading`; nothing where it ended in a panic.
    async fn run<T: Send + 'static>(
        &self,
        heading: String,
        work: impl FnOnce(&Image, &Job<'_>) -> T + Send + 'static,
    ) -> Option<T> {
        let image = self.image.clone();
        progress::run(&self.root, heading, move |job| work(&image, job)).await
    }

    async fn grow(self, size: u64) -> Outcome {
        let heading = gettext("Grow Hard Disk");
        let body = gettext(
            "The guest finds free space at the disk’s end; its partitions are made larger there.",
        );
        let (title, accept) = (gettext("New Size in GiB"), gettext("_Grow"));
        // Twice what it has, in whole GiB.
        let wish = (size >> 29).max(1).to_string();
        let fields = [Field::Text(&title, &wish)];
        let values = form::ask(
            &self.root,
            (&heading, &body),
            &fields,
            &accept,
            move |values| size_objection(values.first()?.text(), size),
        )
        .await?;
        let wanted = text::gibibytes(values.first()?.text())?;
        let grown = self.run(gettext("Growing the Disk"), move |work, job| {
            work.machines.grow(&work.machine, work.drive, wanted, job)
        });
        Some(match grown.await? {
            Ok(()) => Ok(gettext_with(
                "The disk has {size} now",
                &[("size", &text::bytes(wanted))],
            )),
            Err(body) => Err((gettext("The disk did not grow"), body)),
        })
    }

    async fn check(self) -> Outcome {
        let checked = self.run(gettext("Checking the Disk"), |work, job| {
            work.machines.check_disk(&work.machine, work.drive, job)
        });
        let checked = match checked.await? {
            Ok(checked) => checked,
            Err(body) => return Some(Err((gettext("The disk was not checked"), body))),
        };
        if checked.clean {
            let note = checked.findings.first();
            let clean = || gettext("Nothing is wrong with the disk");
            return Some(Ok(note.cloned().unwrap_or_else(clean)));
        }
        let (heading, advice) = if checked.damaged {
            (
                gettext("The disk is damaged"),
                gettext(
                    "Back the machine up before it is repaired: what cannot be saved reads as zeros afterwards.",
                ),
            )
        } else {
            (
                gettext("The disk wastes space"),
                gettext("No data is in danger. The repair gives the space back."),
            )
        };
        const SHOWN: usize = 6;
        let mut lines: Vec<_> = checked.findings.iter().take(SHOWN).cloned().collect();
        if checked.findings.len() > SHOWN {
            lines.push(gettext("There is more of the same kind."));
        }
        let body = format!("{}\n\n{advice}", lines.join("\n\n"));
        question::ask(
            &self.root,
            &heading,
            &body,
            &[(&gettext("_Repair"), Weight::Suggested)],
        )
        .await?;
        let mended = self.run(gettext("Repairing the Disk"), move |work, job| {
            work.machines.repair_disk(&work.machine, work.drive, job)
        });
        let mended = match mended.await? {
            Ok(mended) => mended,
            Err(body) => return Some(Err((gettext("The disk was not repaired"), body))),
        };
        let mut body = match mended.backup {
            Some(backup) => gettext_with(
                "The image’s tables as they were are in {file}; remove that file when the disk is well.",
                &[("file", &backup.display())],
            ),
            None => String::new(),
        };
        if mended.lost > 0 {
            body.push_str("\n\n");
            body.push_str(&ngettext_with(
                "{number} cluster of the disk was lost and reads as zeros now.",
                "{number} clusters of the disk were lost and read as zeros now.",
                mended.lost,
                &[],
            ));
        }
        if !mended.now.clean {
            body.push_str("\n\n");
            body.push_str(&gettext(
                "Not all of it could be mended; restore the disk from a backup.",
            ));
            return Some(Err((gettext("The disk is still damaged"), body)));
        }
        if mended.lost > 0 {
            return Some(Err((gettext("The disk was repaired"), body)));
        }
        Some(Ok(gettext("The disk was repaired")))
    }

    async fn compact(self) -> Outcome {
        let done = self.run(gettext("Compacting the Disk"), move |work, job| {
            work.machines.compact_disk(&work.machine, work.drive, job)
        });
        Some(match done.await? {
            Ok(0) => Ok(gettext("The disk was as small as it can be")),
            Ok(bytes) => Ok(gettext_with(
                "{size} were given back",
                &[("size", &text::bytes(bytes))],
            )),
            Err(body) => Err((gettext("The disk was not compacted"), body)),
        })
    }

    async fn convert(self) -> Outcome {
        let now = self.image.machine.definition.drives.get(self.image.drive)?;
        let raw = now.format == ImageFormat::Raw;
        let heading = gettext("Convert Hard Disk");
        let body = gettext(
            "The machine gets a copy in the other format. An image in its folder goes to the Trash, any other stays where it is.",
        );
        let (title, accept) = (gettext("Format"), gettext("_Convert"));
        let formats = [
            gettext("qcow2, which grows as it is filled"),
            gettext("Raw, byte for byte"),
        ];
        let formats: Vec<&str> = formats.iter().map(String::as_str).collect();
        let fields = [Field::Choice(&title, &formats, u32::from(!raw))];
        let values = form::ask(&self.root, (&heading, &body), &fields, &accept, |_| None).await?;
        let format = match values.first()?.number() {
            0 => ImageFormat::Qcow2,
            _ => ImageFormat::Raw,
        };
        let done = self.run(gettext("Converting the Disk"), move |work, job| {
            work.machines
                .convert_disk(&work.machine, work.drive, format, job)
        });
        Some(match done.await? {
            Ok(Some(_)) => Ok(gettext(
                "The disk was converted, the old image is in the Trash",
            )),
            Ok(None) => Ok(gettext("The disk was converted")),
            Err(body) => Err((gettext("The disk was not converted"), body)),
        })
    }

    async fn detach(self) -> Outcome {
        let done = self.run(gettext("Detaching the Disk"), move |work, job| {
            work.machines.detach_disk(&work.machine, work.drive, job)
        });
        Some(match done.await? {
            Ok(()) => Ok(gettext("The disk stands on its own now")),
            Err(body) => Err((gettext("The disk was not detached"), body)),
        })
    }

    async fn commit(self) -> Outcome {
        let heading = gettext("Merge the disk into its base?");
        let body = gettext(
            "What the disk has of its own is written into the image that it is based on, and the machine uses that one from then on. What the base held before is gone.",
        );
        question::ask(
            &self.root,
            &heading,
            &body,
            &[(&gettext("_Merge"), Weight::Destructive)],
        )
        .await?;
        let done = self.run(gettext("Merging the Disk"), move |work, job| {
            work.machines.commit_disk(&work.machine, work.drive, job)
        });
        Some(match done.await? {
            Ok(_) => Ok(gettext("The disk was merged into its base")),
            Err(body) => Err((gettext("The disk was not merged"), body)),
        })
    }
}
