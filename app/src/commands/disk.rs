//! Work on disk images, without a machine.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use guesthouse_engine::disk::check::{self, CheckReport, SecondOpinion, Severity};
use guesthouse_engine::disk::formats::Format;
use guesthouse_engine::disk::formats::ova::Appliance;
use guesthouse_engine::disk::tools::{
    self, Details, Job, Preallocation, Qcow2Details, Source, TargetFormat, ToolError, Unfinished,
};
use guesthouse_ui::text::{gettext, gettext_with, ngettext_with, translated};
use serde_json::json;

use super::exchange::occupied;
use crate::disk_command_line::{
    CommitDisk, CompareDisks, ConvertDisk, CreateDisk, DiskCommand, Given, NewFormat, OneImage,
    PreallocationChoice, RebaseDisk, RepairDisk, ResizeDisk,
};
use crate::output::{print, print_json, tell};
use crate::size;

const DEFAULT_CLUSTER: u64 = 64 << 10;

/// Carries out a command.
///
/// # Errors
/// What kept it from being done; the images are then as they were.
pub fn carry_out(command: &DiskCommand, as_json: bool) -> anyhow::Result<()> {
    super::progress::with_progress(|job| run(command, as_json, job))
}

fn run(command: &DiskCommand, as_json: bool, job: &Job<'_>) -> anyhow::Result<()> {
    match command {
        DiskCommand::Create(create) => self::create(create, job),
        DiskCommand::Info(image) => info(image, as_json, job),
        DiskCommand::Check(image) => check(image, as_json, job),
        DiskCommand::Repair(repair) => self::repair(repair, as_json, job),
        DiskCommand::Resize(resize) => self::resize(resize, job),
        DiskCommand::Compact(compact) => {
            let source = source(&compact.file, &compact.given)?;
            let format = format_of(&source)?;
            Ok(tools::compact(
                &compact.file,
                format,
                compact.compress,
                job,
            )?)
        }
        DiskCommand::Convert(convert) => self::convert(convert, job),
        DiskCommand::Clone(clone) => Ok(tools::full_clone(&clone.source, &clone.target, job)?),
        DiskCommand::Rebase(rebase) => self::rebase(rebase, job),
        DiskCommand::Commit(commit) => self::commit(commit, as_json, job),
        DiskCommand::Compare(compare) => self::compare(compare, as_json, job),
    }
}

fn named(format: &str) -> anyhow::Result<Format> {
    Format::named(format).with_context(|| {
        let all: Vec<_> = Format::ALL.iter().map(|format| format.name()).collect();
        format!(
            "{format:?} is not a format; choose one of {}",
            all.join(", ")
        )
    })
}

fn source(file: &Path, given: &Given) -> anyhow::Result<Source> {
    let mut source = based(file, &given.backing);
    source.format = given.format.as_deref().map(named).transpose()?;
    Ok(source)
}

/// An image with the files that it may take data from.
fn based(file: &Path, backing: &[PathBuf]) -> Source {
    let mut source = Source::new(file);
    source.backing.files.extend(backing.iter().cloned());
    source
}

fn format_of(source: &Source) -> anyhow::Result<Format> {
    match source.format {
        Some(format) => Ok(format),
        None => Ok(Format::detect(&source.file)?),
    }
}

/// What a new image is to be: as was said, or by the end of its name.
fn target_format(
    file: &Path,
    format: Option<NewFormat>,
    cluster_size: Option<&str>,
    compress: bool,
) -> anyhow::Result<TargetFormat> {
    let by_name = || match file.extension().and_then(|extension| extension.to_str()) {
        Some("raw" | "img") => NewFormat::Raw,
        Some("vmdk") => NewFormat::Vmdk,
        _ => NewFormat::Qcow2,
    };
    let format = format.unwrap_or_else(by_name);
    if format != NewFormat::Qcow2 && (cluster_size.is_some() || compress) {
        bail!("only qcow2 images have clusters that can be chosen or compressed");
    }
    Ok(match format {
        NewFormat::Raw => TargetFormat::Raw,
        NewFormat::Vmdk => TargetFormat::VmdkStreamOptimised,
        NewFormat::Qcow2 => TargetFormat::Qcow2 {
            cluster_size: cluster_size.map_or(Ok(DEFAULT_CLUSTER), size::parse)?,
            compress,
        },
    })
}

