//! Disk images after the machine is off: sound by qemu-img's judgement, and what the guest wrote on them.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

/// Lets `qemu-img check` judge the image.
///
/// # Panics
/// When it finds anything wrong.
pub fn assert_sound(image: &Path) {
    let check = Command::new("qemu-img")
        .args(["check", "-f", "qcow2"])
        .arg(image)
        .output()
        .unwrap();
    assert!(
        check.status.success(),
        "{}: {}{}",
        image.display(),
        String::from_utf8_lossy(&check.stdout),
        String::from_utf8_lossy(&check.stderr)
    );
}

/// Waits until a guest has written to `image` after `since`, and the file is `length` bytes or longer.
///
/// # Panics
/// When it has not within `seconds`.
pub fn wait_for_writes(image: &Path, since: SystemTime, length: u64, seconds: u64) {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        let data = std::fs::metadata(image).unwrap();
        if data.modified().unwrap() > since && data.len() >= length {
            return;
        }
        assert!(
            Instant::now() < end,
            "the guest does not write: {} bytes, last changed {:?}, looked since {since:?}",
            data.len(),
            data.modified()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What [`crate::media::program::write_sectors`] left on a disk.
#[derive(Debug)]
pub struct Written {
    /// The pass that wrote each sector last; 0 where nothing was written.
    pub passes: Vec<u16>,
}

impl Written {
    /// Reads the `count` sectors, `stride` sectors apart, of the qcow2 image `image` by qemu-img.
    ///
    /// # Panics
    /// When a sector is neither empty nor whole.
    pub fn read(image: &Path, count: u16, stride: u32) -> Self {
        let raw = tempfile::NamedTempFile::new().unwrap();
        let converted = Command::new("qemu-img")
            .args(["convert", "-f", "qcow2", "-O", "raw"])
            .args([image, raw.path()])
            .output()
            .unwrap();
        assert!(
            converted.status.success(),
            "{}",
            String::from_utf8_lossy(&converted.stderr)
        );
        let passes = (0..count).map(|index| {
            let mut sector = [0; 512];
            let offset = u64::from(index) * u64::from(stride) * 512;
            std::os::unix::fs::FileExt::read_exact_at(raw.as_file(), &mut sector, offset).unwrap();
            if sector == [0; 512] {
                return 0;
            }
            let [low, high] = index.to_le_bytes();
            let pass = u16::from_le_bytes([sector[2], sector[3]]);
            for (at, word) in sector.chunks(4).enumerate() {
                assert_eq!(
                    word,
                    [low, high, sector[2], sector[3]],
                    "word {at} of sector number {index} in the row"
                );
            }
            pass
        });
        Self {
            passes: passes.collect(),
        }
    }

    /// # Panics
    /// When the sectors are not what a guest leaves that was stopped at some moments: none of a later pass than one before it.
    pub fn assert_in_order(&self) {
        assert!(
            self.passes.first() > Some(&0) && self.passes.is_sorted_by(|one, next| one >= next),
            "{:?}",
            self.passes
        );
    }
}
