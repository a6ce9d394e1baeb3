//! Listing the events that could not be processed.

use sandbar_types::{Offset, PartitionId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::page::{Reader, decode, refusal};
use crate::{dead_letter::DeadLetter, problem::Problem};

/// Which dead letters.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub route: Option<String>,
    pub subscription: Option<String>,
    pub cause: Option<String>,
    /// The topic of the original event.
    pub topic: Option<String>,
}

/// A dead letter as listed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterEntry {
    pub id: String,
    /// Its own offset in `sandbar.dead-letters`.
    pub offset: Offset,
    /// RFC 3339.
    pub time: String,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub letter: DeadLetter,
}

/// Some of them.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadLetterPage {
    pub dead_letters: Vec<DeadLetterEntry>,
    /// Pass as `after` for the next page; `null` at the end.
    pub next: Option<String>,
}

impl Reader {
    /// Up to `limit` dead letters that fit, from offset `from` on. Blocks on the disk.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn dead_letters(
        &self,
        partition: &PartitionId,
        filter: &Filter,
        from: Offset,
        limit: usize,
    ) -> Result<DeadLetterPage, Problem> {
        let bounds = self
            .log()
            .bounds(partition)
            .map_err(|error| refusal(&error))?;
        let mut at = from.max(bounds.earliest);
        let mut page = DeadLetterPage {
            dead_letters: Vec::new(),
            next: None,
        };
        while at < bounds.tail {
            let frames = self
                .log()
                .read(partition, at, 1024 * 1024)
                .map_err(|error| refusal(&error))?;
            if frames.is_empty() {
                break;
            }
            for frame in frames {
                let batch = decode(partition, &frame)?;
                let skip = usize::try_from(at.saturating_sub(frame.base)).unwrap_or(usize::MAX);
                for index in skip..batch.len() {
                    at = frame.base + index as u64;
                    let event = batch.get(index);
                    let letter: DeadLetter =
                        serde_json::from_slice(event.data).map_err(Problem::internal)?;
                    if filter.takes(&letter) {
                        if page.dead_letters.len() == limit {
                            page.next = Some(at.to_string());
                            return Ok(page);
                        }
                        page.dead_letters.push(DeadLetterEntry {
                            id: event.id.to_owned(),
                            offset: at,
                            time: event.time.to_owned(),
                            letter,
                        });
                    }
                    at += 1;
                }
            }
        }
        Ok(page)
    }
}

impl Filter {
    fn takes(&self, letter: &DeadLetter) -> bool {
        self.route
            .as_deref()
            .is_none_or(|route| letter.route.as_deref() == Some(route))
            && self
                .subscription
                .as_deref()
                .is_none_or(|name| letter.subscription.as_deref() == Some(name))
            && self
                .cause
                .as_deref()
                .is_none_or(|cause| cause == letter.cause.as_str())
            && self
                .topic
                .as_deref()
                .is_none_or(|topic| topic == letter.origin.topic.as_str())
    }
}
