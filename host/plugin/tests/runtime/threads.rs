//! The engine's own threads.

use std::{sync::mpsc, time::Duration};

use sandbar_plugin::{Engine, Error, Standing};

use crate::{batch, engine, hostile, start, targets};

#[tokio::test]
async fn batches_run_on_the_engines_threads() {
    let mut runner = start(&hostile());
    let answer = engine()
        .run(move || {
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            (name, runner.run(&batch(10, &[]), &targets()))
        })
        .await
        .unwrap();
    assert!(answer.0.starts_with("sandbar-plugin-"), "{}", answer.0);
    assert_eq!(answer.1.outputs.len(), 10);
}

#[tokio::test]
async fn a_panic_is_an_error_and_the_thread_lives_on() {
    let engine = engine();
    for _ in 0..4 {
        match engine.run(|| panic!("as asked")).await {
            Err(Error::Panicked(message)) => assert_eq!(message, "as asked"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(engine.run(|| 1 + 1).await.unwrap(), 2);
}

/// Fills all threads of the engine with jobs that end when the sender is dropped.
fn hold(engine: &Engine, jobs: usize, standing: &Standing) -> Vec<mpsc::Sender<()>> {
    let mut held = Vec::new();
    for _ in 0..jobs {
        let (release, released) = mpsc::channel();
        held.push(release);
        let (engine, standing) = (engine.clone(), standing.clone());
        tokio::spawn(async move {
            // An error: the sender is gone.
            let job = move || released.recv().is_err();
            engine.run_as(&standing, 1, job).await.unwrap();
        });
    }
    held
}

#[tokio::test]
async fn jobs_that_do_not_end_do_not_hold_up_others() {
    let engine = engine();
    let standing = Standing::default();
    let held = hold(&engine, 20, &standing);
    for number in 0..100 {
        assert_eq!(engine.run(move || number).await.unwrap(), number);
    }
    drop(held);
    // Whose jobs were slow gets his turn among the slow ones, and is prompt again after some.
    for number in 0..100 {
        assert_eq!(
            engine.run_as(&standing, 1, move || number).await.unwrap(),
            number
        );
    }
}

#[tokio::test]
async fn slow_jobs_do_not_hold_up_prompt_ones_and_go_on() {
    let engine = engine();
    let slow = Standing::default();
    // One long job, so that the next ones begin as slow.
    engine.run_as(&slow, 1, || burn(50)).await.unwrap();
    let held = hold(&engine, 6, &slow);
    assert_eq!(engine.run(|| 1).await.unwrap(), 1);
    let other = engine.run_as(&slow, 1, || 2);
    assert_eq!(
        other.await.unwrap(),
        2,
        "those that hang make room for those that are slow"
    );
    drop(held);
}

/// Keeps a core for so many milliseconds.
fn burn(milliseconds: u64) {
    let had = || {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let field = text.split(' ').next().unwrap_or_default();
        Duration::from_nanos(field.parse().unwrap_or(u64::MAX))
    };
    let before = had();
    // Where the kernel does not tell, both are the largest that there is.
    let until = before.saturating_add(Duration::from_millis(milliseconds));
    while had() < until && before != until {}
}

/// Policy and niceness of the thread that calls: fields 41 and 19 of its `stat`, the 39th and 17th after
/// the name. The idle policy is 5.
#[cfg(target_os = "linux")]
fn footing() -> (i32, i32) {
    let text = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let (_, fields) = text.rsplit_once(") ").unwrap();
    let field = |place: usize| fields.split(' ').nth(place).unwrap().parse().unwrap();
    (field(38), field(16))
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_job_that_runs_for_long_is_set_back_and_the_next_is_not() {
    let engine = engine();
    let before = engine.run(footing).await.unwrap();
    assert_eq!(before.0, 0);
    let lowest = engine.run(|| {
        while footing().1 < 10 {
            std::thread::yield_now();
        }
        let behind = footing();
        while footing().0 != 5 {
            std::thread::yield_now();
        }
        behind
    });
    assert_eq!(lowest.await.unwrap(), (0, 10));
    for _ in 0..10 {
        assert_eq!(engine.run(footing).await.unwrap(), before);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn whose_jobs_are_long_begins_the_next_one_set_back() {
    let engine = engine();
    let one = Standing::default();
    let before = engine.run_as(&one, 1, footing).await.unwrap();
    // Long for one event, but not for many.
    engine.run_as(&one, 4000, || burn(5)).await.unwrap();
    assert_eq!(engine.run_as(&one, 1, footing).await.unwrap(), before);
    engine.run_as(&one, 1, || burn(5)).await.unwrap();
    assert_eq!(engine.run_as(&one, 1, footing).await.unwrap(), (0, 10));
    // That one was prompt.
    assert_eq!(engine.run_as(&one, 1, footing).await.unwrap(), before);
    engine.run_as(&one, 1, || burn(600)).await.unwrap();
    assert_eq!(engine.run_as(&one, 1, footing).await.unwrap().0, 5);
    // And others are where they were.
    assert_eq!(engine.run(footing).await.unwrap(), before);
}

/// The threads that take instances apart, and how often each has waited for something.
#[cfg(target_os = "linux")]
fn reapers() -> std::collections::BTreeMap<std::path::PathBuf, u64> {
    let waits = |task: &std::path::Path| {
        // One that has just ended is none.
        let status = std::fs::read_to_string(task.join("status")).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        (field("Name:")?.trim() == "sandbar-reaper")
            .then(|| field("voluntary_ctxt_switches:")?.trim().parse().ok())?
    };
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let paths = tasks.map(|task| task.unwrap().path());
    paths
        .filter_map(|path| Some((path.clone(), waits(&path)?)))
        .collect()
}

#[cfg(target_os = "linux")]
#[test]
fn much_memory_is_given_back_by_a_thread_of_its_own() {
    let mut runner = start(&hostile());
    runner.run(&batch(1, &[]), &targets());
    let before = reapers();
    let answer = runner.run(&batch(1, &[(0, "memory")]), &targets());
    assert!(answer.usage.memory_bytes > 32 << 20);
    let worked = |(task, waits): (_, &u64)| before.get(task).is_some_and(|before| before < waits);
    assert!(reapers().iter().any(worked), "{before:?} {:?}", reapers());
}
