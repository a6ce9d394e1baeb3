//! The behaviour suite against the embedded log, on a disk and on the faulty file system, with
//! segments so small that everything spans several.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use sandbar_log::{Codec, Disk, Embedded, Log, Options, fault::Faulty, suite};

fn options(segment_bytes: u64, codec: Codec) -> Options {
    Options {
        segment_bytes,
        codec,
        index_every_bytes: 256,
        checkpoint_bytes: 1000,
        ..Options::default()
    }
}

#[test]
fn on_disk() {
    for (segment, codec) in [
        (64 << 20, Codec::None),
        (700, Codec::None),
        (700, Codec::Lz4),
    ] {
        let folders = Mutex::new(Vec::new());
        suite::run(|| {
            let folder = tempfile::tempdir().expect("a folder");
            let log = Embedded::open(folder.path(), options(segment, codec), Arc::new(Disk))
                .expect("open");
            folders.lock().expect("lock").push(folder);
            Arc::new(log) as Arc<dyn Log>
        });
    }
}

#[test]
fn on_the_faulty_file_system() {
    suite::run(|| {
        let log = Embedded::open(
            Path::new("/log"),
            options(700, Codec::None),
            Arc::new(Faulty::new()),
        );
        Arc::new(log.expect("open")) as Arc<dyn Log>
    });
}
