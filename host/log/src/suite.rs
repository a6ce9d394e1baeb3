//! The behaviour that every backend of [`Log`] must show. A backend's tests call [`run`] with a
//! maker of fresh, empty logs; a broken promise panics and says which.

use std::sync::Arc;

use bytes::Bytes;
use sandbar_types::{Name, PartitionId, Provenance};

use crate::{Append, Durability, Error, Frame, Log, Retention};

/// A partition of a topic.
///
/// # Panics
/// When `topic` is no name.
#[must_use]
pub fn partition(topic: &str, number: u32) -> PartitionId {
    PartitionId::new(Name::new(topic).expect("a topic's name"), number)
}

/// A frame of `count` records whose body is `body`.
#[must_use]
pub fn frame(partition: &PartitionId, count: u32, body: &[u8]) -> Append {
    Append {
        partition: partition.clone(),
        count,
        body: Bytes::copy_from_slice(body),
        provenance: None,
        durability: Durability::Sync,
    }
}

/// Every frame of a partition, from its earliest on.
///
/// # Panics
/// When a read fails or does not get on.
#[must_use]
pub fn everything(log: &dyn Log, partition: &PartitionId) -> Vec<Frame> {
    let bounds = log.bounds(partition).expect("bounds");
    let (mut next, mut all) = (bounds.earliest, Vec::new());
    while next < bounds.tail {
        let frames = log
            .read(partition, next, 1000)
            .expect("a read inside the bounds");
        let last = frames.last().expect("frames before the tail");
        assert!(
            last.base + u64::from(last.count) > next,
            "a read must get on"
        );
        next = last.base + u64::from(last.count);
        all.extend(frames);
    }
    all
}

/// Runs every check, each on a log of its own.
pub fn run(make: impl Fn() -> Arc<dyn Log>) {
    appends_are_read_back(&*make());
    reads_start_and_stop_where_asked(&*make());
    provenance_comes_back(&*make());
    heads_match_reads(&*make());
    times_are_found(&*make());
    refusals_say_why(&*make());
    the_tail_is_watched(&*make());
    partitions_come_and_go(&*make());
    trim_keeps_what_it_must(&*make());
    callers_share_the_writer(&make());
    a_closed_log_refuses(&*make());
}

fn appends_are_read_back(log: &dyn Log) {
    let (one, two) = (partition("a", 0), partition("a", 1));
    log.create(&one).expect("create");
    log.create(&two).expect("create");
    let places = log.append(vec![
        frame(&one, 2, b"ab"),
        frame(&two, 1, b"x"),
        frame(&one, 3, b"cde"),
    ]);
    let places: Vec<_> = places
        .expect("append")
        .iter()
        .map(|place| place.base)
        .collect();
    assert_eq!(places, [0, 0, 2], "offsets count records, per partition");
    let read = everything(log, &one);
    let read: Vec<_> = read
        .iter()
        .map(|frame| (frame.base, frame.count, &frame.body[..]))
        .collect();
    assert_eq!(read, [(0, 2, &b"ab"[..]), (2, 3, &b"cde"[..])]);
    assert_eq!(log.bounds(&two).expect("bounds").tail, 1);
    let mut later = frame(&two, 1, b"y");
    later.durability = Durability::Async;
    assert_eq!(log.append(vec![later]).expect("append")[0].base, 1);
    assert_eq!(
        everything(log, &two).len(),
        2,
        "an async append is readable when it is answered"
    );
}

fn reads_start_and_stop_where_asked(log: &dyn Log) {
    let id = partition("b", 0);
    log.create(&id).expect("create");
    assert!(log.read(&id, 0, 10).expect("an empty read").is_empty());
    for number in 0..50_u8 {
        log.append(vec![frame(&id, 2, &[number; 10])])
            .expect("append");
    }
    let inside = log.read(&id, 7, 1).expect("read");
    assert_eq!(
        (inside.len(), inside[0].base),
        (1, 6),
        "the frame that holds the offset, and at least one"
    );
    assert_eq!(
        log.read(&id, 0, 30).expect("read").len(),
        3,
        "bodies up to the bound"
    );
    assert!(log.read(&id, 100, 10).expect("read at the tail").is_empty());
    assert!(matches!(
        log.read(&id, 101, 10),
        Err(Error::PastTail { tail: 100, .. })
    ));
}

