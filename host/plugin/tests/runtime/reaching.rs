//! Capabilities that reach out of the sandbox: what is asked arrives, what is answered comes back,
//! and nothing is there without a grant.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use sandbar_plugin::{
    Capability, Grants, InstantiateError, Limits, Verdict,
    http::{self, Http, Request, Response},
    lookup::{self, Lookup},
};
use sandbar_types::{AttributeValue, Batch, BatchBuilder, Event};
use serde_json::{Value, json};

use crate::{engine, guest, ids, limits, targets};

/// Knows one topic with one key; keeps what it was asked, and how much time there was.
#[derive(Default)]
struct Outside {
    asked: Mutex<Vec<Request>>,
    time: Mutex<Vec<Duration>>,
}

impl Lookup for Outside {
    fn get(&self, topic: &str, key: &str, until: Instant) -> Result<Option<Event>, lookup::Error> {
        let left = until.saturating_duration_since(Instant::now());
        self.time.lock().unwrap().push(left);
        match (topic, key) {
            ("customers", "7") => Ok(Some(Event {
                id: "c7".to_owned(),
                r#type: "customer".to_owned(),
                extensions: [("tier".to_owned(), AttributeValue::Integer(3))].into(),
                data: r#"{"name":"Ada"}"#.into(),
                ..Event::default()
            })),
            ("customers", _) => Ok(None),
            ("broken", _) => Err(lookup::Error::Unavailable("out of order".to_owned())),
            _ => Err(lookup::Error::NotGranted),
        }
    }
}

impl Http for Outside {
    fn send(&self, request: Request, until: Instant) -> Result<Response, http::Error> {
        self.asked.lock().unwrap().push(request.clone());
        match request.url.as_str() {
            "slow" => {
                std::thread::sleep(until.saturating_duration_since(Instant::now()));
                Err(http::Error::Timeout)
            }
            "large" => Err(http::Error::TooLarge(7)),
            url => Ok(Response {
                status: 418,
                headers: vec![("x-url".to_owned(), url.to_owned())],
                body: request.method.into(),
            }),
        }
    }
}

fn granted(outside: &Arc<Outside>) -> Grants {
    Grants {
        lookup: Some(outside.clone()),
        http: Some(outside.clone()),
        ..Grants::default()
    }
}

fn wishes(wishes: &[Value]) -> Batch {
    let mut batch = BatchBuilder::new();
    for (index, wish) in wishes.iter().enumerate() {
        batch.push_event(&Event {
            data: wish.to_string().into(),
            ..crate::event("wish", index)
        });
    }
    batch.finish()
}

fn fulfilled(limits: Limits, outside: &Arc<Outside>, asked: &[Value]) -> Vec<Value> {
    let plugin = engine().compile(&guest("guest-reaching")).unwrap();
    let mut runner = plugin
        .instantiate("null", limits, &granted(outside))
        .unwrap();
    let answer = runner.run(&wishes(asked), &targets());
    assert_eq!(ids(&answer).len(), asked.len(), "{:?}", answer.verdicts);
    let outputs = 0..asked.len();
    outputs
        .map(|index| serde_json::from_slice(&answer.outputs.data(index)).unwrap())
        .collect()
}

