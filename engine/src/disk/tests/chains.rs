//! Images that take data from other files, and what else QEMU puts into a qcow2 image.

use super::*;
use crate::memory::{GuestBuffer, GuestMemory, MemoryRegion};

/// Fills an image's first `length` bytes with a pattern that differs in each sector, through qemu-img.
fn pattern(length: usize, seed: u8) -> Vec<u8> {
    (0..length)
        .map(|index| (index / 512).to_le_bytes()[0].wrapping_mul(7) ^ seed)
        .collect()
}

#[test]
fn an_overlay_shows_its_backing_file_and_keeps_what_is_written_to_itself() {
    for format in ["raw", "qcow2"] {
        let folder = tempfile::tempdir().unwrap();
        let (base, overlay) = (folder.path().join("base"), folder.path().join("overlay"));
        // The overlay is larger than what it stands on, and neither is a multiple of a cluster.
        let below = pattern((3 << 20) + 512, 0x55);
        let raw = folder.path().join("raw");
        fs::write(&raw, &below).unwrap();
        let status = Command::new("qemu-img")
            .args(["convert", "-f", "raw", "-O", format])
            .args([&raw, &base])
            .status()
            .unwrap();
        assert!(status.success());
        let before = fs::read(&base).unwrap();
        let size = (5 << 20) + 1536;
        // A relative name is meant from the overlay's folder.
        qemu_create(&overlay, "", size, Some((format, Path::new("base"))));
        let mut expected = below;
        expected.resize(usize::try_from(size).unwrap(), 0);
        {
            let image = open_chain(&overlay, false).unwrap();
            assert!(read_all(&*image) == expected);
            let memory =
                GuestMemory::new(vec![(0, MemoryRegion::new("test", 1 << 20).unwrap())]).unwrap();
            let mut buffer = GuestBuffer::new(memory);
            buffer.push(0, 100_000).unwrap();
            buffer.push(200_000, 31_072).unwrap();
            let mut random = Numbers(77);
            for number in 0..120_u8 {
                let length = usize::try_from(512 * (1 + random.below(256))).unwrap();
                let offset = random.below(size - length as u64) / 512 * 512;
                let start = usize::try_from(offset).unwrap();
                let part = buffer.part(0..length);
                if random.below(3) == 0 {
                    image.read_guest(offset, &part).unwrap();
                    let mut read = vec![0; length];
                    part.read(0, &mut read);
                    assert!(read == expected[start..start + length], "{offset:#x}");
                } else {
                    expected[start..start + length].fill(number);
                    part.write(0, &expected[start..start + length]);
                    image.write_guest(offset, &part).unwrap();
                }
            }
            assert!(read_all(&*image) == expected);
        }
        check(&overlay);
        assert!(qemu_reads("qcow2", &overlay) == expected);
        assert!(
            fs::read(&base).unwrap() == before,
            "the backing file is read only"
        );
    }
}

#[test]
fn chains_of_any_cluster_sizes_are_read_through() {
    let folder = tempfile::tempdir().unwrap();
    let size = 2 << 20;
    let mut expected = vec![0_u8; 2 << 20];
    let mut below: Option<PathBuf> = None;
    let mut random = Numbers(5);
    for (link, options) in [
        "cluster_size=512",
        "cluster_size=2M",
        "cluster_size=4k,compat=0.10",
        "cluster_size=64k",
        "cluster_size=8k",
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.path().join(format!("link{link}"));
        let backing = below.as_deref().map(|path| ("qcow2", path));
        qemu_create(&path, options, size, backing);
        let image = open_chain(&path, false).unwrap();
        assert!(read_all(&*image) == expected, "{options}");
        for _ in 0..20 {
            let length = 512 * (1 + random.below(100));
            let offset = random.below(size - length) / 512 * 512;
            let (from, to) = (index(offset), index(offset + length));
            expected[from..to].fill(u8::try_from(10 + link).unwrap());
            image.write_at(offset, &expected[from..to]).unwrap();
        }
        assert!(read_all(&*image) == expected, "{options}");
        drop(image);
        check(&path);
        assert!(qemu_reads("qcow2", &path) == expected, "{options}");
        below = Some(path);
    }
}

