//! How what a plugin says of the same events differs from what it, or another build, said before.
//!
//! Pure, over results in JSON as `try --json` prints them: those of a hub can be compared as well.

use serde::Serialize;
use serde_json::Value;

use crate::diff::{Change, diff};

/// One event whose treatment differs.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Difference {
    /// Which of the events, from 0.
    pub index: usize,
    pub id: String,
    /// Verdict and reason before and after, where they differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<[String; 2]>,
    /// Places in the list of outputs: `/0/event/data/total`.
    pub outputs: Vec<Change>,
}

/// The events that are treated differently. Costs and logs do not count.
pub(super) fn compare(before: &[Value], after: &[Value]) -> Vec<Difference> {
    let none = Value::Null;
    let pairs = (0..before.len().max(after.len())).map(|index| {
        let at = |results: &'_ [Value]| results.get(index).cloned().unwrap_or(none.clone());
        (index, at(before), at(after))
    });
    let differences = pairs.filter_map(|(index, before, after)| {
        let verdicts = [verdict(&before), verdict(&after)];
        let difference = Difference {
            index,
            id: [&after, &before]
                .iter()
                .find_map(|result| result["id"].as_str())
                .unwrap_or_default()
                .to_owned(),
            verdict: (verdicts[0] != verdicts[1]).then_some(verdicts),
            outputs: outputs(&before, &after),
        };
        (difference.verdict.is_some() || !difference.outputs.is_empty()).then_some(difference)
    });
    differences.collect()
}

/// `drop: nothing to send`. Of a fault only the kind: its words have budgets and numbers in them.
fn verdict(result: &Value) -> String {
    let text = |name: &str| result[name].as_str().unwrap_or_default();
    match (text("verdict"), text("fault"), text("reason")) {
        ("", _, _) => "nothing".to_owned(),
        (verdict, "", "") => verdict.to_owned(),
        (verdict, "", reason) => format!("{verdict}: {reason}"),
        (verdict, kind, _) => format!("{verdict} ({kind})"),
    }
}

fn outputs(before: &Value, after: &Value) -> Vec<Change> {
    let list = |result: &Value| match &result["outputs"] {
        Value::Array(outputs) => Value::Array(outputs.clone()),
        _ => Value::Array(Vec::new()),
    };
    diff(&list(before), &list(after))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_told() {
        let before = [
            json!({"id": "a", "verdict": "emit", "time_ns": 1, "outputs": [{"target": "t", "event": {"data": {"n": 1}}}]}),
            json!({"id": "b", "verdict": "drop", "reason": "empty", "outputs": []}),
            json!({"id": "c", "verdict": "fault", "fault": "trap", "reason": "one", "outputs": []}),
        ];
        let mut after = before.clone();
        after[0]["time_ns"] = json!(2);
        after[2]["reason"] = json!("two");
        assert!(compare(&before, &after).is_empty());
        after[0]["outputs"][0]["event"]["data"] = json!({"n": 2, "m": 3});
        after[1] = json!({"id": "b", "verdict": "reject", "reason": "empty", "outputs": []});
        let told = compare(&before, &after);
        assert_eq!(told.len(), 2);
        let places: Vec<&str> = told[0].outputs.iter().map(Change::pointer).collect();
        assert_eq!(places, ["/0/event/data/n", "/0/event/data/m"]);
        assert_eq!(
            told[1].verdict,
            Some(["drop: empty".to_owned(), "reject: empty".to_owned()])
        );
        assert_eq!((told[1].index, told[1].id.as_str()), (1, "b"));
    }

    #[test]
    fn an_event_that_came_or_went_is_told() {
        let one = [json!({"id": "a", "verdict": "drop", "outputs": []})];
        let told = compare(&[], &one);
        assert_eq!(
            told[0].verdict,
            Some(["nothing".to_owned(), "drop".to_owned()])
        );
    }
}
