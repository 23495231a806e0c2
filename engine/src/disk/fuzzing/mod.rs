//! Fuzz targets: images of every format, made by an attacker.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "none of this is part of the program"
)]

mod samples;

use std::os::unix::fs::FileExt;
use std::path::Path;

use super::check::{check, repair as repair_image};
use super::formats::ova::Appliance;
use super::formats::{Chain, ChainOptions, Format, Kind, vhdx_checksum};
use super::tools::{Job, Source, details};
use super::{DiskOptions, Image};
use crate::definition::ImageFormat;
use crate::fuzzing::Input;
use crate::fuzzing::files::{Written, mend_archive};

pub(crate) use samples::{
    appliance_seeds, live_seeds, qcow2_seeds, vdi_seeds, vhd_seeds, vhdx_seeds, vmdk_seeds,
};

/// Reads some of a disk, and looks for its extents in some places. Where an extent says that there are zeros, or nothing, there are
/// zeros: a copy leaves it out.
fn look(chain: &Chain) {
    let mut window = vec![0; 70_000];
    let size = chain.size();
    for place in [
        0,
        size / 3,
        size.saturating_sub(50_000),
        size.saturating_sub(1),
    ] {
        // An error is an answer.
        let _ = chain.extent(place);
        let _ = chain.read(place, &mut window);
    }
    let mut at = 0;
    for _ in 0..8 {
        match chain.extent(at) {
            Ok(Some(extent)) => {
                assert!(extent.length > 0 && extent.length <= size - at);
                let end = at + extent.length;
                let length = extent.length.min(4096);
                for place in [at, end - length] {
                    let part = &mut window[..length as usize];
                    if extent.kind != Kind::Data && chain.read(place, part).is_ok() {
                        assert!(part.iter().all(|byte| *byte == 0), "{extent:?} at {at}");
                    }
                }
                at = end;
            }
            _ => break,
        }
    }
}

/// Everything that opens an image of other people's.
pub(super) fn open(file: &Path, format: Format) {
    let options = ChainOptions {
        format: Some(format),
        backing: Source::new(file).backing,
        ..ChainOptions::default()
    };
    if let Ok(chain) = Chain::open(file, &options) {
        look(&chain);
    }
    let _ = details(file, Some(format), &options.backing, &Job::quiet());
}

pub(crate) fn qcow2(data: &[u8]) {
    let image = Written::new(&mut Input::new(data));
    open(&image.path, Format::Qcow2);
    let _ = check(&image.path, Some(Format::Qcow2), &Job::quiet());
}

/// A repair leaves no more damage than there was, and says what it leaves.
pub(crate) fn repair(data: &[u8]) {
    let image = Written::new(&mut Input::new(data));
    let Ok(repaired) = repair_image(&image.path, true, &Job::quiet()) else {
        return;
    };
    let report = check(&image.path, Some(Format::Qcow2), &Job::quiet()).unwrap();
    assert_eq!(report, repaired.after);
    assert!(
        report.damage <= repaired.before.damage && report.leaks == 0,
        "{repaired:?}"
    );
}

pub(crate) fn vmdk(data: &[u8]) {
    open(&Written::new(&mut Input::new(data)).path, Format::Vmdk);
}

pub(crate) fn vdi(data: &[u8]) {
    open(&Written::new(&mut Input::new(data)).path, Format::Vdi);
}

pub(crate) fn vhd(data: &[u8]) {
    let image = Written::new(&mut Input::new(data));
    let length = image.file.metadata().unwrap().len();
    for at in [0, length.saturating_sub(512)] {
        let mut footer = image.bytes(at, 512);
        if footer.len() == 512 {
            samples::sum_footer(&mut footer);
            image.file.write_all_at(&footer, at).unwrap();
        }
    }
    open(&image.path, Format::Vhd);
}

pub(crate) fn vhdx(data: &[u8]) {
    let image = Written::new(&mut Input::new(data));
    for (at, length) in [
        (64 << 10, 4096),
        (128 << 10, 4096),
        (192 << 10, 64 << 10),
        (256 << 10, 64 << 10),
    ] {
        let mut part = image.bytes(at, length);
        if part.len() == length && part.iter().any(|byte| *byte != 0) {
            part[4..8].fill(0);
            let sum = vhdx_checksum(&part);
            image.file.write_all_at(&sum.to_le_bytes(), at + 4).unwrap();
        }
    }
    open(&image.path, Format::Vhdx);
}

pub(crate) fn appliance(data: &[u8]) {
    let mut bytes = crate::fuzzing::files::content(&mut Input::new(data), 1 << 20);
    mend_archive(&mut bytes);
    let folder = crate::fuzzing::files::folder();
    let file = folder.path().join("machine.ova");
    std::fs::write(&file, &bytes).unwrap();
    let Ok(appliance) = Appliance::read(&file) else {
        return;
    };
    for disk in appliance.disks.iter().take(8) {
        if let Ok(chain) = appliance.open(disk) {
            look(&chain);
        }
    }
}

/// A disk of at most so many bytes is compared with what it should hold.
const COMPARED: u64 = 4 << 20;

