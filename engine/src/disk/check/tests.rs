//! Images that were damaged on purpose, judged by qemu-img before and after.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::super::formats::Container;
use super::super::formats::qcow2::Header;
use super::super::tools::tests::{Folder, assert_sound, content, qemu_img, qemu_io};
use super::*;

/// An image with data in several tables, zeros, and a snapshot if wanted.
fn image(folder: &Folder, options: &str, snapshot: bool) -> std::path::PathBuf {
    let file = folder.path("disk.qcow2");
    qemu_img(&[
        "create",
        "-f",
        "qcow2",
        "-o",
        options,
        file.to_str().unwrap(),
        "64M",
    ]);
    qemu_io(
        "qcow2",
        &file,
        &[
            "write -P 1 0 1M",
            "write -P 2 20M 300k",
            "write -z 30M 1M",
            "write -P 3 60M 64k",
        ],
    );
    if snapshot {
        qemu_img(&["snapshot", "-c", "one", file.to_str().unwrap()]);
        qemu_io("qcow2", &file, &["write -P 4 512k 1M"]);
        qemu_img(&["snapshot", "-c", "two", file.to_str().unwrap()]);
        qemu_io("qcow2", &file, &["write -P 5 20M 64k"]);
    }
    file
}

fn found(file: &Path) -> CheckReport {
    check(file, None, &Job::quiet()).unwrap()
}

fn header(file: &Path) -> Header {
    Header::read(&Container::open(file, false).unwrap()).unwrap()
}

fn poke(file: &Path, offset: u64, bytes: &[u8]) {
    let file = OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(bytes, offset).unwrap();
}

fn peek(file: &Path, offset: u64) -> u64 {
    let mut bytes = [0; 8];
    fs::File::open(file)
        .unwrap()
        .read_exact_at(&mut bytes, offset)
        .unwrap();
    u64::from_be_bytes(bytes)
}

const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;

#[test]
fn sound_images_are_found_sound() {
    for (options, snapshot) in [
        ("compat=0.10", true),
        ("cluster_size=512", true),
        ("cluster_size=4k,refcount_bits=16", true),
        ("cluster_size=2M", false),
        ("refcount_bits=1", false),
        ("refcount_bits=2", true),
        ("refcount_bits=8", true),
        ("refcount_bits=64", true),
        ("extended_l2=on", true),
        ("preallocation=metadata", false),
        ("lazy_refcounts=on", false),
    ] {
        let folder = Folder::new();
        let file = image(&folder, options, snapshot);
        let report = found(&file);
        assert!(report.is_clean(), "{options}: {report:?}");
        let fits = ["cluster_size=4k", "preallo", "lazy"];
        let fits = fits.iter().any(|fit| options.starts_with(fit));
        let second = report.second.unwrap();
        assert_eq!(
            second == SecondOpinion::Agrees,
            fits,
            "{options}: {second:?}"
        );
        assert!(fits || matches!(second, SecondOpinion::NotAsked(_)));
    }
}

#[test]
fn the_second_reader_notices_what_was_read_otherwise() {
    let folder = Folder::new();
    let file = image(&folder, "cluster_size=64k", false);
    let walk = || Tables::walk(Container::open(&file, false).unwrap(), &Job::quiet()).unwrap();
    let before = walk();
    assert_eq!(second_opinion(&before), SecondOpinion::Agrees);
    // One cluster more than it was walked with.
    qemu_io("qcow2", &file, &["write -P 5 50M 64k"]);
    assert!(matches!(second_opinion(&before), SecondOpinion::Differs(_)));
    assert_eq!(second_opinion(&walk()), SecondOpinion::Agrees);
    // An overlay alone, whatever is beneath it.
    let overlay = folder.path("overlay.qcow2");
    let base = file.to_str().unwrap();
    qemu_img(&[
        "create",
        "-q",
        "-f",
        "qcow2",
        "-F",
        "qcow2",
        "-b",
        base,
        overlay.to_str().unwrap(),
    ]);
    qemu_io(
        "qcow2",
        &overlay,
        &["write -P 6 1M 300k", "write -z 30M 1M"],
    );
    assert_eq!(found(&overlay).second, Some(SecondOpinion::Agrees));
}

#[test]
fn compressed_clusters_and_bitmaps_are_counted() {
    let folder = Folder::new();
    let plain = image(&folder, "compat=1.1", false);
    let packed = folder.path("packed.qcow2");
    for options in ["cluster_size=64k", "cluster_size=4k"] {
        qemu_img(&[
            "convert",
            "-c",
            "-O",
            "qcow2",
            "-o",
            options,
            plain.to_str().unwrap(),
            packed.to_str().unwrap(),
        ]);
        qemu_img(&["bitmap", "--add", packed.to_str().unwrap(), "changes"]);
        qemu_io("qcow2", &packed, &["write -P 9 40M 1M"]);
        let report = found(&packed);
        assert!(report.is_clean(), "{report:?}");
        fs::remove_file(&packed).unwrap();
    }
}

