//! A set of byte ranges.

use std::collections::BTreeMap;
use std::ops::Range;

/// Ranges that neither overlap nor touch: end by start.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Ranges {
    ends: BTreeMap<u64, u64>,
    bytes: u64,
}

impl Ranges {
    /// How many ranges there are.
    pub(super) fn count(&self) -> usize {
        self.ends.len()
    }

    /// All bytes in them.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The ranges, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Range<u64>> {
        self.ends.iter().map(|(start, end)| *start..*end)
    }

    pub(super) fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let (mut start, mut end) = (range.start, range.end);
        // Those that overlap it or touch it become one with it.
        while let Some((&first, &last)) = self.ends.range(..=end).next_back() {
            if last < start {
                break;
            }
            self.ends.remove(&first);
            self.bytes -= last - first;
            start = start.min(first);
            end = end.max(last);
        }
        self.ends.insert(start, end);
        self.bytes += end - start;
    }

    pub(super) fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        while let Some((&first, &last)) = self.ends.range(..range.end).next_back() {
            if last <= range.start {
                break;
            }
            self.ends.remove(&first);
            self.bytes -= last - first;
            for (start, end) in [(first, last.min(range.start)), (first.max(range.end), last)] {
                if start < end {
                    self.ends.insert(start, end);
                    self.bytes += end - start;
                }
            }
            if first <= range.start {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzzing::Numbers;

    #[test]
    fn it_agrees_with_a_list_of_bytes() {
        let mut random = Numbers(99);
        let mut ranges = Ranges::default();
        let mut bytes = [false; 64];
        for _ in 0..20_000 {
            let start = random.below(64);
            let end = start + random.below(65 - start);
            let put = random.below(2) == 0;
            if put {
                ranges.insert(start..end);
            } else {
                ranges.remove(start..end);
            }
            for byte in start..end {
                bytes[usize::try_from(byte).unwrap()] = put;
            }
            let mut expected = Vec::new();
            let mut at = 0;
            while at < 64 {
                let run = bytes[at..].iter().take_while(|byte| **byte).count();
                if run > 0 {
                    expected.push(at as u64..(at + run) as u64);
                }
                at += run.max(1);
            }
            assert_eq!(ranges.iter().collect::<Vec<_>>(), expected);
            let sum = bytes.iter().filter(|byte| **byte).count();
            assert_eq!(
                (ranges.bytes(), ranges.count()),
                (sum as u64, expected.len())
            );
            assert_eq!(ranges.is_empty(), sum == 0);
        }
    }
}
