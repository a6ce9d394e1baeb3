//! Random lives of a log, against a model: what was acknowledged is there exactly, nothing stands
//! out of order, and damage is told.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use proptest::prelude::*;
use sandbar_log::{
    Durability, Embedded, Error, FileSystem, Log, Options, Retention, Status,
    fault::Faulty,
    repair,
    suite::{everything, frame, partition},
    verify,
};

#[derive(Clone, Debug)]
enum Step {
    /// Frames of one call: partition, size; and whether it is synced.
    Append(Vec<(u32, usize)>, bool),
    /// Power loss; this share of what was not synced is on disk all the same.
    Crash(f64),
    Reopen,
    Quota(u64),
    NoQuota,
    FailSyncs,
    Trim(u32, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let frames = prop::collection::vec((0..2_u32, 0..300_usize), 1..4);
    prop_oneof![
        8 => (frames, prop::bool::weighted(0.8)).prop_map(|(frames, sync)| Step::Append(frames, sync)),
        2 => (0.0..1.0).prop_map(Step::Crash),
        1 => Just(Step::Reopen),
        1 => (0..1500_u64).prop_map(Step::Quota),
        1 => Just(Step::NoQuota),
        1 => Just(Step::FailSyncs),
        1 => (0..2_u32, 0..40_u64).prop_map(|(number, keep)| Step::Trim(number, keep)),
    ]
}

/// What one partition must hold. Every frame has one record, so offsets are places in `bodies`.
#[derive(Default)]
struct Model {
    bodies: Vec<Vec<u8>>,
    /// So many survive power loss.
    durable: usize,
    /// Written but never acknowledged: may be there after a restart, in this order, or not.
    ghosts: Vec<Vec<u8>>,
}

fn open(files: &Faulty) -> Embedded {
    let options = Options {
        segment_bytes: 700,
        index_every_bytes: 200,
        checkpoint_bytes: 400,
        ..Options::default()
    };
    Embedded::open(Path::new("/data/log"), options, Arc::new(files.clone())).expect("open")
}

fn check(log: &Embedded, models: &mut [Model; 2], restarted: bool) {
    for (number, model) in models.iter_mut().enumerate() {
        let id = partition("t", number as u32);
        assert!(
            matches!(log.status(&id), Ok(Status::Ok)),
            "a fault of the machine is no damage"
        );
        let bounds = log.bounds(&id).expect("bounds");
        let tail = bounds.tail as usize;
        let frames = everything(log, &id);
        if restarted {
            assert!(
                tail >= model.durable,
                "{tail} of {} durable records",
                model.durable
            );
            let ghosts = std::mem::take(&mut model.ghosts);
            model.bodies.extend(ghosts);
            assert!(
                tail <= model.bodies.len(),
                "records that were never written"
            );
            model.bodies.truncate(tail);
            model.durable = tail;
        }
        assert_eq!(tail, model.bodies.len());
        let mut next = bounds.earliest;
        for frame in frames {
            assert_eq!(frame.base, next);
            assert_eq!(frame.body, model.bodies[next as usize]);
            next += 1;
        }
        assert_eq!(next, bounds.tail);
        assert_eq!(
            log.heads(&id, bounds.earliest, usize::MAX)
                .expect("heads")
                .len() as u64,
            next - bounds.earliest
        );
    }
}

fn live(steps: Vec<Step>) {
    let files = Faulty::new();
    let mut log = open(&files);
    for number in 0..2 {
        log.create(&partition("t", number)).expect("create");
    }
    let mut models = [Model::default(), Model::default()];
    let mut serial = 0_u32;
    for step in steps {
        match step {
            Step::Append(shape, sync) => {
                let mut frames = Vec::new();
                for (number, size) in shape {
                    serial += 1;
                    let body = serial.to_le_bytes().repeat(size / 4 + 1);
                    let mut one = frame(&partition("t", number), 1, &body);
                    one.durability = if sync {
                        Durability::Sync
                    } else {
                        Durability::Async
                    };
                    frames.push(one);
                }
                let result = log.append(frames.clone());
                for one in frames {
                    let model = &mut models[one.partition.partition as usize];
                    match &result {
                        Ok(_) => {
                            model.bodies.push(one.body.to_vec());
                            if sync {
                                model.durable = model.bodies.len();
                            }
                        }
                        Err(Error::Poisoned(_)) => model.ghosts.push(one.body.to_vec()),
                        Err(Error::Full { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            Step::Crash(share) => {
                std::mem::forget(log);
                files.crash(|fresh| (fresh as f64 * share) as usize);
                files.set_quota(None);
                log = open(&files);
                check(&log, &mut models, true);
            }
            Step::Reopen => {
                log.close();
                files.fail_syncs(false);
                files.set_quota(None);
                drop(log);
                log = open(&files);
                check(&log, &mut models, true);
            }
            Step::Quota(more) => files.set_quota(Some(files.used() + more)),
            Step::NoQuota => files.set_quota(None),
            Step::FailSyncs => files.fail_syncs(true),
            Step::Trim(number, keep) => {
                let all = Retention {
                    max_age_ms: Some(0),
                    max_bytes: None,
                };
                let id = partition("t", number);
                let before = log.bounds(&id).expect("bounds").earliest;
                match log.trim(&id, all, keep, u64::MAX) {
                    Ok(earliest) => {
                        assert!(earliest <= keep.max(before), "{earliest} is past {keep}")
                    }
                    Err(Error::Full { .. } | Error::Poisoned(_) | Error::Io { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
        check(&log, &mut models, false);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_log_keeps_what_it_acknowledged(steps in prop::collection::vec(step(), 1..40)) {
        live(steps);
    }

    #[test]
    fn a_flipped_bit_is_told_and_costs_only_what_it_hit(
        count in 1..30_u64, place in 0.0..1.0_f64, bit in 0..8_u8,
    ) {
        let files = Faulty::new();
        let log = open(&files);
        let id = partition("t", 0);
        log.create(&id).expect("create");
        for number in 0..count {
            log.append(vec![frame(&id, 1, &[number as u8; 90])]).expect("append");
        }
        log.close();
        drop(log);
        let folder = Path::new("/data/log/t/0");
        let segments: Vec<PathBuf> = files.list(folder).expect("list").into_iter()
            .filter(|entry| entry.name.ends_with(".seg")).map(|entry| folder.join(entry.name)).collect();
        let hit = &segments[(place * segments.len() as f64) as usize];
        let length = files.open(hit).expect("open").length().expect("length") as f64;
        let byte = ((place * segments.len() as f64).fract() * length) as usize;
        files.flip(hit, byte, bit).expect("flip");
        let found = verify(Path::new("/data/log"), &files).expect("verify");
        prop_assert!(!found.is_sound(), "verify must tell");
        repair(Path::new("/data/log"), &files, false).expect("repair");
        let found = verify(Path::new("/data/log"), &files).expect("verify");
        prop_assert!(found.is_sound(), "{:?}", found);
        let log = open(&files);
        prop_assert!(matches!(log.status(&id), Ok(Status::Ok)));
        let bounds = log.bounds(&id).expect("bounds");
        prop_assert_eq!(bounds.tail, count, "offsets are not given out twice");
        let mut next = bounds.earliest;
        let mut kept = 0;
        while next < bounds.tail {
            let frames = log.read(&id, next, 1000).expect("read");
            if frames.is_empty() { break }
            for frame in frames {
                prop_assert_eq!(&frame.body[..], &[frame.base as u8; 90][..]);
                next = frame.base + 1;
                kept += 1;
            }
        }
        prop_assert!(kept + 1 >= count, "{} of {} kept", kept, count);
        prop_assert_eq!(log.append(vec![frame(&id, 1, b"on")]).expect("append")[0].base, count);
    }
}
