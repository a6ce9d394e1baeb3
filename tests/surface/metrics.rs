//! Probes and metrics.

use std::collections::BTreeMap;

use sandbar_tests::{Hub, Publish, event};
use serde_json::json;

/// Parses the text format: sample name with labels → value. Panics at what is not of the format.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut declared: Vec<String> = Vec::new();
    let mut ended = false;
    for line in text.lines() {
        assert!(!ended, "nothing comes after # EOF: {line:?}");
        if let Some(comment) = line.strip_prefix("# ") {
            let words: Vec<&str> = comment.splitn(3, ' ').collect();
            match words[0] {
                "TYPE" => {
                    assert!(
                        matches!(
                            words[2],
                            "counter" | "gauge" | "histogram" | "info" | "unknown"
                        ),
                        "{line:?}"
                    );
                    assert!(
                        !declared.contains(&words[1].to_owned()),
                        "declared twice: {line:?}"
                    );
                    declared.push(words[1].to_owned());
                }
                "HELP" => assert!(words.len() == 3 && !words[2].is_empty(), "{line:?}"),
                "UNIT" => assert!(words[1].ends_with(words[2]), "{line:?}"),
                "EOF" => ended = true,
                _ => panic!("{line:?}"),
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?}"));
        let value: f64 = value
            .replace("+Inf", "inf")
            .parse()
            .unwrap_or_else(|_| panic!("{line:?}"));
        let bare = name.split('{').next().unwrap();
        assert!(
            declared
                .iter()
                .any(|family| bare.starts_with(family.as_str())),
            "not declared: {line:?}"
        );
        assert!(
            bare.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':'),
            "{line:?}"
        );
        assert!(name == bare || name.ends_with('}'), "{line:?}");
        assert!(
            samples.insert(name.to_owned(), value).is_none(),
            "twice: {line:?}"
        );
    }
    assert!(ended, "OpenMetrics ends with # EOF");
    samples
}

/// The sum of a family's samples whose labels have all these parts.
fn sum(samples: &BTreeMap<String, f64>, family: &str, labels: &[&str]) -> f64 {
    let of_family = samples
        .iter()
        .filter(|(name, _)| name.split('{').next() == Some(family));
    of_family
        .filter(|(name, _)| labels.iter().all(|label| name.contains(label)))
        .map(|(_, value)| value)
        .sum()
}

#[tokio::test]
async fn counters_move_with_what_happens() {
    let hub = Hub::start().await;
    hub.topic("in", json!({})).await;
    hub.topic("out", json!({})).await;
    hub.mapper().await;
    hub.route(
        "r",
        json!({"from": "in", "steps": [{"plugin": "mapper@1"}], "to": ["out"]}),
    )
    .await;
    let events = [
        event("1", json!({})),
        event("2", json!({"copies": 3})),
        event(
            "3",
            json!({"do": "drop", "reason": "a \"quoted\" \\ reason\nof two lines"}),
        ),
        event("4", json!({"do": "reject"})),
    ];
    hub.accepted("in", &events).await;
    hub.accepted("in", &events[..2]).await;
    assert_eq!(
        hub.publish("in", Publish::structured(&json!({"id": "x"})))
            .await
            .status,
        422
    );
    hub.settled("r").await;
    let answer = hub.get("/metrics").await;
    assert!(
        answer
            .content_type
            .starts_with("application/openmetrics-text"),
        "{}",
        answer.content_type
    );
    let samples = parse(&answer.text);
    for (family, labels, expected) in [
        ("sandbar_events_published_total", &["topic=\"in\""][..], 4.0),
        ("sandbar_events_duplicate_total", &["topic=\"in\""], 2.0),
        (
            "sandbar_events_refused_total",
            &["topic=\"in\"", "code=\"invalid-event\""],
            1.0,
        ),
        (
            "sandbar_partition_tail",
            &["topic=\"in\"", "partition=\"0\""],
            4.0,
        ),
        ("sandbar_partition_tail", &["topic=\"out\""], 4.0),
        ("sandbar_route_events_settled_total", &["route=\"r\""], 4.0),
        (
            "sandbar_route_events_emitted_total",
            &["route=\"r\"", "target=\"out\""],
            4.0,
        ),
        (
            "sandbar_route_events_dropped_total",
            &["route=\"r\"", "quoted"],
            1.0,
        ),
        ("sandbar_route_dead_letters_total", &["route=\"r\""], 1.0),
        ("sandbar_route_lag_events", &["route=\"r\""], 0.0),
        ("sandbar_publish_seconds_count", &["topic=\"in\""], 2.0),
    ] {
        assert_eq!(
            sum(&samples, family, labels),
            expected,
            "{family} {labels:?}:\n{}",
            answer.text
        );
    }
    assert!(
        sum(
            &samples,
            "sandbar_http_requests_total",
            &["path=\"/v1/topics/{topic}/events\"", "status=\"422\""]
        ) >= 1.0
    );
}