fn provenance_comes_back(log: &dyn Log) {
    let id = partition("c", 0);
    log.create(&id).expect("create");
    let provenance = Provenance {
        producer: "route/r/a/0".to_owned(),
        made_by: "sha256:00".to_owned(),
        origins: vec![(7, 0), (7, 1), (5, 0), (u64::MAX, u32::MAX)],
    };
    let mut with = frame(&id, 4, b"body");
    with.provenance = Some(provenance.clone());
    log.append(vec![with, frame(&id, 1, b"")]).expect("append");
    let read = everything(log, &id);
    assert_eq!(read[0].provenance.as_ref(), Some(&provenance));
    assert_eq!((read[1].provenance.as_ref(), read[1].body.len()), (None, 0));
    assert_eq!(
        log.heads(&id, 0, 1).expect("heads")[0].provenance,
        Some(provenance)
    );
}

fn heads_match_reads(log: &dyn Log) {
    let id = partition("d", 0);
    log.create(&id).expect("create");
    for size in [0, 1, 100, 5_000, 100_000, 3, 70_000, 8] {
        log.append(vec![frame(&id, 3, &vec![7; size])])
            .expect("append");
    }
    let heads = log.heads(&id, 4, 100).expect("heads");
    let read: Vec<_> = everything(log, &id).into_iter().skip(1).collect();
    assert_eq!(heads.len(), read.len());
    for (head, frame) in heads.iter().zip(&read) {
        assert_eq!(
            (head.base, head.count, head.time),
            (frame.base, frame.count, frame.time)
        );
    }
    assert_eq!(log.heads(&id, 0, 2).expect("heads").len(), 2);
}

fn times_are_found(log: &dyn Log) {
    let id = partition("e", 0);
    log.create(&id).expect("create");
    for _ in 0..20 {
        log.append(vec![frame(&id, 1, &[1; 200])]).expect("append");
    }
    let all = everything(log, &id);
    assert!(
        all.windows(2).all(|pair| pair[0].time <= pair[1].time),
        "time never goes backwards"
    );
    for frame in &all {
        let first = all
            .iter()
            .find(|other| other.time >= frame.time)
            .map(|other| other.base);
        assert_eq!(Some(log.find_time(&id, frame.time).expect("find")), first);
    }
    assert_eq!(log.find_time(&id, 0).expect("find"), 0);
    assert_eq!(
        log.find_time(&id, u64::MAX).expect("find"),
        20,
        "the tail when nothing is so late"
    );
}

fn refusals_say_why(log: &dyn Log) {
    let (id, none) = (partition("f", 0), partition("f", 9));
    log.create(&id).expect("create");
    let mixed = log.append(vec![frame(&id, 1, b"a"), frame(&none, 1, b"b")]);
    assert!(matches!(mixed, Err(Error::NoSuchPartition(ref missing)) if *missing == none));
    assert_eq!(
        log.bounds(&id).expect("bounds").tail,
        0,
        "a call stands or falls together"
    );
    assert!(
        log.append(vec![frame(&id, 0, b"a")]).is_err(),
        "a frame holds a record at least"
    );
    assert!(matches!(
        log.append(vec![frame(&id, 1, &vec![0; 80 << 20])]),
        Err(Error::TooLarge { .. })
    ));
    assert!(matches!(
        log.read(&none, 0, 1),
        Err(Error::NoSuchPartition(_))
    ));
    assert!(matches!(log.delete(&none), Err(Error::NoSuchPartition(_))));
}