#[test]
fn nothing_is_opened_that_nobody_agreed_to() {
    let folder = tempfile::tempdir().unwrap();
    let (secret, own) = (folder.path().join("secret"), folder.path().join("machine"));
    fs::create_dir(&own).unwrap();
    fs::write(&secret, [1; 1 << 20]).unwrap();
    let overlay = own.join("overlay");
    qemu_create(&overlay, "", 1 << 20, Some(("raw", &secret)));
    let refused = |options: &DiskOptions| options.open(&overlay).err().unwrap();
    for folders in [vec![], vec![own.clone()]] {
        let options = DiskOptions {
            backing: Backing {
                files: Vec::new(),
                folders,
            },
            ..DiskOptions::new(Qcow2)
        };
        let error = refused(&options);
        assert!(
            matches!(&error, OpenError::NotAgreed { other, .. } if other.ends_with("secret")),
            "{error}"
        );
    }
    // A symbolic link in the folder leads out of it all the same.
    std::os::unix::fs::symlink(&secret, own.join("link")).unwrap();
    fs::remove_file(&overlay).unwrap();
    qemu_create(&overlay, "", 1 << 20, Some(("raw", Path::new("link"))));
    let mut options = DiskOptions {
        backing: Backing {
            files: Vec::new(),
            folders: vec![own.clone()],
        },
        ..DiskOptions::new(Qcow2)
    };
    assert!(matches!(refused(&options), OpenError::NotAgreed { .. }));
    options.backing.files.push(secret.clone());
    let image = options.open(&overlay).unwrap();
    assert!(read_all(&*image) == [1; 1 << 20]);
    // While it is in use nobody may write to what it stands on, but others may stand on it too.
    assert!(matches!(
        open_disk(&secret, Raw, false),
        Err(OpenError::InUse { .. })
    ));
    let second = own.join("second");
    qemu_create(&second, "", 1 << 20, Some(("raw", &secret)));
    options.open(&second).unwrap();
    drop(image);
    fs::remove_file(&secret).unwrap();
    let error = refused(&options);
    assert!(matches!(error, OpenError::MissingBacking { .. }), "{error}");
    assert_eq!(
        inspect(&overlay).unwrap().backing_file.as_deref(),
        Some("link")
    );
}

#[test]
fn circles_and_names_of_other_things_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (first, second) in [("a", "b"), ("c", "c")] {
        qemu_create(&path(first), "", 1 << 20, None);
        if second != first {
            qemu_create(&path(second), "", 1 << 20, Some(("qcow2", &path(first))));
        }
        let status = Command::new("qemu-img")
            .args(["rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", second])
            .arg(path(first))
            .status()
            .unwrap();
        assert!(status.success());
        let error = open_chain(&path(first), true).err().unwrap();
        assert!(matches!(error, OpenError::Chain { .. }), "{error}");
    }
    for name in [
        "nbd://host/export",
        "json:{\"driver\":\"file\",\"filename\":\"a\"}",
        "fat:rw:folder",
    ] {
        assert_eq!(open::referred(&path("x"), name), None, "{name}");
    }
    assert_eq!(open::referred(&path("x"), "file:b"), Some(path("b")));
    assert_eq!(open::referred(&path("x"), "/b:c"), Some("/b:c".into()));
}

#[test]
fn internal_snapshots_stay_as_they_were() {
    for options in ["cluster_size=512", "cluster_size=64k", "compat=0.10"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        qemu_create(&path, options, 8 << 20, None);
        qemu_io("qcow2", &path, &["write -P 1 0 3M", "write -P 2 5M 64k"]);
        assert!(qemu_img(&["snapshot", "-c", "first"], &path).0);
        qemu_io("qcow2", &path, &["write -P 3 1M 1M"]);
        assert!(qemu_img(&["snapshot", "-c", "second"], &path).0);
        let snapshot = |name: &str| {
            let raw = folder.path().join(name);
            let status = Command::new("qemu-img")
                .args(["convert", "-l", name, "-O", "raw"])
                .args([&path, &raw])
                .status()
                .unwrap();
            assert!(status.success());
            fs::read(raw).unwrap()
        };
        let (first, second) = (snapshot("first"), snapshot("second"));
        let mut expected = qemu_reads("qcow2", &path);
        {
            let image = open_disk(&path, Qcow2, false).unwrap();
            let mut random = Numbers(3);
            for number in 0..150_u8 {
                let length = 512 * (1 + random.below(200));
                let offset = random.below((8 << 20) - length) / 512 * 512;
                let (from, to) = (index(offset), index(offset + length));
                match random.below(6) {
                    0 => {
                        expected[from..to].fill(0);
                        image.write_zeroes(offset, length, true).unwrap();
                    }
                    1 => image.flush().unwrap(),
                    _ => {
                        expected[from..to].fill(number);
                        image.write_at(offset, &expected[from..to]).unwrap();
                    }
                }
            }
            image.discard(6 << 20, 1 << 20).unwrap();
            expected[6 << 20..7 << 20].fill(0);
        }
        check(&path);
        assert!(qemu_reads("qcow2", &path) == expected, "{options}");
        assert!(snapshot("first") == first && snapshot("second") == second);
    }
}

