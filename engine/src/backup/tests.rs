//! Machines that go into a file and come back, and files that are no backups.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::Definition;
use crate::definition::{Drive, ImageFormat};
use crate::disk::tools::{Cancel, Job, Occupied};
use crate::disk::{DiskOptions, create_disk};
use crate::library::{Library, NewDisk, StoredMachine};
use crate::snapshot::NewSnapshot;

const MIB: u64 = 1 << 20;

struct Place {
    folder: TempDir,
    library: Library,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::open(&folder.path().join("machines")).unwrap();
        Self { folder, library }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What is in the library's folder, hidden or not.
    fn folders(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.library.folder())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != ".lock")
            .collect();
        names.sort();
        names
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn quiet() -> Job<'static> {
    Job::quiet()
}

/// A machine with a qcow2 disk, its variable store, and a raw disk that the person brought.
fn machine(place: &Place, brought: Option<&Path>) -> StoredMachine {
    let mut definition = Definition::new(name("Box"));
    definition
        .drives
        .push(Drive::disk("disk.qcow2".into(), ImageFormat::Qcow2));
    if let Some(brought) = brought {
        definition
            .drives
            .push(Drive::disk(brought.to_owned(), ImageFormat::Raw));
    }
    definition
        .drives
        .push(Drive::optical(Some("/nowhere/installer.iso".into())));
    definition.add_network_card("nat");
    let disk = NewDisk {
        file: "disk.qcow2".into(),
        format: ImageFormat::Qcow2,
        size: 64 * MIB,
    };
    let machine = place.library.create(&definition, &[disk]).unwrap();
    fs::write(
        machine.folder.join(crate::firmware::NVRAM_FILES[0]),
        b"variables",
    )
    .unwrap();
    machine
}

fn write(machine: &StoredMachine, drive: usize, offset: u64, byte: u8) {
    let drive = &machine.definition.drives[drive];
    let image = DiskOptions::of_drive(drive, &machine.folder)
        .open(&drive.path(&machine.folder).unwrap())
        .unwrap();
    image.write_at(offset, &[byte; 4096]).unwrap();
    image.flush().unwrap();
}

fn reads(machine: &StoredMachine, drive: usize, offset: u64) -> u8 {
    let drive = &machine.definition.drives[drive];
    let options = DiskOptions {
        read_only: true,
        ..DiskOptions::of_drive(drive, &machine.folder)
    };
    let image = options.open(&drive.path(&machine.folder).unwrap()).unwrap();
    let mut data = [0; 4096];
    image.read_at(offset, &mut data).unwrap();
    assert!(data.iter().all(|byte| *byte == data[0]));
    data[0]
}

fn allocated(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).unwrap().blocks() * 512
}

