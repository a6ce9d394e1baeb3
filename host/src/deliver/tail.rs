//! Following a topic live, over all of its partitions or one.

use std::{collections::BTreeMap, sync::Arc};

use sandbar_log::Log;
use sandbar_types::{Offset, PartitionId};
use tokio::sync::mpsc;

use super::{
    EventFilter,
    page::{decode, encode, refusal},
};
use crate::problem::Problem;

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

/// One event on its way to a follower.
#[derive(Clone, Debug)]
pub struct Tailed {
    /// What to go on from after this event.
    pub cursor: String,
    /// Nothing where events were passed over that are not wanted.
    pub event: Option<TailedEvent>,
}

/// An event as a follower gets it.
#[derive(Clone, Debug)]
pub struct TailedEvent {
    pub r#type: String,
    /// The CloudEvents JSON format, on one line.
    pub json: String,
}

/// Sends the wanted events from `cursor` on, forever, until the receiver is dropped or reading fails. A
/// receiver that is slow is waited for; nothing piles up here.
pub async fn follow(
    log: Arc<dyn Log>,
    partitions: Vec<PartitionId>,
    mut cursor: Cursor,
    wanted: EventFilter,
    sender: mpsc::Sender<Result<Tailed, Problem>>,
) {
    let mut watches = Vec::with_capacity(partitions.len());
    for partition in &partitions {
        match log.watch(partition) {
            Ok(watch) => watches.push(watch),
            Err(error) => return drop(sender.send(Err(refusal(&error))).await),
        }
    }
    loop {
        let mut moved = false;
        for (partition, watch) in partitions.iter().zip(&mut watches) {
            let from = cursor.0.get(&partition.partition).copied().unwrap_or(0);
            if *watch.borrow_and_update() <= from {
                continue;
            }
            match send_some(&log, partition, from, &mut cursor, &wanted, &sender).await {
                Ok(true) => moved = true,
                Ok(false) => return,
                Err(problem) => return drop(sender.send(Err(problem)).await),
            }
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

/// Sends what one read gives; false when nobody listens any more.
async fn send_some(
    log: &Arc<dyn Log>,
    partition: &PartitionId,
    from: Offset,
    cursor: &mut Cursor,
    wanted: &EventFilter,
    sender: &mpsc::Sender<Result<Tailed, Problem>>,
) -> Result<bool, Problem> {
    let (reader, source) = (log.clone(), partition.clone());
    let read = tokio::task::spawn_blocking(move || reader.read(&source, from, 256 * 1024)).await;
    let frames = read
        .map_err(Problem::internal)?
        .map_err(|error| refusal(&error))?;
    let mut passed_over = false;
    for frame in frames {
        let batch = decode(partition, &frame)?;
        let skip = usize::try_from(from.saturating_sub(frame.base)).unwrap_or(usize::MAX);
        for index in skip..batch.len() {
            let next = frame.base + index as u64 + 1;
            cursor.0.insert(partition.partition, next);
            passed_over = !wanted.takes(&batch, index);
            if passed_over {
                continue;
            }
            let mut json = Vec::new();
            encode(partition, &frame, &batch, index, &mut json);
            // Outside of strings, where they must be escaped, these are but white space.
            for byte in &mut json {
                if matches!(byte, b'\n' | b'\r') {
                    *byte = b' ';
                }
            }
            let tailed = Tailed {
                cursor: cursor.to_string(),
                event: Some(TailedEvent {
                    r#type: batch.get(index).r#type.to_owned(),
                    json: String::from_utf8(json).map_err(Problem::internal)?,
                }),
            };
            if sender.send(Ok(tailed)).await.is_err() {
                return Ok(false);
            }
        }
    }
    if passed_over {
        // So that a reconnect need not look through them again.
        let cursor = cursor.to_string();
        let tailed = Tailed {
            cursor,
            event: None,
        };
        return Ok(sender.send(Ok(tailed)).await.is_ok());
    }
    Ok(true)
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
