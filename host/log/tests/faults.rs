//! What the log does when the disk does not do its part.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use sandbar_log::suite::{everything, frame, partition};
use sandbar_log::{
    Disk, Embedded, Error, FileSystem, Log, Options, Status, fault::Faulty, repair, verify,
};

const FOLDER: &str = "/log";

fn open(files: &Faulty) -> Embedded {
    let options = Options {
        segment_bytes: 600,
        index_every_bytes: 100,
        ..Options::default()
    };
    Embedded::open(Path::new(FOLDER), options, Arc::new(files.clone())).expect("open")
}

/// Power loss, with the process: the writer must not tidy up afterwards.
fn crash(files: &Faulty, log: Embedded, keep: impl FnMut(usize) -> usize) {
    std::mem::forget(log);
    files.crash(keep);
}

fn segment(base: u64) -> PathBuf {
    Path::new(FOLDER).join(format!("t/0/{base:020}.seg"))
}

/// A log with offsets 0..count of 100 bytes each; four frames fit a segment.
fn filled(files: &Faulty, count: u8) -> Embedded {
    let log = open(files);
    log.create(&partition("t", 0)).expect("create");
    for number in 0..count {
        log.append(vec![frame(&partition("t", 0), 1, &[number; 100])])
            .expect("append");
    }
    log
}

#[test]
fn acknowledged_records_survive_power_loss_and_others_do_not_show() {
    let files = Faulty::new();
    let log = filled(&files, 10);
    crash(&files, log, |_| 0);
    let log = open(&files);
    let all = everything(&log, &partition("t", 0));
    assert_eq!(
        all.iter().map(|frame| frame.body[0]).collect::<Vec<_>>(),
        (0..10).collect::<Vec<_>>()
    );
    assert_eq!(
        log.append(vec![frame(&partition("t", 0), 1, b"next")])
            .expect("append")[0]
            .base,
        10
    );
}

#[test]
fn a_full_disk_refuses_whole_calls_and_recovers() {
    let files = Faulty::new();
    let log = filled(&files, 1);
    log.create(&partition("u", 0)).expect("create");
    files.set_quota(Some(files.used() + 250));
    let both = vec![
        frame(&partition("u", 0), 1, &[1; 50]),
        frame(&partition("t", 0), 1, &[9; 200]),
    ];
    assert!(matches!(log.append(both.clone()), Err(Error::Full { .. })));
    assert_eq!(log.bounds(&partition("u", 0)).expect("bounds").tail, 0);
    assert_eq!(
        log.append(vec![frame(&partition("t", 0), 1, &[2; 20])])
            .expect("a small one fits")[0]
            .base,
        1
    );
    files.set_quota(None);
    assert_eq!(log.append(both).expect("space is back")[1].base, 2);
    drop(log);
    let log = open(&files);
    assert_eq!(everything(&log, &partition("t", 0)).len(), 3);
    assert_eq!(everything(&log, &partition("u", 0)).len(), 1);
}

#[test]
fn a_failed_sync_poisons_until_reopened() {
    let files = Faulty::new();
    let log = filled(&files, 2);
    files.fail_syncs(true);
    assert!(matches!(
        log.append(vec![frame(&partition("t", 0), 1, b"lost")]),
        Err(Error::Poisoned(_))
    ));
    files.fail_syncs(false);
    assert!(matches!(
        log.append(vec![frame(&partition("t", 0), 1, b"no")]),
        Err(Error::Poisoned(_))
    ));
    assert_eq!(
        everything(&log, &partition("t", 0)).len(),
        2,
        "what was acknowledged is read, no more"
    );
    crash(&files, log, |_| 0);
    let log = open(&files);
    assert_eq!(
        log.append(vec![frame(&partition("t", 0), 1, b"on")])
            .expect("append")[0]
            .base,
        2
    );
}

