//! GitHub's issues and pull requests as the work items of a tracker.
//!
//! Whatever the action was, the work item is given out whole, as it stands after it: the tracker need
//! not know GitHub's actions. All events of one item have one key, so they stay in order.

use sandbar_sdk::{Event, Output, Problem, Verdict};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Payload {
    action: String,
    repository: Repository,
    issue: Option<Item>,
    pull_request: Option<Item>,
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
}

/// What issues and pull requests have in common.
#[derive(Deserialize)]
struct Item {
    number: u64,
    title: String,
    /// Some payloads tell only a part of the issue, without this.
    state: Option<String>,
    html_url: String,
    user: User,
    #[serde(default)]
    labels: Vec<Label>,
    #[serde(default)]
    assignees: Vec<User>,
    milestone: Option<Milestone>,
    updated_at: String,
    draft: Option<bool>,
    /// Null while GitHub has not yet looked.
    merged: Option<bool>,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
struct Label {
    name: String,
}

#[derive(Deserialize)]
struct Milestone {
    title: String,
}

#[derive(Serialize)]
struct WorkItem {
    id: String,
    kind: &'static str,
    number: u64,
    title: String,
    state: &'static str,
    url: String,
    repository: String,
    labels: Vec<String>,
    assignees: Vec<String>,
    author: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    milestone: Option<String>,
    updated_at: String,
}

fn transform(event: &Event<'_>) -> Result<Verdict, Problem> {
    let kind = match github_event(event.r#type()) {
        "issues" => "issue",
        "pull_request" => "change",
        other => return Ok(Verdict::drop(format!("not a work item: {other}"))),
    };
    let payload: Payload = event.json()?;
    if payload.action == "transferred" {
        return Ok(Verdict::reject(
            "the issue went to a repository that the event does not name",
        ));
    }
    let Some(item) = payload.issue.or(payload.pull_request) else {
        return Ok(Verdict::reject(
            "there is neither an issue nor a pull request in it",
        ));
    };
    let Some(state) = state(&payload.action, &item) else {
        return Ok(Verdict::reject(
            "the issue in it is only a part of one: it has no state",
        ));
    };
    if item.number == 0 || !is_full_name(&payload.repository.full_name) {
        return Ok(Verdict::reject(
            "a work item is known by owner/name#number, which the event does not tell",
        ));
    }
    let what = match payload.action.as_str() {
        "opened" | "reopened" => "opened",
        "closed" => "closed",
        "deleted" => "removed",
        _ => "changed",
    };
    let id = format!("{}#{}", payload.repository.full_name, item.number);
    let work_item = WorkItem {
        id: id.clone(),
        kind,
        number: item.number,
        title: match item.title.is_empty() {
            true => "(no title)".to_owned(),
            false => item.title,
        },
        state,
        url: item.html_url,
        repository: payload.repository.full_name,
        labels: each_once(item.labels.into_iter().map(|label| label.name)),
        assignees: item.assignees.into_iter().map(|user| user.login).collect(),
        author: item.user.login,
        milestone: item.milestone.map(|milestone| milestone.title),
        updated_at: item.updated_at,
    };
    let output = Output::json(&work_item)?
        .r#type(format!("tracker.work-item.{what}"))
        .subject(id.clone())
        .extension("partitionkey", id);
    Ok(Verdict::emit(output))
}

fn state(action: &str, item: &Item) -> Option<&'static str> {
    Some(match (action, item.state.as_deref()?) {
        ("deleted", _) => "removed",
        (_, "closed") if item.merged == Some(true) => "merged",
        (_, "closed") => "closed",
        _ if item.draft == Some(true) => "draft",
        _ => "open",
    })
}

/// Whether it is `owner/name`.
fn is_full_name(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    parts.len() == 2
        && parts
            .iter()
            .all(|part| !part.is_empty() && !part.contains('#'))
}

/// What comes again is left out.
fn each_once(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut once = Vec::new();
    for one in all {
        if !once.contains(&one) {
            once.push(one);
        }
    }
    once
}

/// `com.github.issues.opened` → `issues`.
fn github_event(event_type: &str) -> &str {
    let rest = event_type.strip_prefix("com.github.").unwrap_or(event_type);
    rest.split('.').next().unwrap_or(rest)
}

sandbar_sdk::plugin!(transform);

#[cfg(test)]
mod tests {
    use sandbar_sdk::test::Sample;
    use serde_json::{Value, json};

    use super::*;

    fn issue() -> Value {
        json!({
            "action": "labeled",
            "repository": {"full_name": "octo/boat"},
            "issue": {
                "number": 7, "title": "It leaks", "state": "open", "html_url": "https://example.com/7",
                "user": {"login": "ada"}, "labels": [{"name": "bug"}], "assignees": [],
                "milestone": null, "updated_at": "2026-01-02T03:04:05Z"
            }
        })
    }

    #[test]
    fn an_issue_becomes_a_work_item_with_a_key() {
        let verdict = Sample::new("com.github.issues.labeled")
            .json(&issue())
            .run(transform);
        let output = &verdict.outputs()[0];
        assert_eq!(output.attribute("type"), Some("tracker.work-item.changed"));
        assert_eq!(output.attribute("subject"), Some("octo/boat#7"));
        let item: Value = output.json_value();
        assert_eq!(item["labels"], json!(["bug"]));
        assert_eq!(item["state"], "open");
        assert!(item.get("milestone").is_none());
    }

    #[test]
    fn what_is_no_work_item_is_dropped_with_a_reason() {
        let verdict = Sample::new("com.github.star.created")
            .json(&json!({}))
            .run(transform);
        assert_eq!(verdict.dropped(), Some("not a work item: star"));
    }

    #[test]
    fn a_transferred_issue_is_rejected() {
        let mut payload = issue();
        payload["action"] = "transferred".into();
        let verdict = Sample::new("com.github.issues.transferred")
            .json(&payload)
            .run(transform);
        assert!(verdict.rejected().is_some());
    }

    #[test]
    fn an_issue_without_a_state_is_rejected() {
        let mut payload = issue();
        payload["issue"]
            .as_object_mut()
            .map(|issue| issue.remove("state"));
        let verdict = Sample::new("com.github.issues.locked")
            .json(&payload)
            .run(transform);
        assert!(verdict.rejected().is_some());
    }

    #[test]
    fn what_the_tracker_does_not_take_is_mended_or_rejected() {
        let mut payload = issue();
        payload["issue"]["title"] = "".into();
        payload["issue"]["labels"] = json!([{"name": "bug"}, {"name": "bug"}]);
        payload["issue"]["merged"] = Value::Null;
        let run = |payload: &Value| {
            Sample::new("com.github.issues.labeled")
                .json(payload)
                .run(transform)
        };
        let item: Value = run(&payload).outputs()[0].json_value();
        assert_eq!(
            (&item["title"], &item["labels"]),
            (&json!("(no title)"), &json!(["bug"]))
        );
        for name in ["", "boat", "octo/", "octo/boat/x", "octo/#1"] {
            payload["repository"]["full_name"] = name.into();
            assert!(run(&payload).rejected().is_some(), "{name:?}");
        }
        payload["repository"]["full_name"] = "octo/boat".into();
        payload["issue"]["number"] = 0.into();
        assert!(run(&payload).rejected().is_some());
    }

    #[test]
    fn a_payload_without_an_issue_is_rejected() {
        let payload = json!({"action": "opened", "repository": {"full_name": "octo/boat"}});
        let verdict = Sample::new("com.github.issues.opened")
            .json(&payload)
            .run(transform);
        assert!(verdict.rejected().is_some());
    }
}
