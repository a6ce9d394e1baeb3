//! Settling what was handed out.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use sandbar_types::Offset;
use tokio::sync::OwnedRwLockReadGuard;

use super::{
    Lanes, Subscription, Token,
    group::{Claim, Standing},
    lane::{Inner, Lane},
    unsaid,
};
use crate::{
    dead_letter::{Attempt, Cause},
    problem::Problem,
};

/// What is to become of an event.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is done with.
    Ack,
    /// It is tried again: after so long, or as the subscription's document says.
    Retry {
        after: Option<Duration>,
        note: Attempt,
    },
    /// It cannot be delivered.
    Fail { cause: Cause, note: Attempt },
    /// It stays the client's for so long from now on.
    Extend(Duration),
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Durably, so many events (of a token of one event: 1).
    Acknowledged(usize),
    Retrying(usize),
    /// Its dead letter is written.
    Dead(usize),
    Extended(usize),
    /// It was settled before.
    Already,
    /// Somebody else has it or has had it since, or it is given up, or the token is of before a
    /// reset, or of another subscription.
    Expired,
}

/// The settlements of one lane.
struct Share {
    lane: Arc<Lane>,
    /// Held until the end.
    _gate: OwnedRwLockReadGuard<()>,
    number: u64,
    /// With the index of the outcome.
    acknowledged: Vec<(usize, Offset)>,
}

impl Subscription {
    /// Settles. Durable when it returns, though whoever asked may have gone away meanwhile. Answers
    /// in the order of `outcomes`.
    ///
    /// # Errors
    /// `storage-full`, `log-stopped`, `stopping`: nothing is acknowledged then.
    pub async fn settle(
        self: &Arc<Self>,
        outcomes: Vec<(Token, Outcome)>,
    ) -> Result<Vec<Settled>, Problem> {
        let this = self.clone();
        let settling = tokio::spawn(async move { this.settle_now(outcomes).await });
        settling.await.map_err(Problem::internal)?
    }

    async fn settle_now(&self, outcomes: Vec<(Token, Outcome)>) -> Result<Vec<Settled>, Problem> {
        let lanes = self.lanes();
        let (mut settled, claims) = distribute(&lanes, &outcomes);
        let now = self.shared.clock.now();
        let policy = self.settings().policy;
        let tails = self.shared.journal.tails();
        let mut shares = Vec::with_capacity(claims.len());
        let mut dying = Vec::new();
        // In the order of the lanes: whoever waits for several gates waits in the same order.
        for (index, claims) in claims {
            let lane = lanes.all[index].clone();
            let gate = lane.gate.clone().read_owned().await;
            let tail = lane.bounds(&self.shared).tail;
            let mut inner = lane.lock();
            let mut acknowledged = Vec::new();
            for (at, claim) in claims {
                let judged = match &outcomes[at].1 {
                    Outcome::Ack => judge_ack(&mut inner, &claim, tail).map(|()| {
                        acknowledged.push((at, claim.offset));
                        Settled::Acknowledged(0)
                    }),
                    Outcome::Retry { after, note } => {
                        let wait =
                            after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
                        let standing = inner.group.retry(
                            &claim,
                            wait,
                            note.clone(),
                            fastrand::u64(..),
                            now,
                            &policy,
                        );
                        judge(standing).map(|()| Settled::Retrying(1))
                    }
                    Outcome::Fail { cause, note } => {
                        let mut note = note.clone();
                        if note.reason.is_empty() {
                            note.reason = unsaid(*cause);
                        }
                        judge(inner.group.fail(&claim, *cause, note)).map(|()| Settled::Dead(1))
                    }
                    Outcome::Extend(lease) => {
                        let lease = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
                        let until = now.saturating_add(lease);
                        judge(inner.group.extend(&claim, until)).map(|()| Settled::Extended(1))
                    }
                };
                add(&mut settled[at], judged.unwrap_or_else(|refused| refused));
            }
            if inner.group.has_dying() {
                dying.push(lane.clone());
            }
            Lane::touch(&mut inner);
            if acknowledged.is_empty() {
                continue;
            }
            let number = Lane::begun(&mut inner, tails);
            drop(inner);
            shares.push(Share {
                lane,
                _gate: gate,
                number,
                acknowledged,
            });
        }
        self.acknowledge(shares, &mut settled).await?;
        for lane in dying {
            self.bury(&lane).await?;
        }
        self.wake();
        Ok(settled)
    }

