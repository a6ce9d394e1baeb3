//! The task of one webhook: takes what is due, has so many requests under way as the document
//! allows, and settles what came of them, all that gathered while the settlement before was on its
//! way. It asks the breaker before each request; while that is open nothing is taken, so no attempt
//! is used up. What it shares with those that send is in [`super::desk`].

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, OptionFuture},
};
use http::StatusCode;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Webhook,
    breaker::{Breaker, BreakerState, Permit, Policy},
    client::{Exchange, IDLE},
    desk::{Desk, SETTLED_AT, State},
    pace::Pace,
    pauses::{Endpoint, Pauses},
    record::PushHandshake,
};
use crate::{
    deliver::subscription::{Outcome, Settled, Subscription, Taken, Token},
    metrics::PushMeter,
    problem::Problem,
    room::Room,
};

/// Failures in a row that open the breaker.
const FAILURES: u32 = 5;
/// The longest pause of an open breaker.
const LONGEST_PAUSE_MS: u64 = 60_000;
/// Events taken in one go, at least; more where many requests run at a time.
const TAKEN: usize = 256;
/// The room that they lie in, in bytes; less where webhooks together have taken much, but for one event.
const TAKEN_BYTES: usize = 4 * 1024 * 1024;
/// How long requests under way may go on when the webhook stops.
const STOPPING: Duration = Duration::from_secs(10);
/// A settlement that failed is tried again after so long.
const SETTLE_AGAIN: Duration = Duration::from_secs(1);
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
    pub room: Room,
    pub gone: mpsc::Sender<Gone>,
    pub stop: CancellationToken,
    pub keeper: Keeper,
    /// Until when the endpoint asked to be left alone before the hub started, by the steady clock.
    pub paused: Option<u64>,
}

/// Keeps the pause that the endpoint asked for.
pub(super) struct Keeper {
    pub pauses: Pauses,
    pub endpoint: Endpoint,
    /// What is kept, by the steady clock.
    pub kept: Option<u64>,
}

type Settling = BoxFuture<'static, (Vec<(Token, Outcome)>, Result<Vec<Settled>, Problem>)>;

/// What is going on.
struct Work {
    desk: Arc<Desk>,
    room: Room,
    gone: mpsc::Sender<Gone>,
    stop: CancellationToken,
    /// Those that have a request under way.
    senders: JoinSet<()>,
    /// The endpoint is still to be asked.
    ask: bool,
    asking: Option<BoxFuture<'static, Exchange>>,
    taking: Option<BoxFuture<'static, Taken>>,
    settling: Option<Settling>,
    /// When the last settlement began.
    settled_at: Instant,
    disabling: Option<oneshot::Receiver<()>>,
    /// When connections that nobody used are closed.
    tidy_at: Option<Instant>,
    shown: Option<(BreakerState, Option<u64>)>,
    keeper: Keeper,
    keeping: Option<BoxFuture<'static, ()>>,
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
        let breaker = match self.paused {
            Some(until) => Breaker::paused(policy, until),
            None => Breaker::new(policy),
        };
        let desk = Desk::new(self.subscription, self.webhook, self.meter, breaker);
        let work = Work {
            desk: Arc::new(desk),
            room: self.room,
            gone: self.gone,
            stop: self.stop,
            senders: JoinSet::new(),
            ask,
            asking: None,
            taking: None,
            settling: None,
            settled_at: Instant::now(),
            disabling: None,
            tidy_at: None,
            shown: None,
            keeper: self.keeper,
            keeping: None,
        };
        work.run().await;
    }
}

