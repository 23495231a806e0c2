//! Files as inputs: a length, and pieces at their places with nothing but zeros between them. An image of megabytes takes no more
//! than its tables so, and a mutation hits one of them.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Input, Script};

/// The largest file.
const MOST: u64 = 64 << 20;
/// Fewer zeros than these are part of a piece.
const GAP: usize = 24;

/// A folder in memory, where there is one, that goes away with this.
pub(crate) fn folder() -> TempDir {
    let name = "guesthouse-fuzz-";
    tempfile::Builder::new()
        .prefix(name)
        .tempdir_in("/dev/shm")
        .or_else(|_| tempfile::Builder::new().prefix(name).tempdir())
        .unwrap()
}

/// A file of one's own in a folder of its own.
pub(crate) struct Written {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    pub(crate) folder: TempDir,
}

impl Written {
    /// The file that the rest of `input` describes.
    pub(crate) fn new(input: &mut Input<'_>) -> Self {
        let folder = folder();
        let path = folder.path().join("image");
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .unwrap();
        let length = u64::from(input.long()).min(MOST);
        file.set_len(length).unwrap();
        while let Some(first) = input.code() {
            let at = u64::from(u32::from_le_bytes([
                first,
                input.byte(),
                input.byte(),
                input.byte(),
            ]));
            let count = input.word().into();
            let piece = input.bytes(count);
            let there = usize::try_from(length.saturating_sub(at))
                .unwrap()
                .min(piece.len());
            file.write_all_at(&piece[..there], at).unwrap();
        }
        Self { path, file, folder }
    }

    /// The bytes from `at` on, as far as the file goes.
    pub(crate) fn bytes(&self, at: u64, count: usize) -> Vec<u8> {
        let length = self.file.metadata().unwrap().len();
        let there = usize::try_from(length.saturating_sub(at))
            .unwrap()
            .min(count);
        let mut bytes = vec![0; there];
        self.file.read_exact_at(&mut bytes, at).unwrap();
        bytes
    }
}

/// All the bytes that the rest of `input` describes, `most` at most.
pub(crate) fn content(input: &mut Input<'_>, most: usize) -> Vec<u8> {
    let mut content = vec![0; (input.long() as usize).min(most)];
    while let Some(first) = input.code() {
        let at = u32::from_le_bytes([first, input.byte(), input.byte(), input.byte()]) as usize;
        let count = input.word().into();
        for (place, byte) in content.iter_mut().skip(at).zip(input.bytes(count)) {
            *place = *byte;
        }
    }
    content
}

impl Script {
    /// A file with these bytes.
    pub(crate) fn file(self, bytes: &[u8]) -> Self {
        let mut script = self.long(u32::try_from(bytes.len()).unwrap());
        let mut at = 0;
        while let Some(start) = bytes[at..].iter().position(|byte| *byte != 0) {
            at += start;
            let end = bytes[at..]
                .windows(GAP)
                .position(|gap| gap.iter().all(|byte| *byte == 0))
                .map_or(bytes.len(), |end| at + end);
            for (piece, at) in bytes[at..end].chunks(0x8000).zip((at..end).step_by(0x8000)) {
                script = script
                    .long(u32::try_from(at).unwrap())
                    .word(u16::try_from(piece.len()).unwrap())
                    .bytes(piece);
            }
            at = end;
        }
        script
    }
}

/// The seed that is a file of these bytes.
pub(crate) fn seed(bytes: &[u8]) -> Vec<u8> {
    Script::default().file(bytes).done()
}

/// The seed that is the file at `path`.
pub(crate) fn seed_of(path: &Path) -> Vec<u8> {
    seed(&std::fs::read(path).unwrap())
}

/// Gives every entry of a tar archive the checksum that it should have: damage that it would catch is damage that nobody tries.
pub(crate) fn mend_archive(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(512) {
        if block[257..262] == *b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}
