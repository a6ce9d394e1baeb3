//! The task of one webhook: takes what is due, has so many requests under way as the document
//! allows, and settles what came of them, all that gathered while the settlement before was on its
//! way. It asks the breaker before each request; while that is open nothing is taken, so no attempt
//! is used up.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, OptionFuture},
    stream::FuturesUnordered,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Webhook,
    breaker::{Breaker, BreakerState, Permit, Policy},
    client::{Exchange, IDLE},
    handshake,
    outcome::{Concern, Judged, Verdict, judge},
    pace::Pace,
    record::{Kept, PushHandshake, start_to_keep},
};
use crate::{
    clock,
    dead_letter::Attempt,
    deliver::subscription::{Outcome, Settled, Subscription, Taken, TakenEvent, Token},
    metrics::PushMeter,
    problem::Problem,
};

/// Failures in a row that open the breaker.
const FAILURES: u32 = 5;
/// The longest pause of an open breaker.
const LONGEST_PAUSE_MS: u64 = 60_000;
/// Events taken in one go, at least; more where many requests run at a time.
const TAKEN: usize = 256;
/// Their data together, in bytes.
const TAKEN_BYTES: usize = 4 * 1024 * 1024;
/// How long requests under way may go on when the webhook stops.
const STOPPING: Duration = Duration::from_secs(10);
/// A settlement that failed is tried again after so long.
const SETTLE_AGAIN: Duration = Duration::from_secs(1);
/// So many outcomes are settled at once, whatever else goes on.
const SETTLED_AT: usize = 512;
/// Fewer wait so long for more, as long as there is something else to send.
const SETTLE_EVERY: Duration = Duration::from_millis(4);
/// Where nothing is to be waited for.
const LONG: Duration = Duration::from_secs(60);

/// An endpoint answered 410: the subscription is to be disabled.
#[derive(Debug)]
pub struct Gone {
    pub subscription: sandbar_types::Name,
    pub reason: String,
    /// Told when it is done, or could not be.
    pub done: oneshot::Sender<()>,
}

/// What a driver works with.
pub(super) struct Driver {
    pub subscription: Arc<Subscription>,
    pub webhook: Arc<Webhook>,
    pub meter: PushMeter,
    pub gone: mpsc::Sender<Gone>,
    pub stop: CancellationToken,
}

type Flight = BoxFuture<'static, (Vec<TakenEvent>, u64, Exchange)>;
type Settling = BoxFuture<'static, (Vec<(Token, Outcome)>, Result<Vec<Settled>, Problem>)>;

/// What is going on.
struct Work {
    driver: Driver,
    breaker: Breaker,
    pace: Option<Pace>,
    /// The endpoint is still to be asked.
    ask: bool,
    asking: Option<BoxFuture<'static, Exchange>>,
    taking: Option<BoxFuture<'static, Taken>>,
    queue: VecDeque<TakenEvent>,
    /// Parts of a batch that the endpoint refused as a whole.
    parts: VecDeque<Vec<TakenEvent>>,
    flights: FuturesUnordered<Flight>,
    outcomes: Vec<(Token, Outcome)>,
    settling: Option<Settling>,
    /// When the last settlement began.
    settled_at: Instant,
    disabling: Option<oneshot::Receiver<()>>,
    /// When connections that nobody used are closed.
    tidy_at: Option<Instant>,
    shown: Option<(BreakerState, Option<u64>)>,
}

impl Driver {
    pub async fn run(self) {
        let retry = self.subscription.settings().record.document.retry;
        let policy = Policy {
            failures: FAILURES,
            initial_ms: retry.initial_ms,
            max_ms: retry.max_ms.min(LONGEST_PAUSE_MS),
        };
        let ask = self.webhook.document.handshake;
        let handshake = ask.then_some(PushHandshake::Pending { reason: None });
        self.webhook.records.set_handshake(handshake);
        let work = Work {
            breaker: Breaker::new(policy),
            pace: None,
            ask,
            asking: None,
            taking: None,
            queue: VecDeque::new(),
            parts: VecDeque::new(),
            flights: FuturesUnordered::new(),
            outcomes: Vec::new(),
            settling: None,
            settled_at: Instant::now(),
            disabling: None,
            tidy_at: None,
            shown: None,
            driver: self,
        };
        work.run().await;
    }
}

