//! The recent events of each topic, by which repeats are told; read back from the log at start.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use sandbar_log::Log;
use sandbar_types::{Name, Offset, PartitionId};
use tokio::sync::Notify;

use super::dedupe::{self, Window};
use crate::{catalog::Topic, clock};

/// The recent events of one topic.
#[derive(Debug)]
pub(super) struct Recent {
    window: Mutex<Window>,
    /// Rung when events that were in somebody's hands are settled.
    pub settled: Notify,
}

impl Recent {
    pub fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The recent events of all topics.
#[derive(Debug)]
pub(super) struct Recents {
    log: Arc<dyn Log>,
    topics: RwLock<HashMap<Name, Arc<Recent>>>,
}

impl Recents {
    pub fn new(log: Arc<dyn Log>) -> Self {
        Self {
            log,
            topics: RwLock::default(),
        }
    }

    /// Reads back the recent events of a topic, so that repeats are known after a restart. Blocks on
    /// the disk.
    ///
    /// # Errors
    /// When the log cannot be read; what could be read is known then.
    pub fn load(&self, topic: &Topic) -> Result<(), String> {
        let recent = self.of(topic);
        let dedupe = topic.dedupe();
        if dedupe.max_events == 0 {
            return Ok(());
        }
        let since = clock::now().saturating_sub(dedupe.max_age_seconds.saturating_mul(1000));
        let mut trouble = Ok(());
        let mut seen = Vec::new();
        for partition in topic.partition_ids() {
            if let Err(error) = self.load_partition(&partition, dedupe.max_events, since, &mut seen)
            {
                trouble = Err(format!(
                    "the recent events of {partition} could not be read: {error}"
                ));
            }
        }
        // The window forgets the oldest first: remember in the order of time.
        seen.sort_by_key(|one: &Seen| one.time);
        let mut window = recent.window();
        for one in seen {
            window.remember(one.key, one.content, one.partition, one.offset, one.time);
        }
        trouble
    }

    fn load_partition(
        &self,
        partition: &PartitionId,
        most: u64,
        since: u64,
        seen: &mut Vec<Seen>,
    ) -> Result<(), String> {
        let bounds = self
            .log
            .bounds(partition)
            .map_err(|error| error.to_string())?;
        let by_time = self
            .log
            .find_time(partition, since)
            .map_err(|error| error.to_string())?;
        let mut at = by_time
            .max(bounds.tail.saturating_sub(most))
            .max(bounds.earliest);
        while at < bounds.tail {
            let frames = self
                .log
                .read(partition, at, 1024 * 1024)
                .map_err(|error| error.to_string())?;
            if frames.is_empty() {
                // A gap up to the tail.
                break;
            }
            for frame in frames {
                let end = frame.base + u64::from(frame.count);
                // What a route wrote was never published, so it is no event's first.
                if frame.provenance.is_none() {
                    let batch = sandbar_types::Batch::decode(&frame.body)
                        .map_err(|error| error.to_string())?;
                    for (index, event) in batch.iter().enumerate() {
                        seen.push(Seen {
                            key: dedupe::key(event.source, event.id),
                            content: dedupe::content(event),
                            partition: partition.partition,
                            offset: frame.base + index as u64,
                            time: frame.time,
                        });
                    }
                }
                at = end;
            }
        }
        Ok(())
    }

    /// Forgets a deleted topic.
    pub fn forget(&self, topic: &Name) {
        self.topics
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(topic);
    }

    /// Those of one topic.
    pub fn of(&self, topic: &Topic) -> Arc<Recent> {
        let dedupe = topic.dedupe();
        let (most, age) = (
            dedupe.max_events,
            dedupe.max_age_seconds.saturating_mul(1000),
        );
        let found = self
            .topics
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&topic.name)
            .cloned();
        let recent = found.unwrap_or_else(|| {
            let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
            let fresh = || {
                Arc::new(Recent {
                    window: Mutex::new(Window::new(most, age)),
                    settled: Notify::new(),
                })
            };
            topics
                .entry(topic.name.clone())
                .or_insert_with(fresh)
                .clone()
        });
        recent.window().resize(most, age);
        recent
    }
}

struct Seen {
    key: dedupe::Key,
    content: u64,
    partition: u32,
    offset: Offset,
    time: u64,
}
