//! Push: the events of a subscription are sent to a webhook.
//!
//! A webhook is but another client of the subscription: it takes what is due, sends it, and settles
//! what came of it. Order per key, waiting, attempts and dead letters are the group's business. It
//! knows no plugins and no API.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures_util::future::join_all;
use sandbar_types::Name;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::subscription::{Subscription, TakenEvent};
use crate::{
    catalog::{PushDocument, PushMode},
    clock::{self, Steady},
    dial::Targets,
    meta,
    metrics::Metrics,
    problem::Problem,
    room::Room,
};

mod breaker;
mod client;
mod connections;
mod connector;
mod desk;
mod driver;
mod failure;
mod handshake;
mod outcome;
mod pace;
mod pauses;
mod record;
mod request;
mod retry_after;
mod signature;
mod trial;
mod trust;

use client::Exchange;
use pauses::{Endpoint, Pauses};
use request::Due;
use signature::Place;

pub use breaker::BreakerState;
pub use driver::Gone;
pub use record::{PushAttempt, PushBreaker, PushHandshake, PushStatus};
pub use trial::{PushTest, ShownAnswer, ShownRequest};

/// One webhook: what its requests are made of, and what is remembered of them.
#[derive(Debug)]
pub struct Webhook {
    name: Name,
    document: PushDocument,
    template: request::Template,
    client: client::Client,
    /// Events of one request, at most.
    batch: usize,
    records: Arc<record::Records>,
    clock: Steady,
    /// Closes the breaker.
    close: Notify,
}

/// A webhook at the time of a scrape.
#[derive(Debug)]
pub struct PushReading {
    pub subscription: Name,
    pub breaker: BreakerState,
    pub in_flight: usize,
}

