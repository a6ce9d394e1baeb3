//! What tells the outputs of a replay from those of the route's own run: an extension, and ids of
//! their own, so that readers who drop repeats do not drop them. Pure.

use sandbar_types::{
    AttributeValue, Batch, BatchBuilder,
    event::{EventRef, PARTITION_KEY},
};
use serde::{Deserialize, Serialize};

/// The extension attribute that names the job.
pub const REPLAY: &str = "sandbarreplay";

/// A mark for outputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub job: String,
    /// Keep the ids as they are.
    pub keep_ids: bool,
}

impl Mark {
    /// The same events with the mark. Their keys stay what they were.
    #[must_use]
    pub fn apply(&self, batch: &Batch) -> Batch {
        let mut builder = BatchBuilder::with_capacity(batch.len(), batch.byte_length());
        for event in batch.iter() {
            let mut extensions = event.extension_map();
            extensions.insert(REPLAY.into(), AttributeValue::String(self.job.clone()));
            let mut id = event.id.to_owned();
            if !self.keep_ids {
                let key = event.key();
                if key == event.id {
                    extensions.insert(PARTITION_KEY.into(), AttributeValue::String(key.into()));
                }
                id = format!("{id}/replay/{}", self.job);
            }
            builder.push(EventRef {
                id: &id,
                extensions: &serde_json::to_string(&extensions).unwrap_or_default(),
                ..event
            });
        }
        builder.finish()
    }
}

#[cfg(test)]
mod tests {
    use sandbar_types::Event;

    use super::*;

    #[test]
    fn marked_events_have_ids_of_their_own_and_the_same_keys() {
        let mut builder = BatchBuilder::new();
        for (id, subject) in [("1", ""), ("2", "customer")] {
            builder.push_event(&Event {
                id: id.into(),
                subject: subject.into(),
                data: "x".into(),
                ..Event::default()
            });
        }
        let batch = builder.finish();
        let mut mark = Mark {
            job: "j".into(),
            keep_ids: false,
        };
        let marked = mark.apply(&batch);
        let told: Vec<_> = (marked.iter())
            .map(|one| (one.id.to_owned(), one.key().into_owned()))
            .collect();
        let told: Vec<_> = (told.iter())
            .map(|(id, key)| (id.as_str(), key.as_str()))
            .collect();
        assert_eq!(told, [("1/replay/j", "1"), ("2/replay/j", "customer")]);
        for event in marked.iter() {
            assert_eq!(event.extension_map()[REPLAY].to_text(), "j");
            assert_eq!(event.data, b"x");
        }
        mark.keep_ids = true;
        let kept = mark.apply(&batch);
        assert_eq!(kept.get(0).id, "1");
        assert!(!kept.get(0).extensions.contains(PARTITION_KEY));
    }
}
