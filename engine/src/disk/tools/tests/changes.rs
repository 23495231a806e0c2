//! Images changed where they are: resized, compacted, rebased, committed, cloned.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::*;
use crate::disk::Backing;
use crate::disk::check::check;
use crate::disk::formats::Format;
use crate::disk::formats::ova::Appliance;

fn quiet() -> Job<'static> {
    Job::quiet()
}

fn new(folder: &Folder, name: &str, options: &[&str], size: &str, writes: &[&str]) -> PathBuf {
    let file = folder.path(name);
    let mut arguments = vec!["create"];
    arguments.extend(options);
    arguments.extend([file.to_str().unwrap(), size]);
    qemu_img(&arguments);
    qemu_io(options[1], &file, writes);
    file
}

fn of_folder(file: &Path) -> Backing {
    Source::new(file).backing
}

fn resized(file: &Path, format: Format, size: u64, force: bool) -> Result<(), ToolError> {
    resize(file, format, &of_folder(file), size, force, &quiet())
}

const MIB: u64 = 1 << 20;

#[test]
fn disks_grow() {
    for (options, before, after) in [
        (
            ["-f", "raw", "-o", "preallocation=off"],
            64 * MIB,
            200 * MIB,
        ),
        (["-f", "qcow2", "-o", "compat=0.10"], 64 * MIB, 200 * MIB),
        (["-f", "qcow2", "-o", "cluster_size=64k"], 64 * MIB, 1 << 40),
        // A second and a tenth cluster of L1 entries.
        (["-f", "qcow2", "-o", "cluster_size=512"], 2 * MIB, 5 * MIB),
        (
            ["-f", "qcow2", "-o", "cluster_size=512,refcount_bits=64"],
            64 * MIB,
            200 * MIB,
        ),
        (
            ["-f", "qcow2", "-o", "cluster_size=4k,refcount_bits=1"],
            64 * MIB,
            30 << 30,
        ),
        (["-f", "qcow2", "-o", "extended_l2=on"], 64 * MIB, 20 << 40),
    ] {
        let folder = Folder::new();
        let raw = options[1] == "raw";
        let writes = ["write -P 7 0 100k", "write -P 8 1900k 100k"];
        let file = new(&folder, "disk", &options, &before.to_string(), &writes);
        let format = if raw { Format::Raw } else { Format::Qcow2 };
        resized(&file, format, after, false).unwrap();
        let last = (after - 64 * 1024).to_string();
        let fresh = format!("read -P 0 {before} 64k");
        let write = format!("write -P 9 {last} 64k");
        let read = format!("read -P 9 {last} 64k");
        qemu_io(
            options[1],
            &file,
            &[
                "read -P 7 0 100k",
                "read -P 8 1900k 100k",
                &fresh,
                &write,
                &read,
            ],
        );
        if !raw {
            assert_sound(&file);
            assert!(check(&file, None, &quiet()).unwrap().is_clean());
        }
    }
}

#[test]
fn snapshots_survive_growth() {
    let folder = Folder::new();
    let file = new(
        &folder,
        "disk",
        &["-f", "qcow2", "-o", "cluster_size=4k"],
        "64M",
        &["write -P 1 0 1M"],
    );
    qemu_img(&["snapshot", "-c", "one", file.to_str().unwrap()]);
    qemu_io("qcow2", &file, &["write -P 2 0 1M"]);
    resized(&file, Format::Qcow2, 20 << 30, false).unwrap();
    assert_sound(&file);
    qemu_io("qcow2", &file, &["read -P 2 0 1M"]);
    qemu_img(&["snapshot", "-a", "one", file.to_str().unwrap()]);
    qemu_io("qcow2", &file, &["read -P 1 0 1M"]);
    assert_sound(&file);
    let refused = compact(&file, Format::Qcow2, false, &quiet()).unwrap_err();
    assert!(
        refused.to_string().contains("internal snapshots"),
        "{refused}"
    );
}

