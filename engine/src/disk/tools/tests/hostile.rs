//! Images made to hurt: refused by name, in bounded time and memory, whoever opens them.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::*;
use crate::disk::Backing;
use crate::disk::check::check;
use crate::disk::formats::ova::Appliance;
use crate::disk::formats::{Chain, ChainOptions, Format};

/// A generator whose failures can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap()
    }
}

fn poke(file: &Path, offset: u64, bytes: &[u8]) {
    let file = OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(bytes, offset).unwrap();
}

/// Reads some of a disk, and looks for its extents in some places.
fn look(chain: &Chain) {
    let mut window = vec![0; 200_000];
    let size = chain.size();
    for place in [
        0,
        size / 3,
        size / 2,
        size.saturating_sub(100_000),
        size.saturating_sub(1),
    ] {
        // An error is an answer.
        let _ = chain.extent(place);
        let _ = chain.read(place, &mut window);
    }
    let mut at = 0;
    for _ in 0..200 {
        match chain.extent(at) {
            Ok(Some(extent)) => at += extent.length,
            _ => break,
        }
    }
}

/// Everything that opens an image of other people's, on one file.
fn attack(file: &Path, format: Format) {
    let options = ChainOptions {
        format: Some(format),
        backing: Source::new(file).backing,
        ..ChainOptions::default()
    };
    if let Ok(chain) = Chain::open(file, &options) {
        look(&chain);
    }
    let _ = details(file, Some(format), &options.backing, &Job::quiet());
    if format == Format::Qcow2 {
        let _ = check(file, Some(format), &Job::quiet());
    }
}

/// Small images of every format, to be damaged.
fn samples(folder: &Folder) -> Vec<(Format, PathBuf)> {
    let raw = folder.path("sample.raw");
    qemu_img(&["create", "-f", "raw", raw.to_str().unwrap(), "3M"]);
    qemu_io(
        "raw",
        &raw,
        &[
            "write -P 1 0 100k",
            "write -P 2 1M 200k",
            "write -P 3 3000k 4k",
        ],
    );
    let mut samples = Vec::new();
    for (format, qemu, options, more) in [
        (Format::Qcow2, "qcow2", "cluster_size=4k", &[][..]),
        (
            Format::Qcow2,
            "qcow2",
            "cluster_size=64k,compression_type=zlib",
            &["-c"][..],
        ),
        (
            Format::Qcow2,
            "qcow2",
            "cluster_size=4k,compression_type=zstd",
            &["-c"][..],
        ),
        (
            Format::Qcow2,
            "qcow2",
            "extended_l2=on,cluster_size=16k",
            &[][..],
        ),
        (Format::Vmdk, "vmdk", "subformat=monolithicSparse", &[][..]),
        (Format::Vmdk, "vmdk", "subformat=streamOptimized", &[][..]),
        (Format::Vmdk, "vmdk", "subformat=monolithicFlat", &[][..]),
        (Format::Vdi, "vdi", "static=off", &[][..]),
        (Format::Vhd, "vpc", "subformat=dynamic", &[][..]),
        (
            Format::Vhdx,
            "vhdx",
            "subformat=dynamic,block_size=1M",
            &[][..],
        ),
    ] {
        let file = folder.path(&format!("sample-{}.image", samples.len()));
        let mut arguments = vec!["convert", "-O", qemu, "-o", options];
        arguments.extend(more);
        arguments.extend([raw.to_str().unwrap(), file.to_str().unwrap()]);
        qemu_img(&arguments);
        if options.starts_with("cluster_size=4k") && more.is_empty() {
            qemu_img(&["snapshot", "-c", "one", file.to_str().unwrap()]);
            qemu_img(&["bitmap", "--add", file.to_str().unwrap(), "changes"]);
            qemu_io("qcow2", &file, &["write -P 9 2M 10k"]);
        }
        samples.push((format, file));
    }
    samples
}

/// Where a format keeps what decides most.
fn tables(format: Format, length: usize) -> Vec<std::ops::Range<usize>> {
    let ranges = match format {
        Format::Vhdx => vec![
            65536..65700,
            131_072..131_300,
            196_608..196_800,
            1 << 20..(1 << 20) + 100,
            2 << 20..(2 << 20) + 400,
            3 << 20..(3 << 20) + 64,
        ],
        Format::Vhd => vec![0..1600, length.saturating_sub(512)..length],
        Format::Vdi => vec![0..600, 0x200..0x300],
        _ => vec![
            0..700,
            4096..5000,
            8192..8300,
            65536..65700,
            length.saturating_sub(1600)..length,
        ],
    };
    ranges
        .into_iter()
        .filter(|range| range.end <= length)
        .collect()
}

