//! A set of numbers kept as sorted, disjoint, non-touching ranges.

use alloc::vec::Vec;
use core::ops::Range;

/// Which numbers of a stream are meant: received early, acknowledged early, or lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RangeSet {
    ranges: Vec<Range<u64>>,
}

impl RangeSet {
    pub(crate) const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// The number of ranges, which is what the set costs in memory.
    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    pub(crate) fn first(&self) -> Option<Range<u64>> {
        self.ranges.first().cloned()
    }

    /// How many ranges the set would have after `insert(range)`.
    pub(crate) fn len_with(&self, range: &Range<u64>) -> usize {
        let (from, to) = self.touching(range);
        self.ranges.len() + 1 - (to - from)
    }

    /// The indices of the ranges that overlap or touch `range`.
    fn touching(&self, range: &Range<u64>) -> (usize, usize) {
        let from = self.ranges.partition_point(|r| r.end < range.start);
        let to = self.ranges.partition_point(|r| r.start <= range.end);
        (from, to.max(from))
    }

    pub(crate) fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let (from, to) = self.touching(&range);
        let merged = self.ranges.get(from..to).unwrap_or_default();
        let start = merged.first().map_or(range.start, |r| r.start.min(range.start));
        let end = merged.last().map_or(range.end, |r| r.end.max(range.end));
        self.ranges.splice(from..to, core::iter::once(start..end));
    }

    pub(crate) fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let from = self.ranges.partition_point(|r| r.end <= range.start);
        let to = self.ranges.partition_point(|r| r.start < range.end).max(from);
        let cut = self.ranges.get(from..to).unwrap_or_default();
        let left = cut.first().map(|r| r.start..range.start);
        let right = cut.last().map(|r| range.end..r.end);
        let rest = [left, right].into_iter().flatten().filter(|r| r.start < r.end);
        self.ranges.splice(from..to, rest);
    }

    /// Takes off the first range if it begins at or before `position`, and says where it ends.
    pub(crate) fn pop_reached(&mut self, position: u64) -> Option<u64> {
        self.first().filter(|r| r.start <= position)?;
        Some(self.ranges.remove(0).end)
    }

    /// The parts of `range` that are not in the set.
    pub(crate) fn missing(&self, range: Range<u64>) -> Self {
        let mut rest = Self::new();
        rest.insert(range.clone());
        let from = self.ranges.partition_point(|r| r.end <= range.start);
        for r in self.ranges.iter().skip(from).take_while(|r| r.start < range.end) {
            rest.remove(r.clone());
        }
        rest
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.ranges.iter().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn members(set: &RangeSet) -> BTreeSet<u64> {
        set.iter().flatten().collect()
    }

    proptest! {
        #[test]
        fn agrees_with_a_set_of_numbers(ops in prop::collection::vec((any::<bool>(), 0u64..60, 0u64..12), 0..60)) {
            let (mut set, mut model) = (RangeSet::new(), BTreeSet::new());
            for (add, start, len) in ops {
                let range = start..start + len;
                let missing: BTreeSet<_> = range.clone().filter(|n| !model.contains(n)).collect();
                prop_assert_eq!(members(&set.missing(range.clone())), missing);
                if add {
                    let expected = set.len_with(&range);
                    set.insert(range.clone());
                    prop_assert!(len == 0 || set.len() == expected);
                    model.extend(range);
                } else {
                    set.remove(range.clone());
                    model.retain(|n| !range.contains(n));
                }
                prop_assert_eq!(members(&set), model.clone());
                for pair in set.ranges.windows(2) {
                    prop_assert!(pair[0].end < pair[1].start, "not in normal form: {:?}", set);
                }
            }
        }
    }
}