#[test]
fn clusters_compressed_with_zstd_are_read_and_written_over() {
    for options in ["cluster_size=4k", "cluster_size=64k", "cluster_size=2M"] {
        let folder = tempfile::tempdir().unwrap();
        let (raw, path) = (folder.path().join("raw"), folder.path().join("disk"));
        let mut expected = pattern(6 << 20, 0x11);
        // What cannot be compressed stays as it is.
        let mut random = Numbers(8);
        for byte in &mut expected[1 << 20..2 << 20] {
            *byte = random.below(256).to_le_bytes()[0];
        }
        fs::write(&raw, &expected).unwrap();
        let status = Command::new("qemu-img")
            .args(["convert", "-c", "-f", "raw", "-O", "qcow2", "-o"])
            .arg(format!("compression_type=zstd,{options}"))
            .args([&raw, &path])
            .status()
            .unwrap();
        assert!(status.success());
        {
            let image = open_disk(&path, Qcow2, false).unwrap();
            assert!(read_all(&*image) == expected, "{options}");
            for number in 0..60_u8 {
                let length = 512 * (1 + random.below(100));
                let offset = random.below((6 << 20) - length) / 512 * 512;
                let (from, to) = (index(offset), index(offset + length));
                expected[from..to].fill(number);
                image.write_at(offset, &expected[from..to]).unwrap();
            }
            assert!(read_all(&*image) == expected, "{options}");
            image.resize(7 << 20).unwrap();
            expected.resize(7 << 20, 0);
        }
        check(&path);
        assert!(qemu_reads("qcow2", &path) == expected, "{options}");
        let image = open_disk(&path, Qcow2, true).unwrap();
        assert!(read_all(&*image) == expected, "{options}");
    }
    // The last cluster of such a disk is not whole.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    qemu_create(&path, "compression_type=zstd", (1 << 20) + 512, None);
    assert!(matches!(
        open_disk(&path, Qcow2, false),
        Err(OpenError::Unsupported { .. })
    ));
    open_disk(&path, Qcow2, true).unwrap();
}

#[test]
fn an_external_data_file_is_read_and_written() {
    for raw in ["off", "on"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        let data = folder.path().join("data");
        let options = format!("data_file={},data_file_raw={raw}", data.display());
        qemu_create(&path, &options, 4 << 20, None);
        qemu_io("qcow2", &path, &["write -P 9 1M 1M"]);
        let mut expected = qemu_reads("qcow2", &path);
        {
            let error = open_disk(&path, Qcow2, false).err().unwrap();
            assert!(matches!(error, OpenError::NotAgreed { .. }), "{error}");
            let image = open_chain(&path, false).unwrap();
            assert!(read_all(&*image) == expected);
            let mut random = Numbers(4);
            for number in 0..60_u8 {
                let length = 512 * (1 + random.below(300));
                let offset = random.below((4 << 20) - length) / 512 * 512;
                let (from, to) = (index(offset), index(offset + length));
                if number % 5 == 0 {
                    expected[from..to].fill(0);
                    image.write_zeroes(offset, length, number % 2 == 0).unwrap();
                } else {
                    expected[from..to].fill(number);
                    image.write_at(offset, &expected[from..to]).unwrap();
                }
            }
            assert!(read_all(&*image) == expected);
            image.resize(5 << 20).unwrap();
            expected.resize(5 << 20, 0);
            image.write_at((5 << 20) - 512, &[4; 512]).unwrap();
            expected[(5 << 20) - 512..].fill(4);
        }
        check(&path);
        assert!(qemu_reads("qcow2", &path) == expected, "{raw}");
        fs::remove_file(data).unwrap();
        assert!(matches!(
            open_chain(&path, false),
            Err(OpenError::MissingBacking { .. })
        ));
    }
}

#[test]
fn what_qemu_makes_and_we_do_not_understand_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    qemu_create(&path, "extended_l2=on", 1 << 20, None);
    let error = open_disk(&path, Qcow2, false).err().unwrap();
    assert!(error.to_string().contains("subclusters"), "{error}");
    let status = Command::new("qemu-img")
        .args(["create", "-q", "--object", "secret,id=key,data=secret"])
        .args(["-f", "qcow2", "-o"])
        .arg("encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10")
        .arg(&path)
        .arg("1M")
        .status()
        .unwrap();
    assert!(status.success());
    for read_only in [false, true] {
        let error = open_disk(&path, Qcow2, read_only).err().unwrap();
        assert!(error.to_string().contains("is encrypted"), "{error}");
    }
}

#[test]
fn an_image_that_was_not_closed_is_read_and_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    qemu_create(&path, "lazy_refcounts=on", 1 << 20, None);
    // It ends without putting its reference counts in order.
    let output = Command::new("qemu-io")
        .args(["-f", "qcow2", "-c", "write -P 6 0 64k", "-c", "flush"])
        .args(["-c", "abort"])
        .arg(&path)
        .output()
        .unwrap();
    assert!(!output.status.success());
    let error = open_disk(&path, Qcow2, false).err().unwrap();
    assert!(error.to_string().contains("not closed properly"), "{error}");
    let image = open_disk(&path, Qcow2, true).unwrap();
    assert!(read_all(&*image)[..65536] == [6; 65536]);
    drop(image);
    assert!(qemu_img(&["check", "-q", "-r", "all"], &path).0);
    open_disk(&path, Qcow2, false).unwrap();
}