#[test]
fn nothing_is_there_without_a_grant() {
    let plugin = engine().compile(&guest("guest-reaching")).unwrap();
    assert_eq!(
        plugin.capabilities(),
        [Capability::Log, Capability::Lookup, Capability::Http]
    );
    let only_http = Grants {
        http: Some(Arc::new(Outside::default())),
        ..Grants::default()
    };
    let missing = plugin
        .instantiate("null", limits(), &only_http)
        .map(|_| ())
        .unwrap_err();
    assert_eq!(
        missing,
        InstantiateError::GrantMissing(vec![Capability::Lookup])
    );
    assert!(missing.to_string().contains(r#"{"lookup": {"topics""#));
}

#[test]
fn an_event_that_is_looked_up_comes_whole() {
    let outside = Arc::new(Outside::default());
    let found = fulfilled(
        limits(),
        &outside,
        &[
            json!({"topic": "customers", "key": "7"}),
            json!({"topic": "customers", "key": "8"}),
            json!({"topic": "secrets", "key": "7"}),
            json!({"topic": "broken", "key": "7"}),
        ],
    );
    assert_eq!(
        found[0],
        json!({"found": {"name": "Ada"}, "id": "c7", "type": "customer", "extensions": [["tier", "3"]]})
    );
    assert_eq!(found[1], json!({"found": null}));
    assert_eq!(found[2], json!({"error": "not-granted"}));
    assert_eq!(
        found[3],
        json!({"error": "unavailable", "reason": "out of order"})
    );
    let deadline = limits().deadline;
    for left in outside.time.lock().unwrap().iter() {
        assert!(
            *left < deadline && *left > deadline / 2,
            "the plugin keeps time for its answer: {left:?}"
        );
    }
}

#[test]
fn requests_and_answers_cross_whole_and_errors_are_typed() {
    let outside = Arc::new(Outside::default());
    let answers = fulfilled(
        limits(),
        &outside,
        &[
            json!({"url": "a", "method": "POST", "headers": {"x-one": "1"}}),
            json!({"url": "large"}),
        ],
    );
    assert_eq!(
        answers[0],
        json!({"status": 418, "headers": {"x-url": "a"}, "body": "POST"})
    );
    assert_eq!(answers[1], json!({"error": "too-large", "reason": "7"}));
    let asked = outside.asked.lock().unwrap();
    assert_eq!(asked[0].headers, [("x-one".to_owned(), "1".to_owned())]);
}

#[test]
fn each_event_has_the_whole_deadline_and_nobody_is_asked_twice() {
    let outside = Arc::new(Outside::default());
    let limits = Limits {
        deadline: Duration::from_millis(160),
        ..limits()
    };
    // Longer than the patience that other plugins are given.
    let asked: Vec<Value> = (0..12).map(|_| json!({"url": "slow"})).collect();
    let started = Instant::now();
    let answers = fulfilled(limits, &outside, &asked);
    assert!(answers.iter().all(|answer| answer["error"] == "timeout"));
    assert!(started.elapsed() > Duration::from_millis(12 * 130));
    assert_eq!(outside.asked.lock().unwrap().len(), 12);
}

#[test]
fn plain_records_reach_out_as_well() {
    let plugin = engine().compile(&guest("guest-reaching-records")).unwrap();
    assert_eq!(
        plugin.capabilities(),
        [Capability::Log, Capability::Lookup, Capability::Http]
    );
    let outside = Arc::new(Outside::default());
    let mut runner = plugin
        .instantiate("null", limits(), &granted(&outside))
        .unwrap();
    let mut batch = BatchBuilder::new();
    for (index, (subject, url)) in [("7", "a"), ("8", "a"), ("7", "large")].iter().enumerate() {
        batch.push_event(&Event {
            subject: (*subject).to_owned(),
            data: (*url).into(),
            ..crate::event("order", index)
        });
    }
    let answer = runner.run(&batch.finish(), &targets());
    assert_eq!(answer.verdicts[0], Verdict::Emit { first: 0, count: 1 });
    assert_eq!(&answer.outputs.data(0)[..], b"GET");
    assert_eq!(answer.verdicts[1], Verdict::Drop("no customer".to_owned()));
    assert!(matches!(&answer.verdicts[2], Verdict::Drop(reason) if reason.contains("TooLarge(7)")));
    assert_eq!(outside.asked.lock().unwrap()[0].body, br#"{"name":"Ada"}"#);
    let places: Vec<_> = answer.logs.iter().map(|line| line.events.clone()).collect();
    assert_eq!(places, [0..1, 1..2, 2..3]);
}

#[tokio::test]
async fn a_plugin_that_waits_leaves_its_thread_to_others() {
    // Two threads, four plugins that wait.
    let engine = engine();
    let plugin = engine.compile(&guest("guest-reaching")).unwrap();
    let outside = Arc::new(Outside::default());
    let limits = Limits {
        deadline: Duration::from_secs(2),
        ..limits()
    };
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let (engine, plugin, outside) = (engine.clone(), plugin.clone(), outside.clone());
            tokio::spawn(async move {
                let run = move || {
                    let mut runner = plugin
                        .instantiate("null", limits, &granted(&outside))
                        .unwrap();
                    runner.run(&wishes(&[json!({"url": "slow"})]), &targets())
                };
                engine.run(run).await.unwrap()
            })
        })
        .collect();
    while outside.asked.lock().unwrap().len() < 4 {
        std::thread::sleep(Duration::from_millis(5));
        tokio::task::yield_now().await;
    }
    let started = Instant::now();
    assert_eq!(engine.run(|| 7).await.unwrap(), 7);
    assert!(started.elapsed() < Duration::from_secs(1), "it waited too");
    assert!(waiting.iter().any(|one| !one.is_finished()));
    for one in waiting {
        assert_eq!(one.await.unwrap().outputs.len(), 1);
    }
    // The substitutes end, and the threads go on.
    for number in 0..50 {
        assert_eq!(engine.run(move || number).await.unwrap(), number);
    }
}
