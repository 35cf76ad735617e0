//! Which bytes of a file are there.

use std::ops::Range;

/// Ranges of bytes, apart from each other and in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges(Vec<Range<u64>>);

impl Ranges {
    /// Adds a range, and says how many bytes of it are new.
    pub fn add(&mut self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let before = self.total();
        let from = self.0.partition_point(|held| held.end < range.start);
        let to = self.0.partition_point(|held| held.start <= range.end);
        let touched = self.0.get(from..to).unwrap_or_default();
        let start = touched.first().map_or(range.start, |it| it.start.min(range.start));
        let end = touched.last().map_or(range.end, |it| it.end.max(range.end));
        self.0.splice(from..to, std::iter::once(start..end));
        self.total() - before
    }

    /// The first bytes within a range that are not there.
    pub fn first_missing(&self, within: &Range<u64>) -> Option<Range<u64>> {
        let mut start = within.start;
        for held in &self.0 {
            if held.start > start {
                let end = held.start.min(within.end);
                return (start < end).then_some(start..end);
            }
            start = start.max(held.end);
        }
        (start < within.end).then_some(start..within.end)
    }

    /// How many bytes there are.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|it| it.end - it.start).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_grow_together() {
        let mut ranges = Ranges::default();
        assert_eq!(ranges.add(10..20), 10);
        assert_eq!(ranges.add(30..40), 10);
        assert_eq!(ranges.add(15..15), 0);
        assert_eq!(ranges.first_missing(&(0..50)), Some(0..10));
        assert_eq!(ranges.first_missing(&(12..50)), Some(20..30));
        assert_eq!(ranges.first_missing(&(12..18)), None);
        assert_eq!(ranges.first_missing(&(12..25)), Some(20..25));
        assert_eq!(ranges.add(18..32), 10);
        assert_eq!(ranges.first_missing(&(10..40)), None);
        assert_eq!(ranges.add(0..10), 10);
        assert_eq!(ranges.add(40..41), 1);
        assert_eq!(ranges, Ranges(std::iter::once(0..41).collect()));
        assert_eq!(ranges.first_missing(&(0..50)), Some(41..50));
    }

    /// The same as marking each byte, in any order.
    #[test]
    fn they_are_what_a_set_of_bytes_is() {
        let mut seed = 7_u64;
        let mut next = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        for _ in 0..200 {
            let (mut ranges, mut bytes) = (Ranges::default(), [false; 64]);
            for _ in 0..12 {
                let start = next(60);
                let range = start..(start + next(9)).min(64);
                let new = range.clone().filter(|&at| !bytes[at as usize]).count() as u64;
                range.clone().for_each(|at| bytes[at as usize] = true);
                assert_eq!(ranges.add(range), new);
                let missing = (0..64).find(|&at| !bytes[at as usize]);
                assert_eq!(ranges.first_missing(&(0..64)).map(|it| it.start), missing);
            }
            assert_eq!(ranges.total(), bytes.iter().filter(|it| **it).count() as u64);
        }
    }
}
