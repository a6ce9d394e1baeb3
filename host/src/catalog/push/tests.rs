//! What a push document may hold, and what is never shown of it.

use serde_json::json;

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

fn document(change: serde_json::Value) -> PushDocument {
    let mut document = json!({"url": "https://example.com/hook"});
    let members = change.as_object().expect("an object").clone();
    document.as_object_mut().expect("an object").extend(members);
    serde_json::from_value(document).expect("a document")
}

fn refusal(change: serde_json::Value) -> String {
    let mut document = document(change);
    let problem = document.check("/push", &Targets::Public);
    problem.expect_err("is refused").detail
}

#[test]
fn a_document_that_says_only_where_is_enough() {
    let mut document = document(json!({"url": "HTTPS://Example.com:443/hook#here"}));
    document.check("/push", &Targets::Public).expect("is fine");
    assert_eq!(document.url, "https://example.com/hook");
    assert_eq!(document.mode, PushMode::Binary);
    assert_eq!(document.concurrency, 8);
}

#[test]
fn the_whole_may_be_shorter_than_the_default_of_a_part() {
    let mut document =
        document(json!({"url": "https://example.com/", "timeouts": {"total_ms": 2000}}));
    document.check("/push", &Targets::Public).expect("is fine");
}

#[test]
fn each_mistake_is_named_with_its_place() {
    for (change, place, words) in [
        (json!({"url": "nowhere"}), "/push/url", "is no URL"),
        (
            json!({"url": "ftp://example.com/"}),
            "/push/url",
            "neither http nor https",
        ),
        (
            json!({"url": "https://me:word@example.com/"}),
            "/push/url",
            "authorization",
        ),
        (
            json!({"url": "http://127.0.0.1/"}),
            "/push/url",
            "--allow-private-targets",
        ),
        (
            json!({"url": "http://0x7f.1/"}),
            "/push/url",
            "127.0.0.1 is not a public",
        ),
        (
            json!({"url": "http://[::ffff:10.0.0.1]/"}),
            "/push/url",
            "not a public",
        ),
        (
            json!({"headers": {"a b": "1"}}),
            "/push/headers/a b",
            "legal name",
        ),
        (
            json!({"headers": {"Host": "x"}}),
            "/push/headers/Host",
            "set by the hub",
        ),
        (
            json!({"headers": {"ce-id": "x"}}),
            "/push/headers/ce-id",
            "set by the hub",
        ),
        (
            json!({"headers": {"X-A": "1", "x-a": "2"}}),
            "/push/headers/x-a",
            "twice",
        ),
        (
            json!({"headers": {"x-a": "1\r\nx-b: 2"}}),
            "/push/headers/x-a",
            "legal value",
        ),
        (json!({"secrets": ["word"]}), "/push/secrets/0", "whsec_"),
        (
            json!({"secrets": [SECRET, "whsec_*"]}),
            "/push/secrets/1",
            "base64",
        ),
        (
            json!({"secrets": ["whsec_c2hvcnQ="]}),
            "/push/secrets/0",
            "5 bytes",
        ),
        (
            json!({"secrets": [SECRET, SECRET]}),
            "/push/secrets/1",
            "same as",
        ),
        (json!({"concurrency": 0}), "/push/concurrency", "1 and 256"),
        (
            json!({"batch": {"max_events": 1001}}),
            "/push/batch/max_events",
            "1 and 1000",
        ),
        (
            json!({"timeouts": {"total_ms": 0}}),
            "/push/timeouts/total_ms",
            "0 is not",
        ),
        (
            json!({"ca_pem": "nothing"}),
            "/push/ca_pem",
            "no certificate",
        ),
        (json!({"origin": ""}), "/push/origin", "is no name"),
    ] {
        let detail = refusal(change.clone());
        assert!(
            detail.starts_with(&format!("{place}: ")) && detail.contains(words),
            "{change}: {detail}"
        );
    }
}

#[test]
fn a_refused_secret_is_not_repeated() {
    for secret in ["whsec_hidden*here", "hidden", "whsec_aGlkZGVu"] {
        let detail = refusal(json!({"secrets": [secret]}));
        assert!(
            !detail.contains("hidden") && !detail.contains("aGlkZGVu"),
            "{detail}"
        );
    }
}

#[test]
fn what_is_masked_is_kept_by_repeating_the_mask() {
    let old = document(json!({"secrets": [SECRET, OTHER], "headers": {"X-Key": "word"}}));
    let shown = old.masked();
    let text = serde_json::to_string(&shown).expect("JSON");
    assert!(
        !text.contains("word") && !text.contains(&SECRET[8..]),
        "{text}"
    );
    assert!(!format!("{old:?}").contains("word"));

    let mut same = shown.clone();
    same.unmask("/push", Some(&old)).expect("is kept");
    assert_eq!(same, old);

    // Rotation: a new secret beside the first, the second goes.
    let third = "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3";
    let mut next = shown.clone();
    next.secrets = vec![Secret(third.to_owned()), shown.secrets[0].clone()];
    next.unmask("/push", Some(&old)).expect("is kept");
    assert_eq!(
        next.secrets,
        [third, SECRET].map(|text| Secret(text.to_owned()))
    );

    // Where there is one, the mask need not say which.
    let one = document(json!({"secrets": [SECRET]}));
    let mut kept = document(json!({"secrets": ["whsec_…"]}));
    kept.unmask("/push", Some(&one)).expect("is kept");
    assert_eq!(kept, one);
}

#[test]
fn a_mask_of_nothing_is_refused() {
    let old = document(json!({"secrets": [SECRET, OTHER]}));
    for (change, place) in [
        (json!({"secrets": ["whsec_…"]}), "/push/secrets/0"),
        (json!({"secrets": ["whsec_…00000000"]}), "/push/secrets/0"),
        (json!({"headers": {"x-key": "…"}}), "/push/headers/x-key"),
    ] {
        let problem = document(change).unmask("/push", Some(&old));
        let detail = problem.expect_err("is refused").detail;
        assert!(detail.starts_with(place), "{detail}");
    }
}
