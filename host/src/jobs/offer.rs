//! Replay to one subscription: what is stored is offered to it once more, and to nobody else.

use sandbar_types::{Name, Offset, PartitionId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Ended, Entry, Jobs, Kind, ReplayPart, Shared, check_rate,
    job::{Job, Work},
    pace::Pace,
    range::{Part, Point, invalid, parts},
};
use crate::{catalog::Because, problem::Problem, process::NotTaken};

/// The most events of one chunk.
const CHUNK: u64 = 500;
/// Why an event is left out: it is not for the subscription.
const FILTERED: &str = "filtered";
/// How long to wait before one that takes no events is asked again, in milliseconds.
const ASK_AGAIN: u64 = 50;

/// Which events are to be offered once more, and how.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OfferRequest {
    pub from: Point,
    /// Where to end; the event there is not offered.
    #[serde(default = "Point::latest")]
    pub to: Point,
    /// Which of its topics; needed when it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Events a second at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// Only tell what would happen.
    #[serde(default)]
    pub dry_run: bool,
    /// Kept with the job.
    #[serde(default)]
    pub reason: String,
}

/// What is still to be offered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Offering {
    subscription: Name,
    rate: Option<u32>,
    parts: Vec<PartToDo>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct PartToDo {
    source: PartitionId,
    next: Offset,
    until: Offset,
}

impl Offering {
    fn new(subscription: Name, parts: &[Part], request: &OfferRequest) -> Self {
        let parts = parts.iter().map(|part| PartToDo {
            source: part.partition.clone(),
            next: part.from,
            until: part.until,
        });
        Self {
            subscription,
            rate: request.rate,
            parts: parts.collect(),
        }
    }

    /// What retention must not reach.
    pub fn holds(&self) -> Vec<(PartitionId, Offset)> {
        let left = self.parts.iter().filter(|part| part.next < part.until);
        left.map(|part| (part.source.clone(), part.next)).collect()
    }
}

/// What a replay to a subscription would do.
#[derive(Debug, Serialize, ToSchema)]
pub struct OfferPlan {
    /// Events that would be looked at; the subscription's filters may leave some of them out.
    pub events: u64,
    pub parts: Vec<ReplayPart>,
}

impl Shared {
    /// Checks a request. Blocks on the disk.
    fn prepare_offer(
        &self,
        subscription: &str,
        request: &OfferRequest,
    ) -> Result<(Name, Vec<Part>), Problem> {
        check_rate(request.rate)?;
        let (name, record) = self.catalog.subscription(subscription)?;
        let topics = &record.document.topics;
        let topic = match &request.topic {
            Some(topic) => topics.iter().find(|known| known.as_str() == topic),
            None if topics.len() == 1 => topics.first(),
            None => None,
        };
        let topic = topic.ok_or_else(|| {
            let names: Vec<&str> = topics.iter().map(Name::as_str).collect();
            let reason = format!(
                "name one of the topics of subscription {name}: {}",
                names.join(", ")
            );
            invalid("/topic", reason)
        })?;
        let topic = self.catalog.topic(topic.as_str())?;
        Ok((name, parts(&*self.log, &topic, &request.from, &request.to)?))
    }
}

impl Jobs {
    /// What a replay to a subscription would do. Blocks on the disk.
    ///
    /// # Errors
    /// `unknown-subscription`, `invalid-document`, `offset-trimmed`, `offset-past-tail`.
    pub fn plan_offer(
        &self,
        subscription: &str,
        request: &OfferRequest,
    ) -> Result<OfferPlan, Problem> {
        let (_, parts) = self.shared.prepare_offer(subscription, request)?;
        let parts: Vec<ReplayPart> = parts.iter().map(|part| self.shared.part_of(part)).collect();
        Ok(OfferPlan {
            events: parts.iter().map(|part| part.events).sum(),
            parts,
        })
    }

    /// Begins a replay to a subscription. Blocks on the disk.
    ///
    /// # Errors
    /// `unknown-subscription`, `invalid-document`, `offset-trimmed`, `offset-past-tail`,
    /// `too-many-jobs`.
    pub fn offer(
        &self,
        subscription: &str,
        request: &OfferRequest,
        by: String,
    ) -> Result<Job, Problem> {
        let (name, parts) = self.shared.prepare_offer(subscription, request)?;
        let total = parts.iter().map(|part| part.until - part.from).sum();
        let because = Because {
            by,
            reason: request.reason.clone(),
        };
        let of = Some(name.to_string());
        let work = Work::Offer(Offering::new(name, &parts, request));
        let asked = serde_json::json!(request);
        self.begin(Kind::ReplaySubscription, of, because, asked, total, work)
    }
}

/// Offers all of it.
pub(super) async fn run(shared: &Shared, entry: &Entry) -> Result<Ended, String> {
    let Work::Offer(mut work) = entry.work() else {
        return Ok(Ended::Done);
    };
    let mut pace = Pace::new(work.rate, shared.steady());
    for index in 0..work.parts.len() {
        while work.parts[index].next < work.parts[index].until {
            if shared.stop.is_cancelled() {
                return Ok(Ended::Stopped);
            }
            if entry.is_cancelled() {
                return Ok(Ended::Cancelled);
            }
            let PartToDo {
                source,
                next,
                until,
            } = work.parts[index].clone();
            let most = usize::try_from((until - next).min(CHUNK)).unwrap_or(usize::MAX);
            let count = match pace.allows(most, shared.steady()) {
                Ok(count) => count,
                Err(wait) => {
                    entry.pause(shared, wait).await;
                    continue;
                }
            };
            let end = next + count as u64;
            let events = (next..end).map(|offset| (offset, 0));
            let offered = shared
                .offer_again(&work.subscription, &source, events)
                .await;
            let offered = match offered {
                Ok(offered) => offered,
                Err(NotTaken::NoLane) => {
                    let detail = format!(
                        "subscription {} was deleted, or reads the topic no more",
                        work.subscription
                    );
                    return Ok(Ended::Failed(detail));
                }
                Err(NotTaken::Stopping) => return Ok(Ended::Stopped),
                Err(NotTaken::Full) => {
                    entry.stall("so many events wait to be delivered that it takes no more now");
                    entry.pause(shared, ASK_AGAIN).await;
                    continue;
                }
                Err(NotTaken::Failed(detail)) => return Err(detail),
            };
            let (count, filtered) = (offered.looked_at, offered.filtered as u64);
            pace.took(count);
            entry.goes_on();
            work.parts[index].next = next + count as u64;
            entry.keep(Work::Offer(work.clone()), |progress| {
                progress.done += count as u64;
                progress.redriven += count as u64 - filtered;
                if filtered > 0 {
                    *progress.left_out.entry(FILTERED.to_owned()).or_default() += filtered;
                }
            });
            entry.save(shared, Work::Offer(work.clone())).await?;
        }
    }
    Ok(Ended::Done)
}
