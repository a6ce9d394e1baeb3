//! The engine's own threads.

use std::sync::mpsc;

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
            engine.run_as(&standing, job).await.unwrap();
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
            engine.run_as(&standing, move || number).await.unwrap(),
            number
        );
    }
}

#[tokio::test]
async fn slow_jobs_do_not_hold_up_prompt_ones_and_go_on() {
    let engine = engine();
    let slow = Standing::default();
    // One long job, so that the next ones begin as slow.
    let long = || std::thread::sleep(std::time::Duration::from_millis(50));
    engine.run_as(&slow, long).await.unwrap();
    let held = hold(&engine, 6, &slow);
    assert_eq!(engine.run(|| 1).await.unwrap(), 1);
    let other = engine.run_as(&slow, || 2);
    assert_eq!(
        other.await.unwrap(),
        2,
        "those that hang make room for those that are slow"
    );
    drop(held);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_job_that_runs_for_long_is_set_back_and_the_next_is_not() {
    /// Field 19 of `/proc/<pid>/stat`, the 17th after the name.
    fn niceness() -> i32 {
        let text = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (_, fields) = text.rsplit_once(") ").unwrap();
        fields.split(' ').nth(16).unwrap().parse().unwrap()
    }
    let engine = engine();
    let before = engine.run(niceness).await.unwrap();
    let lowest = engine.run(|| {
        while niceness() < 19 {
            std::thread::yield_now();
        }
    });
    lowest.await.unwrap();
    for _ in 0..10 {
        assert_eq!(engine.run(niceness).await.unwrap(), before);
    }
}