#[test]
fn damaged_images_of_every_format_do_no_harm() {
    let folder = Folder::new();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for (format, file) in samples(&folder) {
        let original = fs::read(&file).unwrap();
        let places = tables(format, original.len());
        for _ in 0..150 {
            let mut damaged = original.clone();
            for _ in 0..=random.below(4) {
                let range = &places[random.below(places.len())];
                let at = range.start + random.below(range.len());
                let value = match random.below(6) {
                    0 => u64::MAX,
                    1 => 1 << random.below(64),
                    2 => (random.below(damaged.len()) as u64).next_multiple_of(4096),
                    3 => 0,
                    _ => random.next(),
                };
                let bytes = if random.below(2) == 0 {
                    value.to_be_bytes()
                } else {
                    value.to_le_bytes()
                };
                let count = [1, 2, 4, 8][random.below(4)];
                for (place, byte) in damaged.iter_mut().skip(at & !3).zip(&bytes[8 - count..]) {
                    *place = *byte;
                }
            }
            if random.below(8) == 0 {
                damaged.truncate(random.below(damaged.len()).max(1));
            }
            repair_checksums(format, &mut damaged);
            fs::write(&file, &damaged).unwrap();
            attack(&file, format);
        }
    }
}

/// Damage that a checksum would catch is damage that nobody tries.
fn repair_checksums(format: Format, bytes: &mut [u8]) {
    if format == Format::Vhd && bytes.len() > 1024 {
        for start in [0, bytes.len() - 512] {
            let footer = &mut bytes[start..start + 512];
            footer[64..68].fill(0);
            let sum = footer
                .iter()
                .fold(0_u32, |sum, byte| sum.wrapping_add(u32::from(*byte)));
            footer[64..68].copy_from_slice(&(!sum).to_be_bytes());
        }
    }
    if format == Format::Vhdx {
        for (start, length) in [
            (64 << 10, 4096),
            (128 << 10, 4096),
            (192 << 10, 64 << 10),
            (256 << 10, 64 << 10),
        ] {
            if let Some(part) = bytes.get_mut(start..start + length) {
                part[4..8].fill(0);
                let sum = crate::disk::formats::vhdx_checksum(part);
                part[4..8].copy_from_slice(&sum.to_le_bytes());
            }
        }
    }
}

#[test]
fn garbage_with_a_signature_does_no_harm() {
    let folder = Folder::new();
    let file = folder.path("garbage");
    let mut random = Random(7);
    let signatures: [(Format, usize, &[u8]); 6] = [
        (Format::Qcow2, 0, b"QFI\xfb\0\0\0\x03"),
        (Format::Vmdk, 0, b"KDMV\x01\0\0\0"),
        (
            Format::Vmdk,
            0,
            b"# Disk DescriptorFile\nRW 99999999999999999999 FLAT \"x\" 0\n",
        ),
        (Format::Vdi, 0x40, b"\x7f\x10\xda\xbe\x01\0\x01\0"),
        (Format::Vhd, 0, b"conectix"),
        (Format::Vhdx, 0, b"vhdxfile"),
    ];
    for round in 0..60 {
        for (format, at, signature) in signatures {
            let mut bytes: Vec<u8> = (0..8192)
                .map(|_| {
                    if round % 3 == 0 {
                        0xff
                    } else {
                        random.next().to_be_bytes()[0]
                    }
                })
                .collect();
            bytes[at..at + signature.len()].copy_from_slice(signature);
            fs::write(&file, &bytes).unwrap();
            attack(&file, format);
        }
        let bytes: Vec<u8> = (0..4096).map(|_| random.next().to_be_bytes()[0]).collect();
        fs::write(&file, &bytes).unwrap();
        let _ = Appliance::read(&file);
    }
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
    attack(&file, Format::Qcow2);
    let report = check(&file, None, &Job::quiet()).unwrap();
    assert!(report.damage > 0 && report.findings.len() <= 150);
}