impl Work {
    async fn run(mut self) {
        let (stop, desk) = (self.stop.clone(), self.desk.clone());
        let mut stopped = pin!(stop.cancelled());
        // One alarm for all that is to be done later; it may go off too early, never too late.
        let mut alarm = pin!(sleep_until(Instant::now()));
        let mut rang = true;
        loop {
            let wake = self.advance(rang);
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
                    let mut state = desk.lock();
                    state.queue.extend(taken.events);
                    state.called = false;
                }
                Some(exchange) = OptionFuture::from(self.asking.as_mut()) => {
                    self.asking = None;
                    self.asked(&exchange);
                }
                Some(_) = OptionFuture::from(self.disabling.as_mut()) => {
                    self.disabling = None;
                    let mut state = desk.lock();
                    state.hold = false;
                    // What others were told meanwhile is no news.
                    state.gone = None;
                }
                Some(ended) = self.senders.join_next(), if !self.senders.is_empty() => {
                    self.ended(ended);
                    // What else has ended meanwhile is looked at with it.
                    while let Some(ended) = self.senders.try_join_next() {
                        self.ended(ended);
                    }
                }
                Some(()) = OptionFuture::from(self.keeping.as_mut()) => self.keeping = None,
                () = desk.webhook.close.notified() => desk.lock().breaker.close(),
                () = desk.call.notified() => {}
                () = &mut alarm => rang = true,
            }
        }
        self.end().await;
    }

    /// Starts whatever may be started. Answers when to look again if nothing happens before; `rang`
    /// when such a time has come.
    fn advance(&mut self, rang: bool) -> Instant {
        let now = Instant::now();
        let desk = self.desk.clone();
        let webhook = &desk.webhook;
        if rang || self.tidy_at.is_some_and(|at| at <= now) {
            self.tidy_at = webhook.client.tidy(now);
        }
        let later = self.tidy_at.unwrap_or(now + LONG);
        let mut state = desk.lock();
        let mut wake = self
            .settle(&mut state, now)
            .map_or(later, |at| at.min(later));
        if self.disabling.is_none()
            && let Some(reason) = state.gone.take()
        {
            self.disable(&mut state, reason);
        }
        if self.disabling.is_some() {
            self.give_back(&mut state);
            self.show(&state);
            return wake;
        }
        let mut permit = self.permit(&mut state);
        self.show(&state);
        self.keep(&state);
        if let Permit::NotBefore(until) = permit {
            // Events wait in the subscription, where they can be seen, and moved.
            self.give_back(&mut state);
            return wake.min(self.at(until));
        }
        if self.ask {
            // An endpoint that answered 410 is asked again when somebody enables it.
            let disabled = desk.subscription.settings().record.disabled.is_some();
            if !disabled && self.asking.is_none() && permit != Permit::Probing {
                state.breaker.sent();
                let webhook = webhook.clone();
                let asking =
                    async move { webhook.client.exchange(|| webhook.template.ask()).await };
                self.asking = Some(asking.boxed());
            }
            return wake;
        }
        while self.senders.len() < webhook.document.concurrency as usize
            && matches!(permit, Permit::Free | Permit::Probe)
        {
            let moment = desk.clock.now();
            if let Some(pace) = &mut state.pace {
                let next = pace.next(moment);
                if next > moment {
                    wake = wake.min(self.at(next));
                    break;
                }
            }
            let Some(events) = state.next_events(webhook.batch) else {
                break;
            };
            state.breaker.sent();
            if let Some(pace) = &mut state.pace {
                pace.sent(moment);
            }
            webhook.records.in_flight.fetch_add(1, Ordering::Relaxed);
            self.senders.spawn(desk.clone().send(events));
            // It leaves its connection open, most likely.
            self.tidy_at.get_or_insert(now + IDLE);
            permit = self.permit(&mut state);
        }
        let most = self.most(&state, permit);
        let unsettled = state.outcomes.len() + state.queue.len();
        if self.taking.is_none()
            && state.parts.is_empty()
            && state.queue.is_low(most / 2)
            && unsettled < 8 * most
            && matches!(permit, Permit::Free | Permit::Probe)
        {
            let lease = self.lease(&state, most);
            let taking = take(desk.clone(), self.room.clone(), most, lease);
            self.taking = Some(taking.boxed());
        }
        state.low = most / 2;
        state.called = self.taking.is_some();
        wake
    }

    fn permit(&self, state: &mut State) -> Permit {
        match state.breaker.permit(self.desk.clock.now()) {
            // What was sent before it opened is still to come back.
            Permit::Probe if !self.senders.is_empty() => Permit::Probing,
            other => other,
        }
    }

    /// How many events to take.
    fn most(&self, state: &State, permit: Permit) -> usize {
        let webhook = &self.desk.webhook;
        let (concurrency, batch) = (webhook.document.concurrency as usize, webhook.batch);
        match (permit, &state.pace) {
            (Permit::Probe, _) => batch,
            (_, Some(_)) => concurrency * batch,
            _ => (4 * concurrency * batch).clamp(TAKEN, 4096.max(concurrency * batch)),
        }
    }

    /// For so long that all of them can be sent one after the other.
    fn lease(&self, state: &State, most: usize) -> Duration {
        let document = &self.desk.webhook.document;
        let rounds = most.div_ceil(document.concurrency as usize) + 2;
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
        let paced = match state.pace {
            Some(pace) => pace.time_of(most),
            None => Duration::ZERO,
        };
        Duration::from_millis(document.timeouts.total_ms) * rounds + paced + LONG
    }

    fn ended(&self, ended: Result<(), tokio::task::JoinError>) {
        if let Err(error) = ended {
            let webhook = &self.desk.webhook;
            webhook.records.in_flight.fetch_sub(1, Ordering::Relaxed);
            tracing::error!(subscription = %webhook.name, %error, "a request ended badly");
        }
    }

    fn disable(&mut self, state: &mut State, reason: String) {
        let (done, disabled) = oneshot::channel();
        let gone = Gone {
            subscription: self.desk.webhook.name.clone(),
            reason,
            done,
        };
        match self.gone.try_send(gone) {
            Ok(()) => self.disabling = Some(disabled),
            // Many at once: the next attempt is told the same.
            Err(_) => {
                state.hold = false;
                let now = self.desk.clock.now();
                state.breaker.failed(now, 1.0, Some(1000));
            }
        }
    }

    fn asked(&mut self, exchange: &Exchange) {
        let webhook = &self.desk.webhook;
        let records = &webhook.records;
        let judged = webhook.allowed(exchange);
        let mut state = self.desk.lock();
        if let Ok(answer) = &exchange.ended
            && answer.status == StatusCode::GONE
        {
            state.breaker.withdrawn();
            state.hold = true;
            let reason = "the endpoint answered OPTIONS with 410 Gone".to_owned();
            records.set_handshake(Some(PushHandshake::Pending {
                reason: Some(reason.clone()),
            }));
            state.gone.get_or_insert(reason);
            return;
        }
        let now = self.desk.clock.now();
        match judged {
            Ok(rate) => {
                self.ask = false;
                state.breaker.succeeded();
                state.pace = rate.map(|rate| Pace::new(rate, now));
                records.set_handshake(Some(PushHandshake::Allowed { rate }));
            }
            Err(reason) => {
                tracing::warn!(subscription = %webhook.name, reason, "the endpoint does not allow events");
                let reason = Some(reason);
                records.set_handshake(Some(PushHandshake::Pending { reason }));
                state.breaker.failed(now, fastrand::f64(), Some(1));
            }
        }
    }

    /// Starts to settle what has gathered, or says when to.
    fn settle(&mut self, state: &mut State, now: Instant) -> Option<Instant> {
        if self.settling.is_some() || state.outcomes.is_empty() {
            return None;
        }
        let due = self.settled_at + SETTLE_EVERY;
        let busy = !self.senders.is_empty() && !state.queue.is_empty();
        if busy && now < due && state.outcomes.len() < SETTLED_AT {
            return Some(due);
        }
        self.settled_at = now;
        let outcomes = std::mem::take(&mut state.outcomes);
        let subscription = self.desk.subscription.clone();
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

    fn settled(&self, mut outcomes: Vec<(Token, Outcome)>, settled: Result<Vec<Settled>, Problem>) {
        if let Err(problem) = settled {
            tracing::warn!(subscription = %self.desk.webhook.name, %problem, "what was delivered could not be settled; it is tried again");
            let mut state = self.desk.lock();
            outcomes.append(&mut state.outcomes);
            state.outcomes = outcomes;
        }
    }

    /// Gives back what was taken and is not sent.
    fn give_back(&mut self, state: &mut State) {
        self.taking = None;
        state.called = false;
        self.desk.give_back(state);
    }

    fn show(&mut self, state: &State) {
        let stands = (state.breaker.state(), state.breaker.until());
        if self.shown != Some(stands) {
            self.shown = Some(stands);
            let records = &self.desk.webhook.records;
            records.set_breaker(stands.0, stands.1);
        }
    }

    /// Keeps the pause that the endpoint asked for, or forgets it when it is over.
    fn keep(&mut self, state: &State) {
        let asked = state.breaker.asked();
        if self.keeping.is_some() || asked == self.keeper.kept {
            return;
        }
        self.keeper.kept = asked;
        let until = asked.map(|asked| self.desk.clock.to_wall(asked));
        let (pauses, endpoint) = (self.keeper.pauses.clone(), self.keeper.endpoint.clone());
        let name = self.desk.webhook.name.clone();
        let kept = tokio::task::spawn_blocking(move || {
            if let Err(error) = pauses.keep(&name, &endpoint, until) {
                tracing::warn!(subscription = %name, %error, "a restart will not know how long the endpoint asked to be left alone");
            }
        });
        self.keeping = Some(kept.map(drop).boxed());
    }

    /// The instant of a moment of the desk's clock.
    fn at(&self, moment: u64) -> Instant {
        self.desk.clock.instant(moment).into()
    }

    /// Waits for what is under way, a bounded time, and settles it.
    async fn end(mut self) {
        let desk = self.desk.clone();
        {
            let mut state = desk.lock();
            state.hold = true;
            self.give_back(&mut state);
        }
        let total = Duration::from_millis(desk.webhook.document.timeouts.total_ms);
        let deadline = Instant::now() + total.min(STOPPING);
        while let Ok(Some(ended)) =
            tokio::time::timeout_at(deadline, self.senders.join_next()).await
        {
            self.ended(ended);
        }
        let left = self.senders.len();
        desk.webhook
            .records
            .in_flight
            .fetch_sub(left, Ordering::Relaxed);
        // Nothing that is still under way may be settled, or given back, any more.
        self.senders.shutdown().await;
        let outcomes = {
            let mut state = desk.lock();
            // Parts of a batch that landed only now.
            self.give_back(&mut state);
            if let Some(reason) = state.gone.take() {
                self.disable(&mut state, reason);
            }
            std::mem::take(&mut state.outcomes)
        };
        if let Some(keeping) = self.keeping.take() {
            keeping.await;
        }
        {
            let state = desk.lock();
            self.keep(&state);
        }
        if let Some(keeping) = self.keeping.take() {
            keeping.await;
        }
        let mut all = Vec::new();
        if let Some(settling) = self.settling.take() {
            let (before, settled) = settling.await;
            if settled.is_err() {
                all = before;
            }
        }
        all.extend(outcomes);
        if !all.is_empty()
            && let Err(problem) = desk.subscription.settle(all).await
        {
            tracing::warn!(subscription = %desk.webhook.name, %problem, "what was delivered last could not be settled; it will be delivered again");
        }
    }
}

/// Waits for events that are due, and takes as many as there is room for.
async fn take(desk: Arc<Desk>, room: Room, most: usize, lease: Duration) -> Taken {
    let (subscription, times) = (&desk.subscription, desk.webhook.times());
    let mut pause = Duration::from_millis(1);
    let mut needs = None;
    loop {
        if !subscription.wait_ready(Instant::now() + LONG).await {
            continue;
        }
        let bytes = needs.map_or_else(|| room.portion(TAKEN_BYTES), |needs| needs * times);
        let part = room.take(bytes).await;
        let fits = needs.unwrap_or(part.bytes() / times);
        match subscription.take(most, fits, lease).await {
            Ok(taken) if !taken.events.is_empty() => {
                taken.lie_in(part, times);
                return taken;
            }
            Ok(taken) if taken.needs.is_some_and(|needs| needs > fits) => {
                needs = taken.needs;
                continue;
            }
            Ok(_) => {}
            Err(problem) => {
                tracing::debug!(subscription = %subscription.name, %problem, "nothing can be taken");
                pause = pause.max(Duration::from_millis(250));
            }
        }
        drop(part);
        needs = None;
        // It seemed ready and was not: filtered out, taken by a reset, or in trouble.
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}