#[test]
fn a_machine_comes_back_whole() {
    let place = Place::new();
    let brought = place.path("brought.img");
    create_disk(&brought, ImageFormat::Raw, 8 << 30).unwrap();
    let machine = machine(&place, Some(&brought));
    write(&machine, 0, 0, 1);
    write(&machine, 1, 5 << 30, 2);
    let file = place.path("box.tar.zst");
    place
        .library
        .back_up(&machine, &file, Occupied::Refuse, &quiet())
        .unwrap();
    assert!(fs::metadata(&file).unwrap().len() < MIB);
    let about = About::read(&file).unwrap();
    assert_eq!(
        (about.name.as_str(), about.uuid),
        ("Box", machine.definition.uuid)
    );

    // Beside itself it is another machine.
    let error = place
        .library
        .restore_backup(&file, name("Box 2"), KeptIdentity::Same, &quiet())
        .unwrap_err();
    assert!(matches!(error, BackupError::StillThere { .. }), "{error}");
    let error = place
        .library
        .restore_backup(&file, name("box"), KeptIdentity::New, &quiet())
        .unwrap_err();
    assert!(error.to_string().contains("exists already"), "{error}");
    assert_eq!(place.folders(), ["box"]);
    let other = place
        .library
        .restore_backup(&file, name("Box 2"), KeptIdentity::New, &quiet())
        .unwrap();
    assert_ne!(other.definition.uuid, machine.definition.uuid);
    assert_ne!(
        other.definition.networks[0].mac,
        machine.definition.networks[0].mac
    );
    // The disk that was elsewhere is its own, and has its holes again.
    let own = other.definition.drives[1].file.clone().unwrap();
    assert_eq!(own, Path::new("brought.img"));
    assert!(allocated(&other.folder.join(&own)) < MIB);
    assert_eq!(fs::metadata(other.folder.join(own)).unwrap().len(), 8 << 30);
    assert_eq!((reads(&other, 0, 0), reads(&other, 1, 5 << 30)), (1, 2));
    assert_eq!(
        other.definition.drives[2].file.as_deref(),
        Some(Path::new("/nowhere/installer.iso"))
    );
    assert_eq!(
        fs::read(other.folder.join(crate::firmware::NVRAM_FILES[0])).unwrap(),
        b"variables"
    );

    // Gone, it comes back as itself.
    place.library.delete_permanently(&machine).unwrap();
    fs::remove_file(&brought).unwrap();
    let same = place
        .library
        .restore_backup(&file, name("Box"), KeptIdentity::Same, &quiet())
        .unwrap();
    assert_eq!(same.definition.uuid, machine.definition.uuid);
    assert_eq!(same.definition.networks, machine.definition.networks);
    assert_eq!((reads(&same, 0, 0), reads(&same, 1, 5 << 30)), (1, 2));
}

#[test]
fn snapshots_come_along_with_what_they_are_built_on() {
    let place = Place::new();
    // The person's image is a chain in another folder.
    let brought = place.path("brought");
    fs::create_dir(&brought).unwrap();
    create_disk(&brought.join("base.img"), ImageFormat::Raw, 16 * MIB).unwrap();
    fs::write(brought.join("base.img"), vec![9; 16 << 20]).unwrap();
    let made = Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-b", "base.img", "-F", "raw"])
        .arg("top.qcow2")
        .current_dir(&brought)
        .status()
        .unwrap();
    assert!(made.success());
    let mut machine = machine(&place, None);
    let mut definition = machine.definition.clone();
    definition.drives.push(Drive {
        backing: vec![brought.join("base.img")],
        ..Drive::disk(brought.join("top.qcow2"), ImageFormat::Qcow2)
    });
    machine = place.library.update(&machine, &definition).unwrap();
    write(&machine, 0, 0, 1);
    write(&machine, 2, 0, 2);
    let snapshot = NewSnapshot {
        name: "First".to_owned(),
        notes: String::new(),
    };
    let first = place.library.take_snapshot(&machine, &snapshot).unwrap();
    machine = place.library.find("Box").unwrap();
    write(&machine, 0, 0, 3);
    write(&machine, 2, 0, 4);
    let linked = place
        .library
        .branch(&machine, first, name("Linked"))
        .unwrap();
    write(&linked, 0, MIB, 5);

    let file = place.path("box.tar.zst");
    let linked_file = place.path("linked.tar.zst");
    place
        .library
        .back_up(&machine, &file, Occupied::Refuse, &quiet())
        .unwrap();
    place
        .library
        .back_up(&linked, &linked_file, Occupied::Refuse, &quiet())
        .unwrap();
    let elsewhere = Library::open(&place.path("other")).unwrap();
    fs::remove_dir_all(&brought).unwrap();
    fs::remove_dir_all(&machine.folder).unwrap();
    fs::remove_dir_all(&linked.folder).unwrap();

    let back = elsewhere
        .restore_backup(&file, name("Box"), KeptIdentity::Same, &quiet())
        .unwrap();
    assert_eq!((reads(&back, 0, 0), reads(&back, 2, 0)), (3, 4));
    assert_eq!(reads(&back, 2, MIB), 9);
    assert!(
        back.definition
            .drives
            .iter()
            .all(|drive| drive.backing.is_empty())
    );
    let tree = elsewhere.snapshots(&back).unwrap();
    assert_eq!(tree.snapshots().len(), 1);
    elsewhere.revert(&back, first).unwrap();
    let back = elsewhere.find("Box").unwrap();
    assert_eq!((reads(&back, 0, 0), reads(&back, 2, 0)), (1, 2));

    // A linked machine stands on its own afterwards.
    let alone = elsewhere
        .restore_backup(&linked_file, name("Linked"), KeptIdentity::New, &quiet())
        .unwrap();
    assert_eq!(
        (
            reads(&alone, 0, 0),
            reads(&alone, 0, MIB),
            reads(&alone, 2, 0)
        ),
        (1, 5, 2)
    );
    crate::snapshot::check_start(&alone.folder, &alone.definition).unwrap();
}

