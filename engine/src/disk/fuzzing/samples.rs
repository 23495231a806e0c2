//! Small images of every format: from our own writers, and, where there are none, put together here.

use std::path::Path;

use crate::definition::ImageFormat;
use crate::disk::DiskOptions;
use crate::disk::formats::vhdx_checksum;
use crate::disk::tools::{
    Export, Job, Preallocation, Source, TargetFormat, Unfinished, convert, create, export,
};
use crate::fuzzing::Script;
use crate::fuzzing::files::{folder, seed, seed_of};

const MIB: u64 = 1 << 20;

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// A raw disk of 1 MiB with a little data.
fn raw(path: &Path) {
    let mut disk = vec![0; MIB as usize];
    disk[..100].fill(1);
    disk[70_000..70_200].fill(2);
    disk[MIB as usize - 600..].fill(3);
    std::fs::write(path, disk).unwrap();
}

/// The same disk in another format.
fn converted(format: TargetFormat) -> Vec<u8> {
    let folder = folder();
    let (source, target) = (folder.path().join("raw"), folder.path().join("disk"));
    raw(&source);
    convert(&Source::new(&source), &target, format, false, &Job::quiet()).unwrap();
    std::fs::read(target).unwrap()
}

/// What [`handmade`] makes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Version2,
    Zstandard,
    Snapshot,
    Subclusters,
    Backing,
}

/// A qcow2 image with clusters of 4 KiB (16 KiB with subclusters): the header, an L1 table, an L2 table, the reference counts' table
/// and block, a cluster of data, and for a snapshot its table and its L1 table.
fn handmade(kind: Kind) -> Vec<u8> {
    let bits = if kind == Kind::Subclusters { 14 } else { 12 };
    let cluster = 1 << bits;
    let clusters = if kind == Kind::Snapshot { 8 } else { 6 };
    let mut image = vec![0; clusters * cluster];
    let place = |number: usize| (number * cluster) as u64;
    let copied = |number: usize| (place(number) | 1 << 63).to_be_bytes();
    let version = if kind == Kind::Version2 { 2_u32 } else { 3 };
    put(&mut image, 0, b"QFI\xfb");
    put(&mut image, 4, &version.to_be_bytes());
    put(&mut image, 20, &(bits as u32).to_be_bytes());
    put(&mut image, 24, &MIB.to_be_bytes());
    put(&mut image, 36, &1_u32.to_be_bytes());
    put(&mut image, 40, &place(1).to_be_bytes());
    put(&mut image, 48, &place(3).to_be_bytes());
    put(&mut image, 56, &1_u32.to_be_bytes());
    if version == 3 {
        put(&mut image, 96, &4_u32.to_be_bytes());
        put(&mut image, 100, &112_u32.to_be_bytes());
    }
    put(&mut image, cluster, &copied(2));
    put(&mut image, 2 * cluster, &copied(5));
    put(&mut image, 3 * cluster, &place(4).to_be_bytes());
    for number in 0..clusters {
        put(&mut image, 4 * cluster + 2 * number, &1_u16.to_be_bytes());
    }
    put(&mut image, 5 * cluster, &[7; 64]);
    match kind {
        Kind::Plain | Kind::Version2 => {}
        Kind::Zstandard => {
            put(&mut image, 72, &8_u64.to_be_bytes());
            image[104] = 1;
            let mut data = vec![0; cluster];
            data[..64].fill(7);
            let packed = zstd::bulk::compress(&data, 1).unwrap();
            put(&mut image, 5 * cluster, &packed);
            // Compressed, in one sector.
            put(&mut image, 2 * cluster, &(place(5) | 1 << 62).to_be_bytes());
        }
        Kind::Snapshot => {
            put(&mut image, 60, &1_u32.to_be_bytes());
            put(&mut image, 64, &place(6).to_be_bytes());
            let at = 6 * cluster;
            put(&mut image, at, &place(7).to_be_bytes());
            put(&mut image, at + 8, &1_u32.to_be_bytes());
            put(&mut image, at + 12, &[0, 1, 0, 3]);
            put(&mut image, at + 36, &16_u32.to_be_bytes());
            put(&mut image, at + 48, &MIB.to_be_bytes());
            put(&mut image, at + 56, b"1one");
            // Both refer to one L2 table, and it to one cluster.
            put(&mut image, cluster, &place(2).to_be_bytes());
            put(&mut image, 2 * cluster, &place(5).to_be_bytes());
            put(&mut image, 7 * cluster, &place(2).to_be_bytes());
            for number in [2, 5] {
                put(&mut image, 4 * cluster + 2 * number, &2_u16.to_be_bytes());
            }
        }
        Kind::Subclusters => {
            put(&mut image, 72, &16_u64.to_be_bytes());
            // The first subcluster is there, the second zeros.
            put(
                &mut image,
                2 * cluster + 8,
                &(1 | 1_u64 << 33).to_be_bytes(),
            );
        }
        Kind::Backing => {
            put(&mut image, 8, &0x100_u64.to_be_bytes());
            put(&mut image, 16, &4_u32.to_be_bytes());
            put(&mut image, 0x100, b"base");
        }
    }
    image
}

