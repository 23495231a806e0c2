use std::cell::Cell;

use super::source::SECTOR;
use super::*;
use crate::definition::Generation;

/// An image in memory that counts how much of it is read.
struct Counted {
    bytes: Vec<u8>,
    reads: Cell<u64>,
}

impl Source for Counted {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, data: &mut [u8]) -> io::Result<usize> {
        self.reads.set(self.reads.get() + data.len() as u64);
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.bytes.get(offset..))
            .unwrap_or(&[]);
        let count = rest.len().min(data.len());
        data[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

fn database() -> &'static Database {
    static DATABASE: std::sync::OnceLock<Database> = std::sync::OnceLock::new();
    DATABASE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("os/test.org")).unwrap();
        let text = r#"<libosinfo>
            <os id="http://test.org/tiny/1"><name>Tiny 1</name><family>linux</family>
              <media arch="x86_64" live="true"><iso><volume-id>^TINY$</volume-id></iso></media>
              <media arch="aarch64"><iso><volume-id>^TINY-ARM$</volume-id></iso></media></os>
            <os id="http://test.org/modern/1"><name>Modern 1</name><family>winnt</family>
              <firmware arch="x86_64" type="bios" supported="false"/>
              <media arch="x86_64"><iso><volume-id>^MODERN$</volume-id></iso></media></os>
            </libosinfo>"#;
        std::fs::write(folder.path().join("os/test.org/tiny.xml"), text).unwrap();
        Database::load(&[folder.path().into()])
    })
}

fn examined(bytes: Vec<u8>) -> Medium {
    let source = Counted {
        bytes,
        reads: Cell::new(0),
    };
    let medium = examine(&source, database).unwrap();
    assert!(
        source.reads.get() < 2 << 20,
        "{} bytes were read",
        source.reads.get()
    );
    medium
}

fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

fn both_endian(number: u32) -> Vec<u8> {
    [number.to_le_bytes(), number.to_be_bytes()].concat()
}

/// A disc of 64 sectors called `label`, whose boot catalog has an entry for each of `platforms`.
fn disc(label: &str, platforms: &[u8]) -> Vec<u8> {
    let mut image = vec![0; 64 * SECTOR];
    let primary = 16 * SECTOR;
    put(&mut image, primary, b"\x01CD001\x01");
    put(&mut image, primary + 8, &[b' '; 64]);
    put(&mut image, primary + 40, label.as_bytes());
    put(&mut image, primary + 80, &both_endian(64));
    put(&mut image, primary + 128, &[0, 8, 8, 0]);
    put(&mut image, primary + 813, b"2025051708000000");
    let mut next = 17;
    if !platforms.is_empty() {
        put(
            &mut image,
            next * SECTOR,
            b"\0CD001\x01EL TORITO SPECIFICATION",
        );
        put(&mut image, next * SECTOR + 71, &[20, 0, 0, 0]);
        next += 1;
        let catalog = 20 * SECTOR;
        let sum = 0xaa56_u16.wrapping_add(u16::from(platforms[0]) << 8);
        put(&mut image, catalog, &[1, platforms[0]]);
        put(&mut image, catalog + 28, &sum.wrapping_neg().to_le_bytes());
        put(&mut image, catalog + 30, &[0x55, 0xaa]);
        let mut at = catalog + 32;
        for (index, platform) in platforms.iter().enumerate() {
            if index > 0 {
                put(&mut image, at, &[0x91, *platform, 1, 0]);
                at += 32;
            }
            put(&mut image, at, &[0x88, 0, 0, 0, 0, 0, 4, 0, 24, 0, 0, 0]);
            at += 32;
        }
    }
    put(&mut image, next * SECTOR, b"\xffCD001\x01");
    image
}

/// Adds a UDF file system called `label` after the descriptors of a disc without boot catalog.
fn with_udf(mut image: Vec<u8>, label: &[u8]) -> Vec<u8> {
    for (sector, name) in [(18, b"BEA01"), (19, b"NSR02"), (20, b"TEA01")] {
        put(&mut image, sector * SECTOR + 1, name);
    }
    image.resize(300 * SECTOR, 0);
    let anchor = 256 * SECTOR;
    put(&mut image, anchor, &[2, 0]);
    put(&mut image, anchor + 16, &u32::to_le_bytes(16 * 2048));
    put(&mut image, anchor + 20, &[32, 0, 0, 0]);
    put(&mut image, 32 * SECTOR, &[1, 0]);
    put(&mut image, 33 * SECTOR, &[6, 0]);
    put(&mut image, 33 * SECTOR + 84, label);
    let used = u8::try_from(label.len()).unwrap();
    image[33 * SECTOR + 211] = used;
    image
}

#[test]
fn a_disc_tells_its_label_its_date_and_what_starts_it() {
    for (platforms, bios, uefi) in [
        (&[0][..], true, false),
        (&[0xef], false, true),
        (&[0, 0xef], true, true),
        (&[], false, false),
    ] {
        let medium = examined(disc("LABEL", platforms));
        assert_eq!(medium.kind, MediumKind::Optical);
        assert_eq!(medium.label.as_deref(), Some("LABEL"));
        assert_eq!(medium.created.as_deref(), Some("2025-05-17"));
        assert_eq!(
            (medium.bios_bootable, medium.uefi_bootable),
            (Some(bios), Some(uefi))
        );
        assert_eq!(medium.size, 64 * 2048);
        assert_eq!(
            (medium.hybrid, medium.warnings.as_slice()),
            (false, &[][..])
        );
    }
}

