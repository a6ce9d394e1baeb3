//! What the driver of a webhook shares with its senders. The driver thinks: it takes events, settles
//! them, asks the breaker and keeps the pace. A sender is a task that has one request under way at a
//! time, and goes on with the next event by itself for as long as nothing has to be thought about: so
//! under load the driver is woken now and then, and not for each request, and requests are worked on
//! all threads.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use tokio::sync::Notify;

use super::{
    Webhook,
    breaker::{Breaker, Permit},
    client::Exchange,
    outcome::{Concern, Judged, Verdict, judge},
    pace::Pace,
    record::{Kept, start_to_keep},
};
use crate::{
    clock::{self, Steady},
    dead_letter::Attempt,
    deliver::subscription::{Outcome, Subscription, TakenEvent, Token},
    metrics::PushMeter,
};

/// So many outcomes are settled at once, whatever else goes on.
pub(super) const SETTLED_AT: usize = 512;

/// Where more bytes wait, no more are taken.
const LOW_BYTES: usize = 1024 * 1024;

/// See the head of this module.
pub(super) struct Desk {
    pub subscription: Arc<Subscription>,
    pub webhook: Arc<Webhook>,
    pub meter: PushMeter,
    /// By which breaker and pace are kept; nobody sets it.
    pub clock: Steady,
    state: Mutex<State>,
    /// Calls the driver.
    pub call: Notify,
}

/// What lies on it.
pub(super) struct State {
    pub breaker: Breaker,
    pub pace: Option<Pace>,
    /// Events to be sent.
    pub queue: Queue,
    /// Parts of a batch that the endpoint refused as a whole; they come first.
    pub parts: VecDeque<Vec<TakenEvent>>,
    /// To be settled.
    pub outcomes: Vec<(Token, Outcome)>,
    /// Why the endpoint is gone, until the driver has seen it.
    pub gone: Option<String>,
    /// Senders end with what they have under way.
    pub hold: bool,
    /// The driver is to be called when no more events than this wait.
    pub low: usize,
    /// It was, or is taking some.
    pub called: bool,
}

/// Events that wait to be sent.
#[derive(Default)]
pub(super) struct Queue {
    events: VecDeque<TakenEvent>,
    /// Of all of them.
    bytes: usize,
}

