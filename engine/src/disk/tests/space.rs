//! Space given back and taken: discards, zeros, growth, and the ways past the page cache.

use super::*;
use crate::definition::{CacheMode, DiscardMode};
use crate::memory::{GuestBuffer, GuestMemory, MemoryRegion};

fn allocated(path: &Path) -> u64 {
    inspect(path).unwrap().allocated_size
}

#[test]
fn discarded_space_goes_back_to_the_host() {
    for (format, options) in [
        (Raw, ""),
        (Qcow2, "cluster_size=4k"),
        (Qcow2, "cluster_size=64k"),
        (Qcow2, "compat=0.10"),
    ] {
        for mode in [DiscardMode::Unmap, DiscardMode::Ignore] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("disk");
            match format {
                Raw => create_disk(&path, Raw, 16 * MIB).unwrap(),
                Qcow2 => qemu_create(&path, options, 16 * MIB, None),
            }
            let mut expected = vec![3; 16 << 20];
            {
                let image = DiskOptions {
                    discard: mode,
                    ..DiskOptions::new(format)
                }
                .open(&path)
                .unwrap();
                assert_eq!(image.features().discard, mode == DiscardMode::Unmap);
                image.write_at(0, &expected).unwrap();
                image.flush().unwrap();
                // One of them not on any border, one up to the end.
                image.discard(MIB + 512, 4 * MIB).unwrap();
                image.discard(10 * MIB, 6 * MIB).unwrap();
                // What is written afterwards stays.
                image.write_at(2 * MIB, &[5; 512]).unwrap();
                image.flush().unwrap();
            }
            expected[2 << 20..(2 << 20) + 512].fill(5);
            let left = allocated(&path);
            let content = match format {
                Raw => fs::read(&path).unwrap(),
                Qcow2 => {
                    check(&path);
                    qemu_reads("qcow2", &path)
                }
            };
            if mode == DiscardMode::Ignore {
                assert!(left >= 16 * MIB && content == expected);
                continue;
            }
            assert!(left < 7 * MIB, "{options}: {left} bytes are in use");
            assert!(content[..1 << 20] == expected[..1 << 20]);
            assert!(content[2 << 20..(2 << 20) + 512] == [5; 512]);
            assert!(content[6 << 20..10 << 20] == expected[6 << 20..10 << 20]);
            assert!(content[10 << 20..].iter().all(|byte| *byte == 0));
        }
    }
}

#[test]
fn zeros_are_read_at_once_and_take_no_space_if_they_need_not() {
    for (format, options) in [
        (Raw, ""),
        (Qcow2, "cluster_size=512"),
        (Qcow2, "cluster_size=64k"),
        (Qcow2, "compat=0.10"),
    ] {
        for may_unmap in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("disk");
            match format {
                Raw => create_disk(&path, Raw, 8 * MIB).unwrap(),
                Qcow2 => qemu_create(&path, options, 8 * MIB, None),
            }
            let mut expected = vec![3; 8 << 20];
            {
                let image = open_disk(&path, format, false).unwrap();
                image.write_at(0, &expected).unwrap();
                image.flush().unwrap();
                image.write_zeroes(MIB + 512, 6 * MIB, may_unmap).unwrap();
                expected[(1 << 20) + 512..(7 << 20) + 512].fill(0);
                assert!(read_all(&*image) == expected, "{options}");
                image.write_at(3 * MIB + 1024, &[8; 2048]).unwrap();
                expected[(3 << 20) + 1024..(3 << 20) + 3072].fill(8);
                assert!(read_all(&*image) == expected, "{options}");
            }
            let left = allocated(&path);
            if format == Qcow2 {
                check(&path);
                assert!(qemu_reads("qcow2", &path) == expected, "{options}");
            } else {
                assert!(fs::read(&path).unwrap() == expected);
            }
            if may_unmap {
                assert!(left < 3 * MIB, "{options}: {left} bytes are in use");
            } else {
                assert!(left >= 7 * MIB, "{options}: {left} bytes are in use");
            }
        }
    }
}

#[test]
fn zeros_and_discards_do_not_show_what_is_behind_them() {
    for options in ["cluster_size=4k", "compat=0.10"] {
        let folder = tempfile::tempdir().unwrap();
        let (base, path) = (folder.path().join("base"), folder.path().join("disk"));
        fs::write(&base, vec![7; 8 << 20]).unwrap();
        qemu_create(&path, options, 8 * MIB, Some(("raw", &base)));
        let image = open_chain(&path, false).unwrap();
        image.write_at(0, &vec![1; 2 << 20]).unwrap();
        image.write_zeroes(MIB, 2 * MIB, true).unwrap();
        image.discard(MIB, 3 * MIB).unwrap();
        drop(image);
        check(&path);
        let content = qemu_reads("qcow2", &path);
        assert!(content[..1 << 20] == [1; 1 << 20]);
        assert!(content[1 << 20..3 << 20].iter().all(|byte| *byte == 0));
        // A discard leaves what was there or zeros.
        let rest = &content[3 << 20..4 << 20];
        assert!(rest.iter().all(|byte| *byte == 0) || rest.iter().all(|byte| *byte == 7));
        assert!(content[4 << 20..].iter().all(|byte| *byte == 7));
    }
}