    async fn acknowledge(
        &self,
        shares: Vec<Share>,
        settled: &mut [Settled],
    ) -> Result<(), Problem> {
        let frames = shares.iter().map(|share| {
            let offsets = share.acknowledged.iter().map(|(_, offset)| *offset);
            (share.lane.author(), offsets.collect())
        });
        let written = self.shared.journal.settle(frames.collect()).await;
        let now = self.shared.clock.now();
        let policy = self.settings().policy;
        for share in shares {
            let mut inner = share.lane.lock();
            for (at, offset) in share.acknowledged {
                if written.is_err() {
                    inner.group.revert(offset, now, &policy);
                } else if inner.group.acknowledged(offset) {
                    add(&mut settled[at], Settled::Acknowledged(1));
                } else {
                    // Twice in one call, or by two at the same time.
                    add(&mut settled[at], Settled::Already);
                }
            }
            Lane::ended(&mut inner, share.number);
        }
        written
    }
}

/// Which claims each lane has, by the index of the outcome; and what is said where there are none.
#[expect(clippy::type_complexity, reason = "two results of one walk")]
fn distribute(
    lanes: &Lanes,
    outcomes: &[(Token, Outcome)],
) -> (Vec<Settled>, BTreeMap<usize, Vec<(usize, Claim)>>) {
    let mut claims: BTreeMap<usize, Vec<(usize, Claim)>> = BTreeMap::new();
    for (at, (token, _)) in outcomes.iter().enumerate() {
        match token {
            Token::Event { tag, claim } => {
                if let Some(&lane) = lanes.by_tag.get(tag) {
                    claims.entry(lane).or_default().push((at, *claim));
                }
            }
            Token::Lease(lease) => {
                for (index, lane) in lanes.all.iter().enumerate() {
                    let found = lane.lock().group.claims_of(*lease);
                    if !found.is_empty() {
                        let known = claims.entry(index).or_default();
                        known.extend(found.into_iter().map(|claim| (at, claim)));
                    }
                }
            }
        }
    }
    (vec![Settled::Expired; outcomes.len()], claims)
}

/// Whether an acknowledgement is to be written.
fn judge_ack(inner: &mut Inner, claim: &Claim, tail: Offset) -> Result<(), Settled> {
    match inner.group.standing(claim) {
        Standing::Unread if claim.offset >= tail => Err(Settled::Expired),
        Standing::Holds | Standing::Unread => {
            inner.group.begin(claim.offset);
            Ok(())
        }
        Standing::Settled => Err(Settled::Already),
        Standing::Lost => Err(Settled::Expired),
    }
}

fn judge(standing: Standing) -> Result<(), Settled> {
    match standing {
        Standing::Holds => Ok(()),
        Standing::Settled => Err(Settled::Already),
        Standing::Unread | Standing::Lost => Err(Settled::Expired),
    }
}

/// Puts the fates of several events under one token together: what was done counts.
fn add(known: &mut Settled, more: Settled) {
    *known = match (*known, more) {
        (Settled::Acknowledged(one), Settled::Acknowledged(other)) => {
            Settled::Acknowledged(one + other)
        }
        (Settled::Retrying(one), Settled::Retrying(other)) => Settled::Retrying(one + other),
        (Settled::Dead(one), Settled::Dead(other)) => Settled::Dead(one + other),
        (Settled::Extended(one), Settled::Extended(other)) => Settled::Extended(one + other),
        (Settled::Expired | Settled::Already | Settled::Acknowledged(0), more) => more,
        (done, _) => done,
    };
}
