//! Every format and option that qemu-img can make, read here; and all that is made here, read by qemu-img.

use std::fs;
use std::path::Path;

use super::*;
use crate::disk::formats::Format;

/// Patterns over several tables, across the borders of clusters, up to the end of a disk of 40 MiB + 512 bytes.
const WRITES: &[&str] = &[
    "write -P 0x11 0 4k",
    "write -P 0x22 65024 1k",
    "write -P 0x33 1M 3M",
    "write -P 0x44 5000192 12288",
    "write -z 2M 128k",
    "write -P 0x55 20M 64k",
    "write -P 0 24M 1M",
    "write -P 0x66 33554432 70000",
    "write -P 0x77 41942528 512",
];
const SIZE: &str = "41943040";
const ODD_SIZE: &str = "41943552";

fn fill(format: &str, file: &Path) {
    let most = if file.to_string_lossy().contains("odd") {
        WRITES.len()
    } else {
        WRITES.len() - 1
    };
    qemu_io(format, file, &WRITES[..most]);
}

fn same(ours: &[u8], theirs: &[u8], what: &str) {
    let longer = ours.len().max(theirs.len());
    let byte = |data: &[u8], at| data.get(at).copied().unwrap_or(0);
    if let Some(at) = (0..longer).find(|at| byte(ours, *at) != byte(theirs, *at)) {
        panic!("{what}: differs at {at:#x}");
    }
}

/// Reads an image here and by qemu-img, by every target format.
fn judge(folder: &Folder, format: Format, qemu: &str, file: &Path, what: &str) {
    assert_eq!(Format::detect(file).unwrap(), format, "{what}");
    let ours = folder.path("ours.raw");
    let source = Source::new(file);
    convert(&source, &ours, TargetFormat::Raw, true, &Job::quiet())
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    same(&fs::read(&ours).unwrap(), &content(qemu, file), what);
    fs::remove_file(ours).unwrap();
}

fn create(options: &[&str], file: &Path, size: &str) {
    let mut arguments: Vec<&std::ffi::OsStr> = vec!["create".as_ref()];
    arguments.extend(options.iter().map(|option| std::ffi::OsStr::new(*option)));
    arguments.extend([file.as_os_str(), size.as_ref()]);
    qemu_img(&arguments);
}

#[test]
fn every_qcow2_that_qemu_makes_is_read() {
    for (number, options) in [
        "compat=0.10",
        "compat=1.1",
        "cluster_size=512",
        "cluster_size=4k",
        "cluster_size=2M",
        "refcount_bits=1",
        "refcount_bits=64",
        "lazy_refcounts=on",
        "preallocation=metadata",
        "preallocation=falloc",
        "preallocation=full",
        "extended_l2=on",
        "extended_l2=on,cluster_size=16k",
        "compression_type=zstd",
    ]
    .iter()
    .enumerate()
    {
        let folder = Folder::new();
        let odd = number % 2 == 1;
        let file = folder.path(if odd { "odd.qcow2" } else { "even.qcow2" });
        create(
            &["-f", "qcow2", "-o", options],
            &file,
            if odd { ODD_SIZE } else { SIZE },
        );
        fill("qcow2", &file);
        judge(&folder, Format::Qcow2, "qcow2", &file, options);
    }
}

#[test]
fn compressed_qcow2_is_read() {
    for options in [
        "compression_type=zlib",
        "compression_type=zstd",
        "cluster_size=4k",
        "cluster_size=2M",
    ] {
        let folder = Folder::new();
        let raw = folder.path("odd.raw");
        create(&["-f", "raw"], &raw, ODD_SIZE);
        fill("raw", &raw);
        let file = folder.path("packed.qcow2");
        qemu_img(&[
            "convert".as_ref(),
            "-c".as_ref(),
            "-O".as_ref(),
            "qcow2".as_ref(),
            "-o".as_ref(),
            options.as_ref(),
            raw.as_os_str(),
            file.as_os_str(),
        ]);
        qemu_io("qcow2", &file, &["write -P 0x99 1100000 5000"]);
        judge(&folder, Format::Qcow2, "qcow2", &file, options);
    }
}

#[test]
fn chains_of_mixed_clusters_formats_and_sizes_are_read() {
    let folder = Folder::new();
    let base = folder.path("base.raw");
    create(&["-f", "raw"], &base, "20M");
    qemu_io("raw", &base, &["write -P 1 0 3M", "write -P 2 19M 1M"]);
    let middle = folder.path("middle.qcow2");
    let base_name = base.to_str().unwrap();
    create(
        &[
            "-f",
            "qcow2",
            "-b",
            base_name,
            "-F",
            "raw",
            "-o",
            "cluster_size=4k",
        ],
        &middle,
        "30M",
    );
    qemu_io(
        "qcow2",
        &middle,
        &["write -P 3 1M 8k", "write -z 2M 64k", "write -P 4 25M 4k"],
    );
    let third = folder.path("third.qcow2");
    create(
        &[
            "-f",
            "qcow2",
            "-b",
            "middle.qcow2",
            "-F",
            "qcow2",
            "-o",
            "extended_l2=on",
        ],
        &third,
        "28M",
    );
    qemu_io(
        "qcow2",
        &third,
        &["write -P 5 2101248 4k", "write -z 1052672 4096"],
    );
    let top = folder.path("top.qcow2");
    create(
        &["-f", "qcow2", "-b", "third.qcow2", "-F", "qcow2"],
        &top,
        SIZE,
    );
    qemu_io("qcow2", &top, &["write -P 6 5M 1k", "write -P 7 35M 1M"]);
    judge(&folder, Format::Qcow2, "qcow2", &top, "a chain of four");
}