#[test]
fn disks_shrink_only_when_nothing_is_lost() {
    for options in [["-f", "raw"], ["-f", "qcow2"]] {
        let folder = Folder::new();
        let file = new(
            &folder,
            "disk",
            &options,
            "64M",
            &["write -P 7 0 1M", "write -P 8 40M 4k", "write -P 0 50M 1M"],
        );
        let format = Format::named(options[1]).unwrap();
        let before = fs::read(&file).unwrap();
        let refused = resized(&file, format, 32 * MIB, false).unwrap_err();
        assert!(refused.to_string().contains("would be lost"), "{refused}");
        assert!(fs::read(&file).unwrap() == before);
        resized(&file, format, 41 * MIB, false).unwrap();
        qemu_io(options[1], &file, &["read -P 7 0 1M", "read -P 8 40M 4k"]);
        resized(&file, format, 32 * MIB, true).unwrap();
        assert_eq!(content(options[1], &file).len() as u64, 32 * MIB);
        if format == Format::Qcow2 {
            assert_sound(&file);
        }
        // A partition that ends behind the new end.
        let mut sector = [0_u8; 512];
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        sector[450] = 0x83;
        sector[454] = 1;
        sector[458..462].copy_from_slice(&40_000_u32.to_le_bytes());
        let image =
            crate::disk::open_disk(&file, format.as_image_format().unwrap(), false).unwrap();
        image.write_at(0, &sector).unwrap();
        image.flush().unwrap();
        drop(image);
        let refused = resized(&file, format, 16 * MIB, false).unwrap_err();
        assert!(refused.to_string().contains("partitions"), "{refused}");
    }
}

#[test]
fn an_image_in_use_is_left_alone() {
    let folder = Folder::new();
    let file = new(
        &folder,
        "disk",
        &["-f", "qcow2"],
        "64M",
        &["write -P 7 0 1M"],
    );
    let _machine =
        crate::disk::open_disk(&file, crate::definition::ImageFormat::Qcow2, true).unwrap();
    for outcome in [
        resized(&file, Format::Qcow2, 100 * MIB, false),
        compact(&file, Format::Qcow2, false, &quiet()),
        rebase_unsafe(&file, None, &quiet()),
        commit(&file, &of_folder(&file), false, &quiet()).map(|_| ()),
    ] {
        let error = outcome.unwrap_err();
        assert!(error.to_string().contains("in use"), "{error}");
    }
}

#[test]
fn compacting_gives_space_back() {
    for (options, compress) in [
        (vec!["-f", "raw"], false),
        (vec!["-f", "qcow2"], false),
        (vec!["-f", "qcow2", "-o", "compat=0.10"], true),
        (vec!["-f", "qcow2", "-o", "cluster_size=4k"], true),
    ] {
        let folder = Folder::new();
        let file = new(
            &folder,
            "disk",
            &options,
            "64M",
            &[
                "write -P 7 0 1M",
                "write -P 0 10M 30M",
                "write -P 8 50M 2M",
                "discard 50M 1M",
            ],
        );
        let before = content(options[1], &file);
        let space = fs::metadata(&file).unwrap().blocks();
        compact(
            &file,
            Format::named(options[1]).unwrap(),
            compress,
            &quiet(),
        )
        .unwrap();
        assert!(before == content(options[1], &file));
        assert!(fs::metadata(&file).unwrap().blocks() * 4 < space);
        assert_eq!(folder.names(), ["disk"]);
    }
}

/// A base, another one, and an image over the first.
fn three(folder: &Folder) -> [PathBuf; 3] {
    let base = new(
        folder,
        "base.raw",
        &["-f", "raw"],
        "32M",
        &["write -P 1 0 8M", "write -P 2 30M 2M"],
    );
    let other = new(
        folder,
        "other.qcow2",
        &["-f", "qcow2"],
        "16M",
        &["write -P 1 0 6M", "write -P 3 12M 1M"],
    );
    let top = new(
        folder,
        "top.qcow2",
        &["-f", "qcow2", "-b", "base.raw", "-F", "raw"],
        "40M",
        &["write -P 4 2M 1M", "write -z 4M 1M", "write -P 5 39M 64k"],
    );
    [base, other, top]
}

fn backing(file: &Path) -> Option<String> {
    let backing = of_folder(file);
    details(file, None, &backing, &quiet())
        .unwrap()
        .qcow2
        .unwrap()
        .backing_file
}

#[test]
fn compacting_an_image_over_another_keeps_it_so() {
    let folder = Folder::new();
    let [_, _, top] = three(&folder);
    let before = content("qcow2", &top);
    qemu_io("qcow2", &top, &["write -P 9 20M 4M", "write -z 20M 4M"]);
    let after_write = content("qcow2", &top);
    assert!(before == after_write);
    compact(&top, Format::Qcow2, false, &quiet()).unwrap();
    assert!(before == content("qcow2", &top));
    assert_sound(&top);
    assert_eq!(backing(&top).unwrap(), "base.raw");
    assert!(fs::metadata(&top).unwrap().len() < 3 * MIB);
}

