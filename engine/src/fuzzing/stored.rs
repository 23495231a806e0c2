//! Files that people bring: backups, definitions of machines, boot media.

use std::path::Path;

use super::files::{Written, content, folder, mend_archive, seed};
use super::{Input, Script};
use crate::Library;
use crate::backup::{About, KeptIdentity};
use crate::definition::{Definition, Drive, Host, ImageFormat, Name};
use crate::disk::tools::{Job, Occupied};
use crate::library::{NewDisk, merge_definition};
use crate::media;

/// A backup, by what is packed in it.
pub(super) fn backup(data: &[u8]) {
    let mut bytes = content(&mut Input::new(data), 1 << 20);
    mend_archive(&mut bytes);
    let folder = folder();
    let file = folder.path().join("box.tar.zst");
    std::fs::write(&file, zstd::bulk::compress(&bytes, 1).unwrap()).unwrap();
    let _ = About::read(&file);
    let library = Library::open(&folder.path().join("machines")).unwrap();
    let name = Name::new("Box").unwrap();
    let restored = library.restore_backup(&file, name, KeptIdentity::New, &Job::quiet());
    // The machine is there, or nothing of it; and nothing is beside the library.
    let there = library.scan().unwrap().len();
    assert_eq!(there, usize::from(restored.is_ok()), "{restored:?}");
    let beside = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(beside, 2);
}

pub(super) fn backup_seeds() -> Vec<Vec<u8>> {
    let folder = folder();
    let library = Library::open(&folder.path().join("machines")).unwrap();
    let brought = folder.path().join("brought.img");
    crate::disk::create_disk(&brought, ImageFormat::Raw, 1 << 20).unwrap();
    let mut definition = Definition::new(Name::new("Box").unwrap());
    definition
        .drives
        .push(Drive::disk("disk.img".into(), ImageFormat::Raw));
    definition
        .drives
        .push(Drive::disk(brought, ImageFormat::Raw));
    let disk = NewDisk {
        file: "disk.img".into(),
        format: ImageFormat::Raw,
        size: 1 << 20,
    };
    let machine = library.create(&definition, &[disk]).unwrap();
    let file = folder.path().join("box.tar.zst");
    library
        .back_up(&machine, &file, Occupied::Refuse, &Job::quiet())
        .unwrap();
    let packed = std::fs::read(&file).unwrap();
    vec![seed(&zstd::decode_all(&packed[..]).unwrap())]
}

/// The text of a `machine.toml`. What is understood is written as it was read.
pub(super) fn definition(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(definition) = toml::from_str::<Definition>(&text) else {
        return;
    };
    let host = Host {
        processors: 2,
        memory: 8 << 30,
        available: 4 << 30,
        secure_boot: false,
    };
    let _ = definition.findings(&host);
    let _ = definition.file_findings(None);
    // A change of it changes that and nothing else.
    let mut wanted = definition.clone();
    wanted.name = Name::new("Another").unwrap();
    wanted.memory.mebibytes = 777;
    wanted.drives.truncate(1);
    wanted.add_network_card("nat");
    if let Ok(merged) = merge_definition(Path::new("machine.toml"), &text, &definition, &wanted) {
        assert_eq!(toml::from_str::<Definition>(&merged).unwrap(), wanted);
    }
    let written = toml::to_string(&definition).unwrap();
    assert_eq!(toml::from_str::<Definition>(&written).unwrap(), definition);
}

pub(super) fn definition_seeds() -> Vec<Vec<u8>> {
    let mut definition = Definition::new(Name::new("Box").unwrap());
    definition
        .drives
        .push(Drive::disk("disk.qcow2".into(), ImageFormat::Qcow2));
    definition
        .drives
        .push(Drive::optical(Some("/nowhere/installer.iso".into())));
    definition.add_network_card("nat");
    let text = toml::to_string(&definition).unwrap();
    let more = text.replace(
        "[[network]]",
        "forwards = [\"tcp:127.0.0.1:2222:22\"]\n[[network]]",
    );
    vec![text.into_bytes(), more.into_bytes()]
}

pub(super) fn medium(data: &[u8]) {
    let image = Written::new(&mut Input::new(data));
    let database = media::Database::load(&[]);
    let _ = media::inspect_with(&image.file, &image.path, || &database);
    let _ = crate::disk::inspect(&image.path);
    drop(image.folder);
}

pub(super) fn medium_seeds() -> Vec<Vec<u8>> {
    const SECTOR: usize = 2048;
    let mut image = vec![0; 64 * SECTOR];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    // The primary volume descriptor, the boot record, the terminator, UDF's, and the boot catalog with a second section.
    let primary = 16 * SECTOR;
    put(primary, b"\x01CD001\x01");
    put(primary + 40, b"BOX");
    put(primary + 80, &[64, 0, 0, 0, 0, 0, 0, 64]);
    put(primary + 128, &[0, 8, 8, 0]);
    put(primary + 813, b"2025051708000000");
    put(17 * SECTOR, b"\0CD001\x01EL TORITO SPECIFICATION");
    put(17 * SECTOR + 71, &[20, 0, 0, 0]);
    put(18 * SECTOR, b"\xffCD001\x01");
    put(19 * SECTOR, b"\0BEA01\x01");
    put(21 * SECTOR, b"\0NSR02\x01");
    let catalog = 20 * SECTOR;
    put(catalog, &[1, 0]);
    put(catalog + 28, &[0xaa, 0x55, 0x55, 0xaa]);
    put(catalog + 32, &[0x88, 0, 0, 0, 0, 0, 4, 0, 30, 0, 0, 0]);
    put(catalog + 64, &[0x91, 0xef, 1, 0]);
    put(catalog + 96, &[0x88, 0, 0, 0, 0, 0, 0, 0, 40, 0, 0, 0]);
    put(510, &[0x55, 0xaa]);
    put(
        446,
        &[0x80, 0, 2, 0, 0x17, 0, 0, 0, 1, 0, 0, 0, 100, 0, 0, 0],
    );
    let optical = seed(&image);
    let mut disk = vec![0; 68 * 512];
    let mut put = |at: usize, bytes: &[u8]| disk[at..at + bytes.len()].copy_from_slice(bytes);
    put(446, &[0, 0, 2, 0, 0xee, 0, 0, 0, 1, 0, 0, 0, 67, 0, 0, 0]);
    put(510, &[0x55, 0xaa]);
    put(512, b"EFI PART\0\0\x01\0\x5c");
    put(512 + 72, &[2, 0, 0, 0, 0, 0, 0, 0]);
    put(512 + 80, &[128, 0, 0, 0, 128]);
    put(
        1024,
        &0xc12a_7328_f81f_11d2_ba4b_00a0_c93e_c93b_u128.to_le_bytes(),
    );
    put(1024 + 32, &[34, 0, 0, 0, 0, 0, 0, 0, 60]);
    let table = seed(&disk);
    let signed = [
        &b"QFI\xfb\0\0\0\x03"[..],
        b"KDMV\x01",
        b"conectix",
        b"vhdxfile",
        b"PK\x03\x04",
        b"\x1f\x8b\x08",
    ]
    .map(|signature| {
        Script::default()
            .long(4096)
            .long(0)
            .word(signature.len() as u16)
            .bytes(signature)
            .done()
    });
    [vec![optical, table], signed.into()].concat()
}