impl Work {
    async fn run(mut self) {
        let stop = self.driver.stop.clone();
        let mut stopped = pin!(stop.cancelled());
        // One alarm for all that is to be done later; it may go off too early, never too late.
        let mut alarm = pin!(sleep_until(Instant::now()));
        let mut rang = true;
        loop {
            let wake = self.advance(rang);
            self.show();
            if rang || wake < alarm.deadline() {
                alarm.as_mut().reset(wake);
            }
            rang = false;
            tokio::select! {
                // What is rare goes first, and is not kept waiting by what is frequent.
                biased;
                () = &mut stopped => break,
                Some((outcomes, settled)) = OptionFuture::from(self.settling.as_mut()) => {
                    self.settling = None;
                    self.settled(outcomes, settled);
                }
                Some(taken) = OptionFuture::from(self.taking.as_mut()) => {
                    self.taking = None;
                    self.queue.extend(taken.events);
                }
                Some(exchange) = OptionFuture::from(self.asking.as_mut()) => {
                    self.asking = None;
                    self.asked(&exchange);
                }
                Some(_) = OptionFuture::from(self.disabling.as_mut()) => self.disabling = None,
                Some((events, at, exchange)) = self.flights.next(), if !self.flights.is_empty() => {
                    self.landed(events, at, exchange);
                    // What else has come back meanwhile is settled with it.
                    while let Some(Some((events, at, exchange))) = self.flights.next().now_or_never() {
                        self.landed(events, at, exchange);
                    }
                }
                () = &mut alarm => rang = true,
            }
        }
        self.end().await;
    }

    /// Starts whatever may be started. Answers when to look again if nothing happens before; `rang`
    /// when such a time has come.
    fn advance(&mut self, rang: bool) -> Instant {
        let now = Instant::now();
        if rang || self.tidy_at.is_some_and(|at| at <= now) {
            self.tidy_at = self.driver.webhook.client.tidy(now);
        }
        let later = self.tidy_at.unwrap_or(now + LONG);
        let mut wake = self.settle(now).map_or(later, |at| at.min(later));
        if self.disabling.is_some() {
            self.give_back();
            return wake;
        }
        let webhook = self.driver.webhook.clone();
        let mut permit = self.permit();
        if let Permit::NotBefore(until) = permit {
            // Events wait in the subscription, where they can be seen, and moved.
            self.give_back();
            return wake.min(at(until));
        }
        if self.ask {
            if self.asking.is_none() && permit != Permit::Probing {
                self.breaker.sent();
                let asking =
                    async move { webhook.client.exchange(|| webhook.template.ask()).await };
                self.asking = Some(asking.boxed());
            }
            return wake;
        }
        while self.flights.len() < webhook.document.concurrency as usize
            && matches!(permit, Permit::Free | Permit::Probe)
        {
            if let Some(pace) = &mut self.pace {
                let now = clock::now();
                let next = pace.next(now);
                if next > now {
                    wake = wake.min(at(next));
                    break;
                }
            }
            let Some(events) = self.next_events() else {
                break;
            };
            self.send(events);
            permit = self.permit();
        }
        let most = self.most(permit);
        let unsettled = self.outcomes.len() + self.queue.len();
        if self.taking.is_none()
            && self.parts.is_empty()
            && self.queue.len() * 2 <= most
            && unsettled < 8 * most
            && matches!(permit, Permit::Free | Permit::Probe)
        {
            let lease = self.lease(most);
            self.taking = Some(take(self.driver.subscription.clone(), most, lease).boxed());
        }
        wake
    }

    fn permit(&mut self) -> Permit {
        let permit = self.breaker.permit(clock::now());
        match permit {
            // What was sent before it opened is still to come back.
            Permit::Probe if !self.flights.is_empty() => Permit::Probing,
            other => other,
        }
    }

    /// How many events to take.
    fn most(&self, permit: Permit) -> usize {
        let document = &self.driver.webhook.document;
        let (concurrency, batch) = (document.concurrency as usize, self.driver.webhook.batch);
        match (permit, &self.pace) {
            (Permit::Probe, _) => batch,
            (_, Some(_)) => concurrency * batch,
            _ => (4 * concurrency * batch).clamp(TAKEN, 4096.max(concurrency * batch)),
        }
    }