#[test]
fn a_torn_tail_is_cut_wherever_it_was_torn() {
    for kept in 0..=152 {
        let files = Faulty::new();
        let log = filled(&files, 2);
        files.fail_syncs(true);
        assert!(
            log.append(vec![frame(&partition("t", 0), 1, &[7; 100])])
                .is_err()
        );
        crash(&files, log, |_| kept);
        let log = open(&files);
        let tail = log.bounds(&partition("t", 0)).expect("bounds").tail;
        assert_eq!(tail, if kept == 152 { 3 } else { 2 }, "{kept} bytes kept");
        assert!(matches!(log.status(&partition("t", 0)), Ok(Status::Ok)));
        assert_eq!(
            log.append(vec![frame(&partition("t", 0), 1, b"n")])
                .expect("append")[0]
                .base,
            tail
        );
    }
}

#[test]
fn an_empty_last_segment_keeps_the_next_offset() {
    for keep_index in [true, false] {
        let files = Faulty::new();
        let log = filled(&files, 4);
        // The fifth rolls first; its own bytes never get to the disk.
        files.set_quota(Some(files.used() + 300));
        assert!(matches!(
            log.append(vec![frame(&partition("t", 0), 1, &[0; 300])]),
            Err(Error::Full { .. })
        ));
        files.set_quota(None);
        crash(&files, log, |_| 0);
        if !keep_index {
            let _ = files.remove_file(&segment(0).with_extension("idx"));
        }
        let log = open(&files);
        assert_eq!(
            log.append(vec![frame(&partition("t", 0), 1, b"n")])
                .expect("append")[0]
                .base,
            4
        );
    }
}

#[test]
fn a_flipped_bit_in_a_sealed_segment_is_found_and_repaired() {
    let files = Faulty::new();
    let log = filled(&files, 12);
    log.create(&partition("u", 0)).expect("create");
    log.close();
    drop(log);
    // In the body of offset 1.
    files.flip(&segment(0), 44 + 152 + 80, 3).expect("flip");
    let report = verify(Path::new(FOLDER), &files).expect("verify");
    assert_eq!(report.partitions[0].damage[0].lost, 1..2);
    let log = open(&files);
    let id = partition("t", 0);
    assert_eq!(log.read(&id, 0, 1000).expect("before the damage").len(), 1);
    assert!(matches!(
        log.read(&id, 1, 1000),
        Err(Error::Damaged { offset: 1, .. })
    ));
    assert!(matches!(log.status(&id), Ok(Status::Damaged(_))));
    assert!(matches!(
        log.append(vec![frame(&id, 1, b"n")]),
        Err(Error::Damaged { .. })
    ));
    log.append(vec![frame(&partition("u", 0), 1, b"n")])
        .expect("others serve");
    drop(log);
    assert!(
        !repair(Path::new(FOLDER), &files, true)
            .expect("dry run")
            .is_sound()
    );
    assert!(
        !verify(Path::new(FOLDER), &files)
            .expect("verify")
            .is_sound(),
        "a dry run changes nothing"
    );
    repair(Path::new(FOLDER), &files, false).expect("repair");
    let report = verify(Path::new(FOLDER), &files).expect("verify");
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.partitions[0].gaps, vec![1..2; 1]);
    let log = open(&files);
    let bases: Vec<_> = everything(&log, &id)
        .iter()
        .map(|frame| (frame.base, frame.body[0]))
        .collect();
    let kept: Vec<_> = (0..12)
        .filter(|&number| number != 1)
        .map(|number| (u64::from(number), number))
        .collect();
    assert_eq!(bases, kept);
    assert_eq!(log.read(&id, 1, 1).expect("inside the gap")[0].base, 2);
    assert_eq!(
        log.append(vec![frame(&id, 1, b"n")]).expect("append")[0].base,
        12
    );
    assert!(
        files
            .open(&segment(0).with_extension("seg.damaged"))
            .is_ok(),
        "the damaged file is kept"
    );
}

