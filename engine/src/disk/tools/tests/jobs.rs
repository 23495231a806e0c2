//! Files on their way to their place, and jobs that are watched and stopped.

use std::fs;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::PermissionsExt;

use parking_lot::Mutex;

use super::super::*;

#[test]
fn a_file_appears_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("disk.img");
    let names = || -> Vec<_> {
        fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    {
        let unfinished = Unfinished::new(&target).unwrap();
        unfinished.file().write_all_at(b"half", 0).unwrap();
        assert_eq!(names(), [".disk.img.part"]);
        assert!(matches!(
            Unfinished::new(&target),
            Err(ToolError::Busy { .. })
        ));
    }
    assert_eq!(names(), [""; 0], "given up");
    let unfinished = Unfinished::new(&target).unwrap();
    unfinished.file().write_all_at(b"whole", 0).unwrap();
    unfinished.finish().unwrap();
    assert_eq!(names(), ["disk.img"]);
    assert_eq!(fs::read(&target).unwrap(), b"whole");
    assert!(matches!(
        Unfinished::new(&target),
        Err(ToolError::Exists { .. })
    ));
}

#[test]
fn what_a_crash_left_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("disk");
    fs::write(folder.path().join(".disk.part"), b"a crash's remains").unwrap();
    Unfinished::new(&target).unwrap().finish().unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_name_taken_meanwhile_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("disk");
    let unfinished = Unfinished::new(&target).unwrap();
    fs::write(&target, b"somebody else's").unwrap();
    assert!(matches!(unfinished.finish(), Err(ToolError::Exists { .. })));
    assert_eq!(fs::read(&target).unwrap(), b"somebody else's");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_replacement_keeps_permissions_and_links() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("disk");
    let link = folder.path().join("link");
    fs::write(&target, b"old").unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("disk", &link).unwrap();
    drop(Unfinished::replacing(&link).unwrap());
    assert_eq!(fs::read(&target).unwrap(), b"old");
    let unfinished = Unfinished::replacing(&link).unwrap();
    unfinished.file().write_all_at(b"new", 0).unwrap();
    unfinished.finish().unwrap();
    assert!(link.is_symlink());
    assert_eq!(fs::read(&link).unwrap(), b"new");
    let mode = fs::metadata(&target).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
}

#[test]
fn a_job_tells_how_far_it_is_and_stops_when_asked() {
    let told = Mutex::new(Vec::new());
    let report = |progress| told.lock().push(progress);
    let cancel = Cancel::default();
    let job = Job::new(&report, cancel.clone());
    job.begin(Phase::Copying, 1 << 30).unwrap();
    for _ in 0..1 << 14 {
        job.advance(1 << 16).unwrap();
    }
    let told = told.into_inner();
    assert!((400..=600).contains(&told.len()), "{}", told.len());
    assert!(told.is_sorted_by_key(|progress| progress.done));
    assert_eq!(told.last().unwrap().done, 1 << 30);
    cancel.cancel();
    let job = Job::new(&|_| {}, cancel);
    assert!(matches!(job.advance(1), Err(ToolError::Cancelled)));
}

#[test]
fn a_full_clone_is_the_same_and_as_sparse() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let (source, target) = (folder.path().join("source"), folder.path().join("target"));
    let file = fs::File::create(&source).unwrap();
    file.set_len(64 << 20).unwrap();
    file.write_all_at(&[7; 100_000], 5 << 20).unwrap();
    file.write_all_at(b"end", (64 << 20) - 3).unwrap();
    full_clone(&source, &target, &Job::quiet()).unwrap();
    assert!(fs::read(&source).unwrap() == fs::read(&target).unwrap());
    assert!(fs::metadata(&target).unwrap().blocks() * 512 < 4 << 20);
    assert!(matches!(
        full_clone(&source, &target, &Job::quiet()),
        Err(ToolError::Exists { .. })
    ));
    // A machine writes to it.
    let _open =
        crate::disk::open_disk(&source, crate::definition::ImageFormat::Raw, false).unwrap();
    let refused = full_clone(&source, &folder.path().join("other"), &Job::quiet()).unwrap_err();
    assert!(refused.to_string().contains("in use"), "{refused}");
    let cancel = Cancel::default();
    cancel.cancel();
    drop(_open);
    let stopped = full_clone(
        &source,
        &folder.path().join("other"),
        &Job::new(&|_| {}, cancel),
    );
    assert!(matches!(stopped, Err(ToolError::Cancelled)));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}