#[test]
fn disks_grow_while_they_are_in_use() {
    for (format, options) in [
        (Raw, ""),
        (Qcow2, "cluster_size=512"),
        (Qcow2, "cluster_size=64k"),
        (Qcow2, "compat=0.10"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        match format {
            Raw => create_disk(&path, Raw, 2 * MIB).unwrap(),
            Qcow2 => qemu_create(&path, options, 2 * MIB - 1024, None),
        }
        let image = open_disk(&path, format, false).unwrap();
        let old = image.size();
        image.write_at(old - 512, &[1; 512]).unwrap();
        for size in [old - 512, old + 1, u64::MAX] {
            assert!(image.resize(size).is_err(), "{size}");
            assert_eq!(image.size(), old);
        }
        image.resize(40 * MIB).unwrap();
        image.write_at(40 * MIB - 512, &[2; 512]).unwrap();
        let mut expected = vec![0; 40 << 20];
        let end = usize::try_from(old).unwrap();
        expected[end - 512..end].fill(1);
        expected[(40 << 20) - 512..].fill(2);
        assert!(read_all(&*image) == expected);
        image.resize(41 * MIB).unwrap();
        expected.resize(41 << 20, 0);
        drop(image);
        if format == Qcow2 {
            check(&path);
            assert!(qemu_reads("qcow2", &path) == expected, "{options}");
        } else {
            assert!(fs::read(&path).unwrap() == expected);
        }
        let image = open_disk(&path, format, true).unwrap();
        assert!(image.resize(50 * MIB).is_err());
    }
}

#[test]
fn a_disk_that_grows_does_not_show_more_of_its_backing_file() {
    for options in ["cluster_size=4k", "compat=0.10"] {
        let folder = tempfile::tempdir().unwrap();
        let (base, path) = (folder.path().join("base"), folder.path().join("disk"));
        fs::write(&base, vec![7; 4 << 20]).unwrap();
        qemu_create(&path, options, MIB + 512, Some(("raw", &base)));
        let image = open_chain(&path, false).unwrap();
        image.resize(6 * MIB).unwrap();
        let mut expected = vec![0; 6 << 20];
        expected[..(1 << 20) + 512].fill(7);
        assert!(read_all(&*image) == expected, "{options}");
        drop(image);
        check(&path);
        assert!(qemu_reads("qcow2", &path) == expected, "{options}");
    }
}

#[test]
fn every_cache_mode_stores_the_same() {
    let memory = GuestMemory::new(vec![(0, MemoryRegion::new("test", 1 << 20).unwrap())]).unwrap();
    for format in [Raw, Qcow2] {
        for cache in [
            CacheMode::Writeback,
            CacheMode::Writethrough,
            CacheMode::None,
            CacheMode::Unsafe,
        ] {
            let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
            let path = new_disk(folder.path(), format, 4 * MIB);
            let mut expected = vec![0; 4 << 20];
            {
                let image = DiskOptions {
                    cache,
                    ..DiskOptions::new(format)
                }
                .open(&path)
                .unwrap();
                assert_eq!(
                    image.features().write_cache,
                    cache != CacheMode::Writethrough
                );
                let mut random = Numbers(1);
                for number in 1..60_u8 {
                    // Aligned as O_DIRECT wants it, and not.
                    let unit = if number % 2 == 0 { 4096 } else { 512 };
                    let length = unit * (1 + random.below(40));
                    let offset = random.below(4 * MIB - length) / unit * unit;
                    let (from, to) = (index(offset), index(offset + length));
                    expected[from..to].fill(number);
                    let mut buffer = GuestBuffer::new(memory.clone());
                    buffer.push(unit * random.below(16), to - from).unwrap();
                    buffer.write(0, &expected[from..to]);
                    image.write_guest(offset, &buffer).unwrap();
                    buffer.zero(0..to - from);
                    image.read_guest(offset, &buffer).unwrap();
                    let mut read = vec![0; to - from];
                    buffer.read(0, &mut read);
                    assert!(read == expected[from..to], "{format:?} {cache:?}");
                }
                image.flush().unwrap();
            }
            let content = match format {
                Raw => fs::read(&path).unwrap(),
                Qcow2 => {
                    check(&path);
                    qemu_reads("qcow2", &path)
                }
            };
            assert!(content == expected, "{format:?} {cache:?}");
        }
    }
}
