//! The latest events of which a shadow said something else, for those who follow it live.
//!
//! Memory only, and bounded: after a restart it is empty, and the report goes on.

use std::collections::VecDeque;

use super::report::Example;

/// The most events that are kept.
const MOST: usize = 100;
/// The most bytes that their changes may have, as JSON.
const MOST_BYTES: usize = 4 * 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Recent {
    kept: VecDeque<Kept>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    /// How many events were compared when this one had been.
    compared: u64,
    bytes: usize,
    example: Example,
}

impl Recent {
    /// Keeps the events of a part of the source; `compared` counts all up to its end.
    pub(super) fn add<'a>(
        &mut self,
        compared: u64,
        examples: impl ExactSizeIterator<Item = &'a Example>,
    ) {
        let over = examples.len().saturating_sub(MOST);
        for example in examples.skip(over) {
            let bytes = example.changes.to_string().len();
            self.bytes += bytes;
            self.kept.push_back(Kept {
                compared,
                bytes,
                example: example.clone(),
            });
        }
        while self.kept.len() > MOST || self.bytes > MOST_BYTES {
            let Some(oldest) = self.kept.pop_front() else {
                return;
            };
            self.bytes -= oldest.bytes;
        }
    }

    /// Those that were compared after so many others.
    pub(super) fn since(&self, compared: u64) -> Vec<Example> {
        let later = self.kept.iter().filter(|kept| kept.compared > compared);
        later.map(|kept| kept.example.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn example(offset: u64, bytes: usize) -> Example {
        Example {
            topic: "t".to_owned(),
            partition: 0,
            offset,
            id: offset.to_string(),
            active: "emit".to_owned(),
            candidate: "drop".to_owned(),
            changes: json!("x".repeat(bytes)),
        }
    }

    fn offsets(recent: &Recent, compared: u64) -> Vec<u64> {
        let since = recent.since(compared);
        since.iter().map(|example| example.offset).collect()
    }

    #[test]
    fn what_was_compared_since_is_given() {
        let mut recent = Recent::default();
        recent.add(10, [example(3, 1), example(4, 1)].iter());
        recent.add(12, [example(11, 1)].iter());
        assert_eq!(offsets(&recent, 0), [3, 4, 11]);
        assert_eq!(offsets(&recent, 10), [11]);
        assert!(offsets(&recent, 12).is_empty());
    }

    #[test]
    fn neither_many_nor_large_ones_pile_up() {
        let mut recent = Recent::default();
        let many: Vec<Example> = (0..1000).map(|offset| example(offset, 1)).collect();
        recent.add(1000, many.iter());
        assert_eq!(offsets(&recent, 0).len(), MOST);
        assert_eq!(offsets(&recent, 0).last(), Some(&999));
        recent.add(1001, [example(1000, MOST_BYTES - 10)].iter());
        assert_eq!(offsets(&recent, 0).last(), Some(&1000));
        recent.add(1002, [example(1001, MOST_BYTES - 10)].iter());
        assert_eq!(offsets(&recent, 0), [1001]);
    }
}