fn create(command: &CreateDisk, job: &Job<'_>) -> anyhow::Result<()> {
    let bytes = command.size.as_deref().map(size::parse).transpose()?;
    if let Some(base) = &command.base {
        let mut base = Source::new(base);
        base.format = command.base_format.as_deref().map(named).transpose()?;
        return Ok(tools::linked_clone(&base, &command.file, bytes, job)?);
    }
    let cluster_size = command.cluster_size.as_deref();
    let format = target_format(&command.file, command.format, cluster_size, false)?;
    let preallocation = match command.preallocation {
        PreallocationChoice::Off => Preallocation::Off,
        PreallocationChoice::Metadata => Preallocation::Metadata,
        PreallocationChoice::Falloc => Preallocation::Falloc,
        PreallocationChoice::Full => Preallocation::Full,
    };
    let bytes = bytes.context("the size of the disk is missing")?;
    Ok(tools::create(
        &command.file,
        format,
        bytes,
        preallocation,
        job,
    )?)
}

fn info(command: &OneImage, as_json: bool, job: &Job<'_>) -> anyhow::Result<()> {
    let source = source(&command.file, &command.given)?;
    let about = tools::details(&source.file, source.format, &source.backing, job)?;
    if as_json {
        return print_json(&info_json(&about));
    }
    tell(&gettext("File"), &about.file.display())?;
    let variant = if about.variant.is_empty() || about.variant == "raw" {
        String::new()
    } else {
        format!(" ({})", translated(&about.variant))
    };
    tell(&gettext("Format"), &format!("{}{variant}", about.format))?;
    let bytes = gettext_with(
        "{size} ({number} bytes)",
        &[
            ("size", &size::show(about.virtual_size)),
            ("number", &about.virtual_size),
        ],
    );
    tell(&gettext("Disk"), &bytes)?;
    let taken = gettext_with(
        "{size}, of which {taken} are taken",
        &[
            ("size", &size::show(about.file_size)),
            ("taken", &size::show(about.allocated_size)),
        ],
    );
    tell(&gettext("File on this computer"), &taken)?;
    for image in &about.chain {
        let size = size::show(image.virtual_size);
        let (file, format) = (image.file.display(), image.format);
        tell(&gettext("Based on"), &format!("{file} ({format}, {size})"))?;
    }
    if let Some(reason) = &about.broken_chain {
        let what = gettext("What it is based on cannot be read");
        tell(&what, &translated(reason))?;
    }
    if let Some(qcow2) = &about.qcow2 {
        tell_qcow2(qcow2)?;
    }
    if about.in_use {
        let how = gettext("another program has it open for writing.");
        tell(&gettext("In use"), &how)?;
    }
    for (process, name) in &about.processes {
        let who = gettext_with(
            "process {number} ({program})",
            &[("number", process), ("program", name)],
        );
        tell(&gettext("Opened by"), &who)?;
    }
    Ok(())
}

/// What is to be told of a qcow2 image besides.
fn tell_qcow2(qcow2: &Qcow2Details) -> anyhow::Result<()> {
    let clusters = gettext_with(
        "{size}, counted in {bits} bits, compressed with {compression}",
        &[
            ("size", &size::show(qcow2.cluster_size)),
            ("bits", &qcow2.refcount_bits),
            ("compression", &qcow2.compression),
        ],
    );
    tell(&gettext("Clusters"), &clusters)?;
    if let Some(usage) = &qcow2.usage {
        let allocated = gettext_with(
            "{allocated} of {total} clusters, {compressed} of them compressed, {fragmented} out of order",
            &[
                ("allocated", &usage.allocated),
                ("total", &usage.total),
                ("compressed", &usage.compressed),
                ("fragmented", &usage.fragmented),
            ],
        );
        tell(&gettext("Allocated"), &allocated)?;
    }
    if let Some(second) = &qcow2.second {
        tell_second(second)?;
    }
    if !qcow2.features.is_empty() {
        let features = qcow2.features.iter().map(|feature| translated(feature));
        let features: Vec<String> = features.collect();
        tell(&gettext("Features"), &features.join(", "))?;
    }
    for snapshot in &qcow2.snapshots {
        let named = format!("{} {}", snapshot.id, snapshot.name);
        tell(&gettext("Internal snapshot"), &named)?;
    }
    Ok(())
}

fn tell_second(second: &SecondOpinion) -> anyhow::Result<()> {
    print(&gettext_with(
        "Second reader (qcow2-rs): {opinion}",
        &[("opinion", &translated(&opinion(second)))],
    ))
}