    /// For so long that all of them can be sent one after the other.
    fn lease(&self, most: usize) -> Duration {
        let document = &self.driver.webhook.document;
        let rounds = most.div_ceil(document.concurrency as usize) + 2;
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
        let paced = match self.pace {
            Some(pace) => pace.time_of(most),
            None => Duration::ZERO,
        };
        Duration::from_millis(document.timeouts.total_ms) * rounds + paced + LONG
    }

    fn next_events(&mut self) -> Option<Vec<TakenEvent>> {
        if let Some(part) = self.parts.pop_front() {
            return Some(part);
        }
        let count = self.driver.webhook.batch.min(self.queue.len());
        (count > 0).then(|| self.queue.drain(..count).collect())
    }

    fn send(&mut self, events: Vec<TakenEvent>) {
        let now = clock::now();
        let webhook = self.driver.webhook.clone();
        self.breaker.sent();
        if let Some(pace) = &mut self.pace {
            pace.sent(now);
        }
        webhook.records.in_flight.fetch_add(1, Ordering::Relaxed);
        self.flights.push(
            async move {
                let exchange = webhook.deliver(&events, now).await;
                (events, now, exchange)
            }
            .boxed(),
        );
    }

    /// A request came to its end, one way or the other.
    fn landed(&mut self, events: Vec<TakenEvent>, sent: u64, exchange: Exchange) {
        let now = clock::now();
        // It left its connection open, most likely.
        self.tidy_at.get_or_insert_with(|| Instant::now() + IDLE);
        let judged = judge(&exchange, now);
        self.record(&events, sent, &exchange, &judged);
        match judged.verdict {
            Verdict::Delivered => {
                self.breaker.succeeded();
                let acknowledged = events.iter().map(|event| (event.token, Outcome::Ack));
                self.outcomes.extend(acknowledged);
            }
            Verdict::Gone => {
                self.breaker.withdrawn();
                self.driver.subscription.return_unsent(&events);
                if self.disabling.is_none() {
                    self.disable(judged.reason);
                }
            }
            Verdict::Again { after, of } => {
                match of {
                    Concern::Events => self.breaker.succeeded(),
                    Concern::Endpoint => {
                        let asked = after
                            .filter(|_| matches!(judged.status, Some(429 | 503)))
                            .map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
                        self.breaker.failed(now, fastrand::f64(), asked);
                    }
                }
                if of == Concern::Events && events.len() > 1 {
                    // One of them may be what it does not like.
                    let mut first = events;
                    let second = first.split_off(first.len() / 2);
                    self.parts.extend([first, second]);
                    return;
                }
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
                self.outcomes.extend(retried);
            }
        }
    }

