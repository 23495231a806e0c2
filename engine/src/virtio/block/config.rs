//! What the driver is told of the disk. Section 5.2.4.

use std::sync::atomic::Ordering;

use super::{Block, QUEUE_SIZE, SECTOR};

const CAPACITY: usize = 0;
const SEGMENTS_MAXIMUM: usize = 12;
const BLOCK_SIZE: usize = 20;
const PHYSICAL_BLOCK_EXPONENT: usize = 24;
const SMALLEST_IO: usize = 26;
pub(super) const WRITE_BACK: u64 = 32;
const QUEUES: usize = 34;
const DISCARD_SECTORS: usize = 36;
const DISCARD_SEGMENTS: usize = 40;
const DISCARD_ALIGNMENT: usize = 44;
const ZEROES_SECTORS: usize = 48;
const ZEROES_SEGMENTS: usize = 52;
const ZEROES_MAY_UNMAP: usize = 56;
const END: usize = 60;

/// The most sectors in one range to discard or to zero: just below 2 GiB.
pub(super) const RANGE_SECTORS: u32 = 0x3f_ffff;
/// The most ranges in one request.
pub(super) const RANGES: u32 = 16;
/// The physical blocks that guests align to, at most: larger ones make some refuse to use the disk.
const LARGEST_BLOCK: u32 = 4096;

impl Block {
    pub(super) fn config(&self) -> [u8; END] {
        let image = &self.disk.image;
        let features = image.features();
        let mut config = [0; END];
        let mut put = |at: usize, value: &[u8]| {
            for (to, from) in config.iter_mut().skip(at).zip(value) {
                *to = *from;
            }
        };
        put(CAPACITY, &(image.size() / SECTOR).to_le_bytes());
        // Header and status take a descriptor each.
        put(SEGMENTS_MAXIMUM, &u32::from(QUEUE_SIZE - 2).to_le_bytes());
        put(BLOCK_SIZE, &512_u32.to_le_bytes());
        let blocks = (features.optimal_block_size.clamp(512, LARGEST_BLOCK) / 512).max(1);
        let [exponent, ..] = blocks.ilog2().to_le_bytes();
        put(PHYSICAL_BLOCK_EXPONENT, &[exponent]);
        let [low, high, ..] = blocks.to_le_bytes();
        put(SMALLEST_IO, &[low, high]);
        let write_back = features.write_cache && self.disk.write_back.load(Ordering::Acquire);
        put(
            usize::try_from(WRITE_BACK).unwrap_or(END),
            &[u8::from(write_back)],
        );
        put(QUEUES, &self.queues.to_le_bytes());
        if !image.read_only() {
            put(ZEROES_SECTORS, &RANGE_SECTORS.to_le_bytes());
            put(ZEROES_SEGMENTS, &RANGES.to_le_bytes());
            if features.discard {
                put(DISCARD_SECTORS, &RANGE_SECTORS.to_le_bytes());
                put(DISCARD_SEGMENTS, &RANGES.to_le_bytes());
                let alignment = (features.discard_granularity / 512).max(1);
                put(DISCARD_ALIGNMENT, &alignment.to_le_bytes());
                put(ZEROES_MAY_UNMAP, &[1]);
            }
        }
        config
    }
}