fn the_tail_is_watched(log: &dyn Log) {
    let id = partition("g", 0);
    log.create(&id).expect("create");
    let mut watch = log.watch(&id).expect("watch");
    assert_eq!(*watch.borrow_and_update(), 0);
    log.append(vec![frame(&id, 5, b"a")]).expect("append");
    assert!(watch.has_changed().expect("open"));
    assert_eq!(*watch.borrow_and_update(), 5);
}

fn partitions_come_and_go(log: &dyn Log) {
    let (one, two) = (partition("h", 0), partition("h-2", 0));
    for id in [&two, &one, &one] {
        log.create(id).expect("create");
    }
    assert_eq!(log.partitions(), [one.clone(), two.clone()]);
    log.append(vec![frame(&one, 1, b"a")]).expect("append");
    log.create(&one).expect("create again");
    assert_eq!(
        log.bounds(&one).expect("bounds").tail,
        1,
        "one that exists is left as it is"
    );
    log.delete(&one).expect("delete");
    assert_eq!(log.partitions(), [two]);
    assert!(matches!(
        log.append(vec![frame(&one, 1, b"a")]),
        Err(Error::NoSuchPartition(_))
    ));
    log.create(&one).expect("create anew");
    assert_eq!(
        log.bounds(&one).expect("bounds").tail,
        0,
        "a new one is empty"
    );
}

fn trim_keeps_what_it_must(log: &dyn Log) {
    let id = partition("i", 0);
    log.create(&id).expect("create");
    for number in 0..30_u8 {
        log.append(vec![frame(&id, 1, &[number; 100])])
            .expect("append");
    }
    let all = Retention {
        max_age_ms: Some(0),
        max_bytes: None,
    };
    assert_eq!(
        log.trim(&id, Retention::default(), 30, u64::MAX)
            .expect("trim"),
        0,
        "nothing asked, nothing gone"
    );
    assert_eq!(
        log.trim(&id, all, 30, 0).expect("trim"),
        0,
        "nothing is old yet"
    );
    let kept = log.trim(&id, all, 10, u64::MAX).expect("trim");
    assert!(kept <= 10, "never past what must be kept");
    assert_eq!(
        everything(log, &id).last().map(|frame| frame.base),
        Some(29)
    );
    assert_eq!(
        log.trim(&id, all, u64::MAX, u64::MAX).expect("trim"),
        30,
        "all is old"
    );
    assert!(matches!(
        log.read(&id, 29, 1),
        Err(Error::Trimmed { earliest: 30, .. })
    ));
    assert_eq!(
        log.append(vec![frame(&id, 1, b"on")]).expect("append")[0].base,
        30,
        "offsets go on"
    );
}

fn callers_share_the_writer(log: &Arc<dyn Log>) {
    let id = partition("j", 0);
    log.create(&id).expect("create");
    std::thread::scope(|scope| {
        for caller in 0..4_u8 {
            let (log, id) = (log.clone(), id.clone());
            scope.spawn(move || {
                let bases = (0..25_u8).map(|number| {
                    log.append(vec![frame(&id, 1, &[caller, number])])
                        .expect("append")[0]
                        .base
                });
                let bases: Vec<_> = bases.collect();
                assert!(bases.windows(2).all(|pair| pair[0] < pair[1]));
            });
        }
    });
    let all = everything(&**log, &id);
    assert_eq!(all.len(), 100);
    for caller in 0..4_u8 {
        let numbers: Vec<_> = all
            .iter()
            .filter(|frame| frame.body[0] == caller)
            .map(|frame| frame.body[1])
            .collect();
        assert_eq!(
            numbers,
            (0..25).collect::<Vec<_>>(),
            "each caller's order is kept"
        );
    }
}

fn a_closed_log_refuses(log: &dyn Log) {
    let id = partition("k", 0);
    log.create(&id).expect("create");
    log.append(vec![frame(&id, 1, b"a")]).expect("append");
    log.close();
    assert!(matches!(
        log.append(vec![frame(&id, 1, b"b")]),
        Err(Error::Closed)
    ));
    assert_eq!(
        everything(log, &id).len(),
        1,
        "what is there can still be read"
    );
    log.close();
}
