//! Subscriptions: defined in the catalog, and at work.

use std::sync::Arc;

use sandbar_types::Name;

use super::Hub;
use crate::{
    catalog::{
        PlannedSubscription, Put, SubscriptionDocument, SubscriptionRecord, SubscriptionStart,
    },
    deliver::{Subscription, check_offsets},
    problem::{Code, Problem},
};

impl Hub {
    /// Makes a subscription or changes one; it is at work, durably, when this returns.
    ///
    /// # Errors
    /// Whatever speaks against the document.
    pub async fn put_subscription(
        self: &Arc<Self>,
        name: String,
        document: SubscriptionDocument,
    ) -> Result<(Name, Put), Problem> {
        let _changing = self.changing_subscriptions.lock().await;
        self.blocking(move |hub| {
            let targets = &hub.config.private_targets;
            hub.check_start(&document)?;
            let (name, record, put) = hub.catalog.put_subscription(&name, document, targets)?;
            hub.run_subscription(&name, record)?;
            Ok((name, put))
        })
        .await
    }

    /// What [`Hub::put_subscription`] would do. Nothing is changed.
    ///
    /// # Errors
    /// As there.
    pub async fn plan_subscription(
        self: &Arc<Self>,
        name: String,
        document: SubscriptionDocument,
    ) -> Result<PlannedSubscription, Problem> {
        self.blocking(move |hub| {
            let targets = &hub.config.private_targets;
            hub.check_start(&document)?;
            hub.catalog.plan_subscription(&name, document, targets)
        })
        .await
    }

    /// Whether a start by offsets is one; the catalog checks the rest, and knows no offsets. Blocks on
    /// the disk.
    fn check_start(&self, document: &SubscriptionDocument) -> Result<(), Problem> {
        let SubscriptionStart::Offsets(offsets) = &document.start else {
            return Ok(());
        };
        let topics = document.topics.iter();
        let topics = topics.filter_map(|topic| self.catalog.topic(topic.as_str()).ok());
        let named = topics.flat_map(|topic| topic.partition_ids());
        let named = named.filter_map(|partition| {
            let offset = offsets.get(&partition.to_string())?;
            Some((partition, *offset))
        });
        check_offsets(&*self.log, "/start/offsets", named)
    }

    /// Has a subscription work as its record says. Blocks on the disk.
    pub(super) fn run_subscription(
        &self,
        name: &Name,
        record: SubscriptionRecord,
    ) -> Result<(), Problem> {
        let topics = self.catalog.subscribed(&record.document)?;
        let subscription = self.subscriptions.apply(name, record, &topics)?;
        self.webhooks.apply(&subscription)
    }

    /// The subscription at work.
    ///
    /// # Errors
    /// `unknown-subscription`.
    pub fn subscription(&self, name: &str) -> Result<Arc<Subscription>, Problem> {
        let (name, _) = self.catalog.subscription(name)?;
        self.subscriptions.get(&name).ok_or_else(|| {
            Problem::new(
                Code::UnknownSubscription,
                format!("subscription {name} does not run"),
            )
        })
    }

    /// The subscription, for a client that pulls.
    ///
    /// # Errors
    /// `unknown-subscription`; `pushed-subscription` when the hub sends its events itself.
    pub fn pulled(&self, name: &str) -> Result<Arc<Subscription>, Problem> {
        let subscription = self.subscription(name)?;
        if subscription.settings().record.document.push.is_some() {
            let detail = format!("the events of subscription {name} are sent to its webhook");
            return Err(Problem::new(Code::PushedSubscription, detail));
        }
        Ok(subscription)
    }

    /// Changes a subscription's record in the catalog, and has it work so.
    ///
    /// # Errors
    /// `unknown-subscription`.
    pub async fn change_subscription(
        self: &Arc<Self>,
        change: impl FnOnce(&crate::catalog::Catalog) -> Result<(Name, SubscriptionRecord), Problem>
        + Send
        + 'static,
    ) -> Result<(Name, SubscriptionRecord), Problem> {
        let _changing = self.changing_subscriptions.lock().await;
        self.blocking(move |hub| {
            let (name, record) = change(&hub.catalog)?;
            hub.run_subscription(&name, record.clone())?;
            Ok((name, record))
        })
        .await
    }

    /// # Errors
    /// `unknown-subscription`.
    pub async fn delete_subscription(self: &Arc<Self>, name: String) -> Result<(), Problem> {
        let _changing = self.changing_subscriptions.lock().await;
        self.blocking(move |hub| {
            let (name, _) = hub.catalog.delete_subscription(&name)?;
            hub.webhooks.remove(&name);
            hub.subscriptions.remove(&name)
        })
        .await
    }
}