    fn record(&self, events: &[TakenEvent], sent: u64, exchange: &Exchange, judged: &Judged) {
        let webhook = &self.driver.webhook;
        webhook.records.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.driver.meter.attempt(judged.outcome, exchange.took);
        let Some(first) = events.first() else {
            return;
        };
        let body = exchange.ended.as_ref().map(|answer| &answer.body);
        webhook.records.keep(Kept {
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

    fn disable(&mut self, reason: String) {
        let (done, disabled) = oneshot::channel();
        let gone = Gone {
            subscription: self.driver.webhook.name.clone(),
            reason,
            done,
        };
        match self.driver.gone.try_send(gone) {
            Ok(()) => self.disabling = Some(disabled),
            // Many at once: the next attempt is told the same.
            Err(_) => self.breaker.failed(clock::now(), 1.0, Some(1000)),
        }
    }

    fn asked(&mut self, exchange: &Exchange) {
        let records = &self.driver.webhook.records;
        let origin = &self.driver.webhook.document.origin;
        let judged = match &exchange.ended {
            Ok(answer) => handshake::judge(answer.status, &answer.headers, origin),
            Err(failure) => Err(failure.reason.clone()),
        };
        match judged {
            Ok(rate) => {
                self.ask = false;
                self.breaker.succeeded();
                self.pace = rate.map(|rate| Pace::new(rate, clock::now()));
                records.set_handshake(Some(PushHandshake::Allowed { rate }));
            }
            Err(reason) => {
                let webhook = &self.driver.webhook;
                tracing::warn!(subscription = %webhook.name, reason, "the endpoint does not allow events");
                let reason = Some(reason);
                records.set_handshake(Some(PushHandshake::Pending { reason }));
                self.breaker.failed(clock::now(), fastrand::f64(), Some(1));
            }
        }
    }

    /// Starts to settle what has gathered, or says when to.
    fn settle(&mut self, now: Instant) -> Option<Instant> {
        if self.settling.is_some() || self.outcomes.is_empty() {
            return None;
        }
        let due = self.settled_at + SETTLE_EVERY;
        let busy = !self.flights.is_empty() && !self.queue.is_empty();
        if busy && now < due && self.outcomes.len() < SETTLED_AT {
            return Some(due);
        }
        self.settled_at = now;
        let outcomes = std::mem::take(&mut self.outcomes);
        let subscription = self.driver.subscription.clone();
        self.settling = Some(
            async move {
                let settled = subscription.settle(outcomes.clone()).await;
                if settled.is_err() {
                    tokio::time::sleep(SETTLE_AGAIN).await;
                }
                (outcomes, settled)
            }
            .boxed(),
        );
        None
    }

    fn settled(
        &mut self,
        mut outcomes: Vec<(Token, Outcome)>,
        settled: Result<Vec<Settled>, Problem>,
    ) {
        if let Err(problem) = settled {
            tracing::warn!(subscription = %self.driver.webhook.name, %problem, "what was delivered could not be settled; it is tried again");
            outcomes.append(&mut self.outcomes);
            self.outcomes = outcomes;
        }
    }

    /// Gives back what was taken and is not sent; it counts as if it had not been taken.
    fn give_back(&mut self) {
        self.taking = None;
        let parts = self.parts.drain(..).flatten();
        let unsent: Vec<TakenEvent> = self.queue.drain(..).chain(parts).collect();
        if !unsent.is_empty() {
            self.driver.subscription.return_unsent(&unsent);
        }
    }

    fn show(&mut self) {
        let stands = (self.breaker.state(), self.breaker.until());
        if self.shown != Some(stands) {
            self.shown = Some(stands);
            self.driver.webhook.records.set_breaker(stands.0, stands.1);
        }
    }

    /// Waits for what is under way, a bounded time, and settles it.
    async fn end(mut self) {
        self.give_back();
        let total = Duration::from_millis(self.driver.webhook.document.timeouts.total_ms);
        let deadline = Instant::now() + total.min(STOPPING);
        while !self.flights.is_empty() {
            match tokio::time::timeout_at(deadline, self.flights.next()).await {
                Ok(Some((events, at, exchange))) => self.landed(events, at, exchange),
                _ => break,
            }
        }
        self.driver
            .webhook
            .records
            .in_flight
            .fetch_sub(self.flights.len(), Ordering::Relaxed);
        // Parts of a batch that landed only now.
        self.give_back();
        if let Some(settling) = self.settling.take() {
            let (outcomes, settled) = settling.await;
            self.settled(outcomes, settled);
        }
        if !self.outcomes.is_empty() {
            let outcomes = std::mem::take(&mut self.outcomes);
            if let Err(problem) = self.driver.subscription.settle(outcomes).await {
                tracing::warn!(subscription = %self.driver.webhook.name, %problem, "what was delivered last could not be settled; it will be delivered again");
            }
        }
    }
}

/// Waits for events that are due, and takes them.
async fn take(subscription: Arc<Subscription>, most: usize, lease: Duration) -> Taken {
    let mut pause = Duration::from_millis(1);
    loop {
        if !subscription.wait_ready(Instant::now() + LONG).await {
            continue;
        }
        match subscription.take(most, TAKEN_BYTES, lease).await {
            Ok(taken) if !taken.events.is_empty() => return taken,
            Ok(_) => {}
            Err(problem) => {
                tracing::debug!(subscription = %subscription.name, %problem, "nothing can be taken");
                pause = pause.max(Duration::from_millis(250));
            }
        }
        // It seemed ready and was not: filtered out, taken by a reset, or in trouble.
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

/// The instant of a time in milliseconds since the epoch.
fn at(time: u64) -> Instant {
    Instant::now() + Duration::from_millis(time.saturating_sub(clock::now()).max(1))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