/// Images as qcow2 that a machine can run with.
fn usable() -> Vec<Vec<u8>> {
    let mut images: Vec<Vec<u8>> = [512, 4096, 65536]
        .map(|cluster_size| {
            converted(TargetFormat::Qcow2 {
                cluster_size,
                compress: cluster_size == 4096,
            })
        })
        .into();
    images.extend([Kind::Plain, Kind::Version2, Kind::Zstandard, Kind::Snapshot].map(handmade));
    // One that a machine has written to.
    let folder = folder();
    let path = folder.path().join("disk");
    let small = TargetFormat::Qcow2 {
        cluster_size: 512,
        compress: false,
    };
    create(&path, small, MIB, Preallocation::Off, &Job::quiet()).unwrap();
    let disk = DiskOptions::new(ImageFormat::Qcow2).open(&path).unwrap();
    for at in [0, 1000, 300_000] {
        disk.write_at(at, &[9; 100]).unwrap();
    }
    disk.write_zeroes(300_000, 1000, true).unwrap();
    drop(disk);
    images.push(std::fs::read(&path).unwrap());
    images
}

pub(crate) fn qcow2_seeds() -> Vec<Vec<u8>> {
    let mut images = usable();
    images.extend([Kind::Subclusters, Kind::Backing].map(handmade));
    images.iter().map(|image| seed(image)).collect()
}

pub(crate) fn live_seeds() -> Vec<Vec<u8>> {
    let step = |code: u8, place: u32, length: u16, value: u8| {
        Script::default()
            .code(code)
            .long(place)
            .word(length)
            .byte(value)
            .done()
    };
    let courses = [
        vec![
            step(0, 0x100, 5000, 3),
            step(2, 0, 20000, 0),
            step(5, 0, 0, 0),
            step(4, 0x1000, 0x1000, 1),
            step(0, 0x8000_1000, 600, 5),
        ],
        vec![
            step(3, 0, 0x8000, 0x82),
            step(0, 0x200, 512, 1),
            step(6, 0, 0, 200),
            step(0, 0x8000_0400, 1000, 7),
            step(4, 0, 0x8000, 3),
            step(5, 0, 0, 0),
            step(1, 70_000, 0x4000, 9),
        ],
    ];
    let courses = courses.map(|course| course.concat());
    usable()
        .iter()
        .flat_map(|image| {
            courses.iter().map(|course| {
                Script::default()
                    .word(course.len() as u16)
                    .bytes(course)
                    .file(image)
                    .done()
            })
        })
        .collect()
}

