//! A set of offsets, kept as runs.

use std::collections::BTreeMap;

use sandbar_types::Offset;

/// Offsets in runs that neither touch nor overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    /// From the first offset of a run to the one behind its last.
    runs: BTreeMap<Offset, Offset>,
}

impl Ranges {
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub fn contains(&self, offset: Offset) -> bool {
        let before = self.runs.range(..=offset).next_back();
        before.is_some_and(|(_, &end)| offset < end)
    }

    /// Adds `from..to`.
    pub fn insert(&mut self, mut from: Offset, mut to: Offset) {
        if from >= to {
            return;
        }
        if let Some((&start, &end)) = self.runs.range(..=from).next_back()
            && end >= from
        {
            if end >= to {
                return;
            }
            from = start;
        }
        while let Some((&start, &end)) = self.runs.range(from..=to).next() {
            self.runs.remove(&start);
            to = to.max(end);
        }
        self.runs.insert(from, to);
    }

    /// Forgets all below `offset`.
    pub fn forget_below(&mut self, offset: Offset) {
        while let Some((&start, &end)) = self.runs.first_key_value() {
            if start >= offset {
                return;
            }
            self.runs.remove(&start);
            if end > offset {
                self.runs.insert(offset, end);
            }
        }
    }

    /// The end of the run that `offset` is in.
    pub fn end_of_run(&self, offset: Offset) -> Option<Offset> {
        let before = self.runs.range(..=offset).next_back();
        before.map(|(_, &end)| end).filter(|&end| offset < end)
    }

    /// The runs, in order, each with the offset behind its last.
    pub fn runs(&self) -> impl Iterator<Item = (Offset, Offset)> {
        self.runs.iter().map(|(&from, &to)| (from, to))
    }
}

impl FromIterator<(Offset, Offset)> for Ranges {
    fn from_iter<I: IntoIterator<Item = (Offset, Offset)>>(runs: I) -> Self {
        let mut ranges = Self::default();
        for (from, to) in runs {
            ranges.insert(from, to);
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn it_behaves_as_a_set() {
        let mut random = fastrand::Rng::with_seed(7);
        let (mut ranges, mut model) = (Ranges::default(), BTreeSet::new());
        for _ in 0..4000 {
            let from = random.u64(0..60);
            match random.u8(0..8) {
                0..7 => {
                    let to = from + random.u64(0..6);
                    ranges.insert(from, to);
                    model.extend(from..to);
                }
                _ => {
                    let below = from / 8;
                    ranges.forget_below(below);
                    model.retain(|&one| one >= below);
                }
            }
            let found: BTreeSet<_> = ranges.runs().flat_map(|(from, to)| from..to).collect();
            assert_eq!(found, model);
            let runs: Vec<_> = ranges.runs().collect();
            assert!(
                runs.windows(2).all(|pair| pair[0].1 < pair[1].0),
                "they neither touch nor overlap: {runs:?}"
            );
            for offset in 0..70 {
                assert_eq!(ranges.contains(offset), model.contains(&offset), "{offset}");
                let end = (offset..).find(|one| !model.contains(one));
                assert_eq!(
                    ranges.end_of_run(offset),
                    end.filter(|&end| end > offset),
                    "{offset}"
                );
            }
        }
    }
}