#[tokio::test]
async fn jobs_and_quotas_are_shown() {
    let hub = Hub::start().await;
    for (topic, quota) in [
        (
            "in",
            json!({"quota": {"events_per_second": 1, "burst_seconds": 3600}}),
        ),
        ("out", json!({})),
        ("again", json!({})),
    ] {
        hub.topic(topic, quota).await;
    }
    hub.mapper().await;
    hub.route(
        "r",
        json!({"from": "in", "steps": [{"plugin": "mapper@1"}], "to": ["out"]}),
    )
    .await;
    let events = [
        event("1", json!({})),
        event("2", json!({"do": "reject"})),
        event("3", json!({"do": "trap"})),
    ];
    hub.accepted("in", &events).await;
    hub.settled("r").await;
    let replay = json!({"from": "earliest", "into": "again"});
    let job = hub.post("/v1/routes/r/replay", replay).await.expect(202);
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    hub.until(&path, "state", "the job goes on", |state| state == "done")
        .await;
    let answer = hub.get("/metrics").await;
    let samples = parse(&answer.text);
    let kind = "kind=\"replay-route\"";
    for (family, labels, expected) in [
        (
            "sandbar_jobs_ended_total",
            &[kind, "state=\"done\""][..],
            1.0,
        ),
        ("sandbar_jobs", &[kind], 0.0),
        ("sandbar_job_events_done_total", &[kind], 3.0),
        (
            "sandbar_job_events_failed_total",
            &[kind, "cause=\"rejected\""],
            1.0,
        ),
        ("sandbar_job_events_failed_total", &[kind], 2.0),
        ("sandbar_job_events_done_total", &["kind=\"redrive\""], 0.0),
        (
            "sandbar_quota_limit",
            &["topic=\"in\"", "of=\"events\""],
            1.0,
        ),
        ("sandbar_quota_limit", &[], 1.0),
    ] {
        assert_eq!(
            sum(&samples, family, labels),
            expected,
            "{family} {labels:?}:\n{}",
            answer.text
        );
    }
    // Of the 3600 events of a burst at most three are used up: as many as were not filled up since.
    let used = sum(&samples, "sandbar_quota_used", &["topic=\"in\""]);
    assert!((0.0..=3.0 / 3600.0).contains(&used), "{used}");
}

#[tokio::test]
async fn probes_answer() {
    let hub = Hub::start().await;
    for path in ["/healthz", "/readyz", "/"] {
        let answer = hub.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(
            answer.content_type.starts_with("text/plain"),
            "{path}: {}",
            answer.content_type
        );
    }
    let before = hub.get("/v1/status").await.expect(200);
    hub.topic("t", json!({})).await;
    let status = hub.get("/v1/status").await.expect(200);
    let count = |status: &serde_json::Value| status["topics"].as_u64().unwrap();
    assert_eq!(count(&status), count(&before) + 1, "{status}");
    assert_eq!(status["routes"], 0, "{status}");
    assert!(
        status["version"]
            .as_str()
            .is_some_and(|version| version.contains('.')),
        "{status}"
    );
}
