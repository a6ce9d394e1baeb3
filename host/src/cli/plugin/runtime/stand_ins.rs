//! What stands behind the capabilities that reach out of the sandbox where there is no hub: look-ups
//! find what files say, and no request leaves.

use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};

use sandbar_plugin::{
    http::{self, Http, Request, Response},
    lookup::{self, Lookup},
};
use sandbar_types::Event;

/// The latest event by key of each topic that was named.
#[derive(Debug, Default)]
pub(super) struct Tables(BTreeMap<String, HashMap<String, Event>>);

impl Tables {
    /// Of events, the latest last. Without any topic every look-up finds nothing.
    pub(super) fn of(topics: &[(String, Vec<Event>)]) -> Self {
        let mut tables = BTreeMap::<_, HashMap<_, _>>::new();
        for (topic, events) in topics {
            let table = tables.entry(topic.clone()).or_default();
            table.extend(
                events
                    .iter()
                    .map(|event| (event.key().to_owned(), event.clone())),
            );
        }
        Self(tables)
    }
}

impl Lookup for Tables {
    fn get(&self, topic: &str, key: &str, _: Instant) -> Result<Option<Event>, lookup::Error> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let table = self.0.get(topic).ok_or(lookup::Error::NotGranted)?;
        Ok(table.get(key).cloned())
    }
}

/// Answers nothing.
#[derive(Debug)]
pub(super) struct NoNetwork;

impl Http for NoNetwork {
    fn send(&self, request: Request, _: Instant) -> Result<Response, http::Error> {
        Err(http::Error::Unreachable(format!(
            "{} is not asked: without a hub no request leaves",
            request.url
        )))
    }
}