#[test]
fn tar_unpacks_it() {
    let place = Place::new();
    let brought = place.path("brought.img");
    create_disk(&brought, ImageFormat::Raw, 64 * MIB).unwrap();
    let machine = machine(&place, Some(&brought));
    write(&machine, 1, 32 * MIB, 7);
    let file = place.path("box.tar.zst");
    place
        .library
        .back_up(&machine, &file, Occupied::Refuse, &quiet())
        .unwrap();
    let plain = place.path("box.tar");
    let mut decoder = zstd::Decoder::new(fs::File::open(&file).unwrap()).unwrap();
    std::io::copy(&mut decoder, &mut fs::File::create(&plain).unwrap()).unwrap();
    let unpacked = Command::new("tar")
        .arg("-xf")
        .arg(&plain)
        .current_dir(place.folder.path())
        .status()
        .unwrap();
    assert!(unpacked.success());
    assert!(fs::read(place.path("machine/brought.img")).unwrap() == fs::read(&brought).unwrap());
    assert!(
        fs::read(place.path("machine/disk.qcow2")).unwrap()
            == fs::read(machine.folder.join("disk.qcow2")).unwrap()
    );
}

#[test]
fn what_is_not_a_whole_backup_is_refused_and_leaves_nothing() {
    let place = Place::new();
    let machine = machine(&place, None);
    write(&machine, 0, 0, 1);
    let file = place.path("box.tar.zst");
    place
        .library
        .back_up(&machine, &file, Occupied::Refuse, &quiet())
        .unwrap();
    let whole = fs::read(&file).unwrap();
    let restore = |content: &[u8]| {
        let file = place.path("try.tar.zst");
        fs::write(&file, content).unwrap();
        place
            .library
            .restore_backup(&file, name("Try"), KeptIdentity::New, &quiet())
    };
    restore(&whole).unwrap();
    let tried = place.library.find("Try").unwrap();
    place.library.delete_permanently(&tried).unwrap();
    for length in [0, 3, 4, 20, whole.len() / 2, whole.len() - 1] {
        let error = restore(&whole[..length]).unwrap_err();
        assert!(
            matches!(error, BackupError::Not { .. } | BackupError::Damaged { .. }),
            "{length}: {error}"
        );
        assert_eq!(place.folders(), ["box"]);
    }
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        if let Ok(machine) = restore(&damaged) {
            // A bit that says nothing: what came back is what was.
            assert_eq!(reads(&machine, 0, 0), 1);
            place.library.delete_permanently(&machine).unwrap();
        }
        assert_eq!(place.folders(), ["box"], "{at}");
    }
    // Archives that are well made, and lie.
    let text = |name: &str| {
        format!(
            "schema = 1\nprogram = \"x\"\nname = \"{name}\"\nuuid = \"{}\"\ncreated = 0\nbytes = 1\n",
            Uuid::new_v4()
        )
    };
    let archive = |files: &[(&str, &[u8], tar::EntryType)]| {
        let encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        let mut archive = tar::Builder::new(encoder);
        for (name, content, kind) in files {
            let mut header = tar::Header::new_ustar();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(content.len() as u64);
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            header.set_cksum();
            archive.append(&header, *content).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap()
    };
    use tar::EntryType::{Regular, Symlink, XHeader};
    let good = text("Try");
    let newer = good.replace("schema = 1", "schema = 2");
    let header = (HEADER, good.as_bytes(), Regular);
    for (files, word) in [
        (vec![], "not a backup"),
        (vec![("machine/a", &b"1"[..], Regular)], "not a backup"),
        (vec![(HEADER, newer.as_bytes(), Regular)], "newer version"),
        (vec![(HEADER, b"schema = 1", Regular)], "damaged"),
        (vec![header], "ends too early"),
        (vec![header, ("machine/../../a", b"1", Regular)], "outside"),
        (vec![header, ("/etc/a", b"1", Regular)], "outside"),
        (vec![header, ("machine/.lock", b"1", Regular)], "outside"),
        (vec![header, ("machine/a", b"", Symlink)], "something else"),
        (
            vec![
                header,
                ("machine/a", b"1", Regular),
                ("machine/a", b"1", Regular),
            ],
            "twice",
        ),
        (
            vec![header, ("machine/a", b"1", Regular), (SUMS, b"", Regular)],
            "no checksum",
        ),
        (
            vec![
                header,
                ("x", b"29 GNU.sparse.realsize=99999\n", XHeader),
                ("machine/a", b"1", Regular),
            ],
            "holes",
        ),
        (
            vec![
                header,
                (
                    SUMS,
                    b"[[file]]\npath='a'\nlength=1\nmodified=0\nsha256='x'\n",
                    Regular,
                ),
            ],
            "missing",
        ),
        (vec![header, (SUMS, b"", Regular)], "machine.toml"),
    ] {
        let error = restore(&archive(&files)).unwrap_err();
        assert!(error.to_string().contains(word), "{word}: {error}");
        assert_eq!(place.folders(), ["box"], "{word}");
    }
    assert!(About::read(Path::new("/nowhere/a")).is_err());
}

