//! Snapshots on folders that are thrown away; what is on the disks is written and read by QEMU's tools.

mod space;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::definition::{Definition, Drive, ImageFormat, Name};
use crate::disk::tools::{Cancel, Job, Progress};
use crate::disk::{Backing, DiskOptions, create_disk};
use crate::library::{Entry, Library, NewDisk, StoredMachine};

const SIZE: u64 = 4 << 20;
const NVRAM: &str = crate::firmware::NVRAM_FILES[1];
/// Where each state of the tests writes its mark, and how long marks are.
const MARK: u64 = 65536;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn new(text: &str) -> NewSnapshot {
    NewSnapshot {
        name: text.to_owned(),
        notes: String::new(),
    }
}

fn tool(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

/// Writes `mark` at piece number `place` of an image, as a guest would.
fn write(image: &Path, format: &str, place: u64, mark: u8) {
    let options = DiskOptions {
        backing: Backing {
            files: Vec::new(),
            folders: vec!["/".into()],
        },
        ..DiskOptions::new(match format {
            "raw" => ImageFormat::Raw,
            _ => ImageFormat::Qcow2,
        })
    };
    let disk = options.open(image).unwrap();
    let data = vec![mark; usize::try_from(MARK).unwrap()];
    disk.write_at(place * MARK, &data).unwrap();
    disk.flush().unwrap();
}

/// Whether these marks are read at these pieces of an image.
fn reads(image: &Path, format: &str, marks: &[(u64, u8)]) -> bool {
    let options = DiskOptions {
        read_only: true,
        backing: Backing {
            files: Vec::new(),
            folders: vec!["/".into()],
        },
        ..DiskOptions::new(match format {
            "raw" => ImageFormat::Raw,
            _ => ImageFormat::Qcow2,
        })
    };
    let disk = options.open(image).unwrap();
    marks.iter().all(|(place, mark)| {
        let mut data = vec![0; usize::try_from(MARK).unwrap()];
        disk.read_at(place * MARK, &mut data).unwrap();
        data.iter().all(|byte| byte == mark)
    })
}

/// As [`reads`], by QEMU.
fn qemu_reads(image: &Path, marks: &[(u64, u8)]) -> bool {
    let mut command = Command::new("qemu-io");
    command.arg("-r");
    for (place, mark) in marks {
        command.args(["-c", &format!("read -P {mark} {} {MARK}", place * MARK)]);
    }
    let output = command.arg(image).output().unwrap();
    output.status.success() && !String::from_utf8_lossy(&output.stdout).contains("failed")
}

/// Gives a file another time, as a backup that is put back may have.
fn touch(file: &Path) {
    let file = fs::File::options().write(true).open(file).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
}

/// A library with a machine "Test": a qcow2 disk and a raw one of its own, and one of the person's elsewhere.
struct Scene {
    _folder: TempDir,
    library: Library,
    outside: PathBuf,
}

impl Scene {
    fn new() -> Self {
        // In memory, where there is room: these tests wait for the device thousands of times.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let folder = folder.unwrap();
        let library = Library::open(&folder.path().join("machines")).unwrap();
        let outside = folder.path().join("outside.raw");
        create_disk(&outside, ImageFormat::Raw, SIZE).unwrap();
        let mut definition = Definition::new(name("Test"));
        definition.drives = vec![
            Drive::disk("disk.qcow2".into(), ImageFormat::Qcow2),
            Drive::optical(None),
            Drive::disk("data.raw".into(), ImageFormat::Raw),
            Drive::disk(outside.clone(), ImageFormat::Raw),
        ];
        let disk = |file: &str, format| NewDisk {
            file: file.into(),
            format,
            size: SIZE,
        };
        let disks = [
            disk("disk.qcow2", ImageFormat::Qcow2),
            disk("data.raw", ImageFormat::Raw),
        ];
        let machine = library.create(&definition, &disks).unwrap();
        fs::write(machine.folder.join(NVRAM), b"first").unwrap();
        let text = fs::read_to_string(machine.file()).unwrap();
        fs::write(machine.file(), format!("# mine\n{text}")).unwrap();
        Self {
            _folder: folder,
            library,
            outside,
        }
    }

    fn machine(&self) -> StoredMachine {
        self.library.find("Test").unwrap()
    }

    /// Writes `mark` to every disk of the machine, and to its variable store.
    fn mark(&self, place: u64, mark: u8) {
        let machine = self.machine();
        for (path, format) in images(&machine) {
            write(&path, format, place, mark);
        }
        fs::write(machine.folder.join(NVRAM), [mark]).unwrap();
    }

    fn take(&self, text: &str) -> uuid::Uuid {
        self.library
            .take_snapshot(&self.machine(), &new(text))
            .unwrap()
    }

    fn names(&self) -> Vec<(String, usize, bool)> {
        let tree = self.library.snapshots(&self.machine()).unwrap();
        tree.snapshots()
            .into_iter()
            .map(|snapshot| (snapshot.name, snapshot.depth, snapshot.current))
            .collect()
    }

    /// Whether everything that must hold does.
    fn check(&self) {
        let machine = self.machine();
        check_start(&machine.folder, &machine.definition).unwrap();
        let tree = self.library.snapshots(&machine).unwrap();
        for node in &tree.nodes {
            tree.check_snapshot(node).unwrap();
        }
        assert!(!unfinished(&machine.folder));
        // Every image in the folder belongs to somebody.
        for entry in fs::read_dir(&machine.folder).unwrap() {
            let path = entry.unwrap().path();
            let image = ["qcow2", "raw"].contains(
                &path
                    .extension()
                    .and_then(|end| end.to_str())
                    .unwrap_or_default(),
            );
            let used = images(&machine).iter().any(|(image, _)| *image == path);
            assert!(
                !image || used != tree.keeper(&path).is_some(),
                "{} has no owner, or two",
                path.display()
            );
        }
    }

    /// Whether QEMU finds no fault in the machine's disks, and reads these marks.
    fn qemu_finds(&self, marks: &[(u64, u8)]) {
        for (path, format) in images(&self.machine()) {
            if format == "qcow2" {
                tool(Command::new("qemu-img").args(["check", "-q"]).arg(&path));
                assert!(qemu_reads(&path, marks), "{}", path.display());
            }
        }
    }
}

/// The images that a machine writes to, with their formats as QEMU calls them.
fn images(machine: &StoredMachine) -> Vec<(PathBuf, &'static str)> {
    machine
        .definition
        .drives
        .iter()
        .filter(|drive| tree::is_written(drive))
        .map(|drive| {
            let format = match drive.format {
                ImageFormat::Raw => "raw",
                ImageFormat::Qcow2 => "qcow2",
            };
            (drive.path(&machine.folder).unwrap(), format)
        })
        .collect()
}

/// Whether all disks and the variable store of `machine` are in the state in which `mark` was last written, at `place`.
fn is_at(machine: &StoredMachine, marks: &[(u64, u8)]) -> bool {
    let disks = images(machine)
        .iter()
        .all(|(path, format)| reads(path, format, marks));
    let last = marks.last().map(|(_, mark)| *mark);
    disks
        && fs::read(machine.folder.join(NVRAM))
            .unwrap()
            .first()
            .copied()
            == last
}

#[test]
fn a_tree_is_taken_gone_back_in_and_branched() {
    let scene = Scene::new();
    scene.mark(0, 1);
    let before = fs::read(&scene.outside).unwrap();
    let first = scene.take("First");
    scene.mark(1, 2);
    let second = scene.take("Second");
    scene.mark(1, 3);
    let machine = scene.machine();
    assert!(is_at(&machine, &[(0, 1), (1, 3)]));
    assert_eq!(
        fs::read(&scene.outside).unwrap(),
        before,
        "frozen where it is"
    );
    assert!(
        fs::read_to_string(machine.file())
            .unwrap()
            .starts_with("# mine")
    );
    scene.check();
    let tree = |depths: &[(&str, usize, bool)]| -> Vec<_> {
        depths
            .iter()
            .map(|(name, depth, current)| ((*name).to_owned(), *depth, *current))
            .collect()
    };
    assert_eq!(
        scene.names(),
        tree(&[("First", 0, false), ("Second", 1, true)])
    );

    let renamed = scene.library.rename(&machine, name("Test")).unwrap();
    scene.library.revert(&renamed, first).unwrap();
    assert!(is_at(&scene.machine(), &[(1, 0), (0, 1)]));
    scene.check();
    scene.mark(2, 9);
    scene.take("Other");
    assert_eq!(
        scene.names(),
        tree(&[
            ("First", 0, false),
            ("Second", 1, false),
            ("Other", 1, true)
        ])
    );
    scene.library.revert(&scene.machine(), second).unwrap();
    assert!(is_at(&scene.machine(), &[(0, 1), (2, 0), (1, 2)]));
    scene.check();

    scene.qemu_finds(&[(0, 1), (2, 0), (1, 2)]);
    let branch = scene
        .library
        .branch(&scene.machine(), second, name("Branch"))
        .unwrap();
    assert!(qemu_reads(&images(&branch)[0].0, &[(0, 1), (1, 2)]));
    assert_ne!(branch.definition.uuid, scene.machine().definition.uuid);
    assert!(is_at(&branch, &[(0, 1), (1, 2)]));
    for (path, format) in images(&branch) {
        write(&path, format, 3, 7);
    }
    assert!(is_at(&scene.machine(), &[(0, 1), (3, 0), (1, 2)]));
    check_start(&branch.folder, &branch.definition).unwrap();
    scene.check();
    // The branch holds the snapshot and everything below it.
    let error = scene
        .library
        .delete_snapshot(&scene.machine(), second)
        .unwrap_err();
    assert!(error.to_string().contains("Branch"), "{error}");
    let error = scene
        .library
        .delete_snapshot(&scene.machine(), first)
        .unwrap_err();
    assert!(error.to_string().contains("Branch"), "{error}");
    let error = scene
        .library
        .delete(&Entry::Machine(scene.machine()))
        .unwrap_err();
    assert!(error.to_string().contains("Branch uses"), "{error}");
    scene.library.delete_permanently(&branch).unwrap();
    scene
        .library
        .delete_snapshot(&scene.machine(), second)
        .unwrap();
    assert_eq!(
        scene.names(),
        tree(&[("First", 0, true), ("Other", 1, false)])
    );
    scene
        .library
        .restore_snapshot(&scene.machine(), second)
        .unwrap();
    assert_eq!(scene.names().len(), 3);
    scene.check();
}

/// Does `change` cut after each change to the file system in turn, and lets the library be read after each cut: `judge` is told
/// whether the change was made, and looks.
fn cut_everywhere(
    prepare: impl Fn(&Scene),
    change: impl Fn(&Scene) -> Result<(), SnapshotError>,
    judge: impl Fn(&Scene) -> bool,
) {
    for cut in 0.. {
        let scene = Scene::new();
        prepare(&scene);
        files::CHANGES_LEFT.set(Some(cut));
        let outcome = change(&scene);
        files::CHANGES_LEFT.set(None);
        // Another process comes and reads the library.
        let library = Library::open(scene.library.folder()).unwrap();
        drop(library);
        scene.check();
        let done = judge(&scene);
        // It goes on, done or not.
        scene.take("Next");
        scene.check();
        match outcome {
            Ok(()) => {
                assert!(done);
                assert!(cut > 5, "nothing was cut");
                return;
            }
            Err(error) => {
                assert!(error.to_string().contains("cut"), "{error}");
            }
        }
    }
}

#[test]
fn taking_is_done_or_not() {
    cut_everywhere(
        |scene| scene.mark(0, 1),
        |scene| {
            let new = new("First");
            scene
                .library
                .take_snapshot(&scene.machine(), &new)
                .map(drop)
        },
        |scene| {
            assert!(is_at(&scene.machine(), &[(0, 1)]));
            !scene.names().is_empty()
        },
    );
}

#[test]
fn going_back_is_done_or_not() {
    cut_everywhere(
        |scene| {
            scene.mark(0, 1);
            scene.take("First");
            scene.mark(0, 2);
        },
        |scene| {
            let machine = scene.machine();
            let first = scene.library.snapshots(&machine)?.find("First")?;
            scene.library.revert(&machine, first).map(drop)
        },
        |scene| {
            let back = is_at(&scene.machine(), &[(0, 1)]);
            assert!(back != is_at(&scene.machine(), &[(0, 2)]));
            back
        },
    );
}

#[test]
fn branching_is_done_or_not() {
    cut_everywhere(
        |scene| {
            scene.mark(0, 1);
            scene.take("First");
            scene.mark(0, 2);
        },
        |scene| {
            let machine = scene.machine();
            let first = scene.library.snapshots(&machine)?.find("First")?;
            scene
                .library
                .branch(&machine, first, name("Branch"))
                .map(drop)
        },
        |scene| {
            assert!(is_at(&scene.machine(), &[(0, 2)]));
            let first = || scene.library.snapshots(&scene.machine())?.find("First");
            match scene.library.find("Branch") {
                Ok(branch) => {
                    assert!(is_at(&branch, &[(0, 1)]));
                    check_start(&branch.folder, &branch.definition).unwrap();
                    true
                }
                Err(_) => {
                    // What was written down of it holds nothing.
                    let first = first().unwrap();
                    let machine = scene.machine();
                    scene.library.delete_snapshot(&machine, first).unwrap();
                    scene.library.restore_snapshot(&machine, first).unwrap();
                    false
                }
            }
        },
    );
}

#[test]
fn what_does_not_hold_together_is_explained_and_refused() {
    let scene = Scene::new();
    scene.mark(0, 1);
    let first = scene.take("First");
    let machine = scene.machine();
    let refused = |words: &[&str]| {
        let machine = scene.machine();
        let messages = [
            check_start(&machine.folder, &machine.definition)
                .unwrap_err()
                .to_string(),
            scene
                .library
                .take_snapshot(&machine, &new("Next"))
                .unwrap_err()
                .to_string(),
            scene
                .library
                .revert(&machine, first)
                .unwrap_err()
                .to_string(),
            scene
                .library
                .branch(&machine, first, name("Branch"))
                .unwrap_err()
                .to_string(),
        ];
        for message in messages {
            assert!(words.iter().all(|word| message.contains(word)), "{message}");
        }
    };
    // A base that is gone.
    let base = machine.folder.join("disk.qcow2");
    let away = machine.folder.join("away");
    fs::rename(&base, &away).unwrap();
    refused(&["disk.qcow2 is missing", "put it back"]);
    fs::rename(&away, &base).unwrap();
    scene.check();
    // One that another program wrote to, without and with a change of its length.
    let file = fs::File::options()
        .write(true)
        .open(&scene.outside)
        .unwrap();
    let then = file.metadata().unwrap().modified().unwrap();
    file.set_modified(then + std::time::Duration::from_secs(1))
        .unwrap();
    refused(&["outside.raw", "was changed", "written to at", "accept"]);
    file.set_modified(then).unwrap();
    file.set_len(SIZE + 512).unwrap();
    refused(&["outside.raw", "4194816 bytes instead of 4194304"]);
    file.set_len(SIZE).unwrap();
    file.set_modified(then).unwrap();
    scene.check();
    // A drive that writes to what a snapshot keeps.
    let text = fs::read_to_string(machine.file()).unwrap();
    fs::write(machine.file(), text.replace("disk.1.qcow2", "disk.qcow2")).unwrap();
    refused(&["disk.qcow2 is kept by the snapshot \"First\""]);
    fs::write(machine.file(), &text).unwrap();
    // Manifests that contradict one another.
    let manifest = machine
        .folder
        .join(tree::relative_place(first))
        .join(MANIFEST);
    let good = fs::read_to_string(&manifest).unwrap();
    let parent = uuid::Uuid::new_v4();
    for (bad, word) in [
        (good.replace("schema = 1", "schema = 2"), "newer version"),
        (
            good.replace("length = ", "lengths = "),
            "cannot be understood",
        ),
        (
            good.replace(&first.to_string(), &parent.to_string()),
            "of another snapshot",
        ),
        (
            good.replace("name = ", &format!("parent = \"{parent}\"\nname = ")),
            "is missing",
        ),
        (
            good.replace("name = ", &format!("parent = \"{first}\"\nname = ")),
            "circle",
        ),
    ] {
        assert_ne!(bad, good);
        fs::write(&manifest, bad).unwrap();
        refused(&[word]);
    }
    fs::write(&manifest, good).unwrap();
    scene.check();
    assert_eq!(scene.names().len(), 1);
}

#[test]
fn a_machine_that_runs_has_its_snapshots_left_alone() {
    let scene = Scene::new();
    let first = scene.take("First");
    let machine = scene.machine();
    let _running = machine.lock().unwrap();
    let library = &scene.library;
    for error in [
        library.take_snapshot(&machine, &new("Next")).unwrap_err(),
        library.revert(&machine, first).unwrap_err(),
        library.delete_snapshot(&machine, first).unwrap_err(),
        library.branch(&machine, first, name("Branch")).unwrap_err(),
    ] {
        assert!(error.to_string().contains("shut it down first"), "{error}");
    }
}

#[test]
fn a_journal_from_elsewhere_leads_nowhere() {
    let scene = Scene::new();
    let machine = scene.machine();
    let snapshots = machine.folder.join(SNAPSHOTS);
    fs::create_dir(&snapshots).unwrap();
    let journal = snapshots.join("journal.toml");
    for step in [
        "do = \"remove\"\nfile = \"../../outside.raw\"",
        "do = \"remove-folder\"\nfolder = \"/\"",
        "do = \"remove-folder\"\nfolder = \".\"",
        "do = \"rename\"\nfrom = \"disk.qcow2\"\nto = \"../a\"",
    ] {
        fs::write(&journal, format!("schema = 1\n[[step]]\n{step}\n")).unwrap();
        let error = recover(&machine.folder).unwrap_err();
        assert!(error.to_string().contains("leads out"), "{error}");
    }
    assert!(scene.outside.is_file() && machine.folder.join("disk.qcow2").is_file());
}

#[test]
fn names_and_identifiers_find_snapshots() {
    let scene = Scene::new();
    let first = scene.take("First");
    scene.take("Twice");
    scene.take("Twice");
    let machine = scene.machine();
    let tree = scene.library.snapshots(&machine).unwrap();
    assert_eq!(tree.find(" First ").unwrap(), first);
    assert_eq!(tree.find(&first.to_string()[..8]).unwrap(), first);
    assert!(matches!(
        tree.find("Twice"),
        Err(SnapshotError::Ambiguous { .. })
    ));
    assert!(matches!(
        tree.find("Third"),
        Err(SnapshotError::NotFound { .. })
    ));
    for bad in ["", "  ", "a\nb", &"x".repeat(65)] {
        let error = scene.library.take_snapshot(&machine, &new(bad));
        assert!(matches!(error, Err(SnapshotError::Name)), "{bad:?}");
    }
}

#[test]
fn a_linked_clone_is_made_of_the_machine_as_it_is() {
    let scene = Scene::new();
    scene.mark(0, 1);
    let clone = scene
        .library
        .clone_linked(&scene.machine(), name("Clone"), &"Base of it ".repeat(10))
        .unwrap();
    assert!(is_at(&clone, &[(0, 1)]));
    let base: String = "Base of it ".repeat(10).chars().take(64).collect();
    assert_eq!(scene.names(), [(base, 0, true)]);
    check_start(&clone.folder, &clone.definition).unwrap();
    // A clone has snapshots of its own.
    let taken = scene.library.take_snapshot(&clone, &new("Own")).unwrap();
    let clone = scene.library.find("Clone").unwrap();
    check_start(&clone.folder, &clone.definition).unwrap();
    scene.library.revert(&clone, taken).unwrap();
    let clone = scene.library.find("Clone").unwrap();
    assert!(is_at(&clone, &[(0, 1)]));
    // What it is built on has another time when it comes from a backup; a person may say that it is the same.
    touch(&scene.outside);
    let error = check_start(&clone.folder, &clone.definition).unwrap_err();
    assert!(
        matches!(error, SnapshotError::BaseChanged { .. }),
        "{error}"
    );
    scene.library.accept_bases(&clone, None).unwrap();
    check_start(&clone.folder, &clone.definition).unwrap();
    scene.library.accept_bases(&scene.machine(), None).unwrap();
    scene.check();
}

#[test]
fn of_two_bases_that_were_changed_each_is_accepted_by_itself() {
    let scene = Scene::new();
    scene.mark(0, 1);
    scene.take("First");
    let machine = scene.machine();
    for file in [&machine.folder.join("data.raw"), &scene.outside] {
        touch(file);
    }
    let mut changed = Vec::new();
    while let Err(error) = check_start(&machine.folder, &machine.definition) {
        let SnapshotError::BaseChanged { file, .. } = error else {
            panic!("{error}");
        };
        assert!(!changed.contains(&file), "{file:?}");
        scene.library.accept_bases(&machine, Some(&file)).unwrap();
        changed.push(file);
    }
    assert_eq!(changed.len(), 2, "{changed:?}");
    scene.check();
}

#[test]
fn a_full_clone_of_a_machine_with_snapshots_stands_by_itself() {
    let scene = Scene::new();
    scene.mark(0, 1);
    scene.take("First");
    scene.mark(1, 2);
    let machine = scene.machine();
    let clone = scene
        .library
        .clone_machine(&machine, name("Clone"), &Job::quiet())
        .unwrap();
    assert!(is_at(&clone, &[(0, 1), (1, 2)]));
    for (path, format) in images(&clone) {
        assert!(path.starts_with(&clone.folder), "{}", path.display());
        assert!(crate::disk::inspect(&path).unwrap().backing_file.is_none());
        write(&path, format, 2, 3);
    }
    assert!(
        clone
            .definition
            .drives
            .iter()
            .all(|drive| drive.backing.is_empty())
    );
    assert!(is_at(&scene.machine(), &[(0, 1), (2, 0), (1, 2)]));
    // Nothing of the machine is needed by it.
    scene.library.delete_permanently(&machine).unwrap();
    fs::remove_file(&scene.outside).unwrap();
    check_start(&clone.folder, &clone.definition).unwrap();
    assert!(reads(
        &images(&clone)[0].0,
        "qcow2",
        &[(0, 1), (1, 2), (2, 3)]
    ));
}
