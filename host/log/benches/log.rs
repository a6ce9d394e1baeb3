//! The log against the least that could do its work: one file, one write and one fdatasync per
//! batch, one read buffer. Both run in turn on the same disk, several rounds; the ratio of the
//! medians is what counts, because fdatasync drifts by a factor of ten between runs.
//!
//! The raw writer works out a CRC32C per batch; the raw reader checks it and copies each body into
//! memory of its own. `SANDBAR_BENCH_DIR` says where to run (default: the system's folder for
//! temporary files).

use std::{
    fs,
    io::Write as _,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use sandbar_log::{Disk, Embedded, Log, Options, suite};

const RECORDS: usize = 1000;
const BATCH: usize = RECORDS * 256;
const SYNCED: usize = 300;
const SCANNED: usize = 2048;
const ROUNDS: usize = 7;

fn open(folder: &Path) -> Embedded {
    Embedded::open(folder, Options::default(), Arc::new(Disk)).expect("open")
}

fn raw_append(file: &mut fs::File, buffer: &mut Vec<u8>, body: &[u8], sync: bool) {
    buffer.clear();
    buffer.extend_from_slice(&(body.len() as u32).to_le_bytes());
    buffer.extend_from_slice(&crc32c::crc32c(body).to_le_bytes());
    buffer.extend_from_slice(body);
    file.write_all(buffer).expect("write");
    if sync {
        file.sync_data().expect("sync");
    }
}

fn raw_scan(path: &Path) -> usize {
    let file = fs::File::open(path).expect("open");
    let mut buffer = vec![0; 1 << 20];
    let (mut at, mut total) = (0_u64, 0);
    loop {
        let filled = file.read_at(&mut buffer, at).expect("read");
        let mut used = 0;
        while used + 8 <= filled {
            let field =
                |at: usize| u32::from_le_bytes(buffer[at..at + 4].try_into().expect("four bytes"));
            let (length, crc) = (field(used) as usize, field(used + 4));
            if used + 8 + length > filled {
                break;
            }
            let body = buffer[used + 8..used + 8 + length].to_vec();
            assert_eq!(crc32c::crc32c(&body), crc);
            total += std::hint::black_box(body).len();
            used += 8 + length;
        }
        if used == 0 {
            return total;
        }
        at += used as u64;
    }
}

fn log_scan(log: &Embedded) -> usize {
    let id = suite::partition("bench", 0);
    let (mut next, tail) = (0, log.bounds(&id).expect("bounds").tail);
    let mut total = 0;
    while next < tail {
        for frame in log.read(&id, next, 1 << 20).expect("read") {
            next = frame.base + u64::from(frame.count);
            total += std::hint::black_box(frame.body).len();
        }
    }
    total
}

/// Takes a folder's files out of the page cache.
fn forget(folder: &Path) {
    for entry in fs::read_dir(folder).expect("list").flatten() {
        let path = entry.path();
        if path.is_dir() {
            forget(&path);
        } else {
            let file = fs::File::open(&path).expect("open");
            file.sync_all().expect("sync");
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("fadvise");
        }
    }
}

fn timed<T>(act: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let made = act();
    (start.elapsed(), made)
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

fn row(name: &str, bytes: usize, raw: Vec<Duration>, log: Vec<Duration>, target: f64) {
    let pairs: Vec<_> = raw
        .iter()
        .zip(&log)
        .map(|(raw, log)| raw.as_secs_f64() / log.as_secs_f64())
        .collect();
    let (low, high) = pairs.iter().fold((f64::MAX, 0.0_f64), |(low, high), &one| {
        (low.min(one), high.max(one))
    });
    let rate = |seconds: f64| bytes as f64 / seconds / 1e6;
    let (raw, log) = (median(raw), median(log));
    let ratio = raw / log;
    println!(
        "{name:<34}{:>10.0}{:>10.0}{ratio:>8.2}{:>14}{target:>8.1}",
        rate(raw),
        rate(log),
        format!("{low:.2}-{high:.2}")
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(folder) = arguments.iter().position(|one| one == "--fill") {
        return fill_until_killed(Path::new(&arguments[folder + 1]), &arguments[folder + 2]);
    }
    let parent =
        std::env::var_os("SANDBAR_BENCH_DIR").unwrap_or_else(|| std::env::temp_dir().into());
    let folder = tempfile::tempdir_in(parent).expect("a folder");
    let body = Bytes::from(
        (0..BATCH)
            .map(|at| (at * 31 % 251) as u8)
            .collect::<Vec<_>>(),
    );
    println!(
        "{:<34}{:>10}{:>10}{:>8}{:>14}{:>8}",
        "", "raw MB/s", "log MB/s", "ratio", "of the rounds", "target"
    );

    let id = suite::partition("bench", 0);
    let append = |log: &Embedded| {
        let mut frame = suite::frame(&id, RECORDS as u32, b"");
        frame.body = body.clone();
        log.append(vec![frame]).expect("append")
    };
    let log_folder = folder.path().join("appended");
    let log = open(&log_folder);
    log.create(&id).expect("create");
    let mut raw = fs::File::create(folder.path().join("appended.raw")).expect("create");
    let mut buffer = Vec::new();
    let (mut raw_times, mut log_times) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (mut raw_time, mut log_time) = (Duration::ZERO, Duration::ZERO);
        // In turn, ten batches at a time: the disk drifts within a round too.
        for _ in 0..SYNCED / 10 {
            raw_time +=
                timed(|| (0..10).for_each(|_| raw_append(&mut raw, &mut buffer, &body, true))).0;
            log_time += timed(|| (0..10).for_each(|_| drop(append(&log)))).0;
        }
        raw_times.push(raw_time);
        log_times.push(log_time);
    }
    row(
        "append, synced, 1000 x 256 B",
        SYNCED * BATCH,
        raw_times,
        log_times,
        0.8,
    );
    drop(log);

    let raw_path = folder.path().join("scanned.raw");
    let mut raw = fs::File::create(&raw_path).expect("create");
    let log_folder = folder.path().join("scanned");
    let log = open(&log_folder);
    log.create(&id).expect("create");
    for _ in 0..SCANNED {
        raw_append(&mut raw, &mut buffer, &body, false);
        append(&log);
    }
    for (name, cold) in [
        ("scan, warm", false),
        ("scan, cold (POSIX_FADV_DONTNEED)", true),
    ] {
        let (mut raw_times, mut log_times) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            if cold {
                forget(folder.path());
            }
            let (time, total) = timed(|| raw_scan(&raw_path));
            assert_eq!(total, SCANNED * BATCH);
            raw_times.push(time);
            let (time, total) = timed(|| log_scan(&log));
            assert_eq!(total, SCANNED * BATCH);
            log_times.push(time);
        }
        row(name, SCANNED * BATCH, raw_times, log_times, 0.6);
    }
    drop(log);
    println!();
    for partitions in [1, 16, 256] {
        let folder = folder.path().join(format!("killed-{partitions}"));
        let mut child = std::process::Command::new(std::env::current_exe().expect("this program"))
            .args([
                "--fill",
                folder.to_str().expect("a path"),
                &partitions.to_string(),
            ])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("spawn");
        let mut line = String::new();
        let out = child.stdout.take().expect("its output");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).expect("a line");
        child.kill().expect("kill");
        child.wait().expect("wait");
        let (warm, log) = timed(|| open(&folder));
        // Dropped without close, which would leave an index of everything.
        std::mem::forget(log);
        forget(&folder);
        let (cold, log) = timed(|| open(&folder));
        let records: u64 = log
            .partitions()
            .iter()
            .map(|id| log.bounds(id).expect("bounds").tail)
            .sum();
        assert_eq!(records as usize, (1 << 30) / BATCH * RECORDS);
        println!(
            "open after kill -9, 1 GiB, {partitions:>3} partitions: warm {warm:.1?}, cold {cold:.1?} (target 1 s)"
        );
        drop(log);
        fs::remove_dir_all(&folder).expect("remove");
    }
}

/// In a process of its own: writes 1 GiB, says so, and waits to be killed.
fn fill_until_killed(folder: &Path, partitions: &str) {
    let log = open(folder);
    let ids: Vec<_> = (0..partitions.parse().expect("a number"))
        .map(|number| suite::partition("bench", number))
        .collect();
    ids.iter().for_each(|id| log.create(id).expect("create"));
    for number in 0..(1 << 30) / BATCH {
        log.append(vec![suite::frame(
            &ids[number % ids.len()],
            RECORDS as u32,
            &vec![7; BATCH],
        )])
        .expect("append");
    }
    println!("filled");
    loop {
        std::thread::park();
    }
}
