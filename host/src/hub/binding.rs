//! Binding a topic that holds events to another contract: what is stored is held against it first.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Hub,
    gate::Asking,
    impact::TopicUsers,
    stored::{StoredEvents, check_events},
};
use crate::{
    catalog::{self, Binding, PlannedTopic},
    clock,
    contract::Definition,
    problem::{Code, Problem},
};

/// What is to be held against a topic's events.
#[derive(Debug)]
pub enum Against {
    /// `name@version`, or `name` for the latest.
    Contract(String),
    /// A version that is not registered.
    Definition(Box<Definition>),
}

/// What binding a topic to a contract would mean.
#[derive(Debug, Serialize, ToSchema)]
pub struct BindingImpact {
    pub topic: String,
    /// `name@version`, where it is registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// Whether binding is refused without force.
    pub refused: bool,
    pub events: StoredEvents,
    #[serde(flatten)]
    pub users: TopicUsers,
}

impl Hub {
    /// What binding a topic to a contract would mean. Nothing is changed. Blocks on the disk.
    ///
    /// # Errors
    /// `unknown-topic`, `unknown-contract`, `invalid-schema`, `invalid-document`.
    pub fn binding_impact(
        &self,
        topic: &str,
        against: Against,
        events: u32,
    ) -> Result<BindingImpact, Problem> {
        check_events(events)?;
        let topic = self.catalog.topic(topic)?;
        let (contract, events) = match against {
            Against::Contract(reference) => {
                let bound = self.catalog.contract(&reference)?;
                let events = self.hold_events(
                    &topic,
                    bound.contract.get().map_err(Problem::internal)?,
                    events,
                )?;
                (Some(bound.reference()), events)
            }
            Against::Definition(definition) => {
                let definition = self.catalog.complete(*definition)?;
                let contract = catalog::check(&definition)?;
                (None, self.hold_events(&topic, &contract, events)?)
            }
        };
        Ok(BindingImpact {
            topic: topic.name.to_string(),
            contract,
            refused: events.refused > 0,
            events,
            users: self.users_of(&topic.name),
        })
    }

    /// Holds the stored events against the contract that a topic is about to be bound to. Gives what is to
    /// be recorded; nothing where no other contract is bound.
    ///
    /// # Errors
    /// `stored-events-refused`, unless it is to be bound all the same.
    pub(super) async fn hold_binding(
        self: &Arc<Self>,
        name: &str,
        plan: &PlannedTopic,
        asking: &Asking,
        events: u32,
    ) -> Result<Option<Binding>, Problem> {
        check_events(events).map_err(|problem| {
            let detail = problem.detail.trim_start_matches("/events: ");
            Problem::new(Code::MalformedRequest, format!("events: {detail}"))
        })?;
        let Some(bound) = plan.contract.clone().filter(|_| plan.rebinds) else {
            return Ok(None);
        };
        let (name, asking) = (name.to_owned(), asking.clone());
        self.blocking(move |hub| {
            let topic = hub.catalog.topic(&name)?;
            let stored = hub.hold_events(
                &topic,
                bound.contract.get().map_err(Problem::internal)?,
                events,
            )?;
            if stored.refused > 0 && !asking.force {
                return Err(stored.refusal(&topic, &bound.reference()));
            }
            Ok(Some(Binding {
                at: clock::to_text(clock::now()),
                by: asking.because.by,
                reason: asking.because.reason,
                checked: stored.checked as u64,
                refused: stored.refused as u64,
                forced: stored.refused > 0,
            }))
        })
        .await
    }
}