/// A running machine's disk: the image is an attacker's, and so is the guest. One that was sound before is sound afterwards, and
/// holds what was written, as the independent reader sees it.
pub(crate) fn live(data: &[u8]) {
    let mut input = Input::new(data);
    let count = input.word().into();
    let mut steps = Input::new(input.bytes(count));
    let image = Written::new(&mut input);
    let options = DiskOptions::new(ImageFormat::Qcow2);
    let sound = |path: &Path| {
        check(path, Some(Format::Qcow2), &Job::quiet()).is_ok_and(|report| report.is_clean())
    };
    let sound_before = sound(&image.path);
    let _ = options.check_references(&image.path);
    let Ok(disk) = options.open(&image.path) else {
        return;
    };
    let compared = sound_before && disk.size() <= COMPARED;
    let read = |snapshot| compared.then(|| read_all(&image.path, snapshot)).flatten();
    let (mut model, kept) = (read(None), read(Some("1")));
    while let Some(code) = steps.code() {
        step(code, &mut steps, &*disk, &mut model);
    }
    let _ = disk.flush();
    drop(disk);
    if sound_before {
        let report = check(&image.path, Some(Format::Qcow2), &Job::quiet()).unwrap();
        assert!(report.is_clean(), "{report:?}");
    }
    if let Some(model) = model {
        let content = read_all(&image.path, None).unwrap();
        assert!(content == model, "the disk holds something else");
    }
    if let Some(kept) = kept {
        let content = read_all(&image.path, Some("1")).unwrap();
        assert!(content == kept, "the snapshot holds something else");
    }
}

/// All of a disk, or of one of its snapshots.
fn read_all(path: &Path, snapshot: Option<&str>) -> Option<Vec<u8>> {
    let options = ChainOptions {
        format: Some(Format::Qcow2),
        snapshot: snapshot.map(str::to_owned),
        ..ChainOptions::default()
    };
    let chain = Chain::open(path, &options).ok()?;
    let size = Some(chain.size()).filter(|size| *size <= 2 * COMPARED)?;
    let mut content = vec![0; usize::try_from(size).ok()?];
    chain.read(0, &mut content).ok()?;
    Some(content)
}

/// A request of the guest's.
fn step(code: u8, input: &mut Input<'_>, disk: &dyn Image, model: &mut Option<Vec<u8>>) {
    let (place, length, value) = (input.long(), usize::from(input.word()), input.byte());
    // Near the beginning, near the end, or anywhere.
    let offset = match place >> 30 {
        0 | 1 => u64::from(place & 0x1f_ffff),
        2 => disk.size().saturating_sub(u64::from(place & 0xf_ffff)),
        _ => u64::from(place & 0x3fff_ffff) << 12,
    };
    let length = length.min(usize::try_from(disk.size().saturating_sub(offset)).unwrap());
    let begin = usize::try_from(offset).unwrap();
    let range = begin..begin + length;
    let outcome = match code % 8 {
        0 | 1 => {
            let data: Vec<u8> = (0..length)
                .map(|at| value.wrapping_add((at / 512) as u8))
                .collect();
            let outcome = disk.write_at(offset, &data);
            if let (Ok(()), Some(model)) = (&outcome, model.as_mut()) {
                model[range].copy_from_slice(&data);
            }
            outcome
        }
        2 => {
            let mut data = vec![0; length];
            let outcome = disk.read_at(offset, &mut data);
            if let (Ok(()), Some(model)) = (&outcome, model.as_mut()) {
                assert!(data == model[range], "the disk reads otherwise");
            }
            outcome
        }
        3 | 4 => {
            // Larger pieces than those that are written: whole clusters are to be among them.
            let length = (length << (value & 7))
                .min(usize::try_from(disk.size() - offset.min(disk.size())).unwrap());
            let range = begin..begin + length;
            let zeroes = code % 8 == 3;
            let outcome = if zeroes {
                disk.write_zeroes(offset, length as u64, value & 0x80 != 0)
            } else {
                disk.discard(offset, length as u64)
            };
            if let (Ok(()), Some(model)) = (&outcome, model.as_mut()) {
                let mut after = vec![0; length];
                disk.read_at(offset, &mut after).unwrap();
                for (is, was) in after.iter().zip(&model[range.clone()]) {
                    assert!(
                        *is == 0 || !zeroes && is == was,
                        "neither zeros nor what was there"
                    );
                }
                model[range].copy_from_slice(&after);
            }
            outcome
        }
        6 => {
            let size = disk.size().saturating_add(512 * u64::from(value));
            let outcome = disk.resize(size);
            if let (Ok(()), Some(model)) = (&outcome, model.as_mut()) {
                model.resize(usize::try_from(size).unwrap(), 0);
            }
            outcome
        }
        _ => disk.flush(),
    };
    // What was half done may be anything.
    if outcome.is_err() {
        *model = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_can_be_opened() {
        for (format, seeds) in [
            (Format::Qcow2, qcow2_seeds()),
            (Format::Vmdk, vmdk_seeds()),
            (Format::Vdi, vdi_seeds()),
            (Format::Vhd, vhd_seeds()),
            (Format::Vhdx, vhdx_seeds()),
        ] {
            for (number, seed) in seeds.iter().enumerate() {
                let image = Written::new(&mut Input::new(seed));
                let options = ChainOptions {
                    format: Some(format),
                    backing: Source::new(&image.path).backing,
                    alone: true,
                    ..ChainOptions::default()
                };
                let chain = Chain::open(&image.path, &options)
                    .unwrap_or_else(|error| panic!("{format} {number}: {error}"));
                let mut content = vec![0; 200_000];
                chain
                    .read(0, &mut content)
                    .unwrap_or_else(|error| panic!("{format} {number}: {error}"));
                assert!(content.iter().any(|byte| *byte != 0), "{format} {number}");
            }
        }
        for seed in appliance_seeds() {
            let bytes = crate::fuzzing::files::content(&mut Input::new(&seed), 1 << 20);
            let folder = crate::fuzzing::files::folder();
            let file = folder.path().join("machine.ova");
            std::fs::write(&file, &bytes).unwrap();
            assert_eq!(Appliance::read(&file).unwrap().disks.len(), 1);
        }
    }
}
