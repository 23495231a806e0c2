//! Both formats through the public face, with qemu-img as the judge of what is left on the disk.

mod chains;
mod model;
mod space;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use super::*;
use crate::definition::ImageFormat::{self, Qcow2, Raw};
use crate::fuzzing::Numbers;

const MIB: u64 = 1 << 20;

/// Runs qemu-img; its output, and whether it was content.
pub(super) fn qemu_img(arguments: &[&str], file: &Path) -> (bool, String) {
    let output = Command::new("qemu-img")
        .args(arguments)
        .arg(file)
        .output()
        .expect("these tests need qemu-img (Debian: qemu-utils)");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

fn check(file: &Path) {
    let (good, text) = qemu_img(&["check", "-f", "qcow2"], file);
    assert!(good, "{text}");
}

/// Clusters that count as used and are not (exit code 3) are all that a crash may leave.
pub(super) fn check_for_leaks_only(file: &Path) {
    let output = Command::new("qemu-img")
        .args(["check", "-f", "qcow2"])
        .arg(file)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{text}");
}

/// Runs qemu-io with `commands` on an image.
fn qemu_io(format: &str, file: &Path, commands: &[&str]) -> String {
    let mut command = Command::new("qemu-io");
    command.args(["-f", format]);
    for text in commands {
        command.args(["-c", text]);
    }
    let output = command.arg(file).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    text
}

/// Makes a qcow2 image with `options`, of `size` bytes, on `backing` (format and file) if there is one.
fn qemu_create(file: &Path, options: &str, size: u64, backing: Option<(&str, &Path)>) {
    let mut command = Command::new("qemu-img");
    command.args(["create", "-q", "-f", "qcow2"]);
    if !options.is_empty() {
        command.args(["-o", options]);
    }
    if let Some((format, backing)) = backing {
        command.args(["-F", format, "-b"]).arg(backing);
    }
    let output = command.arg(file).arg(size.to_string()).output().unwrap();
    assert!(output.status.success(), "{options}: {output:?}");
}

/// What QEMU reads in an image.
fn qemu_reads(format: &str, file: &Path) -> Vec<u8> {
    let raw = file.with_extension("read-by-qemu");
    let status = Command::new("qemu-img")
        .args(["convert", "-f", format, "-O", "raw"])
        .args([file, &raw])
        .status()
        .unwrap();
    assert!(status.success());
    let content = fs::read(&raw).unwrap();
    fs::remove_file(raw).unwrap();
    content
}

/// Opens a qcow2 image that may use everything in its own folder.
fn open_chain(path: &Path, read_only: bool) -> Result<Arc<dyn Image>, OpenError> {
    DiskOptions {
        read_only,
        backing: Backing {
            files: Vec::new(),
            folders: vec![path.parent().unwrap().to_owned()],
        },
        ..DiskOptions::new(Qcow2)
    }
    .open(path)
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

fn read_all(image: &dyn Image) -> Vec<u8> {
    let mut data = vec![0; usize::try_from(image.size()).unwrap()];
    image.read_at(0, &mut data).unwrap();
    data
}

fn new_disk(folder: &Path, format: ImageFormat, size: u64) -> PathBuf {
    let path = folder.join("disk");
    create_disk(&path, format, size).unwrap();
    path
}

#[test]
fn what_is_written_is_read_again_and_survives_closing() {
    for format in [Raw, Qcow2] {
        let folder = tempfile::tempdir().unwrap();
        let path = new_disk(folder.path(), format, 3 << 30);
        let mut random = Numbers(0x5eed);
        let mut writes: Vec<(u64, Vec<u8>)> = Vec::new();
        {
            let image = open_disk(&path, format, false).unwrap();
            assert_eq!((image.size(), image.read_only()), (3 << 30, false));
            for number in 0..200_u8 {
                // Apart from one another, over several L2 tables, across cluster borders, up to the last byte.
                let offset = u64::from(number) * 15 * MIB + random.below(MIB / 512) * 512;
                let length = usize::try_from(512 + random.below(400) * 512).unwrap();
                writes.push((offset, vec![number + 1; length]));
            }
            writes.push((image.size() - 512, vec![0xee; 512]));
            for (offset, data) in &writes {
                image.write_at(*offset, data).unwrap();
                if random.below(20) == 0 {
                    image.flush().unwrap();
                }
            }
            let mut zeros = [1; 4096];
            image.read_at(14 * MIB, &mut zeros).unwrap();
            assert_eq!(zeros, [0; 4096]);
        }
        if format == Qcow2 {
            check(&path);
        }
        let image = open_disk(&path, format, true).unwrap();
        for (offset, data) in &writes {
            let mut read = vec![0; data.len()];
            image.read_at(*offset, &mut read).unwrap();
            assert!(&read == data, "{format:?}: {offset:#x}");
        }
    }
}

#[test]
fn the_formats_agree_with_each_other_and_with_qemu_img() {
    let folder = tempfile::tempdir().unwrap();
    let (raw, qcow2) = (folder.path().join("raw"), folder.path().join("qcow2"));
    create_disk(&raw, Raw, 64 * MIB).unwrap();
    create_disk(&qcow2, Qcow2, 64 * MIB).unwrap();
    {
        let images = [
            open_disk(&raw, Raw, false).unwrap(),
            open_disk(&qcow2, Qcow2, false).unwrap(),
        ];
        let mut random = Numbers(42);
        for number in 0..2000_u64 {
            let length = usize::try_from(512 * (1 + random.below(200))).unwrap();
            let offset = random.below(64 * MIB - length as u64) / 512 * 512;
            let data = vec![number.to_le_bytes()[0]; length];
            for image in &images {
                image.write_at(offset, &data).unwrap();
            }
        }
        let mut both = [vec![0; 64 << 20], vec![0; 64 << 20]];
        for (image, data) in images.iter().zip(&mut both) {
            image.read_at(0, data).unwrap();
        }
        assert!(both[0] == both[1]);
    }
    check(&qcow2);
    let (same, text) = qemu_img(
        &[
            "compare",
            "-f",
            "raw",
            "-F",
            "qcow2",
            &raw.to_string_lossy(),
        ],
        &qcow2,
    );
    assert!(same, "{text}");
}

#[test]
fn images_that_qemu_img_made_are_written_correctly() {
    for options in [
        "cluster_size=512",
        "cluster_size=4k",
        "cluster_size=2M",
        "refcount_bits=1",
        "refcount_bits=64",
        "compat=0.10",
        "lazy_refcounts=on",
        "preallocation=metadata",
        "preallocation=falloc",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        let output = Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-o", options])
            .arg(&path)
            .arg("20M")
            .status()
            .unwrap();
        assert!(output.success(), "{options}");
        let mut expected = vec![0_u8; 20 << 20];
        {
            let image = open_disk(&path, Qcow2, false).unwrap();
            let mut random = Numbers(7);
            for number in 0..150_u8 {
                let length = usize::try_from(512 * (1 + random.below(300))).unwrap();
                let offset = random.below(20 * MIB - length as u64) / 512 * 512;
                let start = usize::try_from(offset).unwrap();
                expected[start..start + length].fill(number);
                image
                    .write_at(offset, &expected[start..start + length])
                    .unwrap();
                if number % 30 == 0 {
                    image.flush().unwrap();
                }
            }
        }
        check(&path);
        let raw = folder.path().join("expected");
        fs::write(&raw, &expected).unwrap();
        let (same, text) = qemu_img(
            &[
                "compare",
                "-f",
                "raw",
                "-F",
                "qcow2",
                &raw.to_string_lossy(),
            ],
            &path,
        );
        assert!(same, "{options}: {text}");
    }
}

#[test]
fn a_compressed_image_can_be_read_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let (raw, path) = (folder.path().join("raw"), folder.path().join("disk"));
    let mut expected: Vec<u8> = (0..4 << 20)
        .map(|index: u32| (index >> 9).to_le_bytes()[0])
        .collect();
    fs::write(&raw, &expected).unwrap();
    let status = Command::new("qemu-img")
        .args(["convert", "-c", "-f", "raw", "-O", "qcow2"])
        .args([&raw, &path])
        .status()
        .unwrap();
    assert!(status.success());
    {
        let image = open_disk(&path, Qcow2, false).unwrap();
        for number in 0..40_usize {
            let start = number * 96 * 1024 + 512;
            expected[start..start + 1024].fill(0xa5);
            image
                .write_at(start as u64, &expected[start..start + 1024])
                .unwrap();
        }
        let mut read = vec![0; expected.len()];
        image.read_at(0, &mut read).unwrap();
        assert!(read == expected);
    }
    check(&path);
    fs::write(&raw, &expected).unwrap();
    let (same, text) = qemu_img(
        &[
            "compare",
            "-f",
            "raw",
            "-F",
            "qcow2",
            &raw.to_string_lossy(),
        ],
        &path,
    );
    assert!(same, "{text}");
}

#[test]
fn new_disks_of_every_size_are_sound_and_sparse() {
    for size in [MIN_DISK_SIZE, 20 << 30, 16 << 40, MAX_DISK_SIZE] {
        let folder = tempfile::tempdir().unwrap();
        let path = new_disk(folder.path(), Qcow2, size);
        check(&path);
        let info = inspect(&path).unwrap();
        assert_eq!((info.format, info.virtual_size), (Qcow2, size));
        assert!(info.allocated_size < 4 * MIB, "{info:?}");
        let image = open_disk(&path, Qcow2, false).unwrap();
        image.write_at(size - 512, &[1; 512]).unwrap();
        drop(image);
        check(&path);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = new_disk(folder.path(), Raw, 1 << 40);
    let info = inspect(&path).unwrap();
    assert_eq!(
        (info.format, info.virtual_size, info.allocated_size),
        (Raw, 1 << 40, 0)
    );
}

#[test]
fn sizes_out_of_range_and_names_that_are_taken_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    for size in [
        0,
        1,
        MIN_DISK_SIZE - 512,
        MIN_DISK_SIZE + 1,
        MAX_DISK_SIZE + 512,
        u64::MAX,
    ] {
        assert!(
            matches!(create_disk(&path, Raw, size), Err(CreateError::Size { .. })),
            "{size}"
        );
    }
    fs::write(&path, b"precious").unwrap();
    for format in [Raw, Qcow2] {
        assert!(matches!(
            create_disk(&path, format, MIB),
            Err(CreateError::Exists { .. })
        ));
    }
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    let error = create_disk(&folder.path().join("no/disk"), Raw, MIB).unwrap_err();
    assert!(error.to_string().contains("no/disk"), "{error}");
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing is left behind"
    );
}

