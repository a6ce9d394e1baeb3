//! Events as an endless stream to one client, with cursors that settle all up to a place.
//!
//! A cursor names the stream and how many events of it it covers. It also says, for a few partitions,
//! below which offset everything was settled or sent by then: so it is still good when the hub was
//! started anew and the stream is forgotten.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use sandbar_types::Offset;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::super::outgoing::{Made, Patience, Way};
use super::{Outcome, Subscription, Taken, TakenEvent, Token, group::Claim, lane::Lane};
use crate::problem::{Code, Problem};

/// The most that is taken, and sent, at once; less where there is little room, but for one event.
const EVENTS: usize = 1024;
const BYTES: usize = 1024 * 1024;
/// Cursors tell of so many partitions at most: they come with every event.
const MOST_MARKS: usize = 16;
/// So many streams that have ended are remembered, for the cursors of those that come back.
const MOST_STREAMS: usize = 1000;
/// How often a stream that waits looks whether its client is there.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How an event is written for the client of a stream: the cursor that covers it, and the event.
pub type Form = fn(&str, &TakenEvent, &mut Vec<u8>);

/// The streams of a subscription, those that ended lately included.
#[derive(Debug, Default)]
pub(super) struct Streams {
    known: Mutex<HashMap<u64, Arc<Mutex<Sent>>>>,
}

/// What was sent on a stream.
#[derive(Debug, Default)]
struct Sent {
    /// Of the last event taken.
    number: u64,
    /// Of the last event that went on its way.
    sent: u64,
    /// What is not known to be settled, in the order in which it was sent.
    unsettled: VecDeque<(u64, Token)>,
    /// The leases of those, each with the number of its last event.
    leases: VecDeque<(u64, u64)>,
    /// By the tag of a lane: everything below was settled or sent.
    marks: BTreeMap<u64, Offset>,
    /// When it ended, as far as it has.
    ended: Option<u64>,
    /// Cancelled when its client has come back on another connection: this one sends no more.
    taken_up: CancellationToken,
    /// Cancelled when it has ended.
    done: CancellationToken,
}

/// See the head of this module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Cursor {
    stream: u64,
    number: u64,
    marks: BTreeMap<u64, Offset>,
}

impl Cursor {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('.');
        let stream = u64::from_str_radix(parts.next()?, 16).ok()?;
        let number = parts.next()?.parse().ok()?;
        let mark = |part: &str| {
            let (tag, offset) = part.split_once('-')?;
            Some((u64::from_str_radix(tag, 16).ok()?, offset.parse().ok()?))
        };
        Some(Self {
            stream,
            number,
            marks: parts.map(mark).collect::<Option<_>>()?,
        })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_cursor(self.stream, self.number, &self.marks, f)
    }
}

fn write_cursor(
    stream: u64,
    number: u64,
    marks: &BTreeMap<u64, Offset>,
    out: &mut impl fmt::Write,
) -> fmt::Result {
    write!(out, "{stream:x}.{number}")?;
    for (tag, offset) in marks {
        write!(out, ".{tag:x}-{offset}")?;
    }
    Ok(())
}

impl Streams {
    fn known(&self) -> MutexGuard<'_, HashMap<u64, Arc<Mutex<Sent>>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> (u64, Arc<Mutex<Sent>>) {
        let mut known = self.known();
        if known.len() >= MOST_STREAMS {
            let ended = |sent: &Mutex<Sent>| lock(sent).ended;
            let oldest = known
                .iter()
                .filter_map(|(stream, sent)| Some((ended(sent)?, *stream)))
                .min();
            if let Some((_, stream)) = oldest {
                known.remove(&stream);
            }
        }
        let stream = fastrand::u64(..);
        let sent = Arc::new(Mutex::new(Sent::default()));
        known.insert(stream, sent.clone());
        (stream, sent)
    }

    fn find(&self, stream: u64) -> Option<Arc<Mutex<Sent>>> {
        self.known().get(&stream).cloned()
    }
}

fn lock(sent: &Mutex<Sent>) -> MutexGuard<'_, Sent> {
    sent.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends events, written in this form one after the other, as many at once as there are; forever,
/// until the receiver is dropped or the subscription cannot go on. At most `window` events are sent
/// and not settled. A receiver that is slow is waited for.
pub async fn stream(
    subscription: Arc<Subscription>,
    window: usize,
    lease: Duration,
    form: Form,
    way: Way,
    sender: mpsc::Sender<Result<Bytes, Problem>>,
) {
    let (stream, sent) = subscription.streams.open();
    let (taken_up, done) = {
        let sent = lock(&sent);
        (sent.taken_up.clone(), sent.done.clone())
    };
    let streaming = Streaming {
        subscription: &subscription,
        stream,
        sent: &sent,
        window,
        lease,
        form,
        way: &way,
        sender: &sender,
    };
    let run = streaming.run();
    let outcome = tokio::select! {
        outcome = run => outcome,
        () = taken_up.cancelled() => Ok(()),
    };
    subscription.give_back_unsent(&sent);
    lock(&sent).ended = Some(subscription.shared.clock.now());
    done.cancel();
    if let Err(problem) = outcome {
        let _ = sender.send(Err(problem)).await;
    }
}