pub(crate) fn vmdk_seeds() -> Vec<Vec<u8>> {
    // A sparse one: descriptor at sector 1, directory at 21, table at 22, grains of 8 sectors from 32 on.
    let mut sparse = vec![0; 48 * 512];
    put(&mut sparse, 0, b"KDMV");
    put(&mut sparse, 4, &1_u32.to_le_bytes());
    put(&mut sparse, 8, &7_u32.to_le_bytes());
    for (at, value) in [(12, 2048_u64), (20, 8), (28, 1), (36, 20), (56, 21)] {
        put(&mut sparse, at, &value.to_le_bytes());
    }
    put(&mut sparse, 44, &512_u32.to_le_bytes());
    put(
        &mut sparse,
        512,
        b"# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType=\"monolithicSparse\"\nRW 2048 SPARSE \"image\"\n",
    );
    put(&mut sparse, 21 * 512, &22_u32.to_le_bytes());
    put(&mut sparse, 22 * 512, &32_u32.to_le_bytes());
    put(&mut sparse, 22 * 512 + 4, &1_u32.to_le_bytes());
    put(&mut sparse, 32 * 512, &[6; 40]);
    let mut child = sparse.clone();
    put(
        &mut child,
        512,
        b"# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=87654321\nparentFileNameHint=\"image\"\n",
    );
    let split = b"# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType=\"custom\"\n\nRW 1 FLAT \"image\" 0\nRW 8 ZERO\nRDONLY 1 FLAT \"image\" 0\n";
    let mut split = split.to_vec();
    split.resize(1024, b'\n');
    vec![
        seed(&converted(TargetFormat::VmdkStreamOptimised)),
        seed(&sparse),
        seed(&child),
        seed(&split),
    ]
}

pub(crate) fn vdi_seeds() -> Vec<Vec<u8>> {
    [1_u32, 2]
        .map(|variant| {
            let mut image = vec![0; 0x800 + 2 * 4096];
            for (at, value) in [
                (0x40, 0xbeda_107f),
                (0x44, 0x1_0001),
                (0x4c, variant),
                (0x154, 0x200),
                (0x158, 0x800),
                (0x178, 4096),
                (0x180, 256),
            ] {
                put(&mut image, at, &value.to_le_bytes());
            }
            put(&mut image, 0x170, &MIB.to_le_bytes());
            // Two blocks are there, one is zeros.
            image[0x200..0x200 + 4 * 256].fill(0xff);
            put(&mut image, 0x200, &[1, 0, 0, 0, 0, 0, 0, 0, 0xfe]);
            image[0x800..0x880].fill(4);
            image[0x1800..0x1880].fill(5);
            seed(&image)
        })
        .into()
}

/// Gives a VHD's footer the checksum that it should have.
pub(super) fn sum_footer(footer: &mut [u8]) {
    footer[64..68].fill(0);
    let sum: u32 = footer.iter().map(|byte| u32::from(*byte)).sum();
    footer[64..68].copy_from_slice(&(!sum).to_be_bytes());
}

pub(crate) fn vhd_seeds() -> Vec<Vec<u8>> {
    [2_u32, 3, 4]
        .map(|kind| {
            let mut footer = vec![0; 512];
            put(&mut footer, 0, b"conectix");
            put(&mut footer, 16, &512_u64.to_be_bytes());
            let size = if kind == 2 { 8192_u64 } else { MIB };
            put(&mut footer, 48, &size.to_be_bytes());
            put(&mut footer, 60, &kind.to_be_bytes());
            put(&mut footer, 68, &[0x11; 16]);
            sum_footer(&mut footer);
            if kind == 2 {
                let mut image = vec![0; 8192];
                image[..64].fill(8);
                image.extend(footer);
                return seed(&image);
            }
            // A copy of the footer, the header, the table, and a block of 4 KiB with its bitmap.
            let mut image = vec![0; 512 + 1024 + 1024 + 512 + 4096];
            put(&mut image, 0, &footer);
            put(&mut image, 512, b"cxsparse");
            put(&mut image, 512 + 16, &1536_u64.to_be_bytes());
            put(&mut image, 512 + 28, &256_u32.to_be_bytes());
            put(&mut image, 512 + 32, &4096_u32.to_be_bytes());
            if kind == 4 {
                put(&mut image, 512 + 40, &[0x22; 16]);
                put(&mut image, 512 + 64, b"\0b\0a\0s\0e");
                put(&mut image, 512 + 576, b"W2ru\0\0\x02\0\0\0\0\x08");
                put(&mut image, 512 + 592, &1024_u64.to_be_bytes());
            }
            image[1536..2560].fill(0xff);
            put(&mut image, 1536, &5_u32.to_be_bytes());
            image[2560] = 0xf0;
            image[3072..3136].fill(8);
            image.extend(footer);
            seed(&image)
        })
        .into()
}