/// Damages an image by `damage`, which qemu-img and the check must both notice; then the repair must satisfy both.
fn repaired(
    options: &str,
    snapshot: bool,
    keeps: bool,
    damage: impl Fn(&Path, &Header),
) -> Repaired {
    let folder = Folder::new();
    let file = image(&folder, options, snapshot);
    let before = content("qcow2", &file);
    damage(&file, &header(&file));
    let code = std::process::Command::new("qemu-img")
        .args(["check", "-f", "qcow2"])
        .arg(&file)
        .output()
        .unwrap()
        .status
        .code();
    assert_ne!(code, Some(0), "qemu-img sees nothing wrong");
    let report = found(&file);
    assert!(!report.is_clean());
    assert_eq!(report.damage > 0, code != Some(3), "{report:?}");
    if report.damage > 0 {
        let refused = repair(&file, false, &Job::quiet()).unwrap_err();
        assert!(refused.to_string().contains("--damage"), "{refused}");
        assert_eq!(folder.names().len(), 1);
    }
    let done = repair(&file, true, &Job::quiet()).unwrap();
    assert_eq!(done.before, report);
    assert!(done.after.is_clean(), "{:?}", done.after);
    assert!(done.backup.as_ref().unwrap().exists());
    assert_sound(&file);
    if keeps {
        assert!(before == content("qcow2", &file), "data changed");
        assert_eq!(done.lost, 0);
    }
    done
}

#[test]
fn lost_counts_are_made_anew() {
    for options in [
        "compat=0.10",
        "refcount_bits=1",
        "cluster_size=4k",
        "refcount_bits=64",
    ] {
        repaired(options, false, true, |file, header| {
            let block = peek(file, header.refcount_table_offset);
            poke(
                file,
                block,
                &vec![0; usize::try_from(header.cluster_size()).unwrap()],
            );
        });
        repaired(options, false, true, |file, header| {
            poke(file, header.refcount_table_offset, &[0; 8]);
        });
    }
    repaired("compat=1.1", true, true, |file, header| {
        poke(file, header.refcount_table_offset, &[0; 8]);
    });
    repaired("compat=1.1", true, true, |file, header| {
        poke(file, header.refcount_table_offset, &OFFSET.to_be_bytes());
    });
}

#[test]
fn a_compressed_cluster_that_goes_on_behind_the_end_is_shortened() {
    let folder = Folder::new();
    let plain = image(&folder, "compat=1.1", false);
    let file = folder.path("packed.qcow2");
    let names = [plain.to_str().unwrap(), file.to_str().unwrap()];
    qemu_img(&["convert", "-c", "-O", "qcow2", names[0], names[1]]);
    let before = content("qcow2", &file);
    // Of the clusters the one that lies last in the file.
    let table = peek(&file, header(&file).l1_offset) & OFFSET;
    let (place, entry) = (0..8192)
        .map(|number| table + 8 * number)
        .map(|place| (place, peek(&file, place)))
        .filter(|(_, entry)| entry >> 62 == 1)
        .max_by_key(|(_, entry)| entry & ((1 << 54) - 1))
        .unwrap();
    poke(&file, place, &(entry | 0xff << 54).to_be_bytes());
    let report = found(&file);
    assert!(
        report.findings[0]
            .text
            .contains("goes on behind the end of the file"),
        "{report:?}"
    );
    let done = repair(&file, true, &Job::quiet()).unwrap();
    assert!(done.after.is_clean() && done.lost == 0, "{done:?}");
    assert_sound(&file);
    assert!(before == content("qcow2", &file), "data changed");
}

#[test]
fn tables_and_snapshots_that_cannot_be_read_are_not_given_out() {
    type Damage = fn(&Path, &Header);
    let damages: [Damage; 4] = [
        // The disk's own table is where none can be.
        |file, header| poke(file, 40, &(header.l1_offset + 512).to_be_bytes()),
        |file, _| poke(file, 64, &(1_u64 << 40).to_be_bytes()),
        // Its L1 table is where the disk's data is, which a repair would take for entries.
        |file, header| {
            let table = peek(file, header.l1_offset) & OFFSET;
            let data = peek(file, table) & OFFSET;
            poke(file, header.snapshots_offset, &data.to_be_bytes());
        },
        |file, header| {
            poke(file, header.snapshots_offset + 8, &u32::MAX.to_be_bytes());
        },
    ];
    for damage in damages {
        let folder = Folder::new();
        let file = image(&folder, "compat=1.1", true);
        damage(&file, &header(&file));
        let before = fs::read(&file).unwrap();
        assert!(found(&file).damage > 0);
        let refused = repair(&file, true, &Job::quiet()).unwrap_err();
        assert!(
            refused
                .to_string()
                .contains("snapshots that cannot be read"),
            "{refused}"
        );
        assert!(before == fs::read(&file).unwrap());
        assert_eq!(folder.names().len(), 1);
    }
}

#[test]
fn bits_that_mean_nothing_are_taken_out_of_the_l1_table() {
    repaired("compat=1.1", false, true, |file, header| {
        let entry = peek(file, header.l1_offset);
        poke(file, header.l1_offset, &(entry | 1 | 1 << 60).to_be_bytes());
    });
}