/// A stream at work.
struct Streaming<'a> {
    subscription: &'a Arc<Subscription>,
    stream: u64,
    sent: &'a Arc<Mutex<Sent>>,
    window: usize,
    lease: Duration,
    form: Form,
    way: &'a Way,
    sender: &'a mpsc::Sender<Result<Bytes, Problem>>,
}

impl Streaming<'_> {
    async fn run(&self) -> Result<(), Problem> {
        let (subscription, sender) = (self.subscription, self.sender);
        loop {
            let changed = subscription.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let mut unsettled = lock(self.sent).unsettled.len();
            if unsettled >= self.window {
                // Cursors tell what is settled; of tokens it must be found out.
                unsettled = subscription.forget_settled(self.sent);
            }
            if unsettled >= self.window {
                tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    () = sender.closed() => return Ok(()),
                    () = subscription.ended.cancelled() => return Err(subscription.unknown()),
                }
                continue;
            }
            let until = tokio::time::Instant::now() + LOOK_EVERY;
            tokio::select! {
                ready = subscription.wait_ready(until) => if !ready { continue },
                () = sender.closed() => return Ok(()),
            }
            // Nothing is taken before the part before has gone on its way.
            let Ok(place) = sender.reserve().await else {
                return Ok(());
            };
            let part = tokio::select! {
                part = self.part(EVENTS.min(self.window - unsettled)) => part?,
                () = sender.closed() => return Ok(()),
            };
            if let Some((last, events)) = part {
                place.send(Ok(events));
                lock(self.sent).sent = last;
            }
        }
    }

    /// What is sent next, of at most `limit` events, with the number of the last; nothing if there is
    /// nothing after all.
    async fn part(&self, limit: usize) -> Result<Option<(u64, Bytes)>, Problem> {
        let take = async |most| {
            let (stream, sent, form) = (self.stream, self.sent.clone(), self.form);
            let make = move |taken: Taken| {
                let needs = taken.needs;
                Made::of(written(&taken, stream, &sent, form), needs)
            };
            (self.subscription)
                .take_with(limit, most, self.lease, make)
                .await
        };
        let ((last, events), room) = self.way.make(BYTES, Patience::Stream, take).await?;
        if events.is_empty() {
            return Ok(None);
        }
        Ok(Some((last, self.way.hold(events, room, Patience::Stream))))
    }
}

/// The events as they are sent, with the number of the last. Each cursor covers all that was sent up
/// to it.
fn written(taken: &Taken, stream: u64, sent: &Mutex<Sent>, form: Form) -> (u64, Vec<u8>) {
    let mut sent = lock(sent);
    let leases = sent.leases(taken);
    let mut lowest: HashMap<u64, Offset> = HashMap::new();
    let mut marks = vec![(0, 0); taken.events.len()];
    // From the last to the first: what comes after an event is not covered by its cursor.
    for (index, event) in taken.events.iter().enumerate().rev() {
        if let Token::Event { tag, .. } = event.token {
            let low = lowest
                .entry(tag)
                .or_insert_with(|| event.lane().lock().group.low_without(&leases));
            marks[index] = (tag, *low);
            *low = (*low).min(event.offset);
        }
    }
    let mut out = Vec::with_capacity(taken.bytes);
    let mut cursor = String::new();
    for (event, (tag, mark)) in taken.events.iter().zip(marks) {
        sent.number += 1;
        let number = sent.number;
        sent.unsettled.push_back((number, event.token));
        if sent.marks.len() < MOST_MARKS || sent.marks.contains_key(&tag) {
            sent.marks.insert(tag, mark);
        }
        cursor.clear();
        // Writing into a String cannot fail.
        let _ = write_cursor(stream, number, &sent.marks, &mut cursor);
        form(&cursor, event, &mut out);
    }
    (sent.number, out)
}

impl Sent {
    /// All leases under which events may be out on this stream, with that of what is sent now.
    fn leases(&mut self, taken: &Taken) -> HashSet<u64> {
        let first = self.unsettled.front().map(|(number, _)| *number);
        let over = |&(_, last): &(u64, u64)| first.is_none_or(|first| last < first);
        while self.leases.front().is_some_and(over) {
            self.leases.pop_front();
        }
        let last = self.number + taken.events.len() as u64;
        self.leases.push_back((taken.lease, last));
        self.leases.iter().map(|(lease, _)| *lease).collect()
    }
}

impl Subscription {
    /// Forgets of a stream what is settled or somebody else's by now; how much is left.
    fn forget_settled(&self, sent: &Mutex<Sent>) -> usize {
        let lanes = self.lanes();
        let mut sent = lock(sent);
        sent.unsettled.retain(|(_, token)| match token {
            Token::Event { tag, claim } => (lanes.by_tag.get(tag))
                .is_some_and(|&lane| lanes.all[lane].lock().group.is_out(claim)),
            Token::Lease(_) => false,
        });
        sent.unsettled.len()
    }

