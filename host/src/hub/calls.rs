//! Calls that need more than one stage.

use std::sync::Arc;

use axum::http::HeaderMap;
use bytes::Bytes;
use sandbar_types::Name;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::Hub;
use crate::{
    catalog::{self, PluginRecord, Put, Route, Topic},
    contract::Definition,
    ingest::{
        Handling, Published,
        cloudevents::{self, Decoded},
    },
    problem::{Code, Place, Problem},
};

/// Bodies larger than this are decoded and checked off the threads that serve.
const DECODE_INLINE: usize = 16 * 1024;

/// What a contract says of one event.
#[derive(Debug, Serialize, ToSchema)]
pub struct ContractCheck {
    pub index: usize,
    pub valid: bool,
    pub violations: Vec<ViolationAt>,
}

/// A place where an event does not fit.
#[derive(Debug, Serialize, ToSchema)]
pub struct ViolationAt {
    /// A JSON Pointer into the event.
    pub pointer: String,
    pub reason: String,
    /// A JSON Pointer into the schema.
    pub schema_pointer: String,
}

impl Hub {
    /// Decodes a request and publishes what is in it.
    ///
    /// # Errors
    /// Any of the publish problems; nothing is stored then.
    pub async fn publish(
        self: &Arc<Self>,
        topic: Arc<Topic>,
        headers: HeaderMap,
        body: Bytes,
        handling: Handling,
    ) -> Result<Published, Problem> {
        let started = tokio::time::Instant::now();
        if topic.name.is_reserved() {
            return Err(Problem::new(
                Code::ReadOnlyTopic,
                format!("{} is written by the hub alone", topic.name),
            ));
        }
        if self.stopping.is_cancelled() {
            return Err(Problem::new(Code::Stopping, "the hub is shutting down").retry_after(5));
        }
        let size = body.len();
        let checking = topic.clone();
        let check = move || -> Result<_, Problem> {
            let decoded = cloudevents::decode(&headers, body, &cloudevents::Limits::default())
                .map_err(|error| decode_refusal(&error))?;
            Ok(crate::ingest::check(&checking, decoded))
        };
        let checked = if size > DECODE_INLINE {
            tokio::task::spawn_blocking(check)
                .await
                .map_err(Problem::internal)?
        } else {
            check()
        };
        let outcome = match checked {
            Ok(checked) => self.publisher.publish(&topic, checked, handling).await,
            Err(problem) => Err(problem),
        };
        match &outcome {
            Ok(published) => {
                let duplicates = published
                    .accepted
                    .iter()
                    .filter(|one| one.duplicate)
                    .count();
                let stored = published.accepted.len() - duplicates;
                self.metrics
                    .published(&topic.name, stored, size, duplicates, started.elapsed());
                for rejected in published.rejected.iter().flatten() {
                    self.metrics.refused(&topic.name, &rejected.code, 1);
                }
            }
            Err(problem) => self.metrics.refused(&topic.name, problem.code.as_str(), 1),
        }
        outcome
    }

    /// Deletes a topic and what was remembered of it.
    ///
    /// # Errors
    /// `unknown-topic`, `topic-in-use`.
    pub async fn delete_topic(self: &Arc<Self>, name: String) -> Result<(), Problem> {
        self.blocking(move |hub| {
            let topic = hub.catalog.topic(&name)?;
            let jobs = hub.jobs.users_of(&topic.name);
            if !jobs.is_empty() {
                let detail = format!(
                    "topic {name} is read or written by the jobs: {}",
                    jobs.join(", ")
                );
                return Err(Problem::new(Code::TopicInUse, detail)
                    .help("Wait until the jobs are over, or cancel them."));
            }
            hub.catalog.delete_topic(&name)?;
            hub.subscriptions.forget_topic(&topic);
            if let Ok(name) = Name::new(&name) {
                hub.publisher.forget(&name);
            }
            Ok(())
        })
        .await
    }

