//! The space of deleted snapshots is given back, and nothing is lost by it.

use super::*;

/// Deletes a snapshot and gives its space back.
fn delete(scene: &Scene, text: &str) {
    let machine = scene.machine();
    let tree = scene.library.snapshots(&machine).unwrap();
    let id = tree.find(text).unwrap();
    scene.library.delete_snapshot(&machine, id).unwrap();
    scene.library.reclaim(&machine, &Job::quiet()).unwrap();
}

#[test]
fn deleted_snapshots_give_their_space_back_and_nothing_is_lost() {
    let scene = Scene::new();
    scene.mark(0, 1);
    let first = scene.take("First");
    scene.mark(1, 2);
    scene.take("Second");
    scene.mark(2, 3);
    scene.library.revert(&scene.machine(), first).unwrap();
    scene.mark(3, 4);
    scene.take("Leaf");
    let second = scene
        .library
        .snapshots(&scene.machine())
        .unwrap()
        .find("Second")
        .unwrap();
    scene.library.revert(&scene.machine(), second).unwrap();
    scene.mark(4, 5);
    let now = [(0, 1), (1, 2), (2, 0), (3, 0), (4, 5)];
    assert!(is_at(&scene.machine(), &now));
    // Two snapshots are built on the first one: it goes from the list and stays for them.
    delete(&scene, "First");
    assert!(is_at(&scene.machine(), &now));
    assert!(
        scene
            .library
            .snapshots(&scene.machine())
            .unwrap()
            .has_deleted()
    );
    scene.check();
    // Without the leaf there is one left, and it is joined with that.
    delete(&scene, "Leaf");
    scene.check();
    assert!(is_at(&scene.machine(), &now));
    assert!(
        !scene
            .library
            .snapshots(&scene.machine())
            .unwrap()
            .has_deleted()
    );
    assert_eq!(scene.names(), [("Second".to_owned(), 0, true)]);
    let error = scene
        .library
        .restore_snapshot(&scene.machine(), first)
        .unwrap_err();
    assert!(matches!(error, SnapshotError::NotFound { .. }), "{error}");
    scene.library.revert(&scene.machine(), second).unwrap();
    assert!(is_at(&scene.machine(), &[(0, 1), (4, 0), (1, 2)]));
    scene.qemu_finds(&[(0, 1), (4, 0), (1, 2)]);
    scene.mark(4, 6);
    // Without the last one the machine has the disks that it began with, the person's own among them.
    delete(&scene, "Second");
    scene.check();
    let machine = scene.machine();
    assert!(is_at(&machine, &[(0, 1), (1, 2), (2, 0), (4, 6)]));
    scene.qemu_finds(&[(0, 1), (1, 2), (2, 0), (4, 6)]);
    let files: Vec<_> = images(&machine).into_iter().map(|(path, _)| path).collect();
    assert_eq!(
        files[1..],
        [machine.folder.join("data.raw"), scene.outside.clone()]
    );
    assert!(
        machine
            .definition
            .drives
            .iter()
            .all(|drive| drive.backing.is_empty())
    );
    let left = fs::read_dir(machine.folder.join(SNAPSHOTS))
        .unwrap()
        .count();
    assert_eq!(left, 1, "only what says that there is no snapshot");
}

#[test]
fn giving_space_back_may_be_cut_anywhere() {
    for cut in 0.. {
        let scene = Scene::new();
        scene.mark(0, 1);
        scene.take("First");
        scene.mark(1, 2);
        let second = scene.take("Second");
        scene.mark(1, 3);
        let machine = scene.machine();
        let first = scene
            .library
            .snapshots(&machine)
            .unwrap()
            .find("First")
            .unwrap();
        scene.library.delete_snapshot(&machine, first).unwrap();
        files::CHANGES_LEFT.set(Some(cut));
        let outcome = scene.library.reclaim(&machine, &Job::quiet());
        files::CHANGES_LEFT.set(None);
        drop(Library::open(scene.library.folder()).unwrap());
        scene.check();
        assert!(is_at(&scene.machine(), &[(0, 1), (1, 3)]));
        if outcome.is_err() {
            scene.library.reclaim(&machine, &Job::quiet()).unwrap();
            scene.check();
            assert!(is_at(&scene.machine(), &[(0, 1), (1, 3)]));
        }
        scene.library.revert(&scene.machine(), second).unwrap();
        assert!(is_at(&scene.machine(), &[(0, 1), (1, 2)]));
        assert_eq!(scene.names(), [("Second".to_owned(), 0, true)]);
        if outcome.is_ok() {
            assert!(cut > 20, "nothing was cut");
            return;
        }
    }
}

#[test]
fn a_disk_that_grew_after_a_snapshot_keeps_its_size() {
    let scene = Scene::new();
    scene.take("First");
    for (path, _) in images(&scene.machine()) {
        tool(
            Command::new("qemu-img")
                .args(["resize", "-q"])
                .arg(&path)
                .arg("8M"),
        );
        write(&path, "qcow2", 100, 7);
    }
    delete(&scene, "First");
    for (path, format) in images(&scene.machine()) {
        assert!(reads(&path, format, &[(100, 7)]), "{}", path.display());
    }
    assert_eq!(fs::metadata(&scene.outside).unwrap().len(), 2 * SIZE);
}

#[test]
fn a_cancelled_job_loses_nothing_and_is_done_later() {
    let scene = Scene::new();
    scene.mark(0, 1);
    scene.take("First");
    scene.mark(1, 2);
    let machine = scene.machine();
    let first = scene
        .library
        .snapshots(&machine)
        .unwrap()
        .find("First")
        .unwrap();
    scene.library.delete_snapshot(&machine, first).unwrap();
    let cancel = Cancel::default();
    let asked = cancel.clone();
    let report = move |progress: Progress| {
        if progress.done > 0 {
            asked.cancel();
        }
    };
    let error = scene
        .library
        .reclaim(&machine, &Job::new(&report, cancel))
        .unwrap_err();
    assert!(matches!(error, SnapshotError::Cancelled), "{error}");
    scene.check();
    assert!(is_at(&scene.machine(), &[(0, 1), (1, 2)]));
    let error = scene.library.restore_snapshot(&machine, first).unwrap_err();
    assert!(matches!(error, SnapshotError::Merging { .. }), "{error}");
    scene.library.reclaim(&machine, &Job::quiet()).unwrap();
    scene.check();
    assert!(is_at(&scene.machine(), &[(0, 1), (1, 2)]));
}
