//! Reading one partition, a page at a time.

use std::{sync::Arc, time::Duration};

use sandbar_log::{Frame, Log};
use sandbar_types::{AttributeValue, Batch, Offset, PartitionId, Provenance};

use super::{
    EventFilter,
    lineage::Producer,
    outgoing::{Made, Patience, Way},
    reads::Reads,
};
use crate::{
    ingest::cloudevents,
    problem::{Code, Problem},
    room::Part,
};

/// In the place of a route: what was written is a copy.
const COPY: &str = "-";
/// A page has no more bytes, unless its one event has; less where there is little room for answers.
pub const PAGE_BYTES: usize = 16 * 1024 * 1024;
/// Where few events are wanted, a page is closed when so many bytes were looked through.
const MOST_LOOKED_THROUGH: usize = 64 * 1024 * 1024;

/// Where to read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Earliest,
    Latest,
    Offset(Offset),
    /// Milliseconds since the epoch.
    Time(u64),
}

/// Events read.
#[derive(Debug, Default)]
pub struct Page {
    /// A CloudEvents batch (JSON).
    pub body: Vec<u8>,
    pub count: usize,
    /// Where to read on.
    pub next: Offset,
    /// What the body lies in; an empty page needs none.
    pub room: Option<Part>,
    /// Bytes of the log that were looked through.
    looked_through: usize,
    /// The next event does not fit.
    full: bool,
    /// The first event does not fit, and has so many bytes.
    needs: Option<usize>,
}

/// Reads the log for those outside.
#[derive(Clone, Debug)]
pub struct Reader {
    log: Arc<dyn Log>,
    reads: Reads,
}

impl Reader {
    #[must_use]
    pub fn new(log: Arc<dyn Log>) -> Self {
        Self {
            log,
            reads: Reads::default(),
        }
    }

    #[must_use]
    pub fn log(&self) -> &Arc<dyn Log> {
        &self.log
    }

    pub(super) fn reads(&self) -> &Reads {
        &self.reads
    }

    /// The offset that a start means now.
    ///
    /// # Errors
    /// When the partition cannot be read. Blocks on the disk.
    pub fn offset_of(&self, partition: &PartitionId, start: Start) -> Result<Offset, Problem> {
        let bounds = self
            .log
            .bounds(partition)
            .map_err(|error| refusal(&error))?;
        match start {
            Start::Earliest => Ok(bounds.earliest),
            Start::Latest => Ok(bounds.tail),
            Start::Offset(offset) => Ok(offset),
            Start::Time(time) => self
                .log
                .find_time(partition, time)
                .map_err(|error| refusal(&error)),
        }
    }

    /// Up to `limit` of the wanted events from `start` on; when there is none yet, waits up to `wait` for
    /// one. Where few are wanted a page may have none although the log goes on behind `next`. It has room
    /// of `way`.
    ///
    /// # Errors
    /// `offset-trimmed`, `offset-past-tail`, `damaged`, `busy`.
    pub async fn page(
        &self,
        partition: &PartitionId,
        start: Start,
        limit: usize,
        wanted: &EventFilter,
        wait: Duration,
        way: &Way,
    ) -> Result<Page, Problem> {
        let mut tail = self.log.watch(partition).map_err(|error| refusal(&error))?;
        let mut from = self
            .blocking(partition, move |reader, partition| {
                reader.offset_of(partition, start)
            })
            .await?;
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let now = *tail.borrow_and_update();
            if now > from {
                let page = self.within(way, partition, from, limit, wanted).await?;
                let at_the_end = page.next >= now;
                if page.count > 0 || wanted.is_all() || !at_the_end {
                    return Ok(page);
                }
                from = page.next;
                continue;
            }
            if from > now {
                let detail = format!("offset {from} of {partition} is past the tail {now}");
                return Err(Problem::new(Code::OffsetPastTail, detail));
            }
            if tokio::time::timeout_at(deadline, tail.changed())
                .await
                .is_err()
            {
                return Ok(Page {
                    body: b"[]".to_vec(),
                    next: from,
                    ..Page::default()
                });
            }
        }
    }

    /// A page in the room that there is for it; at least of one event.
    async fn within(
        &self,
        way: &Way,
        partition: &PartitionId,
        from: Offset,
        limit: usize,
        wanted: &EventFilter,
    ) -> Result<Page, Problem> {
        let read = async |most| {
            let selection = wanted.clone();
            let read = self.blocking(partition, move |reader, partition| {
                reader.read(partition, from, limit, most, &selection)
            });
            let page = read.await?;
            let needs = page.needs;
            Ok(Made::of(page, needs))
        };
        let (mut page, room) = way.make(PAGE_BYTES, Patience::Answer, read).await?;
        page.room = Some(room);
        Ok(page)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        partition: &PartitionId,
        read: impl FnOnce(&Self, &PartitionId) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let (reader, partition) = (self.clone(), partition.clone());
        let done = tokio::task::spawn_blocking(move || read(&reader, &partition)).await;
        done.map_err(Problem::internal)?
    }

    fn read(
        &self,
        partition: &PartitionId,
        from: Offset,
        limit: usize,
        most: usize,
        wanted: &EventFilter,
    ) -> Result<Page, Problem> {
        let mut page = Page {
            body: vec![b'['],
            next: from,
            ..Page::default()
        };
        while page.count < limit && !page.full && page.looked_through < MOST_LOOKED_THROUGH {
            let _one = self.reads.begin();
            let tail = self
                .log
                .bounds(partition)
                .map_err(|error| refusal(&error))?
                .tail;
            let frames = self
                .log
                .read(partition, page.next, 1024 * 1024)
                .map_err(|error| refusal(&error))?;
            if frames.is_empty() {
                // Nothing up to the tail: at it, or in a gap that a repair left.
                page.next = page.next.max(tail);
                break;
            }
            for frame in frames {
                page.add(partition, &frame, limit, most, wanted)?;
            }
        }
        page.body.push(b']');
        Ok(page)
    }

    /// One event with its frame's provenance.
    ///
    /// # Errors
    /// `unknown-event` when there is none. Blocks on the disk.
    pub fn event(
        &self,
        partition: &PartitionId,
        offset: Offset,
    ) -> Result<(Batch, Frame), Problem> {
        let frames = self
            .log
            .read(partition, offset, 1)
            .map_err(|error| match error {
                sandbar_log::Error::PastTail { .. } | sandbar_log::Error::NoSuchPartition(_) => {
                    Problem::new(Code::UnknownEvent, error.to_string())
                }
                other => refusal(&other),
            })?;
        let Some(frame) = frames.into_iter().next() else {
            return Err(Problem::new(
                Code::UnknownEvent,
                format!("{partition} ends before offset {offset}"),
            ));
        };
        let batch = decode(partition, &frame)?;
        let index = usize::try_from(offset - frame.base).unwrap_or(usize::MAX);
        Ok((batch.slice(index, index + 1), frame))
    }
}

