//! Following a topic live, over all of its partitions or one.

use std::collections::BTreeMap;

use bytes::Bytes;
use sandbar_types::{Offset, PartitionId};
use tokio::sync::mpsc;

use super::{
    EventFilter, Reader,
    outgoing::{Made, Patience, Way},
    page::{decode, encode, refusal},
};
use crate::problem::Problem;

/// A part of what a follower is sent has no more bytes, unless its one event has; less where there is
/// little room.
const PART_BYTES: usize = 1024 * 1024;
/// The log is read in steps of so many bytes.
const STEP_BYTES: usize = 256 * 1024;

/// The next offset to be read of each partition.
///
/// As text (the `id` of a server-sent event): `0:17,1:4`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor(pub BTreeMap<u32, Offset>);

impl Cursor {
    /// Reads the text form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let pair = |part: &str| {
            let (partition, offset) = part.split_once(':')?;
            Some((partition.trim().parse().ok()?, offset.trim().parse().ok()?))
        };
        text.split(',').map(pair).collect::<Option<_>>().map(Self)
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (partition, offset)) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{partition}:{offset}")?;
        }
        Ok(())
    }
}

/// What is written for a follower.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    /// What to go on from after this.
    pub cursor: &'a str,
    /// The type of an event, and the event in the CloudEvents JSON format. Nothing where events were passed
    /// over that are not wanted.
    pub event: Option<(&'a str, &'a [u8])>,
}

/// Who follows, from where, and how what is sent is written.
#[derive(Clone, Debug)]
pub struct Follower {
    pub partitions: Vec<PartitionId>,
    pub cursor: Cursor,
    pub wanted: EventFilter,
    pub form: fn(Written<'_>, &mut Vec<u8>),
    pub way: Way,
}

/// What one read gives.
struct Part {
    body: Vec<u8>,
    cursor: Cursor,
    /// The first event does not fit, and has so many bytes.
    needs: Option<usize>,
}

/// Sends the wanted events from the follower's cursor on, as many at once as there are and fit, forever,
/// until the receiver is dropped or reading fails. A receiver that is slow is waited for: nothing is
/// read before it has taken what was sent before.
pub async fn follow(
    reader: Reader,
    mut follower: Follower,
    sender: mpsc::Sender<Result<Bytes, Problem>>,
) {
    let mut watches = Vec::with_capacity(follower.partitions.len());
    for partition in &follower.partitions {
        match reader.log().watch(partition) {
            Ok(watch) => watches.push(watch),
            Err(error) => return drop(sender.send(Err(refusal(&error))).await),
        }
    }
    loop {
        let mut moved = false;
        for (index, watch) in watches.iter_mut().enumerate() {
            let from = follower.from(&follower.partitions[index]);
            if *watch.borrow_and_update() <= from {
                continue;
            }
            let partition = &follower.partitions[index].clone();
            let Ok(place) = sender.reserve().await else {
                return;
            };
            let part = tokio::select! {
                part = follower.part(&reader, partition) => part,
                () = sender.closed() => return,
            };
            match part {
                Ok(body) if body.is_empty() => {}
                Ok(body) => place.send(Ok(body)),
                Err(problem) => return place.send(Err(problem)),
            }
            moved |= follower.from(partition) > from;
        }
        if moved {
            continue;
        }
        let changes = watches.iter_mut().map(|watch| Box::pin(watch.changed()));
        tokio::select! {
            (changed, _, _) = futures_util::future::select_all(changes) => {
                if changed.is_err() {
                    return;
                }
            }
            () = sender.closed() => return,
        }
    }
}

impl Follower {
    fn from(&self, partition: &PartitionId) -> Offset {
        let from = self.cursor.0.get(&partition.partition);
        from.copied().unwrap_or(0)
    }

    /// What is sent next of a partition.
    async fn part(&mut self, reader: &Reader, partition: &PartitionId) -> Result<Bytes, Problem> {
        let this = &*self;
        let read = async |most| {
            let (this, reader, source) = (this.clone(), reader.clone(), partition.clone());
            let read = tokio::task::spawn_blocking(move || this.read(&reader, &source, most));
            let part = read.await.map_err(Problem::internal)??;
            let needs = part.needs;
            Ok(Made::of(part, needs))
        };
        let (part, room) = self.way.make(PART_BYTES, Patience::Stream, read).await?;
        self.cursor = part.cursor;
        Ok(self.way.hold(part.body, room, Patience::Stream))
    }

    /// Blocks on the disk.
    fn read(&self, reader: &Reader, partition: &PartitionId, most: usize) -> Result<Part, Problem> {
        let _one = reader.reads().begin();
        let from = self.from(partition);
        let frames = reader.log().read(partition, from, STEP_BYTES);
        let mut part = Part {
            body: Vec::new(),
            cursor: self.cursor.clone(),
            needs: None,
        };
        let mut passed_over = false;
        let mut json = Vec::new();
        for frame in frames.map_err(|error| refusal(&error))? {
            let batch = match decode(partition, &frame) {
                Ok(batch) => batch,
                Err(problem) if part.body.is_empty() => return Err(problem),
                // What is there is sent; the trouble will be met again.
                Err(_) => break,
            };
            let skip = usize::try_from(from.saturating_sub(frame.base)).unwrap_or(usize::MAX);
            for index in skip..batch.len() {
                let next = frame.base + index as u64 + 1;
                passed_over = !self.wanted.takes(&batch, index);
                if passed_over {
                    part.cursor.0.insert(partition.partition, next);
                    continue;
                }
                json.clear();
                encode(partition, &frame, &batch, index, &mut json);
                let before = part.cursor.0.insert(partition.partition, next);
                let cursor = part.cursor.to_string();
                let start = part.body.len();
                let event = Some((batch.get(index).r#type, &json[..]));
                let cursor = &cursor;
                (self.form)(Written { cursor, event }, &mut part.body);
                if part.body.len() > most {
                    part.needs = (start == 0).then_some(part.body.len());
                    part.body.truncate(start);
                    if let Some(before) = before {
                        part.cursor.0.insert(partition.partition, before);
                    }
                    return Ok(part);
                }
            }
        }
        if passed_over {
            // So that a reconnect need not look through them again.
            let cursor = &part.cursor.to_string();
            (self.form)(
                Written {
                    cursor,
                    event: None,
                },
                &mut part.body,
            );
        }
        Ok(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_their_text() {
        let cursor = Cursor([(0, 17), (3, 4)].into());
        assert_eq!(cursor.to_string(), "0:17,3:4");
        assert_eq!(Cursor::parse("0:17,3:4"), Some(cursor));
        for bad in ["", "0", "0:", "x:1", "0:1,,1:2", "0:-1"] {
            assert_eq!(Cursor::parse(bad), None, "{bad:?}");
        }
    }
}