#[test]
fn a_machine_that_is_used_or_broken_is_not_backed_up_and_nothing_is_left() {
    let place = Place::new();
    let machine = machine(&place, None);
    let file = place.path("box.tar.zst");
    {
        let _held = machine.lock().unwrap();
        let error = place
            .library
            .back_up(&machine, &file, Occupied::Refuse, &quiet())
            .unwrap_err();
        assert!(error.to_string().contains("in use"), "{error}");
    }
    {
        // Another program writes to the disk.
        let _image = DiskOptions::new(ImageFormat::Qcow2)
            .open(&machine.folder.join("disk.qcow2"))
            .unwrap();
        let error = place
            .library
            .back_up(&machine, &file, Occupied::Refuse, &quiet())
            .unwrap_err();
        assert!(error.to_string().contains("use"), "{error}");
    }
    let cancel = Cancel::default();
    cancel.cancel();
    let report = |_| {};
    let error = place
        .library
        .back_up(
            &machine,
            &file,
            Occupied::Refuse,
            &Job::new(&report, cancel),
        )
        .unwrap_err();
    assert!(error.is_cancelled(), "{error}");
    fs::write(&file, b"mine").unwrap();
    let error = place
        .library
        .back_up(&machine, &file, Occupied::Refuse, &quiet())
        .unwrap_err();
    assert!(error.to_string().contains("exists already"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    fs::remove_file(&file).unwrap();
    let mut names: Vec<_> = fs::read_dir(place.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["machines"]);
    // A base that somebody changed.
    let snapshot = NewSnapshot {
        name: "First".to_owned(),
        notes: String::new(),
    };
    place.library.take_snapshot(&machine, &snapshot).unwrap();
    fs::File::options()
        .write(true)
        .open(machine.folder.join("disk.qcow2"))
        .unwrap()
        .write_all_at(b"x", 1000)
        .unwrap();
    let error = place
        .library
        .back_up(&machine, &file, Occupied::Refuse, &quiet())
        .unwrap_err();
    assert!(matches!(error, BackupError::Snapshot(_)), "{error}");
    assert!(!file.exists());
}
