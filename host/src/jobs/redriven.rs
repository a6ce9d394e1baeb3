//! Which dead letters were redriven, and by which job: kept in the log, in a partition of its own
//! whose frames have no bodies, and in memory as ranges.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use bytes::Bytes;
use sandbar_log::{Append, Durability, Log};
use sandbar_types::{Name, Offset, PartitionId, Provenance};

/// Where it is kept.
const PARTITION: &str = "sandbar.redriven";
/// How many frame heads are read at once.
const HEADS: usize = 1024;

/// Who redrove a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedrivenBy {
    pub job: Arc<str>,
    /// Milliseconds since the epoch.
    pub at: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Redriven {
    log: Arc<dyn Log>,
    partition: PartitionId,
    ranges: RwLock<Ranges>,
}

/// By first offset: the end, and by whom.
#[derive(Debug, Default)]
struct Ranges(BTreeMap<Offset, (Offset, RedrivenBy)>);

impl Ranges {
    fn get(&self, offset: Offset) -> Option<&RedrivenBy> {
        let (_, (end, by)) = self.0.range(..=offset).next_back()?;
        (offset < *end).then_some(by)
    }

    /// The first to redrive a letter counts.
    fn add(&mut self, offset: Offset, by: &RedrivenBy) {
        if self.get(offset).is_some() {
            return;
        }
        if let Some((_, (end, before))) = self.0.range_mut(..=offset).next_back()
            && *end == offset
            && before == by
        {
            *end += 1;
            return;
        }
        self.0.insert(offset, (offset + 1, by.clone()));
    }
}

impl Redriven {
    /// Reads what there is. Blocks on the disk.
    ///
    /// # Errors
    /// When the log does not work, in words.
    pub fn open(log: Arc<dyn Log>) -> Result<Self, String> {
        let name = Name::new(PARTITION).map_err(|error| error.to_string())?;
        let partition = PartitionId::new(name, 0);
        log.create(&partition).map_err(|error| error.to_string())?;
        let mut ranges = Ranges::default();
        let mut from = 0;
        loop {
            let heads = log.heads(&partition, from, HEADS);
            let heads = heads.map_err(|error| error.to_string())?;
            let Some(last) = heads.last() else { break };
            from = last.base + u64::from(last.count);
            for head in heads {
                let Some(provenance) = head.provenance else {
                    continue;
                };
                let by = RedrivenBy {
                    job: provenance.producer.trim_start_matches("redrive/").into(),
                    at: head.time,
                };
                for (offset, _) in provenance.origins {
                    ranges.add(offset, &by);
                }
            }
        }
        Ok(Self {
            log,
            partition,
            ranges: RwLock::new(ranges),
        })
    }

    /// Who redrove the dead letter at this offset, if anybody did.
    #[must_use]
    pub fn by(&self, letter: Offset) -> Option<RedrivenBy> {
        let ranges = self.ranges.read().unwrap_or_else(PoisonError::into_inner);
        ranges.get(letter).cloned()
    }

    /// Takes note that a job redrove these. Durable when it returns.
    ///
    /// # Errors
    /// When the log does not take it, in words.
    pub async fn add(&self, job: &str, mut letters: Vec<Offset>) -> Result<(), String> {
        if letters.is_empty() {
            return Ok(());
        }
        letters.sort_unstable();
        let frame = Append {
            partition: self.partition.clone(),
            count: u32::try_from(letters.len()).unwrap_or(u32::MAX),
            body: Bytes::new(),
            provenance: Some(Provenance {
                producer: format!("redrive/{job}"),
                made_by: String::new(),
                origins: letters.iter().map(|letter| (*letter, 0)).collect(),
            }),
            durability: Durability::Sync,
        };
        let appended = crate::ingest::append(&self.log, vec![frame]).await;
        let appended = appended.map_err(|error| error.to_string())?;
        let by = RedrivenBy {
            job: job.into(),
            at: appended.first().map_or(0, |one| one.time),
        };
        let mut ranges = self.ranges.write().unwrap_or_else(PoisonError::into_inner);
        for letter in letters {
            ranges.add(letter, &by);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_a_range_and_the_first_counts() {
        let by = |job: &str| RedrivenBy {
            job: job.into(),
            at: 1,
        };
        let mut ranges = Ranges::default();
        for offset in [3, 4, 5, 9] {
            ranges.add(offset, &by("a"));
        }
        ranges.add(6, &by("b"));
        ranges.add(4, &by("b"));
        assert_eq!(ranges.0.len(), 3);
        let told = [2, 3, 5, 6, 7, 9].map(|offset| ranges.get(offset).map(|by| by.job.to_string()));
        let a = || Some("a".to_owned());
        assert_eq!(told, [None, a(), a(), Some("b".to_owned()), None, a()]);
    }
}
