//! What of a producer may be in the log already, after a restart.
//!
//! A checkpoint holds the tails of all partitions that a producer writes to. What lies behind them
//! tells, by its provenance, which outputs are written. As long as the source is not read up to
//! where they stop there is doubt: the tails of the recovered checkpoint then stay in every new one,
//! because a second kill must look from there again.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use sandbar_log::Log;
use sandbar_types::{Offset, PartitionId};

use super::step::Written;

/// How many frame heads are read at once.
const HEADS: usize = 1024;

/// Where partitions ended.
pub type Tails = Vec<(PartitionId, Offset)>;

/// See the module.
#[derive(Debug, Default)]
pub struct Doubt {
    written: Arc<Written>,
    /// Outputs of source events below this may be in the log already.
    below: Offset,
    tails: Tails,
}

impl Doubt {
    /// Asks the log what `producer` wrote behind `tails`. Blocks on the disk.
    ///
    /// # Errors
    /// When the log cannot be read, in words.
    pub fn behind(log: &dyn Log, producer: &str, tails: Tails) -> Result<Self, String> {
        let (written, below) = written_since(log, producer, &tails)?;
        Ok(Self {
            written: Arc::new(written),
            below,
            tails,
        })
    }

    /// What is in the log already.
    #[must_use]
    pub fn written(&self) -> &Arc<Written> {
        &self.written
    }

    /// Takes note of how far everything is settled; true when nothing is in doubt any more.
    pub fn settle(&mut self, low: Offset) -> bool {
        if self.below == 0 {
            return true;
        }
        if low < self.below {
            return false;
        }
        *self = Self::default();
        true
    }

    /// The tails that a checkpoint must keep; none: those of now will do.
    #[must_use]
    pub fn tails(&self) -> Option<&Tails> {
        (self.below > 0).then_some(&self.tails)
    }
}

/// The tails of these partitions now.
///
/// # Errors
/// When one is not there, in words.
pub fn tails_of(
    log: &dyn Log,
    partitions: impl Iterator<Item = PartitionId>,
) -> Result<Tails, String> {
    let tail = |partition: PartitionId| {
        let bounds = log.bounds(&partition).map_err(|error| error.to_string())?;
        Ok((partition, bounds.tail))
    };
    partitions.map(tail).collect()
}

/// All outputs of `producer` behind `tails`, and the source offset below which they stop.
fn written_since(
    log: &dyn Log,
    producer: &str,
    tails: &[(PartitionId, Offset)],
) -> Result<(Written, Offset), String> {
    let mut written: Written = HashMap::new();
    let mut below = 0;
    for (partition, tail) in tails {
        let mut from = *tail;
        loop {
            let heads = match log.heads(partition, from, HEADS) {
                Ok(heads) => heads,
                Err(
                    sandbar_log::Error::NoSuchPartition(_) | sandbar_log::Error::PastTail { .. },
                ) => break,
                Err(sandbar_log::Error::Trimmed { earliest, .. }) => {
                    from = earliest;
                    continue;
                }
                Err(error) => return Err(error.to_string()),
            };
            let Some(last) = heads.last() else { break };
            from = last.base + u64::from(last.count);
            for provenance in heads.iter().filter_map(|head| head.provenance.as_ref()) {
                if provenance.producer == producer {
                    let found: &mut HashSet<_> = written.entry(partition.clone()).or_default();
                    found.extend(provenance.origins.iter().copied());
                    let last = provenance
                        .origins
                        .iter()
                        .map(|(offset, _)| offset + 1)
                        .max();
                    below = below.max(last.unwrap_or(0));
                }
            }
        }
    }
    Ok((written, below))
}
