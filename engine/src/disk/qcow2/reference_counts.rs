//! Blocks of reference counts: big-endian numbers of 1 to 64 bits, those below 8 bits from the lowest bit of a byte up.

/// Makes each count of `block` at least as large as in `other`; says whether one changed. `order` is the width's power of two, in
/// bits.
pub(super) fn raise(block: &mut [u8], other: &[u8], order: u32) -> bool {
    let mut changed = false;
    match order {
        0..=2 => {
            let width = 1_u32 << order;
            let mask = (1_u8 << width) - 1;
            for (mine, theirs) in block.iter_mut().zip(other) {
                let mut byte = 0;
                for shift in (0..8).step_by(width as usize) {
                    byte |= ((*mine >> shift) & mask).max((*theirs >> shift) & mask) << shift;
                }
                changed |= byte != *mine;
                *mine = byte;
            }
        }
        _ => {
            let bytes = 1 << (order - 3).min(3);
            // Big-endian numbers of one length are ordered as their bytes are.
            for (mine, theirs) in block.chunks_mut(bytes).zip(other.chunks(bytes)) {
                if *mine < *theirs {
                    mine.copy_from_slice(theirs);
                    changed = true;
                }
            }
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_of_each_two_counts_is_kept() {
        for (order, old, new, larger) in [
            (
                0,
                [0b0101_0000, 0xff],
                [0b0000_0110, 0],
                [0b0101_0110, 0xff],
            ),
            (
                1,
                [0b11_00_01_10, 0],
                [0b10_01_10_00, 0],
                [0b11_01_10_10, 0],
            ),
            (2, [0x1f, 0x00], [0x2e, 0x01], [0x2f, 0x01]),
            (3, [1, 2], [2, 1], [2, 2]),
            (4, [1, 0], [0, 0xff], [1, 0]),
        ] {
            let mut block = old;
            assert_eq!(raise(&mut block, &new, order), old != larger, "{order}");
            assert_eq!(block, larger, "{order}");
            assert!(!raise(&mut block, &new, order));
        }
        let mut block = [0, 0, 0, 0, 0, 0, 0, 9, 1, 0, 0, 0, 0, 0, 0, 0];
        let other = [0, 0, 0, 0, 0, 0, 1, 0, 0, 0xff, 0, 0, 0, 0, 0, 0];
        assert!(raise(&mut block, &other, 6));
        assert_eq!(block, [0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    }
}