#[test]
fn leaks_are_given_back() {
    let done = repaired("compat=1.1", false, true, |file, header| {
        // A cluster more, which counts as used.
        let cluster = fs::metadata(file)
            .unwrap()
            .len()
            .div_ceil(header.cluster_size());
        poke(file, cluster * header.cluster_size(), &[1; 512]);
        let block = peek(file, header.refcount_table_offset);
        poke(file, block + cluster * 2, &1_u16.to_be_bytes());
    });
    assert!(
        done.before.damage == 0 && done.before.leaks == 1,
        "{:?}",
        done.before
    );
}

#[test]
fn wrong_flags_are_set_right() {
    repaired("compat=1.1", true, true, |file, header| {
        let l2 = peek(file, header.l1_offset);
        poke(file, header.l1_offset, &(l2 ^ 1 << 63).to_be_bytes());
    });
    repaired("compat=1.1", false, true, |file, header| {
        let l2 = peek(file, header.l1_offset) & OFFSET;
        poke(file, l2, &(peek(file, l2) & OFFSET).to_be_bytes());
    });
}

#[test]
fn two_users_of_a_cluster_get_one_count() {
    let done = repaired("compat=1.1", false, false, |file, header| {
        let l2 = peek(file, header.l1_offset) & OFFSET;
        poke(file, l2 + 8, &peek(file, l2).to_be_bytes());
    });
    assert_eq!(done.lost, 0, "both read the same");
}

#[test]
fn data_in_the_place_of_a_table_moves_away() {
    let done = repaired("compat=1.1", false, false, |file, header| {
        let l2 = peek(file, header.l1_offset) & OFFSET;
        poke(file, l2, &(l2 | 1 << 63).to_be_bytes());
    });
    assert!(
        done.before
            .findings
            .iter()
            .any(|finding| finding.text.contains("an L2 table and for data")),
        "{:?}",
        done.before
    );
}

#[test]
fn entries_that_lead_nowhere_are_taken_out() {
    let done = repaired("compat=1.1", false, false, |file, header| {
        let l2 = peek(file, header.l1_offset) & OFFSET;
        poke(file, l2, &(1_u64 << 50 | 1 << 63).to_be_bytes());
        poke(
            file,
            l2 + 8,
            &(((peek(file, l2 + 16) & OFFSET) + 512) | (1 << 63)).to_be_bytes(),
        );
    });
    assert_eq!(done.lost, 2);
    let done = repaired("cluster_size=4k", false, false, |file, header| {
        poke(file, header.l1_offset, &(1_u64 << 50).to_be_bytes());
    });
    assert_eq!(done.lost, 512);
}

#[test]
fn tables_are_kept_as_they_were() {
    let folder = Folder::new();
    let file = image(&folder, "compat=1.1", false);
    let header = header(&file);
    let block = peek(&file, header.refcount_table_offset);
    poke(&file, block, &[0; 64]);
    let before = fs::read(&file).unwrap();
    let done = repair(&file, true, &Job::quiet()).unwrap();
    // Written back to their places, the tables make the image what it was, but for what was added behind its end.
    let copy = fs::read(done.backup.unwrap()).unwrap();
    assert_eq!(copy.len(), before.len());
    let mut restored = fs::read(&file).unwrap();
    for (place, (old, new)) in restored.iter_mut().zip(copy.iter().zip(&before)) {
        if *old != 0 {
            assert_eq!(old, new);
            *place = *old;
        }
    }
    assert_eq!(folder.names(), ["disk.qcow2", "disk.qcow2.tables-1"]);
}

#[test]
fn a_cancelled_repair_changes_nothing() {
    let folder = Folder::new();
    let file = image(&folder, "compat=1.1", false);
    poke(&file, header(&file).refcount_table_offset, &[0; 8]);
    let before = fs::read(&file).unwrap();
    let cancel = super::super::tools::Cancel::default();
    cancel.cancel();
    assert!(matches!(
        repair(&file, true, &Job::new(&|_| {}, cancel)),
        Err(ToolError::Cancelled)
    ));
    assert!(before == fs::read(&file).unwrap());
}

#[test]
fn partitions_beyond_the_end_of_a_raw_image_are_noticed() {
    let folder = Folder::new();
    let file = folder.path("disk.raw");
    let mut start = vec![0; 4096];
    start[510..512].copy_from_slice(&[0x55, 0xaa]);
    start[446 + 4] = 0x83;
    start[446 + 8..446 + 12].copy_from_slice(&2048_u32.to_le_bytes());
    start[446 + 12..446 + 16].copy_from_slice(&8192_u32.to_le_bytes());
    fs::write(&file, &start).unwrap();
    let end = (2048 + 8192) * 512;
    for (length, sound) in [(end, true), (end - 512, false), (end + 100, true)] {
        OpenOptions::new()
            .write(true)
            .open(&file)
            .unwrap()
            .set_len(length)
            .unwrap();
        let report = check(&file, Some(Format::Raw), &Job::quiet()).unwrap();
        assert_eq!(report.is_clean(), sound, "{report:?}");
        assert_eq!(report.findings.is_empty(), length == end);
    }
}
