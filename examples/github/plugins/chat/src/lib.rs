//! What happens on GitHub, told in one line each to the chat of a team.
//!
//! A push gives one message per commit; most other payloads give one or none.

use sandbar_sdk::{Event, Output, Problem, Verdict};
use serde::Serialize;
use serde_json::Value;

/// The chat takes at most so many characters.
const LONGEST: usize = 300;

#[derive(Serialize)]
struct Message {
    channel: String,
    text: String,
    author: String,
    level: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

fn transform(event: &Event<'_>) -> Result<Verdict, Problem> {
    let name = event
        .r#type()
        .strip_prefix("com.github.")
        .unwrap_or(event.r#type());
    let payload: Value = event.json()?;
    let author = text(&payload, "/sender/login");
    let one = |words: String, pointer: &str| {
        Ok(vec![(
            words,
            author.clone(),
            "info",
            optional(&payload, pointer),
        )])
    };
    let warn = |words: String, pointer: &str| {
        Ok(vec![(
            words,
            author.clone(),
            "warning",
            optional(&payload, pointer),
        )])
    };
    let at = |pointer: &str| text(&payload, pointer);
    let lines: Result<Vec<Line>, &str> = match name {
        "push" => commits(&payload),
        "issues.opened" | "issues.closed" | "issues.reopened" => one(
            format!(
                "issue #{} {}: {}",
                at("/issue/number"),
                at("/action"),
                at("/issue/title")
            ),
            "/issue/html_url",
        ),
        "pull_request.opened" | "pull_request.closed" | "pull_request.reopened" => one(
            format!(
                "change #{} {}: {}",
                at("/pull_request/number"),
                at("/action"),
                at("/pull_request/title")
            ),
            "/pull_request/html_url",
        ),
        "issue_comment.created" => one(
            format!(
                "comment on #{}: {}",
                at("/issue/number"),
                at("/comment/body")
            ),
            "/comment/html_url",
        ),
        "pull_request_review.submitted" => one(
            format!(
                "review of #{}: {}",
                at("/pull_request/number"),
                at("/review/state")
            ),
            "/review/html_url",
        ),
        "release.published" => one(
            format!("release {}", at("/release/tag_name")),
            "/release/html_url",
        ),
        "check_run.completed" => match at("/check_run/conclusion").as_str() {
            "success" => Err("a check that succeeded"),
            conclusion => warn(
                format!("check {}: {conclusion}", at("/check_run/name")),
                "/check_run/html_url",
            ),
        },
        "workflow_run.completed" => match at("/workflow_run/conclusion").as_str() {
            "success" => Err("a workflow that succeeded"),
            conclusion => warn(
                format!("workflow {}: {conclusion}", at("/workflow_run/name")),
                "/workflow_run/html_url",
            ),
        },
        "star.created" => one("a star".to_owned(), "/repository/html_url"),
        "fork" => one(
            format!("forked to {}", at("/forkee/full_name")),
            "/forkee/html_url",
        ),
        _ => {
            return Ok(Verdict::drop(format!(
                "not for the chat: {}",
                name.split('.').next().unwrap_or(name)
            )));
        }
    };
    let lines = match lines {
        Ok(lines) => lines,
        Err(reason) => return Ok(Verdict::drop(reason)),
    };
    let repository = at("/repository/full_name").replace(char::is_control, " ");
    let channel = channel(&repository);
    let mut outputs = Vec::with_capacity(lines.len());
    for (words, author, level, url) in lines {
        let text: String = words
            .lines()
            .next()
            .unwrap_or_default()
            .chars()
            .take(LONGEST)
            .collect();
        let message = Message {
            channel: channel.clone(),
            text,
            author: match author.is_empty() {
                true => "somebody".to_owned(),
                false => author,
            },
            level,
            url: url.filter(|url| is_address(url)),
        };
        outputs.push(
            Output::json(&message)?
                .r#type("chat.message")
                .subject(repository.clone()),
        );
    }
    Ok(Verdict::emit_all(outputs))
}

/// The channel of a repository: its name, in the letters that the chat takes.
fn channel(repository: &str) -> String {
    let taken = |letter: char| match letter {
        letter if letter.is_ascii_alphanumeric() || "._-".contains(letter) => letter,
        _ => '-',
    };
    let name = repository.rsplit('/').next().unwrap_or_default();
    let name: String = name.chars().map(taken).collect();
    match name.is_empty() {
        true => "#general".to_owned(),
        false => format!("#{name}"),
    }
}

/// Whether the chat takes it for an address: an URL with plain letters only.
fn is_address(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest else { return false };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let is_host = |letter: char| letter.is_ascii_alphanumeric() || ".-".contains(letter);
    let is_plain =
        |letter: char| letter.is_ascii_alphanumeric() || "/._~-?=&#:@+,;".contains(letter);
    !host.is_empty()
        && host.chars().all(is_host)
        && path.chars().all(is_plain)
        && path.matches('#').count() < 2
}

/// Words, author, level, address.
type Line = (String, String, &'static str, Option<String>);

fn commits(payload: &Value) -> Result<Vec<Line>, &'static str> {
    let commits = payload["commits"]
        .as_array()
        .filter(|commits| !commits.is_empty());
    let commits = commits.ok_or("a push without commits")?;
    let line = |commit: &Value| {
        let id: String = text(commit, "/id").chars().take(7).collect();
        let words = format!("commit {id}: {}", text(commit, "/message"));
        (
            words,
            text(commit, "/author/name"),
            "info",
            optional(commit, "/url"),
        )
    };
    Ok(commits.iter().map(line).collect())
}

/// The value at a pointer in words; empty where there is none.
fn text(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

fn optional(value: &Value, pointer: &str) -> Option<String> {
    Some(text(value, pointer)).filter(|text| !text.is_empty())
}

sandbar_sdk::plugin!(transform);

#[cfg(test)]
mod tests {
    use sandbar_sdk::test::Sample;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_push_gives_a_message_per_commit() {
        let payload = json!({
            "repository": {"full_name": "octo/boat"}, "sender": {"login": "ada"},
            "commits": [
                {"id": "0123456789", "message": "Stop the leak\n\nfor good", "author": {"name": "Ada"}, "url": "https://example.com/1"},
                {"id": "1123456789", "message": "Paint it", "author": {"name": "Bob"}, "url": "https://example.com/2"}
            ]
        });
        let verdict = Sample::new("com.github.push").json(&payload).run(transform);
        let texts: Vec<Value> = verdict
            .outputs()
            .iter()
            .map(|output| output.json_value())
            .collect();
        assert_eq!(texts.len(), 2);
        assert_eq!(texts[0]["text"], "commit 0123456: Stop the leak");
        assert_eq!(texts[1]["author"], "Bob");
        assert_eq!(texts[1]["channel"], "#boat");
    }

    #[test]
    fn what_the_chat_does_not_take_is_left_out() {
        let run = |name: &str, login: &str, url: &str| -> Value {
            let payload = json!({
                "repository": {"full_name": name, "html_url": url}, "sender": {"login": login}
            });
            let sample = Sample::new("com.github.star.created").json(&payload);
            sample.run(transform).outputs()[0].json_value()
        };
        let odd = run("", "", "urn:a b");
        assert_eq!(
            (&odd["channel"], &odd["author"]),
            (&json!("#general"), &json!("somebody"))
        );
        assert!(odd.get("url").is_none(), "{odd}");
        assert_eq!(run("octo/a b", "ada", "")["channel"], "#a-b");
        for url in [
            "https://",
            "https://a:b",
            "https://a/%",
            "https://a/#b#c",
            "http://[",
            "ftp://a",
        ] {
            assert!(run("octo/boat", "ada", url).get("url").is_none(), "{url}");
        }
        let url = "https://github.com/octo/boat/issues/1#issuecomment-2";
        assert_eq!(run("octo/boat", "ada", url)["url"], url);
    }

    #[test]
    fn an_empty_push_and_what_nobody_wants_to_read_are_dropped() {
        let empty = Sample::new("com.github.push")
            .json(&json!({"commits": []}))
            .run(transform);
        assert_eq!(empty.dropped(), Some("a push without commits"));
        let label = Sample::new("com.github.label.created")
            .json(&json!({}))
            .run(transform);
        assert_eq!(label.dropped(), Some("not for the chat: label"));
    }

    #[test]
    fn a_failed_check_is_a_warning_and_a_good_one_is_nothing() {
        let check = |conclusion: &str| {
            let payload = json!({
                "repository": {"full_name": "octo/boat"}, "sender": {"login": "ada"},
                "check_run": {"name": "build", "conclusion": conclusion, "html_url": "https://example.com"}
            });
            Sample::new("com.github.check_run.completed")
                .json(&payload)
                .run(transform)
        };
        let failed: Value = check("failure").outputs()[0].json_value();
        assert_eq!(
            (failed["level"].as_str(), failed["text"].as_str()),
            (Some("warning"), Some("check build: failure"))
        );
        assert_eq!(check("success").dropped(), Some("a check that succeeded"));
    }
}