impl Page {
    fn add(
        &mut self,
        partition: &PartitionId,
        frame: &Frame,
        limit: usize,
        most: usize,
        wanted: &EventFilter,
    ) -> Result<(), Problem> {
        let batch = decode(partition, frame)?;
        self.looked_through += frame.body.len();
        let skip = usize::try_from(self.next.saturating_sub(frame.base)).unwrap_or(usize::MAX);
        for index in skip..batch.len() {
            if self.count >= limit || self.full {
                return Ok(());
            }
            if !wanted.takes(&batch, index) {
                self.next = frame.base + index as u64 + 1;
                continue;
            }
            let before = self.body.len();
            if self.count > 0 {
                self.body.push(b',');
            }
            encode(partition, frame, &batch, index, &mut self.body);
            // With the bracket behind it.
            let length = self.body.len().saturating_add(1);
            if length > most {
                self.full = true;
                self.needs = (self.count == 0).then_some(length);
                self.body.truncate(before);
                return Ok(());
            }
            self.count += 1;
            // Not one more than before: a repair may have left a gap.
            self.next = frame.base + index as u64 + 1;
        }
        Ok(())
    }
}

pub(super) fn decode(partition: &PartitionId, frame: &Frame) -> Result<Batch, Problem> {
    Batch::decode(&frame.body).map_err(|error| {
        Problem::new(
            Code::Damaged,
            format!(
                "the events at {partition}/{} cannot be decoded: {error}",
                frame.base
            ),
        )
    })
}

/// Writes event `index` of a frame in the CloudEvents JSON format, with its place in the hub.
pub(super) fn encode(
    partition: &PartitionId,
    frame: &Frame,
    batch: &Batch,
    index: usize,
    out: &mut Vec<u8>,
) {
    let offset = frame.base + index as u64;
    let mut extra = vec![
        (
            "sandbartopic",
            AttributeValue::String(partition.topic.to_string()),
        ),
        (
            "sandbarpartition",
            AttributeValue::Integer(i32::try_from(partition.partition).unwrap_or(i32::MAX)),
        ),
        ("sandbaroffset", AttributeValue::String(offset.to_string())),
    ];
    let provenance = frame.provenance.as_ref();
    if let Some((route, origin)) = provenance.and_then(|provenance| origin(provenance, index)) {
        if let Some(route) = route {
            extra.push(("sandbarroute", AttributeValue::String(route.to_owned())));
        }
        extra.push(("sandbarorigin", AttributeValue::String(origin)));
    }
    cloudevents::encode_structured(batch.get(index), &extra, out);
}

/// The route, unless it is a copy, and the position (`topic/partition/offset`) that event `index` of a
/// frame came from.
pub(super) fn origin(provenance: &Provenance, index: usize) -> Option<(Option<&str>, String)> {
    let (offset, _) = provenance.origins.get(index)?;
    origin_at(&provenance.producer, *offset)
}

/// [`origin`] of what a producer made of the event at an offset.
pub(super) fn origin_at(producer: &str, offset: Offset) -> Option<(Option<&str>, String)> {
    let producer = Producer::parse(producer)?;
    let route = Some(producer.route).filter(|route| *route != COPY);
    Some((route, format!("{}/{offset}", producer.source)))
}

/// What a reader is told of an error of the log.
pub(super) fn refusal(error: &sandbar_log::Error) -> Problem {
    use sandbar_log::Error;
    let detail = error.to_string();
    match error {
        Error::NoSuchPartition(_) => Problem::new(Code::UnknownTopic, detail)
            .help("Check the partition: GET /v1/topics/{topic} lists those that there are."),
        Error::Trimmed { .. } => Problem::new(Code::OffsetTrimmed, detail),
        Error::PastTail { .. } => Problem::new(Code::OffsetPastTail, detail),
        Error::Damaged { .. } => Problem::new(Code::Damaged, detail),
        Error::Closed => Problem::new(Code::Stopping, detail),
        _ => Problem::internal(detail),
    }
}
