//! Buffers for frames, used again and again: three sizes, each kept up to a bound, shared by all networks of the process.

use bytes::Bytes;
use parking_lot::Mutex;

/// The size of each class in bytes and how many unused buffers of it are kept.
const CLASSES: [(usize, usize); 3] = [(2048, 2048), (16 << 10, 256), (66 << 10, 128)];

static SHELVES: [Mutex<Vec<Vec<u8>>>; CLASSES.len()] = [
    Mutex::new(Vec::new()),
    Mutex::new(Vec::new()),
    Mutex::new(Vec::new()),
];

/// A buffer of one's own to build a frame in.
pub struct Buffer(Vec<u8>);

impl Buffer {
    /// The smallest buffer that holds `length` bytes. What is in it at first is whatever was in it last.
    pub fn new(length: usize) -> Self {
        let class = CLASSES.iter().position(|(size, _)| length <= *size);
        match class {
            Some(class) => {
                let shelf = SHELVES.get(class).and_then(|shelf| shelf.lock().pop());
                let size = CLASSES.get(class).map_or(length, |(size, _)| *size);
                Self(shelf.unwrap_or_else(|| vec![0; size]))
            }
            None => Self(vec![0; length]),
        }
    }

    /// A buffer that begins with `data`.
    pub fn copy_of(data: &[u8]) -> Self {
        let mut buffer = Self::new(data.len());
        if let Some(part) = buffer.0.get_mut(..data.len()) {
            part.copy_from_slice(data);
        }
        buffer
    }

    /// Its first `length` bytes, shared from now on; the buffer goes back when nobody holds them any more.
    pub fn freeze(self, length: usize) -> Bytes {
        struct Part(Buffer, usize);
        impl AsRef<[u8]> for Part {
            fn as_ref(&self) -> &[u8] {
                self.0.0.get(..self.1).unwrap_or(&self.0.0)
            }
        }
        Bytes::from_owner(Part(self, length))
    }
}

impl std::ops::Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl std::ops::DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let class = CLASSES.iter().position(|(size, _)| self.0.len() == *size);
        let Some((class, (_, most))) = class.and_then(|class| Some((class, CLASSES.get(class)?)))
        else {
            return;
        };
        if let Some(shelf) = SHELVES.get(class) {
            let mut shelf = shelf.lock();
            if shelf.len() < *most {
                shelf.push(std::mem::take(&mut self.0));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_hold_what_was_asked_for() {
        for length in [0, 1, 1514, 2048, 2049, 65_550, 70_000] {
            let mut buffer = Buffer::new(length);
            assert!(buffer.len() >= length);
            buffer[..length].fill(7);
            let frozen = buffer.freeze(length);
            assert_eq!(frozen.len(), length);
            let copy = frozen.clone();
            drop(frozen);
            assert!(copy.iter().all(|byte| *byte == 7));
        }
        assert_eq!(Buffer::copy_of(b"frame")[..5], *b"frame");
    }
}