    /// Settles all that a stream sent up to a cursor; how many events. With `taken_up`, the stream's
    /// client has come back: what it had beyond is handed out again at once.
    ///
    /// # Errors
    /// `malformed-request` when it is no cursor; and as [`Subscription::settle`].
    pub async fn settle_up_to(
        self: &Arc<Self>,
        cursor: &str,
        taken_up: bool,
    ) -> Result<usize, Problem> {
        let parsed = Cursor::parse(cursor).ok_or_else(|| {
            Problem::new(
                Code::MalformedRequest,
                format!("{cursor:?} is no cursor of a stream of this subscription"),
            )
        })?;
        let tokens = match self.streams.find(parsed.stream) {
            Some(sent) => {
                if taken_up {
                    // It may not have noticed yet that its client is gone, and must not take what
                    // is given back here.
                    let (taken_up, done) = {
                        let sent = lock(&sent);
                        (sent.taken_up.clone(), sent.done.clone())
                    };
                    taken_up.cancel();
                    done.cancelled().await;
                }
                let covered: Vec<Token> = {
                    let mut sent = lock(&sent);
                    let covered = sent
                        .unsettled
                        .partition_point(|(number, _)| *number <= parsed.number);
                    let covered = sent.unsettled.drain(..covered);
                    covered.map(|(_, token)| token).collect()
                };
                if taken_up {
                    self.streams.known().remove(&parsed.stream);
                    let beyond = std::mem::take(&mut lock(&sent).unsettled);
                    self.end_leases(&beyond);
                }
                covered
            }
            None => {
                let (this, marks) = (self.clone(), parsed.marks);
                let found = tokio::task::spawn_blocking(move || this.tokens_below(&marks));
                found.await.map_err(Problem::internal)??
            }
        };
        let outcomes = tokens.into_iter().map(|token| (token, Outcome::Ack));
        let settled = self.settle(outcomes.collect()).await?;
        let each = settled.into_iter().map(|one| match one {
            super::Settled::Acknowledged(events) => events,
            _ => 0,
        });
        Ok(each.sum())
    }

    /// Gives back what a stream took and did not send.
    fn give_back_unsent(&self, sent: &Mutex<Sent>) {
        let unsent = {
            let mut sent = lock(sent);
            let last = sent.sent;
            let first = sent
                .unsettled
                .partition_point(|(number, _)| *number <= last);
            sent.unsettled.split_off(first)
        };
        let claims: Vec<_> = (unsent.iter())
            .filter_map(|(_, token)| self.claim_of(token))
            .collect();
        self.give_back(&claims);
    }

    fn claim_of(&self, token: &Token) -> Option<(Arc<Lane>, Claim)> {
        let Token::Event { tag, claim } = token else {
            return None;
        };
        let lanes = self.lanes();
        let lane = lanes.by_tag.get(tag)?;
        Some((lanes.all[*lane].clone(), *claim))
    }

    fn end_leases(&self, tokens: &VecDeque<(u64, Token)>) {
        let lanes = self.lanes();
        let (now, policy) = (self.shared.clock.now(), self.settings().policy);
        for (_, token) in tokens {
            if let Token::Event { tag, claim } = token
                && let Some(&lane) = lanes.by_tag.get(tag)
            {
                lanes.all[lane].lock().group.end(claim, now, &policy);
            }
        }
        self.wake();
    }

    /// Tokens for all events below the marks that are not settled. Reads up to there first. Blocks
    /// on the disk.
    fn tokens_below(&self, marks: &BTreeMap<u64, Offset>) -> Result<Vec<Token>, Problem> {
        let lanes = self.lanes();
        let settings = self.settings();
        let mut tokens = Vec::new();
        for (tag, &mark) in marks {
            let Some(lane) = lanes.by_tag.get(tag).map(|&lane| &lanes.all[lane]) else {
                continue;
            };
            while lane.lock().group.next() < mark && lane.fill(&self.shared, &settings)? {}
            tokens.extend(claims_below(lane, *tag, mark));
        }
        Ok(tokens)
    }
}

fn claims_below(lane: &Lane, tag: u64, mark: Offset) -> Vec<Token> {
    let claims = lane.lock().group.claims_below(mark);
    claims
        .into_iter()
        .map(|claim| Token::Event { tag, claim })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_their_text() {
        let cursor = Cursor {
            stream: u64::MAX,
            number: 17,
            marks: [(3, 4), (u64::MAX, 5)].into(),
        };
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        for bad in ["", "x.1", "1", "1.", "1.2.", "1.2.3", "1.2.3-", "0:17"] {
            assert_eq!(Cursor::parse(bad), None, "{bad:?}");
        }
    }
}