#[test]
fn rebasing_keeps_the_disk_what_it_is() {
    let folder = Folder::new();
    let [base, other, top] = three(&folder);
    let before = content("qcow2", &top);
    rebase(&top, &of_folder(&top), Some(&Source::new(&other)), &quiet()).unwrap();
    assert_eq!(backing(&top).unwrap(), "other.qcow2");
    assert!(before == content("qcow2", &top));
    assert_sound(&top);
    rebase(&top, &of_folder(&top), None, &quiet()).unwrap();
    assert_eq!(backing(&top), None);
    fs::remove_file(base).unwrap();
    fs::remove_file(other).unwrap();
    assert!(before == content("qcow2", &top));
    assert_sound(&top);
    // Not on itself, by detours either.
    let over = folder.path("over.qcow2");
    linked_clone(&Source::new(&top), &over, None, &quiet()).unwrap();
    let error = rebase(&top, &of_folder(&top), Some(&Source::new(&over)), &quiet()).unwrap_err();
    assert!(
        error.to_string().contains("in use") || error.to_string().contains("itself"),
        "{error}"
    );
    assert!(before == content("qcow2", &top));
}

#[test]
fn an_unsafe_rebase_changes_the_name_alone() {
    let folder = Folder::new();
    let [base, _, top] = three(&folder);
    let before = content("qcow2", &top);
    let long = folder.path(&format!("{}.raw", "a long name ".repeat(18)));
    fs::rename(&base, &long).unwrap();
    for _ in 0..3 {
        rebase_unsafe(&top, Some((&long, Format::Raw)), &quiet()).unwrap();
        assert!(before == content("qcow2", &top));
    }
    assert_sound(&top);
    fs::rename(&long, &base).unwrap();
    let error = convert(
        &Source::new(&top),
        &folder.path("x"),
        TargetFormat::Raw,
        false,
        &quiet(),
    )
    .unwrap_err();
    assert!(error.to_string().contains("does not exist"), "{error}");
    rebase_unsafe(&top, Some((&base, Format::Raw)), &quiet()).unwrap();
    assert!(before == content("qcow2", &top));
    rebase_unsafe(&top, None, &quiet()).unwrap();
    assert_eq!(backing(&top), None);
    assert_sound(&top);
}

#[test]
fn committing_moves_the_data_into_the_backing_file() {
    for remove in [false, true] {
        for qcow2 in [false, true] {
            let folder = Folder::new();
            let [base, _, top] = three(&folder);
            let format = if qcow2 {
                let target = folder.path("base.qcow2");
                convert(
                    &Source::new(&base),
                    &target,
                    TargetFormat::QCOW2,
                    false,
                    &quiet(),
                )
                .unwrap();
                rebase_unsafe(&top, Some((&target, Format::Qcow2)), &quiet()).unwrap();
                "qcow2"
            } else {
                "raw"
            };
            if qcow2 {
                // The live image grows with a later change; the tool makes room beforehand.
                resized(&folder.path("base.qcow2"), Format::Qcow2, 40 * MIB, false).unwrap();
            } else {
                resized(&base, Format::Raw, 40 * MIB, false).unwrap();
            }
            let before = content("qcow2", &top);
            let into = commit(&top, &of_folder(&top), remove, &quiet()).unwrap();
            assert!(before == content(format, &into));
            assert_eq!(top.exists(), !remove);
            if !remove {
                assert!(before == content("qcow2", &top));
                assert_sound(&top);
                assert!(fs::metadata(&top).unwrap().len() < MIB);
            }
            if qcow2 {
                assert_sound(&into);
            }
        }
    }
}

