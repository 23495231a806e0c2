//! The library through its public face, on folders that are thrown away.

mod definitions;
mod exchange;

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::*;
use crate::definition::{Drive, Finding, Host, ImageFormat, Severity};
use crate::disk::Space;
use crate::disk::tools::Job;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn library() -> (TempDir, Library) {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::open(&folder.path().join("machines")).unwrap();
    (folder, library)
}

/// A machine with a disk of its own and an optical drive.
fn definition(text: &str) -> (Definition, Vec<NewDisk>) {
    let mut definition = Definition::new(name(text));
    definition
        .drives
        .push(Drive::disk("disk.qcow2".into(), ImageFormat::Qcow2));
    definition
        .drives
        .push(Drive::optical(Some("/nowhere/debian.iso".into())));
    let disk = NewDisk {
        file: "disk.qcow2".into(),
        format: ImageFormat::Qcow2,
        size: 1 << 30,
    };
    (definition, vec![disk])
}

fn create(library: &Library, text: &str) -> StoredMachine {
    let (definition, disks) = definition(text);
    library.create(&definition, &disks).unwrap()
}

fn titles(library: &Library) -> Vec<String> {
    library.scan().unwrap().iter().map(Entry::title).collect()
}

/// All that is in the library's folder, hidden or not, but for its lock.
fn folders(library: &Library) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(library.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".lock")
        .collect();
    names.sort();
    names
}