#[test]
fn damage_in_the_middle_of_the_last_segment_is_never_cut() {
    for close in [true, false] {
        let files = Faulty::new();
        let log = filled(&files, 3);
        if close {
            log.close();
        }
        crash(&files, log, |_| 0);
        files.flip(&segment(0), 44 + 152 + 20, 0).expect("flip");
        let log = open(&files);
        assert!(matches!(
            log.status(&partition("t", 0)),
            Ok(Status::Damaged(Error::Damaged { offset: 1, .. }))
        ));
        assert_eq!(log.bounds(&partition("t", 0)).expect("bounds").tail, 3);
        assert_eq!(
            log.read(&partition("t", 0), 0, 1000).expect("read").len(),
            1
        );
    }
}

#[test]
fn a_missing_segment_is_damage() {
    let files = Faulty::new();
    drop(filled(&files, 12));
    files.remove_file(&segment(4)).expect("remove");
    let log = open(&files);
    assert!(matches!(
        log.status(&partition("t", 0)),
        Ok(Status::Damaged(_))
    ));
    drop(log);
    repair(Path::new(FOLDER), &files, false).expect("repair");
    let report = verify(Path::new(FOLDER), &files).expect("verify");
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(everything(&open(&files), &partition("t", 0)).len(), 8);
}

#[test]
fn lost_or_wrong_indexes_are_made_again() {
    let files = Faulty::new();
    drop(filled(&files, 12));
    files
        .remove_file(&segment(0).with_extension("idx"))
        .expect("remove");
    files
        .flip(&segment(4).with_extension("idx"), 60, 1)
        .expect("flip");
    files
        .flip(&segment(8).with_extension("idx"), 20, 1)
        .expect("flip");
    let log = open(&files);
    assert!(matches!(log.status(&partition("t", 0)), Ok(Status::Ok)));
    assert_eq!(everything(&log, &partition("t", 0)).len(), 12);
}

#[test]
fn a_crash_while_deleting_or_making_leaves_nothing_half() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["t/.new-0", "t/.deleted-1"] {
        std::fs::create_dir_all(folder.path().join(name)).expect("folder");
        std::fs::write(
            folder.path().join(name).join("00000000000000000000.seg"),
            b"half",
        )
        .expect("file");
    }
    let log = Embedded::open(folder.path(), Options::default(), Arc::new(Disk)).expect("open");
    assert!(log.partitions().is_empty());
    log.create(&partition("t", 0)).expect("create");
    assert!(!folder.path().join("t/.deleted-1").exists());
}

/// Format version 1, written out byte by byte: what an earlier version wrote is read for good.
#[test]
fn format_version_1_is_read() {
    let mut bytes = b"SANDBAR\n\x01\0\0\0\0\0\0\0".to_vec();
    bytes.extend([0; 24]);
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    let mut head = vec![50, 0, 0, 0];
    let rest = [
        &[1, 0, 0, 0, 2, 0, 0, 0][..],
        &[0; 8],
        &[0xe8, 3, 0, 0, 0, 0, 0, 0],
        &[44, 0, 0, 0, 0, 0, 0, 0],
        &[4, 0, 0, 0, 2, 0, 0, 0],
        &[1, b'p', 0, 0],
    ]
    .concat();
    let head_crc = crc32c::crc32c_append(crc32c::crc32c(&head), &rest);
    let behind = [&head_crc.to_le_bytes()[..], &rest].concat();
    head.extend(crc32c::crc32c_append(crc32c::crc32c(b"hi"), &behind).to_le_bytes());
    bytes.extend([&head[..], &behind, b"hi"].concat());
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("t/0")).expect("folder");
    std::fs::write(folder.path().join("t/0/00000000000000000000.seg"), &bytes).expect("file");
    let log = Embedded::open(folder.path(), Options::default(), Arc::new(Disk)).expect("open");
    let all = everything(&log, &partition("t", 0));
    assert_eq!(
        (all[0].base, all[0].count, all[0].time, &all[0].body[..]),
        (0, 2, 1000, &b"hi"[..])
    );
    assert_eq!(
        all[0]
            .provenance
            .as_ref()
            .map(|found| found.producer.as_str()),
        Some("p")
    );
}