#[test]
fn verdicts_of_generation_one() {
    let verdict = |bytes| examined(bytes).verdict(Generation::One);
    assert_eq!(verdict(disc("TINY", &[0])), Verdict::Supported);
    assert_eq!(verdict(disc("OTHER", &[0, 0xef])), Verdict::Supported);
    for (bytes, reason) in [
        (disc("TINY", &[0xef]), Reason::NeedsUefi),
        (disc("TINY", &[]), Reason::NoBootRecord),
        (
            disc("TINY-ARM", &[0]),
            Reason::Architecture("aarch64".into()),
        ),
        (vec![0; 4096], Reason::Unknown),
        (b"PK\x03\x04".repeat(200), Reason::Foreign(Foreign::Zip)),
    ] {
        assert_eq!(verdict(bytes), Verdict::NotBootable(reason));
    }
    assert_eq!(
        verdict(disc("MODERN", &[0, 0xef])),
        Verdict::BootsWithLimits(Reason::NotForBios("Modern 1".into()))
    );
    let mut short = disc("TINY", &[0]);
    short.truncate(40 * SECTOR);
    assert!(matches!(
        verdict(short),
        Verdict::BootsWithLimits(Reason::Damaged(Warning::Truncated { .. }))
    ));
}

#[test]
fn the_operating_system_comes_with_its_architecture() {
    let medium = examined(disc("TINY", &[0]));
    assert_eq!(
        medium.operating_system.map(|it| it.name).as_deref(),
        Some("Tiny 1")
    );
    assert_eq!(
        (medium.architecture.as_deref(), medium.live),
        (Some("x86_64"), true)
    );
    assert_eq!(examined(disc("UNKNOWN", &[0])).operating_system, None);
}

#[test]
fn what_is_wrong_with_a_disc_is_said() {
    let mut short = disc("TINY", &[0]);
    short.truncate(24 * SECTOR);
    let medium = examined(short);
    let expected = Warning::Truncated {
        expected: 64 * 2048,
        actual: 24 * 2048,
    };
    assert_eq!(medium.warnings, [expected, Warning::BootImageMissing]);
    assert_eq!(medium.bios_bootable, Some(false));
    let mut damaged = disc("TINY", &[0]);
    damaged[20 * SECTOR + 4] = 1;
    assert_eq!(examined(damaged).warnings, [Warning::CatalogDamaged]);
}

#[test]
fn udf_gives_the_label_where_iso_9660_does_not() {
    let image = with_udf(disc("", &[]), b"\x08A disc of films");
    assert_eq!(examined(image).label.as_deref(), Some("A disc of films"));
    let wide = with_udf(disc("", &[]), b"\x10\x00B\x00\xfc\x00r\x00o");
    assert_eq!(examined(wide).label.as_deref(), Some("Büro"));
    let mut alone = with_udf(disc("", &[]), b"\x08ALONE");
    for sector in 16..18 {
        put(&mut alone, sector * SECTOR + 1, b"BEA01");
    }
    let medium = examined(alone);
    assert_eq!(
        (medium.kind, medium.label.as_deref()),
        (MediumKind::Optical, Some("ALONE"))
    );
}

#[test]
fn a_disc_that_is_also_a_disk_is_hybrid() {
    let mut image = disc("LABEL", &[0]);
    put(&mut image, 0, &[0xeb, 0x63]);
    put(&mut image, 510, &[0x55, 0xaa]);
    let medium = examined(image);
    assert!(medium.hybrid && medium.kind == MediumKind::Optical);
}

#[test]
fn disk_images_and_their_boot_sectors() {
    let mut disk = vec![0; 0x10_0000];
    put(&mut disk, 510, &[0x55, 0xaa]);
    let state = |disk: &[u8]| {
        let medium = examined(disk.to_vec());
        (medium.kind, medium.bios_bootable, medium.uefi_bootable)
    };
    let raw = MediumKind::RawDisk;
    assert_eq!(
        state(&disk),
        (raw(Partitioning::None), Some(false), Some(false))
    );
    put(
        &mut disk,
        446,
        &[0x80, 0, 0, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0],
    );
    disk[0] = 0xfa;
    assert_eq!(
        state(&disk),
        (raw(Partitioning::Mbr), Some(true), Some(false))
    );
    disk[450] = 0xef;
    assert_eq!(
        state(&disk),
        (raw(Partitioning::Mbr), Some(true), Some(true))
    );

    disk[450] = 0xee;
    put(&mut disk, 512, b"EFI PART");
    put(&mut disk, 512 + 72, &2_u64.to_le_bytes());
    put(&mut disk, 512 + 80, &128_u32.to_le_bytes());
    put(&mut disk, 512 + 84, &128_u32.to_le_bytes());
    assert_eq!(
        state(&disk),
        (raw(Partitioning::Gpt), Some(true), Some(false))
    );
    let system = [
        0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9,
        0x3b,
    ];
    put(&mut disk, 1024 + 128, &system);
    assert_eq!(
        state(&disk),
        (raw(Partitioning::Gpt), Some(true), Some(true))
    );
    // Numbers that would be too much to read.
    for (at, value) in [(72, u64::MAX), (80, u64::from(u32::MAX)), (84, 0)] {
        let mut hostile = disk.clone();
        put(&mut hostile, 512 + at, &value.to_le_bytes());
        examined(hostile);
    }

    let mut qcow2 = vec![0; 0x1_0000];
    put(&mut qcow2, 0, b"QFI\xfb\0\0\0\x03");
    assert_eq!(state(&qcow2), (MediumKind::Qcow2, None, None));
    assert_eq!(examined(qcow2).verdict(Generation::One), Verdict::Supported);
}

