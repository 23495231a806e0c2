//! Images made to hurt: refused by name, in bounded time and memory, whoever opens them.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::*;
use crate::disk::Backing;
use crate::disk::check::check;
use crate::disk::formats::Format;
use crate::disk::formats::ova::Appliance;

fn poke(file: &Path, offset: u64, bytes: &[u8]) {
    let file = OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(bytes, offset).unwrap();
}

fn refusal(file: &Path) -> String {
    let target = file.with_extension("out");
    let error = convert(
        &Source::new(file),
        &target,
        TargetFormat::Raw,
        false,
        &Job::quiet(),
    );
    assert!(!target.exists());
    error.unwrap_err().to_string()
}

#[test]
fn chains_in_a_circle_are_refused() {
    let folder = Folder::new();
    let files: Vec<_> = (0..3)
        .map(|number| folder.path(&format!("{number}.qcow2")))
        .collect();
    for file in &files {
        qemu_img(&["create", "-f", "qcow2", file.to_str().unwrap(), "1M"]);
    }
    for (number, file) in files.iter().enumerate() {
        let base = &files[(number + 1) % 3];
        rebase_unsafe(file, Some((base, Format::Qcow2)), &Job::quiet()).unwrap();
    }
    assert!(
        refusal(&files[0]).contains("has itself among"),
        "{}",
        refusal(&files[0])
    );
    rebase_unsafe(&files[1], Some((&files[1], Format::Qcow2)), &Job::quiet()).unwrap();
    assert!(refusal(&files[1]).contains("has itself among"));
    let about = details(
        &files[1],
        None,
        &Source::new(&files[1]).backing,
        &Job::quiet(),
    )
    .unwrap();
    assert!(about.broken_chain.unwrap().contains("has itself among"));
}

#[test]
fn chains_without_end_are_refused() {
    let folder = Folder::new();
    let mut below = folder.path("0.qcow2");
    create(
        &below,
        TargetFormat::QCOW2,
        1 << 20,
        Preallocation::Off,
        &Job::quiet(),
    )
    .unwrap();
    for number in 1..70 {
        let file = folder.path(&format!("{number}.qcow2"));
        fs::copy(&below, &file).unwrap();
        rebase_unsafe(&file, Some((&below, Format::Qcow2)), &Job::quiet()).unwrap();
        below = file;
    }
    assert!(
        refusal(&below).contains("more than 64 other images"),
        "{}",
        refusal(&below)
    );
}

#[test]
fn files_that_nobody_agreed_to_are_not_opened() {
    let folder = Folder::new();
    fs::create_dir(folder.path("images")).unwrap();
    let secret = folder.path("secret");
    fs::write(&secret, vec![b'S'; 1 << 20]).unwrap();
    let link = folder.path("images/link");
    std::os::unix::fs::symlink(&secret, &link).unwrap();
    let overlay = folder.path("images/overlay.qcow2");
    create(
        &overlay,
        TargetFormat::QCOW2,
        1 << 20,
        Preallocation::Off,
        &Job::quiet(),
    )
    .unwrap();
    for name in [&secret, &link] {
        rebase_unsafe(&overlay, Some((name, Format::Raw)), &Job::quiet()).unwrap();
        let said = refusal(&overlay);
        assert!(
            said.contains("secret") && said.contains("--backing"),
            "{said}"
        );
    }
    for name in ["../secret", secret.to_str().unwrap(), "link"] {
        let descriptor = folder.path("images/disk.vmdk");
        fs::write(
            &descriptor,
            format!("# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\nRW 2048 FLAT \"{name}\" 0\n"),
        )
        .unwrap();
        let said = refusal(&descriptor);
        assert!(said.contains("--backing"), "{name}: {said}");
    }
    // A description whose disk lies elsewhere.
    let description = folder.path("images/machine.ovf");
    fs::write(&description, "<Envelope><References><File id=\"f\" href=\"../secret\"/></References><DiskSection><Disk diskId=\"d\" fileRef=\"f\"/></DiskSection><VirtualSystem id=\"x\"/></Envelope>").unwrap();
    let error = Appliance::read(&description).unwrap_err();
    assert!(error.to_string().contains("does not exist"), "{error}");
}