#[test]
fn a_machine_is_made_found_and_still_there_later() {
    let (folder, library) = library();
    let made = create(&library, "Debian 12");
    assert_eq!(made.folder, library.folder().join("debian-12"));
    assert!(made.folder.join("disk.qcow2").is_file());
    assert_eq!(library.find(" debian 12").unwrap(), made);
    assert!(matches!(
        library.find("Debian"),
        Err(LibraryError::NotFound { .. })
    ));
    drop(library);
    let library = Library::open(&folder.path().join("machines")).unwrap();
    assert_eq!(library.scan().unwrap(), [Entry::Machine(made)]);
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(library.folder()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn names_are_unique_without_regard_to_case_and_folders_by_number() {
    let (_folder, library) = library();
    for text in ["Debian", "a b", "A-B", "a.b", "…", "Ünï 1"] {
        create(&library, text);
    }
    let (definition, disks) = definition("dEBIAN");
    let error = library.create(&definition, &disks).unwrap_err();
    assert!(matches!(error, LibraryError::NameTaken { .. }), "{error}");
    assert_eq!(
        titles(&library),
        ["a b", "A-B", "a.b", "Debian", "Ünï 1", "…"]
    );
    assert_eq!(
        folders(&library),
        ["a-b", "a-b-2", "a-b-3", "debian", "machine", "ünï-1"]
    );
    let debian = library.find("Debian").unwrap();
    assert!(matches!(
        library.rename(&debian, name("A B")),
        Err(LibraryError::NameTaken { .. })
    ));
    // A machine may change the case of its own name.
    let renamed = library.rename(&debian, name("DEBIAN")).unwrap();
    assert_eq!(
        (renamed.definition.name.as_str(), &renamed.folder),
        ("DEBIAN", &debian.folder)
    );
}

#[test]
fn a_machine_that_cannot_be_made_leaves_nothing() {
    let (_folder, library) = library();
    let (definition, disks) = definition("Test");
    for file in [
        "",
        ".",
        "..",
        "../disk",
        "a/b",
        "/etc/disk",
        ".hidden",
        "machine.toml",
        "machine.log",
        "disk/",
    ] {
        let disks = [
            disks[0].clone(),
            NewDisk {
                file: file.into(),
                ..disks[0].clone()
            },
        ];
        let error = library.create(&definition, &disks).unwrap_err();
        assert!(
            matches!(error, LibraryError::DiskName { .. }),
            "{file}: {error}"
        );
    }
    for disks in [
        vec![disks[0].clone(), disks[0].clone()],
        vec![NewDisk {
            size: 3,
            ..disks[0].clone()
        }],
    ] {
        assert!(matches!(
            library.create(&definition, &disks),
            Err(LibraryError::Disk(_))
        ));
    }
    assert_eq!(folders(&library), Vec::<String>::new());
}

#[test]
fn one_at_a_time_holds_a_machine() {
    let (_folder, library) = library();
    let machine = create(&library, "Test");
    let lock = machine.lock().unwrap();
    let error = machine.lock().unwrap_err();
    assert!(
        matches!(error, LibraryError::InUse { process: Some(id), .. } if id == std::process::id())
    );
    assert!(
        error
            .to_string()
            .contains(&format!("process {}", std::process::id())),
        "{error}"
    );
    assert!(matches!(
        library.delete(&Entry::Machine(machine.clone())),
        Err(LibraryError::InUse { .. })
    ));
    assert!(matches!(
        library.delete_permanently(&machine),
        Err(LibraryError::InUse { .. })
    ));
    assert!(matches!(
        library.clone_machine(&machine, name("Copy"), &Job::quiet()),
        Err(LibraryError::InUse { .. })
    ));
    // Its definition can change all the same.
    library.rename(&machine, name("Other")).unwrap();
    drop(lock);
    machine.lock().unwrap();
}

#[test]
fn a_clone_has_its_own_disks_and_identity() {
    let (folder, library) = library();
    let outside = folder.path().join("data.raw");
    let mut content = vec![0; 3 << 20];
    content[1 << 20..(1 << 20) + 4].copy_from_slice(b"data");
    fs::write(&outside, &content).unwrap();
    let (mut definition, disks) = definition("Original");
    definition
        .drives
        .push(Drive::disk(outside.clone(), ImageFormat::Raw));
    let original = library.create(&definition, &disks).unwrap();
    let text = format!("# mine\n{}", fs::read_to_string(original.file()).unwrap());
    fs::write(original.file(), text).unwrap();
    let sparse = fs::File::create(original.folder.join("disk.qcow2")).unwrap();
    sparse.set_len(1 << 30).unwrap();
    drop(sparse);

    let copy = library
        .clone_machine(&original, name("Copy"), &Job::quiet())
        .unwrap();
    assert_ne!(copy.definition.uuid, original.definition.uuid);
    let files: Vec<_> = copy
        .definition
        .drives
        .iter()
        .map(|drive| drive.file.clone().unwrap())
        .collect();
    assert_eq!(
        files,
        ["disk.qcow2", "/nowhere/debian.iso", "data.raw"].map(PathBuf::from)
    );
    assert_eq!(fs::read(copy.folder.join("data.raw")).unwrap(), content);
    use std::os::unix::fs::MetadataExt;
    let disk = fs::metadata(copy.folder.join("disk.qcow2")).unwrap();
    assert_eq!(disk.len(), 1 << 30);
    assert!(disk.blocks() < 1000, "holes stay holes");
    assert!(
        fs::read_to_string(copy.file())
            .unwrap()
            .starts_with("# mine")
    );
    assert!(matches!(
        library.clone_machine(&original, name("copy"), &Job::quiet()),
        Err(LibraryError::NameTaken { .. })
    ));
    fs::remove_file(&outside).unwrap();
    assert!(
        library
            .clone_machine(&original, name("Third"), &Job::quiet())
            .is_err()
    );
    assert_eq!(folders(&library), ["copy", "original"]);
}

#[test]
fn findings_name_files_names_and_other_machines() {
    let (folder, library) = library();
    let host = Host {
        processors: 4,
        memory: 8 << 30,
        available: 8 << 30,
        secure_boot: true,
    };
    let machine = create(&library, "First");
    let found = |definition: &Definition, folder: Option<&Path>| {
        library.findings(definition, folder, &host).unwrap()
    };
    let errors = |found: &[Finding]| {
        found
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .map(|finding| (finding.field.clone(), finding.message.clone()))
            .collect::<Vec<_>>()
    };
    // The medium that is nowhere is all there is to say.
    let known = errors(&found(&machine.definition, Some(&machine.folder)));
    assert!(
        matches!(&known[..], [(field, message)] if field == "drive.1.file" && message.contains("does not exist") && message.contains("eject")),
        "{known:?}"
    );
    // A second machine: the name, and the first one's disk.
    let mut second = Definition::new(name("FIRST"));
    second
        .drives
        .push(Drive::disk("new.qcow2".into(), ImageFormat::Qcow2));
    second.drives.push(Drive::disk(
        machine.folder.join("disk.qcow2"),
        ImageFormat::Qcow2,
    ));
    let known = errors(&found(&second, None));
    assert!(known.iter().any(|(field, _)| field == "name"), "{known:?}");
    assert!(
        known
            .iter()
            .any(|(field, message)| field == "drive.1.file" && message.starts_with("First uses")),
        "{known:?}"
    );
    assert!(
        known.iter().all(|(field, _)| field != "drive.0.file"),
        "a disk to be made is not looked at: {known:?}"
    );
    assert_eq!(
        library
            .users_of(&machine.folder.join("disk.qcow2"), None)
            .unwrap(),
        std::slice::from_ref(&machine)
    );
    // Formats, twice the same, out of the folder.
    let raw = folder.path().join("raw");
    fs::write(&raw, [0; 4096]).unwrap();
    let mut third = Definition::new(name("Third"));
    third.drives = vec![
        Drive::disk(raw.clone(), ImageFormat::Qcow2),
        Drive::disk(raw, ImageFormat::Raw),
        Drive::disk("../first/disk.qcow2".into(), ImageFormat::Qcow2),
    ];
    let known = errors(&found(&third, Some(&library.folder().join("third"))));
    for (field, words) in [
        ("drive.0.file", "is not qcow2"),
        ("drive.1.file", "Another drive"),
        ("drive.2.file", "out of the machine's folder"),
    ] {
        assert!(
            known
                .iter()
                .any(|(at, message)| at == field && message.contains(words)),
            "{field} {words}: {known:?}"
        );
    }
}

#[test]
fn a_new_disk_is_held_against_the_space_there() {
    let (_, disks) = definition("Test");
    let space = |available, largest_file| Space {
        available,
        largest_file,
    };
    let fat = Some(u64::from(u32::MAX));
    for (size, space, severity) in [
        (1 << 30, space(1 << 40, None), None),
        (1 << 30, space(1 << 40, fat), None),
        (1 << 30, space(1 << 29, None), Some(Severity::Warning)),
        (4 << 30, space(1 << 40, fat), Some(Severity::Error)),
        (100, space(1 << 40, None), Some(Severity::Error)),
        (u64::MAX, space(u64::MAX, None), Some(Severity::Error)),
    ] {
        let disk = NewDisk {
            size,
            ..disks[0].clone()
        };
        let found = disk.findings(&space);
        assert_eq!(
            found.first().map(|finding| finding.severity),
            severity,
            "{size} {space:?}: {found:?}"
        );
    }
}

#[test]
fn deleting_for_good_spares_what_is_elsewhere() {
    let (folder, library) = library();
    let iso = folder.path().join("debian.iso");
    fs::write(&iso, b"iso").unwrap();
    let (mut definition, disks) = definition("Test");
    definition.drives[1].file = Some(iso.clone());
    let machine = library.create(&definition, &disks).unwrap();
    std::os::unix::fs::symlink(folder.path(), machine.folder.join("link")).unwrap();
    let mut other = Definition::new(name("Other"));
    other.drives.push(Drive::disk(
        machine.folder.join("disk.qcow2"),
        ImageFormat::Qcow2,
    ));
    let other = library.create(&other, &[]).unwrap();
    let error = library.delete_permanently(&machine).unwrap_err();
    assert!(error.to_string().contains("Other uses"), "{error}");
    library.delete_permanently(&other).unwrap();
    library.delete_permanently(&machine).unwrap();
    assert_eq!(folders(&library), Vec::<String>::new());
    assert_eq!(fs::read(iso).unwrap(), b"iso");
}

#[test]
fn the_log_stays_within_its_bound() {
    let folder = tempfile::tempdir().unwrap();
    let path = MachineLog::path(folder.path());
    for _ in 0..3 {
        let mut log = MachineLog::open(folder.path()).unwrap();
        for line in 0..20_000 {
            writeln!(log, "line {line} {}", "x".repeat(60)).unwrap();
        }
    }
    let old = path.with_extension("log.1");
    for file in [&path, &old] {
        let length = fs::metadata(file).unwrap().len();
        assert!((1..=1 << 20).contains(&length), "{length}");
    }
    assert!(
        fs::read_to_string(&path)
            .unwrap()
            .ends_with(&format!("line 19999 {}\n", "x".repeat(60)))
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    let mut log = MachineLog::open(folder.path()).unwrap();
    log.write_all(&vec![b'y'; 5 << 20]).unwrap();
    assert!(fs::metadata(&path).unwrap().len() <= 1 << 20);
}

// --- Parts that need a process of their own ------------------------------------------------------------------------------------

const FOLDER: &str = "GUESTHOUSE_TEST_FOLDER";

/// Starts this test program again for one part of a test.
fn child(part: &str, folder: &Path) -> Child {
    let program = std::env::current_exe().unwrap();
    child_of(Command::new(program), part, folder)
}

/// As [`child`], by a command that ends with the program to start.
fn child_of(mut command: Command, part: &str, folder: &Path) -> Child {
    command
        .args(["--ignored", "--exact", "--nocapture", "--test-threads=1"])
        .arg(format!("library::tests::{part}"))
        .env(FOLDER, folder)
        .env("XDG_DATA_HOME", folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The folder that the parent names; none when somebody runs the ignored tests by hand.
fn child_folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

#[test]
#[ignore = "the process that a_kill_leaves_whole_machines_only kills"]
fn child_makes_machines() {
    let Some(folder) = child_folder() else { return };
    let library = Library::open(&folder).unwrap();
    println!("begun");
    for number in 0.. {
        create(&library, &format!("Machine {number}"));
    }
}

#[test]
fn a_kill_leaves_whole_machines_only() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..6_u64 {
        let path = folder.path().join(round.to_string());
        let mut maker = child("child_makes_machines", &path);
        let mut output = maker.stdout.take().unwrap();
        let mut text = Vec::new();
        let mut byte = [0];
        while !text.ends_with(b"begun\n") && output.read(&mut byte).unwrap() == 1 {
            text.push(byte[0]);
        }
        std::thread::sleep(std::time::Duration::from_micros(round * 7919));
        maker.kill().unwrap();
        maker.wait().unwrap();
        let library = Library::open(&path).unwrap();
        let machines = library.scan().unwrap();
        assert_eq!(
            folders(&library).len(),
            machines.len(),
            "{:?}",
            folders(&library)
        );
        for entry in machines {
            let Entry::Machine(machine) = entry else {
                panic!("{entry:?}")
            };
            crate::disk::open_disk(
                &machine.folder.join("disk.qcow2"),
                ImageFormat::Qcow2,
                false,
            )
            .unwrap();
        }
        create(&library, "Next");
    }
}

#[test]
fn an_unfinished_machine_stays_while_its_maker_lives() {
    let (folder, library) = library();
    let unfinished = Unfinished::new(&library).unwrap();
    Library::open(&folder.path().join("machines")).unwrap();
    assert!(unfinished.folder().is_dir());
    let path = unfinished.folder().to_owned();
    std::mem::forget(unfinished);
    drop(library);
    // The lock of a process that lives stays, so its folder does too.
    Library::open(&folder.path().join("machines")).unwrap();
    assert!(path.is_dir());
}

#[test]
#[ignore = "the part of the_trash_gives_machines_back that has its own XDG_DATA_HOME"]
fn child_deletes_and_restores() {
    let Some(folder) = child_folder() else { return };
    let path = Library::default_folder().unwrap();
    assert_eq!(path, folder.join("guesthouse/machines"));
    let library = Library::open(&path).unwrap();
    let machine = create(&library, "Test 100%");
    let text = fs::read_to_string(machine.file()).unwrap();
    // Twice, so that the Trash has two of that name; the older one stays there.
    let first = library.delete(&Entry::Machine(machine.clone())).unwrap();
    assert_eq!(titles(&library), Vec::<String>::new());
    assert!(folder.join("Trash/files/test-100/disk.qcow2").is_file());
    let again = create(&library, "Test 100%");
    assert!(matches!(
        library.restore(&first),
        Err(LibraryError::NameTaken { .. })
    ));
    let second = library.delete(&Entry::Machine(again.clone())).unwrap();
    assert_eq!(
        library.restore(&second).unwrap(),
        Entry::Machine(again.clone())
    );
    let renamed = library.rename(&again, name("Renamed")).unwrap();
    let error = library.restore(&first).unwrap_err();
    assert!(matches!(error, LibraryError::NotRestored { .. }), "{error}");
    library.delete_permanently(&renamed).unwrap();
    assert_eq!(
        library.restore(&first).unwrap(),
        Entry::Machine(machine.clone())
    );
    assert_eq!(fs::read_to_string(machine.file()).unwrap(), text);
    assert!(library.restore(&first).is_err());
    // One whose file cannot be read goes and comes back as it is.
    fs::write(machine.file(), "schema = nonsense").unwrap();
    let broken = library.scan().unwrap().remove(0);
    assert!(matches!(broken, Entry::Broken(_)));
    let deleted = library.delete(&broken).unwrap();
    assert_eq!(library.scan().unwrap(), []);
    assert_eq!(library.restore(&deleted).unwrap(), broken);
    fs::write(machine.file(), &text).unwrap();
    // Where there can be no trash the machine stays.
    fs::remove_dir_all(folder.join("Trash")).unwrap();
    fs::write(folder.join("Trash"), b"").unwrap();
    let error = library
        .delete(&Entry::Machine(machine.clone()))
        .unwrap_err();
    assert!(
        matches!(error, LibraryError::NoTrash { .. }) && error.to_string().contains("permanently"),
        "{error}"
    );
    assert_eq!(library.find("test 100%").unwrap(), machine);
    print!("[done]");
}

#[test]
fn the_trash_gives_machines_back() {
    let folder = tempfile::tempdir().unwrap();
    let data = fs::canonicalize(folder.path()).unwrap();
    let output = child("child_deletes_and_restores", &data)
        .wait_with_output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("[done]"), "{text}");
}

#[test]
fn cards_and_forwards_are_changed_in_place_and_renewed_by_a_clone() {
    let (_folder, library) = library();
    let (mut made, disks) = definition("Net");
    made.add_network_card("nat");
    let machine = library.create(&made, &disks).unwrap();
    let text = fs::read_to_string(machine.file()).unwrap();
    fs::write(
        machine.file(),
        text.replace(
            "[[network]]",
            "# the office\n[[network]]\ncolour = \"blue\"",
        ),
    )
    .unwrap();
    let mut wanted = machine.definition.clone();
    wanted.networks[0].forwards = vec!["2222:22".parse().unwrap()];
    wanted.add_network_card("lab");
    let machine = library.update(&machine, &wanted).unwrap();
    assert_eq!(machine.definition, wanted);
    let text = fs::read_to_string(machine.file()).unwrap();
    assert!(
        text.contains("# the office\n[[network]]\ncolour = \"blue\""),
        "{text}"
    );
    let mut fewer = wanted.clone();
    fewer.networks[0]
        .forwards
        .push("udp:5353:53".parse().unwrap());
    fewer.networks.remove(1);
    let machine = library.update(&machine, &fewer).unwrap();
    assert_eq!(machine.definition, fewer);

    let copy = library
        .clone_machine(&machine, name("Copy"), &Job::quiet())
        .unwrap();
    assert_ne!(
        copy.definition.mac_address(0),
        machine.definition.mac_address(0)
    );
    assert_eq!(
        copy.definition.networks[0].forwards,
        fewer.networks[0].forwards
    );
}