    /// Checks events against a registered version, or against a definition that is not registered.
    ///
    /// # Errors
    /// `unknown-contract`, `invalid-schema`, or an event that cannot be read.
    pub fn check_contract(
        &self,
        name: &str,
        version: Option<u32>,
        definition: Option<&Definition>,
        events: &[Box<RawValue>],
    ) -> Result<Vec<ContractCheck>, Problem> {
        let events = parse_events(events)?;
        let bound;
        let compiled;
        let contract = match definition {
            Some(definition) => {
                compiled = catalog::check(definition)?;
                &compiled
            }
            None => {
                let reference =
                    version.map_or_else(|| name.to_owned(), |version| format!("{name}@{version}"));
                bound = self.catalog.contract(&reference)?;
                bound.compiled()?
            }
        };
        let checks = events.iter().enumerate().map(|(index, event)| {
            let outcome = contract.check(&event.r#type, &event.datacontenttype, &event.data);
            let violations = outcome
                .err()
                .map(|violations| violations.violations)
                .unwrap_or_default();
            let places = violations.into_iter().map(|one| ViolationAt {
                pointer: one.pointer,
                reason: one.reason,
                schema_pointer: one.schema_pointer,
            });
            let violations: Vec<_> = places.collect();
            ContractCheck {
                index,
                valid: violations.is_empty(),
                violations,
            }
        });
        Ok(checks.collect())
    }

    /// Takes an upload.
    ///
    /// # Errors
    /// `invalid-plugin`, `version-taken`, `name-taken`, `invalid-name`.
    pub async fn upload_plugin(
        self: &Arc<Self>,
        name: String,
        version: String,
        bytes: Bytes,
    ) -> Result<(PluginRecord, Put), Problem> {
        self.compiling(move |hub| hub.catalog.put_plugin(&name, &version, &bytes))
            .await
    }

    /// Compiles what is still to be compiled of these plugin versions and channels.
    pub(super) async fn prepare(
        self: &Arc<Self>,
        mut references: Vec<String>,
    ) -> Result<(), Problem> {
        references.retain(|reference| !self.catalog.is_prepared(reference));
        if references.is_empty() {
            return Ok(());
        }
        self.compiling(move |hub| {
            references
                .iter()
                .try_for_each(|reference| hub.catalog.prepare(reference))
        })
        .await
    }

    /// Runs something that compiles, on no thread that serves or runs plugins. One at a time:
    /// compiling takes all the cores that are left.
    async fn compiling<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let _turn = self.compiling.lock().await;
        self.blocking(work).await
    }

    /// # Errors
    /// `unknown-route`.
    pub async fn set_route_paused(
        self: &Arc<Self>,
        name: String,
        paused: bool,
    ) -> Result<(Name, Route), Problem> {
        let _changing = self.changing_routes.lock().await;
        self.blocking(move |hub| {
            let (name, route) = hub.catalog.set_paused(&name, paused)?;
            hub.processor.set_paused(&name, paused);
            Ok((name, route))
        })
        .await
    }

    /// # Errors
    /// `unknown-route`.
    pub async fn delete_route(self: &Arc<Self>, name: String) -> Result<(), Problem> {
        let _changing = self.changing_routes.lock().await;
        let (name, _) = self
            .blocking(move |hub| hub.catalog.delete_route(&name))
            .await?;
        self.shadows.stop(&name).await;
        self.processor
            .remove(&name)
            .await
            .map_err(Problem::internal)
    }
}

/// Reads events of a JSON document (not of a publish).
pub(super) fn parse_events(events: &[Box<RawValue>]) -> Result<Vec<sandbar_types::Event>, Problem> {
    let mut good = Vec::with_capacity(events.len());
    let mut errors = Vec::new();
    for (index, raw) in events.iter().enumerate() {
        let raw = Bytes::copy_from_slice(raw.get().as_bytes());
        match cloudevents::structured(&raw).map_err(|error| decode_refusal(&error))? {
            Decoded::Event(event) => good.push(event),
            Decoded::Invalid { errors: found, .. } => {
                errors.extend(found.into_iter().map(|error| Place {
                    index: Some(index),
                    pointer: error.pointer,
                    reason: error.reason,
                    incompatibility: None,
                }))
            }
        }
    }
    if errors.is_empty() {
        return Ok(good);
    }
    Err(Problem::new(
        Code::InvalidEvent,
        "some of the events break the CloudEvents rules",
    )
    .errors(errors))
}

fn decode_refusal(error: &cloudevents::Refusal) -> Problem {
    let code = match error {
        cloudevents::Refusal::Malformed { .. } => Code::MalformedBody,
        cloudevents::Refusal::UnsupportedMediaType { .. } => Code::UnsupportedMediaType,
        cloudevents::Refusal::TooManyEvents { .. } => Code::BodyTooLarge,
    };
    Problem::new(code, error.to_string())
}