#[test]
fn an_external_data_file_is_read() {
    for options in ["", ",data_file_raw=on"] {
        let folder = Folder::new();
        let file = folder.path("file.qcow2");
        let data = folder.path("data.raw");
        let options = format!("data_file={}{options}", data.display());
        create(&["-f", "qcow2", "-o", &options], &file, SIZE);
        fill("qcow2", &file);
        judge(&folder, Format::Qcow2, "qcow2", &file, &options);
    }
}

#[test]
fn an_internal_snapshot_is_read() {
    let folder = Folder::new();
    let file = folder.path("file.qcow2");
    create(&["-f", "qcow2"], &file, SIZE);
    fill("qcow2", &file);
    let before = content("qcow2", &file);
    qemu_img(&[
        "snapshot".as_ref(),
        "-c".as_ref(),
        "before".as_ref(),
        file.as_os_str(),
    ]);
    qemu_io("qcow2", &file, &["write -P 0xff 0 8M"]);
    judge(&folder, Format::Qcow2, "qcow2", &file, "with a snapshot");
    for name in ["before", "1"] {
        let target = folder.path("before.raw");
        let source = Source {
            snapshot: Some(name.to_owned()),
            ..Source::new(&file)
        };
        convert(&source, &target, TargetFormat::Raw, false, &Job::quiet()).unwrap();
        same(&fs::read(&target).unwrap(), &before, name);
        fs::remove_file(target).unwrap();
    }
    let source = Source {
        snapshot: Some("other".to_owned()),
        ..Source::new(&file)
    };
    let error = convert(
        &source,
        &folder.path("x"),
        TargetFormat::Raw,
        false,
        &Job::quiet(),
    );
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("no internal snapshot called \"other\"")
    );
}

#[test]
fn every_foreign_format_that_qemu_makes_is_read() {
    for (format, qemu, options) in [
        (Format::Vmdk, "vmdk", "subformat=monolithicSparse"),
        (Format::Vmdk, "vmdk", "subformat=monolithicFlat"),
        (Format::Vmdk, "vmdk", "subformat=twoGbMaxExtentSparse"),
        (Format::Vmdk, "vmdk", "subformat=twoGbMaxExtentFlat"),
        (Format::Vmdk, "vmdk", "subformat=streamOptimized"),
        (
            Format::Vmdk,
            "vmdk",
            "subformat=monolithicSparse,zeroed_grain=on",
        ),
        (Format::Vdi, "vdi", "static=off"),
        (Format::Vdi, "vdi", "static=on"),
        (Format::Vhd, "vpc", "subformat=dynamic"),
        (Format::Vhd, "vpc", "subformat=fixed"),
        (Format::Vhd, "vpc", "subformat=dynamic,force_size=on"),
        (Format::Vhdx, "vhdx", "subformat=dynamic"),
        (Format::Vhdx, "vhdx", "subformat=fixed"),
        (Format::Vhdx, "vhdx", "subformat=dynamic,block_size=1M"),
    ] {
        let folder = Folder::new();
        let raw = folder.path("even.raw");
        create(&["-f", "raw"], &raw, SIZE);
        fill("raw", &raw);
        let file = folder.path("file.image");
        qemu_img(&[
            "convert".as_ref(),
            "-O".as_ref(),
            qemu.as_ref(),
            "-o".as_ref(),
            options.as_ref(),
            raw.as_os_str(),
            file.as_os_str(),
        ]);
        judge(&folder, format, qemu, &file, options);
        // What is written later, and what is never written.
        if !options.contains("stream") {
            let file = folder.path("empty.image");
            create(&["-f", qemu, "-o", options], &file, SIZE);
            qemu_io(qemu, &file, &["write -P 9 30M 5k"]);
            judge(&folder, format, qemu, &file, options);
        }
    }
}

#[test]
fn a_disk_larger_than_one_extent_is_read() {
    for options in [
        "subformat=twoGbMaxExtentSparse",
        "subformat=twoGbMaxExtentFlat",
    ] {
        let folder = Folder::new();
        let file = folder.path("big.vmdk");
        create(&["-f", "vmdk", "-o", options], &file, "5G");
        qemu_io(
            "vmdk",
            &file,
            &[
                "write -P 1 0 64k",
                "write -P 2 2147418112 128k",
                "write -P 3 5368705024 4k",
            ],
        );
        let target = folder.path("big.qcow2");
        convert(
            &Source::new(&file),
            &target,
            TargetFormat::QCOW2,
            true,
            &Job::quiet(),
        )
        .unwrap();
        assert_sound(&target);
        qemu_img(&[
            "compare".as_ref(),
            "-f".as_ref(),
            "vmdk".as_ref(),
            "-F".as_ref(),
            "qcow2".as_ref(),
            file.as_os_str(),
            target.as_os_str(),
        ]);
    }
}