fn info_json(about: &Details) -> serde_json::Value {
    let qcow2 = about.qcow2.as_ref().map(|qcow2| {
        json!({
            "version": qcow2.version,
            "cluster_size": qcow2.cluster_size,
            "refcount_bits": qcow2.refcount_bits,
            "compression": qcow2.compression,
            "features": qcow2.features,
            "backing_file": qcow2.backing_file,
            "backing_format": qcow2.backing_format,
            "data_file": qcow2.data_file,
            "snapshots": qcow2.snapshots.iter().map(|snapshot| json!({
                "id": snapshot.id, "name": snapshot.name, "time": snapshot.time,
                "state_size": snapshot.state_size, "disk_size": snapshot.disk_size,
            })).collect::<Vec<_>>(),
            "usage": qcow2.usage.map(|usage| json!({
                "total": usage.total, "allocated": usage.allocated,
                "compressed": usage.compressed, "fragmented": usage.fragmented,
            })),
            "second_reader": qcow2.second.as_ref().map(opinion),
        })
    });
    json!({
        "file": about.file,
        "format": about.format.name(),
        "variant": about.variant,
        "virtual_size": about.virtual_size,
        "file_size": about.file_size,
        "allocated_size": about.allocated_size,
        "chain": about.chain.iter().map(|image| json!({
            "file": image.file, "format": image.format.name(), "virtual_size": image.virtual_size,
        })).collect::<Vec<_>>(),
        "broken_chain": about.broken_chain,
        "qcow2": qcow2,
        "in_use": about.in_use,
        "processes": about.processes.iter().map(|(process, name)| json!({ "process": process, "name": name })).collect::<Vec<_>>(),
    })
}

/// What the second reader says, in words.
fn opinion(second: &SecondOpinion) -> String {
    match second {
        SecondOpinion::Agrees => "agrees".to_owned(),
        SecondOpinion::Differs(how) => format!("differs, {how}"),
        SecondOpinion::NotAsked(why) => format!("not asked, {why}"),
    }
}

fn report_json(report: &CheckReport) -> serde_json::Value {
    let findings: Vec<_> = report
        .findings
        .iter()
        .map(|finding| {
            let severity = match finding.severity {
                Severity::Damage => "damage",
                Severity::Leak => "leak",
                Severity::Note => "note",
            };
            json!({ "severity": severity, "text": finding.text })
        })
        .collect();
    json!({
        "format": report.format.name(), "clean": report.is_clean(), "damage": report.damage, "leaks": report.leaks, "findings": findings,
        "second_reader": report.second.as_ref().map(opinion),
    })
}

fn print_report(report: &CheckReport) -> anyhow::Result<()> {
    for finding in &report.findings {
        let word = match finding.severity {
            Severity::Damage => gettext("Damage"),
            Severity::Leak => gettext("Waste"),
            Severity::Note => gettext("Note"),
        };
        print(&format!("{word}: {}", translated(&finding.text)))?;
    }
    Ok(())
}

fn nothing_wrong(file: &Path) -> anyhow::Result<()> {
    print(&gettext_with(
        "Nothing is wrong with {file}.",
        &[("file", &file.display())],
    ))
}

fn check(command: &OneImage, as_json: bool, job: &Job<'_>) -> anyhow::Result<()> {
    let source = source(&command.file, &command.given)?;
    let report = check::check(&source.file, source.format, job)?;
    if as_json {
        print_json(&report_json(&report))?;
    } else {
        print_report(&report)?;
        if report.is_clean() {
            nothing_wrong(&source.file)?;
        }
        if let Some(second) = &report.second {
            tell_second(second)?;
        }
    }
    let file = source.file.display();
    if report.damage > 0 {
        bail!(
            "{file} is damaged in {} places; restore it from a backup, or mend it with \"guesthouse disk repair --damage\"",
            report.damage
        );
    }
    if report.leaks > 0 {
        bail!(
            "{file} wastes {} clusters, no data is in danger; \"guesthouse disk repair\" gives them back",
            report.leaks
        );
    }
    Ok(())
}