#[test]
fn an_external_data_file_elsewhere_is_not_opened() {
    let folder = Folder::new();
    fs::create_dir(folder.path("images")).unwrap();
    let file = folder.path("images/disk.qcow2");
    let data = folder.path("data.raw");
    let options = format!("data_file={}", data.display());
    qemu_img(&[
        "create",
        "-f",
        "qcow2",
        "-o",
        &options,
        file.to_str().unwrap(),
        "1M",
    ]);
    assert!(refusal(&file).contains("--backing"));
    let mut agreed = Source::new(&file);
    agreed.backing = Backing {
        files: vec![data],
        folders: Vec::new(),
    };
    convert(
        &agreed,
        &folder.path("out"),
        TargetFormat::Raw,
        false,
        &Job::quiet(),
    )
    .unwrap();
}

#[test]
fn sizes_beyond_all_reason_are_refused() {
    for (offset, bytes, words) in [
        (
            24,
            &u64::MAX.to_be_bytes()[..],
            "size of its disk is out of range",
        ),
        (
            24,
            &(u64::MAX >> 1).to_be_bytes()[..],
            "L1 table is too short",
        ),
        (
            36,
            &u32::MAX.to_be_bytes()[..],
            "larger than any that is needed",
        ),
        (
            40,
            &u64::MAX.to_be_bytes()[..],
            "L1 table lies beyond the end",
        ),
        (
            20,
            &63_u32.to_be_bytes()[..],
            "cluster size is out of range",
        ),
        (
            56,
            &u32::MAX.to_be_bytes()[..],
            "larger than any that is needed",
        ),
        (100, &u32::MAX.to_be_bytes()[..], "length of its header"),
        (32, &1_u32.to_be_bytes()[..], "is encrypted"),
        (72, &(1_u64 << 40).to_be_bytes()[..], "unknown here"),
        (4, &4_u32.to_be_bytes()[..], "version 4"),
    ] {
        let folder = Folder::new();
        let file = folder.path("disk.qcow2");
        create(
            &file,
            TargetFormat::QCOW2,
            1 << 20,
            Preallocation::Off,
            &Job::quiet(),
        )
        .unwrap();
        poke(&file, offset, bytes);
        let said = refusal(&file);
        assert!(
            said.contains(words) && said.contains("disk.qcow2"),
            "{words:?} is not in {said}"
        );
    }
}

#[test]
fn a_table_that_is_its_own_data_is_read_in_bounded_time() {
    let folder = Folder::new();
    let file = folder.path("disk.qcow2");
    create(
        &file,
        TargetFormat::QCOW2,
        64 << 40,
        Preallocation::Off,
        &Job::quiet(),
    )
    .unwrap();
    // Every entry of the L1 table leads to one L2 table, all of whose entries lead to itself.
    let header = fs::read(&file).unwrap();
    let number = |at: usize| u64::from_be_bytes(*header[at..].first_chunk().unwrap());
    let (l1, end) = (number(40), header.len() as u64);
    let entries = u64::from(u32::from_be_bytes(*header[36..].first_chunk().unwrap()));
    let entry = (end | 1 << 63).to_be_bytes();
    poke(&file, end, &entry.repeat(8192));
    poke(&file, l1, &entry.repeat(usize::try_from(entries).unwrap()));
    crate::disk::fuzzing::open(&file, Format::Qcow2);
    let _ = check(&file, Some(Format::Qcow2), &Job::quiet());
    let report = check(&file, None, &Job::quiet()).unwrap();
    assert!(report.damage > 0 && report.findings.len() <= 150);
}