#[test]
fn limits_of_an_image_are_kept() {
    for format in [Raw, Qcow2] {
        let folder = tempfile::tempdir().unwrap();
        let path = new_disk(folder.path(), format, MIB);
        {
            let image = open_disk(&path, format, true).unwrap();
            assert!(matches!(
                image.write_at(0, &[0; 512]),
                Err(ImageError::ReadOnly { .. })
            ));
            image.flush().unwrap();
        }
        let image = open_disk(&path, format, false).unwrap();
        for offset in [MIB - 511, MIB, u64::MAX - 511, u64::MAX] {
            assert!(matches!(
                image.read_at(offset, &mut [0; 512]),
                Err(ImageError::OutOfRange { .. })
            ));
            assert!(matches!(
                image.write_at(offset, &[0; 512]),
                Err(ImageError::OutOfRange { .. })
            ));
        }
        image.read_at(MIB, &mut []).unwrap();
    }
}

#[test]
fn what_is_no_image_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("thing");
    let refused = |format| open_disk(&path, format, false).err().unwrap();
    assert!(matches!(refused(Raw), OpenError::Missing { .. }));
    fs::create_dir(&path).unwrap();
    assert!(matches!(refused(Raw), OpenError::NotAnImage { .. }));
    fs::remove_dir(&path).unwrap();
    fs::write(&path, b"").unwrap();
    assert!(matches!(refused(Raw), OpenError::Empty { .. }));
    fs::write(&path, [0; 4096]).unwrap();
    assert!(matches!(refused(Qcow2), OpenError::NotQcow2 { .. }));
    fs::remove_file(&path).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    assert!(matches!(refused(Raw), OpenError::NotAnImage { .. }));
    let pipe = open::open_file(&path, false).unwrap();
    assert!(matches!(
        open_optical(pipe, &path),
        Err(OpenError::NotAnImage { .. })
    ));
}