fn repair(command: &RepairDisk, as_json: bool, job: &Job<'_>) -> anyhow::Result<()> {
    let done = check::repair(&command.file, command.damage, job)?;
    if as_json {
        return print_json(&json!({
            "before": report_json(&done.before), "after": report_json(&done.after), "tables": done.backup, "lost_clusters": done.lost,
        }));
    }
    let file = command.file.display();
    let Some(backup) = &done.backup else {
        return nothing_wrong(&command.file);
    };
    print_report(&done.before)?;
    print(&gettext_with(
        "The tables as they were are in {file}; remove it when the disk is well.",
        &[("file", &backup.display())],
    ))?;
    if done.lost > 0 {
        print(&ngettext_with(
            "{number} cluster of the disk was lost and reads as zeros now.",
            "{number} clusters of the disk were lost and read as zeros now.",
            done.lost,
            &[],
        ))?;
    }
    if !done.after.is_clean() {
        print_report(&done.after)?;
        bail!("{file} could not be mended whole; restore it from a backup");
    }
    print(&gettext_with("{file} is mended.", &[("file", &file)]))
}

fn resize(command: &ResizeDisk, job: &Job<'_>) -> anyhow::Result<()> {
    let source = source(&command.file, &command.given)?;
    let format = format_of(&source)?;
    let bytes = match command.size.strip_prefix('+') {
        Some(more) => {
            let about = tools::details(&source.file, Some(format), &source.backing, job)?;
            about
                .virtual_size
                .checked_add(size::parse(more)?)
                .context("the disk would become larger than can be counted")?
        }
        None => size::parse(&command.size)?,
    };
    Ok(tools::resize(
        &source.file,
        format,
        &source.backing,
        bytes,
        command.force,
        job,
    )?)
}

fn convert(command: &ConvertDisk, job: &Job<'_>) -> anyhow::Result<()> {
    let cluster_size = command.cluster_size.as_deref();
    let format = target_format(&command.target, command.to, cluster_size, command.compress)?;
    let begin = || Unfinished::at(&command.target, occupied(command.replace));
    let packed = command.source.extension().is_some_and(|extension| {
        extension.eq_ignore_ascii_case("ova") || extension.eq_ignore_ascii_case("ovf")
    });
    if packed && command.given.format.is_none() {
        let appliance = Appliance::read(&command.source)?;
        let disk = appliance
            .disks
            .get(usize::from(command.disk) - 1)
            .with_context(|| {
                format!(
                    "{} has {} disks",
                    command.source.display(),
                    appliance.disks.len()
                )
            })?;
        return Ok(tools::import_disk(
            &appliance,
            disk,
            begin()?,
            format,
            command.verify,
            job,
        )?);
    }
    let mut source = source(&command.source, &command.given)?;
    source.snapshot.clone_from(&command.snapshot);
    Ok(tools::convert_into(
        &source,
        begin()?,
        format,
        command.verify,
        job,
    )?)
}

fn rebase(command: &RebaseDisk, job: &Job<'_>) -> anyhow::Result<()> {
    let source = based(&command.file, &command.backing);
    let base = match &command.base {
        Some(base) => {
            let mut base = Source::new(base);
            base.format = command.base_format.as_deref().map(named).transpose()?;
            Some(base)
        }
        None => None,
    };
    if command.name_only {
        let base = match &base {
            Some(base) => Some((base.file.as_path(), format_of(base)?)),
            None => None,
        };
        return Ok(tools::rebase_unsafe(&command.file, base, job)?);
    }
    Ok(tools::rebase(
        &command.file,
        &source.backing,
        base.as_ref(),
        job,
    )?)
}

fn commit(command: &CommitDisk, as_json: bool, job: &Job<'_>) -> anyhow::Result<()> {
    let source = based(&command.file, &command.backing);
    let outcome = tools::commit(&command.file, &source.backing, command.remove, job);
    if let Err(ToolError::Cancelled) = outcome {
        bail!(
            "cancelled; the disk in {} is what it was. What it is based on has a part of its data already, which is hidden by it: do not use that image by itself, and commit again to finish",
            command.file.display()
        );
    }
    let base = outcome?;
    if as_json {
        return print_json(&json!({ "base": base }));
    }
    print(&gettext_with(
        "{file} has it all now.",
        &[("file", &base.display())],
    ))
}

fn compare(command: &CompareDisks, as_json: bool, job: &Job<'_>) -> anyhow::Result<()> {
    let one = based(&command.one, &command.backing);
    let other = based(&command.other, &command.backing);
    let differs = tools::compare_disks(&one, &other, job)?;
    if as_json {
        print_json(&json!({ "identical": differs.is_none(), "differs_at": differs }))?;
    }
    match differs {
        None if as_json => Ok(()),
        None => print(&gettext("The disks are identical.")),
        Some(offset) => bail!("the disks differ at byte {offset}"),
    }
}