impl Desk {
    pub fn new(
        subscription: Arc<Subscription>,
        webhook: Arc<Webhook>,
        meter: PushMeter,
        breaker: Breaker,
    ) -> Self {
        Self {
            clock: subscription.clock(),
            subscription,
            webhook,
            meter,
            state: Mutex::new(State {
                breaker,
                pace: None,
                queue: Queue::default(),
                parts: VecDeque::new(),
                outcomes: Vec::new(),
                gone: None,
                hold: false,
                low: 0,
                called: false,
            }),
            call: Notify::new(),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends events, and what is next when they are through.
    pub async fn send(self: Arc<Self>, mut events: Vec<TakenEvent>) {
        loop {
            let sent = clock::now();
            let exchange = self.webhook.deliver(&events, sent).await;
            match self.landed(events, sent, &exchange) {
                Some(next) => events = next,
                None => return,
            }
        }
    }

    /// A request came to its end, one way or the other. What is to be sent next, if it can be sent
    /// at once.
    fn landed(
        &self,
        events: Vec<TakenEvent>,
        sent: u64,
        exchange: &Exchange,
    ) -> Option<Vec<TakenEvent>> {
        let judged = judge(exchange, clock::now());
        let now = self.clock.now();
        self.record(&events, sent, exchange, &judged);
        let mut state = self.lock();
        let before = state.outcomes.len();
        match judged.verdict {
            Verdict::Delivered => {
                state.breaker.succeeded();
                let acknowledged = events.iter().map(|event| (event.token, Outcome::Ack));
                state.outcomes.extend(acknowledged);
            }
            Verdict::Gone => {
                state.breaker.withdrawn();
                state.hold = true;
                state.gone.get_or_insert(judged.reason);
                drop(state);
                self.subscription.return_unsent(&events);
                return None;
            }
            Verdict::Again { after, of } => {
                match of {
                    Concern::Events => state.breaker.succeeded(),
                    Concern::Endpoint => {
                        let asked = after
                            .filter(|_| matches!(judged.status, Some(429 | 503)))
                            .map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
                        state.breaker.failed(now, fastrand::f64(), asked);
                    }
                }
                if of == Concern::Events && events.len() > 1 {
                    // One of them may be what it does not like.
                    let mut first = events;
                    let second = first.split_off(first.len() / 2);
                    state.parts.extend([first, second]);
                } else {
                    let note = Attempt {
                        at: clock::to_text(sent),
                        status: judged.status,
                        reason: judged.reason,
                        took_ms: milliseconds(exchange.took),
                    };
                    let after = after.filter(|after| !after.is_zero());
                    let retried = events.iter().map(|event| {
                        let note = note.clone();
                        (event.token, Outcome::Retry { after, note })
                    });
                    state.outcomes.extend(retried);
                }
            }
        }
        let free = !state.hold && state.pace.is_none() && state.breaker.permit(now) == Permit::Free;
        let next = match free {
            true => state.next_events(self.webhook.batch),
            false => None,
        };
        let after = state.outcomes.len();
        let begun = before == 0 && after > 0;
        let full = before < SETTLED_AT && after >= SETTLED_AT;
        let low = !state.called && state.queue.is_low(state.low);
        state.called |= low;
        drop(state);
        // The end of this task calls the driver, too.
        if next.is_some() {
            self.webhook
                .records
                .in_flight
                .fetch_add(1, Ordering::Relaxed);
            if begun || full || low {
                self.call.notify_one();
            }
        }
        next
    }

    fn record(&self, events: &[TakenEvent], sent: u64, exchange: &Exchange, judged: &Judged) {
        let records = &self.webhook.records;
        records.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.meter.attempt(judged.outcome, exchange.took);
        let Some(first) = events.first() else {
            return;
        };
        let body = exchange.ended.as_ref().map(|answer| &answer.body);
        records.keep(Kept {
            at: sent,
            partition: first.partition().clone(),
            offset: first.offset,
            delivery: first.delivery,
            events: events.len(),
            outcome: judged.outcome,
            status: judged.status,
            reason: judged.reason.clone(),
            took_ms: milliseconds(exchange.took),
            body: body.map(start_to_keep).unwrap_or_default(),
        });
    }

    /// Gives back what was taken and is not sent; it counts as if it had not been taken.
    pub fn give_back(&self, state: &mut State) {
        let parts = state.parts.drain(..).flatten();
        let unsent: Vec<TakenEvent> = state.queue.take(usize::MAX).chain(parts).collect();
        if !unsent.is_empty() {
            self.subscription.return_unsent(&unsent);
        }
    }
}

impl State {
    /// The events of the next request.
    pub fn next_events(&mut self, batch: usize) -> Option<Vec<TakenEvent>> {
        if let Some(part) = self.parts.pop_front() {
            return Some(part);
        }
        let events: Vec<_> = self.queue.take(batch).collect();
        (!events.is_empty()).then_some(events)
    }
}

impl Queue {
    pub fn len(&self) -> usize {
        self.events.len()
    }

    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Whether more are to be taken: no more than so many wait, and they are not large.
    pub fn is_low(&self, events: usize) -> bool {
        self.events.len() <= events && self.bytes <= LOW_BYTES
    }

    pub fn extend(&mut self, taken: Vec<TakenEvent>) {
        self.bytes += taken.iter().map(|event| event.bytes).sum::<usize>();
        self.events.extend(taken);
    }

    /// The first so many.
    fn take(&mut self, count: usize) -> impl Iterator<Item = TakenEvent> {
        let count = count.min(self.events.len());
        let bytes = self.events.iter().take(count).map(|event| event.bytes);
        self.bytes -= bytes.sum::<usize>();
        self.events.drain(..count)
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
