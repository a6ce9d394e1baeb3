//! What a file asks for beside what the hub answers, and the plan that follows.

use serde_json::json;

use super::*;

fn topic_document(text: &str) -> TopicDocument {
    serde_yaml_ng::from_str(text).expect("a topic")
}

/// What the hub answers for a topic that was made with nothing but these.
fn answer() -> Value {
    json!({
        "name": "t", "partitions": 2, "durability": "sync",
        "retention": {"max_age_seconds": 60}, "contract": "c@1",
        "dedupe": {"max_events": 100_000, "max_age_seconds": 600}, "max_event_bytes": 1_048_576,
        "state": {"partitions": [{"partition": 0, "earliest": 0, "tail": 5, "bytes": 9, "status": "ok"}]}
    })
}

#[test]
fn what_the_hub_does_not_have_is_made() {
    let made = compare(None, &topic_document("{partitions: 2}")).expect("compared");
    assert_eq!(made, (Act::Make, Vec::new()));
}

#[test]
fn defaults_and_state_are_no_difference() {
    let wanted = topic_document("{partitions: 2, contract: c@1, retention: {max_age_seconds: 60}}");
    let compared = compare(Some(answer()), &wanted).expect("compared");
    assert_eq!(compared, (Act::Keep, Vec::new()));
}

#[test]
fn each_difference_is_told_with_old_and_new() {
    let wanted = topic_document("{partitions: 2, contract: c@2, durability: async}");
    let (act, changes) = compare(Some(answer()), &wanted).expect("compared");
    assert_eq!(act, Act::Change);
    assert_eq!(
        changes,
        [
            r#"contract: "c@1" → "c@2""#,
            r#"durability: "sync" → "async""#,
            r#"retention: {"max_age_seconds":60} → {}"#,
        ]
    );
}

#[test]
fn a_route_is_compared_without_its_status() {
    let wanted: RouteDocument =
        serde_yaml_ng::from_str("{from: a, to: [b], steps: [{plugin: p@1}]}").expect("a route");
    let mut found = serde_json::to_value(&wanted).expect("JSON");
    found["name"] = json!("r");
    found["status"] = json!({"state": "running"});
    let compared = compare(Some(found.clone()), &wanted).expect("compared");
    assert_eq!(compared, (Act::Keep, Vec::new()));
    found["steps"][0]["plugin"] = json!("p@0");
    let (act, changes) = compare(Some(found), &wanted).expect("compared");
    assert_eq!((act, changes.len()), (Act::Change, 1));
    assert!(changes[0].starts_with("steps: "), "{changes:?}");
}

#[test]
fn a_contract_is_known_by_its_content_whatever_came_later() {
    let listed = [json!({"version": 1}), json!({"version": 4})];
    let version = |number, present| Version { number, present };
    assert_eq!(Version::of(&listed, Some(1)), version(1, true));
    // Versions may have been deleted: the next follows the latest, not the number of them.
    assert_eq!(Version::of(&listed, None), version(5, false));
    assert_eq!(Version::of(&[], None), version(1, false));
}
