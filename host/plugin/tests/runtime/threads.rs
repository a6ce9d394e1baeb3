//! The engine's own threads.

use sandbar_plugin::Error;

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