#[derive(Debug)]
struct Running {
    webhook: Arc<Webhook>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// All webhooks at work.
#[derive(Debug)]
pub struct Webhooks {
    targets: Arc<Targets>,
    metrics: Arc<Metrics>,
    room: Room,
    gone: mpsc::Sender<Gone>,
    pauses: Pauses,
    stopping: CancellationToken,
    running: Mutex<BTreeMap<Name, Running>>,
}

impl Webhooks {
    /// What they have taken and not delivered lies in `room`, all together. `gone` is told of endpoints that answered 410. Once `stopping` is cancelled no request is begun.
    #[must_use]
    pub fn new(
        targets: Arc<Targets>,
        metrics: Arc<Metrics>,
        room: Room,
        gone: mpsc::Sender<Gone>,
        store: &Arc<dyn meta::Store>,
        stopping: CancellationToken,
    ) -> Self {
        Self {
            targets,
            metrics,
            room,
            gone,
            pauses: Pauses::new(store),
            stopping,
            running: Mutex::default(),
        }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<Name, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the webhook of a subscription work as its document says: starts it, lets it go on, or
    /// ends it. Requests under way under an earlier document come to their end. To be called in the
    /// context of the runtime.
    ///
    /// # Errors
    /// When the document was not checked.
    pub fn apply(&self, subscription: &Arc<Subscription>) -> Result<(), Problem> {
        let settings = subscription.settings();
        let Some(document) = &settings.record.document.push else {
            self.remove(&subscription.name);
            return Ok(());
        };
        let mut running = self.running();
        let known = running.get(&subscription.name);
        if known.is_some_and(|known| known.webhook.document == *document) {
            return Ok(());
        }
        let template = request::Template::new(&subscription.name, document);
        let client = client::Client::new(document, self.targets.clone());
        let records = known.map(|known| known.webhook.records.clone());
        let webhook = Arc::new(Webhook {
            name: subscription.name.clone(),
            template: template.map_err(Problem::internal)?,
            client: client.map_err(Problem::internal)?,
            batch: document.batch.map_or(1, |batch| batch.max_events.max(1)) as usize,
            document: document.clone(),
            records: records.unwrap_or_default(),
            clock: subscription.clock(),
            close: Notify::new(),
        });
        let endpoint = Endpoint {
            id: settings.record.id,
            url: document.url.clone(),
        };
        let kept = self.pauses.of(&webhook.name, &endpoint, clock::now());
        let kept = kept.map_err(Problem::internal)?;
        let kept = kept.map(|until| webhook.clock.from_wall(until));
        // Whoever changes the document has it tried at once.
        let paused = kept.filter(|_| known.is_none());
        let stop = self.stopping.child_token();
        let driver = driver::Driver {
            subscription: subscription.clone(),
            webhook: webhook.clone(),
            meter: self.metrics.push_meter(&subscription.name),
            room: self.room.clone(),
            gone: self.gone.clone(),
            stop: stop.clone(),
            keeper: driver::Keeper {
                pauses: self.pauses.clone(),
                endpoint,
                kept,
            },
            paused,
        };
        let task = tokio::spawn(driver.run());
        let started = Running {
            webhook,
            stop,
            task,
        };
        if let Some(before) = running.insert(subscription.name.clone(), started) {
            before.stop.cancel();
        }
        Ok(())
    }

    /// Ends a webhook; requests under way come to their end. Blocks on the disk.
    pub fn remove(&self, name: &Name) {
        let Some(removed) = self.running().remove(name) else {
            return;
        };
        removed.stop.cancel();
        if let Err(error) = self.pauses.forget(name) {
            // It is of this subscription and no other: nothing but its place is lost.
            tracing::warn!(subscription = %name, %error, "the pause of its webhook could not be forgotten");
        }
    }

    /// Has requests sent again at once, however long the endpoint asked to be left alone.
    pub fn close_breaker(&self, name: &Name) {
        if let Some(webhook) = self.get(name) {
            webhook.close.notify_one();
        }
    }

    /// The webhook of a subscription.
    #[must_use]
    pub fn get(&self, name: &Name) -> Option<Arc<Webhook>> {
        self.running()
            .get(name)
            .map(|running| running.webhook.clone())
    }

    /// How they stand.
    #[must_use]
    pub fn readings(&self) -> Vec<PushReading> {
        let running = self.running();
        let each = running.iter().map(|(name, running)| {
            let status = &running.webhook.records;
            PushReading {
                subscription: name.clone(),
                breaker: status.breaker(),
                in_flight: status.in_flight.load(std::sync::atomic::Ordering::Relaxed),
            }
        });
        each.collect()
    }

    /// Ends all: requests under way get a bounded time, and what was delivered is settled.
    pub async fn stop(&self) {
        let all = std::mem::take(&mut *self.running());
        for running in all.values() {
            running.stop.cancel();
        }
        let ended = join_all(all.into_iter().map(|(name, running)| async move {
            if let Err(error) = running.task.await {
                tracing::error!(subscription = %name, %error, "a webhook ended badly");
            }
        }));
        ended.await;
    }
}

impl Webhook {
    /// Sends events, once. `now` is milliseconds since the epoch.
    async fn deliver(&self, events: &[TakenEvent], now: u64) -> Exchange {
        let request = || match events {
            [one] => {
                let data = one.large_data();
                self.template.deliver(&[due(one, data.as_ref())], now)
            }
            many => {
                let many: Vec<_> = many.iter().map(|one| due(one, None)).collect();
                self.template.deliver(&many, now)
            }
        };
        self.client.exchange(request).await
    }

    /// What the endpoint allows, having been asked.
    fn allowed(&self, exchange: &Exchange) -> Result<handshake::Allowed, String> {
        match &exchange.ended {
            Ok(answer) => handshake::judge(answer.status, &answer.headers, &self.document.origin),
            Err(failure) => Err(failure.reason.clone()),
        }
    }

    /// Whether it is left alone for a while.
    #[must_use]
    pub fn rests(&self) -> bool {
        self.records.breaker() != BreakerState::Closed
    }

    /// How often an event that is sent is there, at most: as it was taken, and in its request.
    fn times(&self) -> usize {
        match self.document.mode {
            PushMode::Binary if self.document.batch.is_none() => 1,
            _ => 2,
        }
    }

    /// How it is doing.
    #[must_use]
    pub fn status(&self) -> PushStatus {
        self.records.status(&self.clock)
    }
}

fn due<'a>(taken: &'a TakenEvent, shared: Option<&'a Bytes>) -> Due<'a> {
    Due {
        event: taken.event(),
        shared,
        place: Some(Place {
            partition: taken.partition(),
            offset: taken.offset,
        }),
        delivery: taken.delivery,
    }
}