#[test]
fn a_vmdk_snapshot_is_read_with_its_parent() {
    let folder = Folder::new();
    let base = folder.path("base.vmdk");
    create(&["-f", "vmdk"], &base, SIZE);
    fill("vmdk", &base);
    let top = folder.path("top.vmdk");
    create(
        &["-f", "vmdk", "-b", base.to_str().unwrap(), "-F", "vmdk"],
        &top,
        SIZE,
    );
    qemu_io(
        "vmdk",
        &top,
        &["write -P 0xab 1M 64k", "write -P 0xcd 30M 1M"],
    );
    judge(&folder, Format::Vmdk, "vmdk", &top, "a snapshot");
    // Another image in the parent's place.
    fs::remove_file(&base).unwrap();
    create(&["-f", "vmdk"], &base, SIZE);
    let error = convert(
        &Source::new(&top),
        &folder.path("x"),
        TargetFormat::Raw,
        false,
        &Job::quiet(),
    );
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("is not the image that")
    );
    assert_eq!(folder.names(), ["base.vmdk", "top.vmdk"]);
}

#[test]
fn all_that_is_made_is_read_by_qemu() {
    for odd in [false, true] {
        let folder = Folder::new();
        let raw = folder.path(if odd { "odd.raw" } else { "even.raw" });
        create(&["-f", "raw"], &raw, if odd { ODD_SIZE } else { SIZE });
        fill("raw", &raw);
        let content = fs::read(&raw).unwrap();
        let qcow2 = |cluster_size, compress| TargetFormat::Qcow2 {
            cluster_size,
            compress,
        };
        for (format, qemu) in [
            (TargetFormat::Raw, "raw"),
            (qcow2(64 << 10, false), "qcow2"),
            (qcow2(64 << 10, true), "qcow2"),
            (qcow2(512, false), "qcow2"),
            (qcow2(512, true), "qcow2"),
            (qcow2(4096, true), "qcow2"),
            (qcow2(2 << 20, false), "qcow2"),
            (qcow2(2 << 20, true), "qcow2"),
            (TargetFormat::VmdkStreamOptimised, "vmdk"),
        ] {
            let target = folder.path("target");
            convert(&Source::new(&raw), &target, format, true, &Job::quiet())
                .unwrap_or_else(|error| panic!("{format:?}: {error}"));
            same(
                &super::content(qemu, &target),
                &content,
                &format!("{format:?}"),
            );
            if qemu == "qcow2" {
                assert_sound(&target);
            }
            fs::remove_file(&target).unwrap();
        }
    }
}

#[test]
fn what_compresses_badly_and_well_survives() {
    let folder = Folder::new();
    let raw = folder.path("mixed.raw");
    let mut content = vec![0; 6 << 20];
    let mut state = 1_u64;
    for (number, byte) in content.iter_mut().enumerate() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        *byte = match number >> 16 & 3 {
            0 => state.to_be_bytes()[0],
            1 => (number / 700).to_le_bytes()[0],
            2 => 0,
            _ => b"a text that repeats "[number % 20],
        };
    }
    fs::write(&raw, &content).unwrap();
    for (format, qemu) in [
        (
            TargetFormat::Qcow2 {
                cluster_size: 64 << 10,
                compress: true,
            },
            "qcow2",
        ),
        (TargetFormat::VmdkStreamOptimised, "vmdk"),
    ] {
        let target = folder.path("target");
        convert(&Source::new(&raw), &target, format, true, &Job::quiet()).unwrap();
        same(&super::content(qemu, &target), &content, qemu);
        // A quarter is noise, and stays as large as it is.
        assert!(fs::metadata(&target).unwrap().len() < 5 << 19, "{qemu}");
        fs::remove_file(target).unwrap();
    }
}

#[test]
fn empty_terabytes_take_no_time_and_no_space() {
    let folder = Folder::new();
    let source = folder.path("big.qcow2");
    create(&["-f", "qcow2"], &source, "64T");
    qemu_io("qcow2", &source, &["write -P 1 40T 4k"]);
    for format in [
        TargetFormat::Raw,
        TargetFormat::QCOW2,
        TargetFormat::Qcow2 {
            cluster_size: 2 << 20,
            compress: true,
        },
    ] {
        // Not every file system has files that large.
        if format == TargetFormat::Raw
            && fs::File::create(folder.path("probe"))
                .unwrap()
                .set_len(64 << 40)
                .is_err()
        {
            continue;
        }
        let target = folder.path("target");
        convert(&Source::new(&source), &target, format, true, &Job::quiet()).unwrap();
        if format != TargetFormat::Raw {
            assert_sound(&target);
            qemu_io("qcow2", &target, &["read -P 1 40T 4k", "read -P 0 1T 4k"]);
        }
        fs::remove_file(target).unwrap();
    }
}
