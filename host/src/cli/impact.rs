//! What a contract touches, in words for people: topics, what writes to them and reads from them, and the
//! stored events that would be refused.

use serde_json::Value;

use super::table::{cell, plain};

/// `3 of the last 100 events would be refused`
pub(super) fn headline(events: &Value) -> String {
    format!(
        "{} of the last {} events would be refused",
        events["refused"], events["checked"]
    )
}

/// The events that are shown, a line each.
pub(super) fn examples(events: &Value) -> Vec<String> {
    let examples = events["examples"].as_array().into_iter().flatten();
    let lines = examples.map(|event| {
        let first = &event["violations"][0];
        format!(
            "{}/{} {}: {} {}",
            event["partition"],
            event["offset"],
            plain(&cell(&event["id"])),
            plain(&cell(&first["pointer"])),
            plain(&cell(&first["reason"]))
        )
    });
    lines.collect()
}

/// What writes to a topic and reads from it, a line each.
pub(super) fn users(topic: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for (member, verb) in [
        ("writers", "written by"),
        ("readers", "read by"),
        ("lookups", "looked into by"),
    ] {
        for route in topic[member].as_array().into_iter().flatten() {
            lines.push(format!(
                "{verb} route {}{}{}",
                plain(&cell(&route["route"])),
                steps(route),
                paused(route)
            ));
        }
    }
    for one in topic["subscriptions"].as_array().into_iter().flatten() {
        let how = if one["push"] == true {
            "pushed to"
        } else {
            "pulled by"
        };
        lines.push(format!(
            "{how} subscription {}{}",
            plain(&cell(&one["subscription"])),
            paused(one)
        ));
    }
    lines
}

/// The topics and contracts that a new version of a contract touches, a line each.
pub(super) fn lines(answer: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for topic in answer["topics"].as_array().into_iter().flatten() {
        all.push(format!(
            "topic {} (bound to version {}): {}",
            plain(&cell(&topic["topic"])),
            topic["version"],
            headline(&topic["events"])
        ));
        let inner = users(topic).into_iter().chain(examples(&topic["events"]));
        all.extend(inner.map(|line| format!("  {line}")));
    }
    for one in answer["contracts"].as_array().into_iter().flatten() {
        all.push(format!(
            "contract {} refers to version {} and stays with it",
            plain(&cell(&one["contract"])),
            one["refers_to"]
        ));
    }
    all
}

/// How a topic came to be bound to its contract, where it held events.
pub(super) fn bound(binding: &Value) -> Option<String> {
    let at = binding["at"].as_str()?;
    let how = if binding["forced"] == true {
        "FORCED, "
    } else {
        ""
    };
    let why = match cell(&binding["reason"]).as_str() {
        "" => String::new(),
        reason => format!(" ({})", plain(reason)),
    };
    Some(format!(
        "{how}by {} at {at}{why}; it refused {} of the last {} events",
        plain(&cell(&binding["by"])),
        binding["refused"],
        binding["checked"]
    ))
}

fn steps(route: &Value) -> String {
    let steps = route["steps"].as_array().into_iter().flatten();
    let named: Vec<String> = steps
        .map(|step| match step["channel"].as_str() {
            Some(channel) => format!("{} ({})", cell(&step["plugin"]), plain(channel)),
            None => cell(&step["plugin"]),
        })
        .map(|text| plain(&text))
        .collect();
    if named.is_empty() {
        String::new()
    } else {
        format!(" with {}", named.join(", "))
    }
}

fn paused(one: &Value) -> &'static str {
    if one["paused"] == true {
        ", paused"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_that_is_touched_has_a_line() {
        let answer = json!({
            "topics": [{
                "topic": "orders", "version": 1,
                "writers": [{"route": "in", "paused": true, "steps": []}],
                "readers": [{"route": "out", "paused": false, "steps": [
                    {"step": 0, "plugin": "map@2.0.0", "channel": "map@stable"}, {"step": 1, "plugin": "jq@1.0.0"}]}],
                "lookups": [{"route": "price", "paused": false, "steps": []}],
                "subscriptions": [{"subscription": "s", "push": true, "paused": false}],
                "events": {"checked": 9, "refused": 1, "examples": [
                    {"partition": 0, "offset": 4, "id": "a", "type": "t", "violations": [{"pointer": "/data/x", "reason": "is no number"}]}]},
            }],
            "contracts": [{"contract": "invoice@3", "refers_to": 1}],
        });
        assert_eq!(
            lines(&answer),
            [
                "topic orders (bound to version 1): 1 of the last 9 events would be refused",
                "  written by route in, paused",
                "  read by route out with map@2.0.0 (map@stable), jq@1.0.0",
                "  looked into by route price",
                "  pushed to subscription s",
                "  0/4 a: /data/x is no number",
                "contract invoice@3 refers to version 1 and stays with it",
            ]
        );
    }

    #[test]
    fn a_forced_binding_is_told() {
        let binding = json!({"at": "now", "by": "me", "reason": "must", "checked": 9, "refused": 2, "forced": true});
        assert_eq!(
            bound(&binding).as_deref(),
            Some("FORCED, by me at now (must); it refused 2 of the last 9 events")
        );
        assert_eq!(bound(&Value::Null), None);
    }
}