#[test]
fn an_optical_medium_is_read_from_the_file_that_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("debian.iso");
    fs::write(&path, [7; 4096]).unwrap();
    let file = File::open(&path).unwrap();
    // The portal gives a descriptor; the name need not even exist here.
    fs::remove_file(&path).unwrap();
    let image = open_optical(file, &path).unwrap();
    let mut sector = [0; 2048];
    image.read_at(2048, &mut sector).unwrap();
    assert_eq!(
        (image.size(), image.read_only(), sector),
        (4096, true, [7; 2048])
    );
    assert!(matches!(
        image.write_at(0, &sector),
        Err(ImageError::ReadOnly { .. })
    ));
}

#[test]
fn an_image_truncated_underneath_gives_errors_and_no_zeros() {
    for format in [Raw, Qcow2] {
        let folder = tempfile::tempdir().unwrap();
        let path = new_disk(folder.path(), format, 4 * MIB);
        let image = open_disk(&path, format, false).unwrap();
        image.write_at(0, &vec![5; 4 << 20]).unwrap();
        image.flush().unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(2 * MIB)
            .unwrap();
        let error = image.read_at(3 * MIB, &mut [0; 512]).unwrap_err();
        assert!(error.to_string().contains("truncated"), "{error}");
        image.read_at(MIB, &mut [0; 512]).unwrap();
        if format == Raw {
            assert!(image.flush().unwrap_err().to_string().contains("truncated"));
        }
    }
}

