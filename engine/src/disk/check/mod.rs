//! What is wrong with an image, and what can be done about it.
//!
//! The checker of qcow2 images is our own: it walks everything that the header leads to and counts the references itself. That of
//! qcow2-rs passes over tables that nobody counts, and imago has none. Where qcow2-rs reads well, it goes the same ways a second time
//! (`second.rs`).

mod qcow2;
mod raw;
mod repair;
mod second;
#[cfg(test)]
mod tests;

pub use qcow2::Usage;
pub(in crate::disk) use qcow2::{Tables, read_l1};
pub(in crate::disk) use raw::end_of_partitions;
pub use repair::{Repaired, repair};
pub(in crate::disk) use repair::{open_writable, put, renew};
pub use second::SecondOpinion;
pub(in crate::disk) use second::ask as second_opinion;

use std::path::Path;

use super::formats::{Container, Format};
use super::tools::{Job, ToolError};

/// Findings that are told one by one; the rest is only counted.
const TOLD: u64 = 50;

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Data is in danger or lost.
    Damage,
    /// Space is wasted; no data is in danger.
    Leak,
    /// Nothing is wrong with the image; somebody may want to know.
    Note,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, as a sentence.
    pub text: String,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// What the image is.
    pub format: Format,
    /// The first of what was found, of each severity.
    pub findings: Vec<Finding>,
    /// How much damage there is, in table entries.
    pub damage: u64,
    /// How many clusters are wasted.
    pub leaks: u64,
    /// What a second reader says of a qcow2 image's tables.
    pub second: Option<SecondOpinion>,
}

impl CheckReport {
    pub(in crate::disk) fn new(format: Format) -> Self {
        Self {
            format,
            findings: Vec::new(),
            damage: 0,
            leaks: 0,
            second: None,
        }
    }

    pub(in crate::disk) fn add(&mut self, severity: Severity, text: impl FnOnce() -> String) {
        let known = match severity {
            Severity::Damage => &mut self.damage,
            Severity::Leak => &mut self.leaks,
            Severity::Note => &mut 0,
        };
        *known += 1;
        if *known <= TOLD {
            self.findings.push(Finding {
                severity,
                text: text(),
            });
        }
    }

    /// Whether there is neither damage nor waste.
    pub fn is_clean(&self) -> bool {
        self.damage == 0 && self.leaks == 0
    }
}

/// Looks for what is wrong with the image at `path`, which nobody may write to meanwhile.
///
/// # Errors
/// When it cannot be read, or is of a format that has no checker.
pub fn check(path: &Path, format: Option<Format>, job: &Job<'_>) -> Result<CheckReport, ToolError> {
    let format = match format {
        Some(format) => format,
        None => Format::detect(path)?,
    };
    match format {
        Format::Raw => raw::check(&Container::open(path, true)?),
        Format::Qcow2 => Ok(judge(&Tables::walk(Container::open(path, true)?, job)?)),
        other => Err(ToolError::refused(
            path,
            format!("is a {other} image, for which there is no check"),
            "convert it to qcow2, which reads all of it (--verify)",
        )),
    }
}

/// What was found on a walk, and what the second reader says of it.
fn judge(tables: &Tables) -> CheckReport {
    let mut report = tables.report.clone();
    let second = second_opinion(tables);
    if let SecondOpinion::Differs(how) = &second {
        report.add(Severity::Note, || {
            format!("A second reader of the tables (qcow2-rs) does not agree that all is well: {how}. Please report this, with the output of qemu-img check.")
        });
    }
    report.second = Some(second);
    report
}
