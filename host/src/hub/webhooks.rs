//! Webhooks: started with their subscriptions, tested, disabled when they are gone.

use std::{sync::Arc, time::Duration};

use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::{Hub, calls::parse_events};
use crate::{
    deliver::{Gone, PushStatus, PushTest, Subscription, Webhook},
    problem::{Code, Problem},
};

/// After a subscription could not be disabled, its webhook is left alone for so long.
const DISABLE_AGAIN: Duration = Duration::from_secs(1);

impl Hub {
    /// How the webhook of a subscription is doing, if it has one.
    #[must_use]
    pub fn webhook_status(&self, name: &sandbar_types::Name) -> Option<PushStatus> {
        self.webhooks.get(name).map(|webhook| webhook.status())
    }

    fn webhook(&self, name: &str) -> Result<Arc<Webhook>, Problem> {
        let (name, _) = self.catalog.subscription(name)?;
        self.webhooks.get(&name).ok_or_else(|| {
            let detail = format!("subscription {name} is pulled by its clients");
            Problem::new(Code::NoWebhook, detail)
        })
    }

    /// Sends an event to the webhook of a subscription, once; without one of the caller's, one that
    /// says it is a test.
    ///
    /// # Errors
    /// `unknown-subscription`, `no-webhook`, `invalid-event`. What goes wrong with the endpoint is
    /// part of the answer.
    pub async fn test_webhook(
        &self,
        name: &str,
        event: Option<Box<RawValue>>,
    ) -> Result<PushTest, Problem> {
        let webhook = self.webhook(name)?;
        let event = match event {
            Some(event) => parse_events(&[event])?.pop(),
            None => None,
        };
        let test = webhook.test(event).await;
        if test.delivered && webhook.rests() {
            // It is up again: nothing speaks against the rest.
            self.send_at_once(&*self.subscription(name)?);
        }
        Ok(test)
    }

    /// Lets a subscription go on whose webhook asked not to be called any more, or not for a while.
    ///
    /// # Errors
    /// `unknown-subscription`; when meta cannot be written.
    pub async fn enable_subscription(
        self: &Arc<Self>,
        name: String,
    ) -> Result<sandbar_types::Name, Problem> {
        let change =
            move |catalog: &crate::catalog::Catalog| catalog.set_subscription_disabled(&name, None);
        let (name, record) = self.change_subscription(change).await?;
        if record.document.push.is_some() {
            self.send_at_once(&*self.subscription(name.as_str())?);
        }
        Ok(name)
    }

    fn send_at_once(&self, subscription: &Subscription) {
        self.webhooks.close_breaker(&subscription.name);
        subscription.hurry();
    }
}

/// Disables subscriptions whose endpoints answered 410.
pub(super) async fn disable_gone(hub: Arc<Hub>, mut gone: mpsc::Receiver<Gone>) {
    loop {
        let told = tokio::select! {
            () = hub.stopping.cancelled() => return,
            told = gone.recv() => told,
        };
        let Some(Gone {
            subscription,
            reason,
            done,
        }) = told
        else {
            return;
        };
        tracing::warn!(%subscription, reason, "the subscription is disabled");
        let name = subscription.to_string();
        let change = move |catalog: &crate::catalog::Catalog| {
            catalog.set_subscription_disabled(&name, Some(reason))
        };
        match hub.change_subscription(change).await {
            Ok(_) => drop(done.send(())),
            Err(problem) => {
                tracing::warn!(%subscription, %problem, "the subscription could not be disabled");
                // The webhook goes on only after that.
                tokio::spawn(async move {
                    tokio::time::sleep(DISABLE_AGAIN).await;
                    let _ = done.send(());
                });
            }
        }
    }
}