#[test]
fn an_image_deleted_underneath_is_told_of_once_and_goes_on() {
    for format in [Raw, Qcow2] {
        let folder = tempfile::tempdir().unwrap();
        let path = new_disk(folder.path(), format, 4 * MIB);
        let image = open_disk(&path, format, false).unwrap();
        image.write_at(0, &[5; 4096]).unwrap();
        image.flush().unwrap();
        fs::remove_file(&path).unwrap();
        image.write_at(MIB, &[6; 4096]).unwrap();
        let error = image.flush().unwrap_err();
        assert!(matches!(error, ImageError::Io { .. }), "{error}");
        // The remedy works: what is copied from there is the disk, once it is flushed.
        let text = error.to_string();
        let place = text.split("copy it from ").nth(1).unwrap();
        let place = place.split(' ').next().unwrap();
        image.flush().unwrap();
        image.write_at(2 * MIB, &[7; 4096]).unwrap();
        image.flush().unwrap();
        let mut expected = vec![0; 4 << 20];
        expected[..4096].fill(5);
        expected[1 << 20..(1 << 20) + 4096].fill(6);
        expected[2 << 20..(2 << 20) + 4096].fill(7);
        fs::copy(place, &path).unwrap();
        drop(image);
        assert!(read_all(&*open_disk(&path, format, true).unwrap()) == expected);
    }
}

#[test]
fn the_space_of_a_folder_is_that_of_the_first_one_above_that_exists() {
    let folder = tempfile::tempdir().unwrap();
    let space = Space::of(&folder.path().join("not/there/yet")).unwrap();
    assert!(space.available > 0);
    assert_eq!(
        Space::of(folder.path()).unwrap().largest_file,
        space.largest_file
    );
}

// --- Two programs, one image ---------------------------------------------------------------------------------------------------