#[test]
fn other_formats_are_named_with_what_to_do() {
    for (at, signature, kind) in [
        (0, &b"\xfd7zXZ\0"[..], Foreign::Xz),
        (0, b"\x1f\x8b\x08", Foreign::Gzip),
        (0, b"BZh9", Foreign::Bzip2),
        (0, b"\x28\xb5\x2f\xfd", Foreign::Zstandard),
        (0, b"7z\xbc\xaf\x27\x1c", Foreign::SevenZip),
        (0, b"Rar!\x1a\x07\x01\0", Foreign::Rar),
        (257, b"ustar", Foreign::Tar),
        (0, b"KDMV", Foreign::Vmdk),
        (0x40, b"\x7f\x10\xda\xbe", Foreign::Vdi),
        (0, b"conectix", Foreign::Vhd),
        (4096 - 512, b"conectix", Foreign::Vhd),
        (0, b"vhdxfile", Foreign::Vhdx),
    ] {
        let mut bytes = vec![0; 4096];
        put(&mut bytes, at, signature);
        let medium = examined(bytes);
        assert_eq!(medium.kind, MediumKind::Foreign(kind));
        let Verdict::NotBootable(reason) = medium.verdict(Generation::One) else {
            panic!("{kind:?} is not bootable");
        };
        assert!(reason.to_string().contains("first: "), "{reason}");
    }
    let mut raw = vec![0; 2352];
    raw[1..11].fill(0xff);
    assert_eq!(examined(raw).kind, MediumKind::Foreign(Foreign::RawCd));
}

#[test]
fn no_image_makes_it_panic_or_read_without_end() {
    let mut seed = 0x1234_5678_u32;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed
    };
    let originals = [
        disc("TINY", &[0, 0xef]),
        with_udf(disc("", &[]), b"\x10\x00B\x00\xfc\x00r\x00o"),
    ];
    for round in 0..600 {
        let mut image = originals[round % 2].clone();
        for _ in 0..1 + random() % 64 {
            // Where the descriptors are, most of the time.
            let sector = [16, 17, 18, 19, 20, 32, 33, 256][random() as usize % 8];
            let at = sector * SECTOR + random() as usize % 220;
            let [value, ..] = random().to_le_bytes();
            if let Some(byte) = image.get_mut(at) {
                *byte = if value & 1 == 0 { 0xff } else { value };
            }
        }
        if round % 3 == 0 {
            image.truncate(random() as usize % image.len());
        }
        examined(image);
    }
    // A disc whose descriptors never end.
    let mut endless = vec![0; 4096 * SECTOR];
    for sector in 16..4096 {
        put(&mut endless, sector * SECTOR, b"\x02CD001\x01");
    }
    assert_eq!(examined(endless).kind, MediumKind::Optical);
}

#[test]
fn files_that_are_no_media_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let inspected = |path: &Path| inspect_path(path).unwrap_err().to_string();
    assert!(inspected(&path).contains("not there any more"));
    std::fs::write(&path, b"").unwrap();
    assert!(inspected(&path).contains("is empty"));
    std::fs::write(&path, b"short").unwrap();
    assert!(inspected(&path).contains("has 5 bytes only"));
    assert!(inspected(folder.path()).contains("is a folder"));
    assert!(inspected(Path::new("/dev/null")).contains("neither a file nor a drive"));
    assert!(inspected(&path).contains(&path.display().to_string()));
    let denied = MediaError::new(&path, io::ErrorKind::PermissionDenied.into());
    assert!(denied.to_string().contains("permission denied"));
}

#[test]
fn a_file_is_read_where_it_is_whatever_its_position() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.iso");
    std::fs::write(&path, disc("TINY", &[0])).unwrap();
    let mut file = File::open(&path).unwrap();
    file.seek(SeekFrom::Start(7)).unwrap();
    let medium = inspect_with(&file, &path, database).unwrap();
    assert_eq!(medium.label.as_deref(), Some("TINY"));
    assert_eq!(
        medium.operating_system.map(|it| it.name).as_deref(),
        Some("Tiny 1")
    );
    assert_eq!(file.stream_position().unwrap(), 7);
}