#[test]
fn a_linked_clone_shows_its_base() {
    let folder = Folder::new();
    let [base, _, top] = three(&folder);
    let clone = folder.path("clone.qcow2");
    linked_clone(&Source::new(&top), &clone, Some(64 * MIB), &quiet()).unwrap();
    assert_sound(&clone);
    let mut expected = content("qcow2", &top);
    expected.resize(64 << 20, 0);
    assert!(expected == content("qcow2", &clone));
    qemu_io("qcow2", &clone, &["write -P 6 1M 1M"]);
    let about = details(&clone, None, &of_folder(&clone), &quiet()).unwrap();
    let names: Vec<_> = about
        .chain
        .iter()
        .map(|image| image.file.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(names, ["top.qcow2", "base.raw"]);
    assert_eq!(about.virtual_size, 64 * MIB);
    // A backing file elsewhere is opened only when the person agreed.
    let elsewhere = Folder::new();
    let moved = elsewhere.path("base.raw");
    fs::rename(&base, &moved).unwrap();
    rebase_unsafe(&top, Some((&moved, Format::Raw)), &quiet()).unwrap();
    let error = convert(
        &Source::new(&top),
        &folder.path("x"),
        TargetFormat::Raw,
        false,
        &quiet(),
    )
    .unwrap_err();
    assert!(error.to_string().contains("--backing"), "{error}");
    let mut agreed = Source::new(&top);
    agreed.backing.files.push(moved);
    convert(
        &agreed,
        &folder.path("x"),
        TargetFormat::Raw,
        true,
        &quiet(),
    )
    .unwrap();
}

/// Bytes of the disk that a table is for.
fn format_covers(format: TargetFormat) -> u64 {
    match format {
        TargetFormat::Qcow2 { cluster_size, .. } => cluster_size * cluster_size / 8,
        _ => 1,
    }
}

#[test]
fn new_disks_are_what_was_asked_for() {
    for (format, preallocation) in [
        (TargetFormat::Raw, Preallocation::Off),
        (TargetFormat::Raw, Preallocation::Falloc),
        (TargetFormat::Raw, Preallocation::Full),
        (TargetFormat::QCOW2, Preallocation::Off),
        (TargetFormat::QCOW2, Preallocation::Metadata),
        (TargetFormat::QCOW2, Preallocation::Falloc),
        (TargetFormat::QCOW2, Preallocation::Full),
        (
            TargetFormat::Qcow2 {
                cluster_size: 512,
                compress: false,
            },
            Preallocation::Metadata,
        ),
    ] {
        let folder = Folder::new();
        let file = folder.path("disk");
        create(&file, format, 16 * MIB, preallocation, &quiet()).unwrap();
        let name = if format == TargetFormat::Raw {
            "raw"
        } else {
            "qcow2"
        };
        qemu_io(
            name,
            &file,
            &["read -P 0 0 16M", "write -P 1 15M 1M", "read -P 1 15M 1M"],
        );
        if name == "qcow2" {
            assert_sound(&file);
            let usage = details(&file, None, &Backing::default(), &quiet())
                .unwrap()
                .qcow2
                .unwrap()
                .usage
                .unwrap();
            let all = preallocation != Preallocation::Off;
            assert_eq!(usage.allocated == usage.total, all, "{usage:?}");
            // Only the tables lie between.
            assert!(
                usage.fragmented <= 16 * MIB / format_covers(format),
                "{usage:?}"
            );
        }
        let taken = fs::metadata(&file).unwrap().blocks() * 512;
        assert_eq!(
            taken >= 16 * MIB,
            matches!(preallocation, Preallocation::Falloc | Preallocation::Full),
            "{format:?} {preallocation:?}: {taken}"
        );
    }
    let folder = Folder::new();
    let error = create(
        &folder.path("x"),
        TargetFormat::QCOW2,
        1000,
        Preallocation::Off,
        &quiet(),
    )
    .unwrap_err();
    assert!(error.to_string().contains("1 MiB to 64 TiB"));
    let terabyte = folder.path("terabyte");
    create(
        &terabyte,
        TargetFormat::QCOW2,
        1 << 40,
        Preallocation::Off,
        &quiet(),
    )
    .unwrap();
    assert!(fs::metadata(&terabyte).unwrap().len() < MIB);
}

#[test]
fn details_say_what_qemu_says() {
    let folder = Folder::new();
    let file = new(
        &folder,
        "disk",
        &["-f", "qcow2", "-o", "lazy_refcounts=on,cluster_size=128k"],
        "64M",
        &["write -P 1 0 2M", "write -P 1 8M 1M"],
    );
    qemu_img(&["snapshot", "-c", "first", file.to_str().unwrap()]);
    let about = details(&file, None, &Backing::default(), &quiet()).unwrap();
    let qcow2 = about.qcow2.unwrap();
    assert_eq!(
        (about.format, about.virtual_size, about.in_use),
        (Format::Qcow2, 64 * MIB, false)
    );
    assert_eq!(
        (
            qcow2.version,
            qcow2.cluster_size,
            qcow2.refcount_bits,
            qcow2.compression
        ),
        (3, 128 << 10, 16, "zlib")
    );
    assert_eq!(qcow2.features, ["lazy reference counts"]);
    assert_eq!(qcow2.snapshots[0].name, "first");
    let said = qemu_img(&["check", "--output=json", file.to_str().unwrap()]);
    let number = |key: &str| -> u64 {
        let at = said
            .find(&format!("\"{key}\":"))
            .map(|at| at + key.len() + 3);
        at.map_or(0, |at| {
            let digits: String = said[at..]
                .trim()
                .chars()
                .take_while(char::is_ascii_digit)
                .collect();
            digits.parse().unwrap()
        })
    };
    let usage = qcow2.usage.unwrap();
    assert_eq!(usage.total, number("total-clusters"));
    assert_eq!(usage.allocated, number("allocated-clusters"));
    assert_eq!(usage.compressed, number("compressed-clusters"));
    let other = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(folder.path("held"))
        .unwrap();
    other.write_all_at(&[1; 4096], 0).unwrap();
    let mut holder = Command::new("qemu-io")
        .args(["-f", "raw"])
        .arg(folder.path("held"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut about = None;
    for _ in 0..2000 {
        let now = details(&folder.path("held"), None, &Backing::default(), &quiet()).unwrap();
        let seen = now.in_use;
        about = Some(now);
        if seen {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let about = about.unwrap();
    assert!(about.in_use);
    assert_eq!(about.processes, [(holder.id(), "qemu-io".to_owned())]);
    drop(holder.stdin.take());
    holder.wait().unwrap();
}

#[test]
fn an_ova_goes_out_and_comes_in() {
    let folder = Folder::new();
    let [base, other, top] = three(&folder);
    let machine = Export {
        name: "Tom & Jerry's <machine>".to_owned(),
        processors: 3,
        memory: 768 * MIB,
        uefi: true,
        operating_system: Some("Debian 12".to_owned()),
        networks: 1,
        disks: vec![Source::new(&top), Source::new(&base)],
    };
    let ova = folder.path("machine.ova");
    export(&machine, Unfinished::new(&ova).unwrap(), &quiet()).unwrap();
    let appliance = Appliance::read(&ova).unwrap();
    assert_eq!(appliance.name.as_deref(), Some("Tom & Jerry's <machine>"));
    assert_eq!(appliance.operating_system.as_deref(), Some("Debian 12"));
    assert_eq!(
        (appliance.processors, appliance.memory, appliance.uefi),
        (Some(3), Some(768 * MIB), true)
    );
    assert_eq!(appliance.disks.len(), 2);
    assert_eq!(appliance.disks[0].capacity, Some(40 * MIB));
    for (disk, (format, image)) in appliance
        .disks
        .iter()
        .zip([("qcow2", &top), ("raw", &base)])
    {
        let target = folder.path("imported.qcow2");
        let unfinished = Unfinished::new(&target).unwrap();
        let made = TargetFormat::QCOW2;
        import_disk(&appliance, disk, unfinished, made, true, &quiet()).unwrap();
        assert!(content("qcow2", &target) == content(format, image));
        fs::remove_file(target).unwrap();
    }
    // What tar unpacks is the same, by qemu-img's reading and by ours with the files side by side.
    let unpacked = Command::new("tar")
        .arg("-xf")
        .arg(&ova)
        .current_dir(folder.path(""))
        .status()
        .unwrap();
    assert!(unpacked.success());
    assert!(content("vmdk", &folder.path("machine-disk1.vmdk")) == content("qcow2", &top));
    let beside = Appliance::read(&folder.path("machine.ovf")).unwrap();
    let target = folder.path("beside.raw");
    let (unfinished, disk) = (Unfinished::new(&target).unwrap(), &beside.disks[1]);
    let format = TargetFormat::Raw;
    import_disk(&beside, disk, unfinished, format, false, &quiet()).unwrap();
    assert!(fs::read(&target).unwrap() == fs::read(&base).unwrap());
    // Not whole.
    let length = fs::metadata(&ova).unwrap().len();
    OpenOptions::new()
        .write(true)
        .open(&ova)
        .unwrap()
        .set_len(length / 2)
        .unwrap();
    let error = Appliance::read(&ova).unwrap_err();
    assert!(error.to_string().contains("not whole"), "{error}");
    drop(other);
}