/// Starts this test program again for the part of a test that needs a process of its own.
fn child(part: &str, path: &Path, shell: &str) -> Child {
    Command::new("sh")
        .args(["-c", &format!("{shell} exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "--test-threads=1"])
        .arg(format!("disk::tests::{part}"))
        .env("GUESTHOUSE_TEST_IMAGE", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The image that the parent names; none when somebody runs the ignored tests by hand.
fn child_image() -> Option<PathBuf> {
    std::env::var_os("GUESTHOUSE_TEST_IMAGE").map(PathBuf::from)
}

/// Reads the child's output up to `mark`.
fn wait_for(child: &mut Child, mark: &str) -> String {
    let output = child.stdout.as_mut().unwrap();
    let (mut text, mut byte) = (Vec::new(), [0]);
    while output.read(&mut byte).unwrap() == 1 {
        text.push(byte[0]);
        if String::from_utf8_lossy(&text).ends_with(mark) {
            break;
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
#[ignore = "the other process of a_lock_keeps_another_process_out"]
fn child_holds_an_image() {
    let Some(path) = child_image() else { return };
    let _image = open_disk(&path, Raw, false).unwrap();
    println!("[open]");
    let _ = io::stdin().read(&mut [0]);
}

#[test]
fn a_lock_keeps_another_process_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = new_disk(folder.path(), Raw, MIB);
    let mut other = child("child_holds_an_image", &path, "");
    assert!(wait_for(&mut other, "[open]").contains("[open]"));
    for read_only in [false, true] {
        let error = open_disk(&path, Raw, read_only).err().unwrap();
        assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    }
    // QEMU sees the lock too.
    let (opened, text) = qemu_img(&["bench", "-w", "-c", "1", "-s", "512", "-f", "raw"], &path);
    assert!(!opened && text.contains("lock"), "{text}");
    other.kill().unwrap();
    other.wait().unwrap();
    // The lock went with the process, however it ended. Readers share, and keep writers out.
    let readers: Vec<Arc<dyn Image>> = (0..2)
        .map(|_| open_disk(&path, Raw, true).unwrap())
        .collect();
    assert!(matches!(
        open_disk(&path, Raw, false),
        Err(OpenError::InUse { .. })
    ));
    let (opened, text) = qemu_img(&["bench", "-c", "1", "-s", "512", "-f", "raw"], &path);
    assert!(opened, "{text}");
    let (opened, text) = qemu_img(&["bench", "-w", "-c", "1", "-s", "512", "-f", "raw"], &path);
    assert!(!opened && text.contains("lock"), "{text}");
    drop(readers);
    let writer = open_disk(&path, Raw, false).unwrap();
    assert!(matches!(
        open_disk(&path, Raw, false),
        Err(OpenError::InUse { .. })
    ));
    assert!(inspect(&path).is_ok(), "looking at it needs no lock");
    drop(writer);
    // And QEMU's locks keep us out.
    let mut qemu = Command::new("qemu-io")
        .args(["-f", "raw"])
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = qemu.stdin.take().unwrap();
    input.write_all(b"length\n").unwrap();
    assert!(wait_for(&mut qemu, "1 MiB").ends_with("1 MiB"));
    assert!(matches!(
        open_disk(&path, Raw, true),
        Err(OpenError::InUse { .. })
    ));
    drop(input);
    qemu.wait().unwrap();
    open_disk(&path, Raw, false).unwrap();
}

// --- Crashes and full disks ----------------------------------------------------------------------------------------------------

const SLOT: u64 = 4096;

/// The content of write number `number`, which names itself.
fn stamp(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(512)
}

/// Where write `number` goes: over many L2 tables.
fn place(number: u64, size: u64) -> u64 {
    (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (size / SLOT)) * SLOT
}

#[test]
#[ignore = "the process that kills_leave_nothing_but_leaks kills"]
fn child_writes_until_killed() {
    let Some(path) = child_image() else { return };
    let image = open_disk(&path, Qcow2, false).unwrap();
    for number in 1.. {
        image
            .write_at(place(number, image.size()), &stamp(number))
            .unwrap();
        if number % 37 == 0 {
            image.flush().unwrap();
            println!("flushed {number}");
        }
    }
}

#[test]
fn kills_leave_nothing_but_leaks() {
    let folder = tempfile::tempdir().unwrap();
    let size = 40 << 30;
    let mut random = Numbers(99);
    // GUESTHOUSE_KILLS says otherwise.
    let kills = std::env::var("GUESTHOUSE_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(8);
    for _ in 0..kills {
        let path = new_disk(folder.path(), Qcow2, size);
        let mut writer = child("child_writes_until_killed", &path, "");
        let flushes = 1 + random.below(12);
        let mut text = String::new();
        for _ in 0..flushes {
            text += &wait_for(&mut writer, "\n");
        }
        // Somewhere between two flushes.
        std::thread::sleep(std::time::Duration::from_micros(random.below(20_000)));
        writer.kill().unwrap();
        writer
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        writer.wait().unwrap();
        check_for_leaks_only(&path);
        let flushed: u64 = text
            .lines()
            .filter_map(|line| line.split("flushed ").nth(1)?.parse().ok())
            .max()
            .unwrap_or(0);
        // What was flushed is there, what was not is there or is not, and the image goes on.
        {
            let image = open_disk(&path, Qcow2, false).unwrap();
            for number in 1..=flushed {
                let mut data = vec![0; 4096];
                image.read_at(place(number, size), &mut data).unwrap();
                assert!(data == stamp(number), "write {number} of {flushed} is lost");
            }
            for number in 1_000_000..1_000_200 {
                image.write_at(place(number, size), &stamp(number)).unwrap();
            }
            for number in 1..=flushed {
                let mut data = vec![0; 4096];
                image.read_at(place(number, size), &mut data).unwrap();
                assert!(data == stamp(number), "write {number} is overwritten");
            }
        }
        check_for_leaks_only(&path);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
#[ignore = "the process of a_limit_for_one_file_is_no_space"]
fn child_meets_its_file_size_limit() {
    let Some(path) = child_image() else { return };
    let image = open_disk(&path, Qcow2, false).unwrap();
    let mut written = 0;
    let error = loop {
        match image.write_at(written * 65536, &[3; 65536]) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ImageError::NoSpace { .. }), "{error}");
    assert!(written > 8, "{written}");
    image.flush().unwrap();
    for number in 0..written {
        let mut data = vec![0; 65536];
        image.read_at(number * 65536, &mut data).unwrap();
        assert!(data == [3; 65536]);
    }
    print!("[met]");
    io::stdout().flush().unwrap();
}

#[test]
fn a_limit_for_one_file_is_no_space() {
    let folder = tempfile::tempdir().unwrap();
    let path = new_disk(folder.path(), Qcow2, 64 * MIB);
    // 4096 blocks of 512 or 1024 bytes, as the shell counts; past it the kernel says EFBIG, where the signal is ignored.
    let mut writer = child(
        "child_meets_its_file_size_limit",
        &path,
        "trap '' XFSZ; ulimit -f 4096;",
    );
    let text = wait_for(&mut writer, "[met]");
    assert!(writer.wait().unwrap().success(), "{text}");
    check(&path);
}