pub(crate) fn vhdx_seeds() -> Vec<Vec<u8>> {
    let guid = |text: &str| uuid::Uuid::try_parse(text).unwrap().to_bytes_le();
    [false, true]
        .map(|differencing| {
            let mut image = vec![0; 5 << 20];
            put(&mut image, 0, b"vhdxfile");
            for (at, sequence) in [(64 << 10, 1_u64), (128 << 10, 2)] {
                put(&mut image, at, b"head");
                put(&mut image, at + 8, &sequence.to_le_bytes());
                put(&mut image, at + 32, &[0x33; 16]);
                let sum = vhdx_checksum(&image[at..at + 4096]);
                put(&mut image, at + 4, &sum.to_le_bytes());
            }
            let regions = [
                ("2dc27766-f623-4200-9d64-115e9bfd4a08", 2 * MIB, 1_u32 << 20),
                ("8b7ca206-4790-4b9a-b8fe-575f050f886e", MIB, 1 << 20),
            ];
            let at = 192 << 10;
            put(&mut image, at, b"regi");
            put(&mut image, at + 8, &2_u32.to_le_bytes());
            for (number, (region, place, length)) in regions.into_iter().enumerate() {
                let at = at + 16 + 32 * number;
                put(&mut image, at, &guid(region));
                put(&mut image, at + 16, &place.to_le_bytes());
                put(&mut image, at + 24, &length.to_le_bytes());
            }
            let sum = vhdx_checksum(&image[at..at + (64 << 10)]);
            put(&mut image, at + 4, &sum.to_le_bytes());
            // The items of the metadata: block size and flags, size of the disk, size of a sector, and the parent's place.
            let kind = if differencing { 2_u32 } else { 0 };
            let mut locator = vec![0; 16];
            locator.extend([0, 0, 1, 0]);
            locator.extend([32, 0, 0, 0, 58, 0, 0, 0, 26, 0, 8, 0]);
            for text in ["relative_path", "base"] {
                locator.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
            }
            let mut items = vec![
                (
                    "caa16737-fa36-4d43-b3b6-33f0aa44e76b",
                    [(1_u32 << 20).to_le_bytes(), kind.to_le_bytes()].concat(),
                ),
                (
                    "2fa54224-cd1b-4876-b211-5dbed83bf4b8",
                    (3 * MIB).to_le_bytes().to_vec(),
                ),
                (
                    "8141bf1d-a96f-4709-ba47-f233a8faab5f",
                    512_u32.to_le_bytes().to_vec(),
                ),
            ];
            if differencing {
                items.push(("a8d35f2d-b30b-454d-abf7-d3d84834ab0c", locator));
            }
            let base = MIB as usize;
            put(&mut image, base, b"metadata");
            put(&mut image, base + 10, &(items.len() as u16).to_le_bytes());
            for (number, (item, value)) in items.iter().enumerate() {
                let (at, place) = (base + 32 + 32 * number, (64 << 10) + 0x100 * number);
                put(&mut image, at, &guid(item));
                put(&mut image, at + 16, &(place as u32).to_le_bytes());
                put(&mut image, at + 20, &(value.len() as u32).to_le_bytes());
                put(&mut image, base + place, value);
            }
            // Blocks: one that is there (in part), one of zeros, one that is not; the bitmap behind 4096 of them.
            let table = 2 * MIB as usize;
            let state = if differencing { 7 } else { 6 };
            put(&mut image, table, &(3_u64 << 20 | state).to_le_bytes());
            put(&mut image, table + 8, &2_u64.to_le_bytes());
            put(
                &mut image,
                table + 8 * 4096,
                &(4_u64 << 20 | 6).to_le_bytes(),
            );
            image[3 << 20..(3 << 20) + 64].fill(8);
            image[4 << 20] = 0x0f;
            seed(&image)
        })
        .into()
}

pub(crate) fn appliance_seeds() -> Vec<Vec<u8>> {
    let folder = folder();
    let (disk, target) = (folder.path().join("disk"), folder.path().join("box.ova"));
    raw(&disk);
    let machine = Export {
        name: "Box".to_owned(),
        processors: 2,
        memory: 1 << 30,
        uefi: true,
        operating_system: Some("Tiny".to_owned()),
        networks: 1,
        disks: vec![Source::new(&disk)],
    };
    export(&machine, Unfinished::new(&target).unwrap(), &Job::quiet()).unwrap();
    vec![seed_of(&target)]
}
