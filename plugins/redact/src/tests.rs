//! Patterns and actions on events, and what cannot be redacted.

use sandbar_sdk::{Verdict, test::Sample};
use serde_json::{Value, json};

use super::*;

const KEY: &str = "0123456789abcdef";

fn config(document: Value) -> Config {
    serde_json::from_value(document).unwrap()
}

fn run(rules: Value, sample: &Sample) -> Verdict {
    let config = config(json!({"rules": rules, "key": KEY}));
    sample.run_with(&config, transform)
}

/// The data of the output as text; of an output that leaves it as it is, `=`.
fn data(rules: Value, input: &str) -> String {
    let verdict = run(rules, &Sample::new("t").data(input));
    assert!(verdict.is_emit(), "{verdict:?}");
    match verdict.outputs()[0].data_bytes() {
        None => "=".to_owned(),
        Some(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

fn reason(rules: Value, sample: &Sample) -> String {
    let verdict = run(rules, sample);
    let problem = verdict.rejected().unwrap_or_else(|| panic!("{verdict:?}"));
    problem.reason().to_owned()
}

#[test]
fn a_mask_keeps_the_end_but_never_more_than_half() {
    let rule = |keep: usize| json!([{"data": "/*", "action": "mask", "keep_last": keep}]);
    let input = r#"["4111111111111111", "1234", "é", "", 12345678, true, null, {"a": 1}, [1]]"#;
    assert_eq!(
        data(rule(4), input),
        r#"["***1111","***34","***","***","***5678","***ue",null,"***","***"]"#
    );
    assert_eq!(data(rule(0), r#"["abc"]"#), r#"["***"]"#);
    let text = json!([{"data": "/a", "action": "mask", "text": "(hidden)"}]);
    assert_eq!(data(text, r#"{"a":"b"}"#), r#"{"a":"(hidden)"}"#);
}

#[test]
fn a_hash_is_hmac_sha256_in_hex() {
    // RFC 4231, test case 2, has a key that is too short here; this is the same function:
    // printf hello | openssl dgst -sha256 -hmac 0123456789abcdef
    let rules = json!([{"data": "/a", "action": "hash", "prefix": "h_"}]);
    let whole = data(rules, r#"{"a":"hello"}"#);
    let expected = "713ba20d2e5fdfbc44724244bf2305ed0714f16ecad75df06e9547b5ae43d83a";
    assert_eq!(whole, format!(r#"{{"a":"h_{expected}"}}"#));
    let short = json!([{"data": "/*", "action": "hash", "length": 16}]);
    let hashes: Value =
        serde_json::from_str(&data(short, r#"["hello","h\u0065llo",7,"7",7.0]"#)).unwrap();
    assert_eq!(hashes[0], expected[..16]);
    assert_eq!(hashes[0], hashes[1], "escapes do not matter");
    assert_eq!(hashes[2], hashes[3], "a number is hashed as it is written");
    assert_ne!(hashes[2], hashes[4]);
}

#[test]
fn what_is_dropped_leaves_no_trace() {
    let rules =
        json!([{"data": "/**/secret", "action": "drop"}, {"data": "/list/1", "action": "drop"}]);
    let input = r#"{"secret":1,"a":{"secret":{"x":1}},"list":[1,2,{"secret":0,"b":1.50}],"z":[{"secret":2}],"secret":2}"#;
    assert_eq!(
        data(rules, input),
        r#"{"a":{},"list":[1,{"b":1.50}],"z":[{}]}"#
    );
}

#[test]
fn a_long_text_is_cut() {
    let rules = json!([{"data": "/*", "action": "truncate", "length": 2}]);
    assert_eq!(
        data(rules, r#"["äöü","ab","",12345]"#),
        r#"["äö","ab","",12345]"#
    );
}

#[test]
fn what_no_rule_looks_at_stays_as_it_was_written() {
    let rules = json!([{"data": "/a/b", "action": "mask"}]);
    let input = r#"{"z": 1.10, "n": 12345678901234567890123, "a": {"c": [1 , 2], "b": "x"}, "e": "\u00e9"}"#;
    assert_eq!(
        data(rules.clone(), input),
        r#"{"z":1.10,"n":12345678901234567890123,"a":{"c":[1 , 2],"b":"***"},"e":"\u00e9"}"#
    );
    assert_eq!(data(rules, r#"{"a": {"c":  1}}"#), "=", "nothing matched");
}

#[test]
fn members_of_one_name_are_all_redacted() {
    let rules = json!([{"data": "/a", "action": "mask"}]);
    assert_eq!(
        data(rules, r#"{"a":"x","a":"y"}"#),
        r#"{"a":"***","a":"***"}"#
    );
}

#[test]
fn the_first_rule_that_matches_holds() {
    let rules = json!([
        {"data": "/card/last", "action": "mask", "keep_last": 4},
        {"data": "/**/last", "action": "drop"},
        {"data": "/card/*", "action": "mask", "text": "x"},
    ]);
    assert_eq!(
        data(rules, r#"{"card":{"last":"12345678","name":"n"},"last":1}"#),
        r#"{"card":{"last":"***5678","name":"x"}}"#
    );
}

#[test]
fn a_strict_rule_must_match() {
    let strict = json!([{"data": "/a/b", "action": "mask", "strict": true}]);
    assert!(reason(strict.clone(), &Sample::new("t").data(r#"{"a":1}"#)).contains("/a/b"));
    assert!(reason(strict.clone(), &Sample::new("t")).contains("/a/b"));
    assert_eq!(data(strict, r#"{"a":{"b":1}}"#), r#"{"a":{"b":"***"}}"#);
    let attribute = json!([{"attribute": "user", "action": "mask", "strict": true}]);
    assert!(reason(attribute, &Sample::new("t")).contains("user"));
}

#[test]
fn what_cannot_be_redacted_is_rejected_and_never_passed_on() {
    let rules = json!([{"data": "/a", "action": "hash"}]);
    let sample = Sample::new("t");
    for (sample, part) in [
        (
            sample.clone().data("a;b").datacontenttype("text/csv"),
            "text/csv",
        ),
        (sample.clone().data("{"), "line 1"),
        (sample.clone().data(r#"{"a":[1]}"#), "\"/a\" is an array"),
        (sample.clone().data(r#"{"a":"\ud800"}"#), "\"/a\""),
    ] {
        let found = reason(rules.clone(), &sample);
        assert!(found.contains(part), "{part}: {found}");
    }
    // Rules on attributes alone do not look at the data.
    let verdict = run(
        json!([{"attribute": "subject", "action": "drop"}]),
        &sample.data("{"),
    );
    assert!(verdict.is_emit());
}

#[test]
fn attributes_are_redacted_too() {
    let rules = json!([
        {"attribute": "subject", "action": "hash", "length": 16},
        {"attribute": "user", "action": "mask", "keep_last": 2},
        {"attribute": "tenant", "action": "drop"},
        {"attribute": "tenant", "action": "mask"},
        {"attribute": "time", "action": "drop"},
        {"attribute": "id", "action": "hash"},
    ]);
    let sample = Sample::new("t")
        .subject("ada@example.com")
        .extension("user", "ada.l")
        .extension("tenant", 5)
        .time("2026-01-01T00:00:00Z");
    let verdict = run(rules, &sample);
    let output = &verdict.outputs()[0];
    let read = ["user", "tenant", "time", "type"].map(|name| output.attribute(name));
    assert_eq!(read, [Some("***.l"), Some(""), Some(""), None]);
    assert_eq!(output.attribute("subject").unwrap().len(), 16);
    assert_eq!(output.attribute("id").unwrap().len(), 64);
    assert_eq!(output.data_bytes(), None);
}

#[test]
fn a_config_that_is_wrong_is_refused_with_the_place() {
    let rule = |rule: Value| json!({"rules": [rule], "key": KEY});
    for (document, part) in [
        (json!(null), "an object with \"rules\""),
        (json!({"rules": []}), "there are none"),
        (
            rule(json!({"data": "a", "action": "drop"})),
            "/rules/0/data: \"a\"",
        ),
        (
            rule(json!({"data": "/a/**", "action": "drop"})),
            "ends with **",
        ),
        (rule(json!({"action": "drop"})), "/rules/0: has either"),
        (
            rule(json!({"data": "/a", "attribute": "b", "action": "drop"})),
            "has either",
        ),
        (rule(json!({"data": "/a", "action": "burn"})), "burn"),
        (
            rule(json!({"data": "/a", "action": "mask", "keep": 4})),
            "keep",
        ),
        (
            rule(json!({"data": "/a", "action": "hash", "length": 4})),
            "within 16 and 64",
        ),
        (
            rule(json!({"attribute": "type", "action": "mask"})),
            "type cannot be changed",
        ),
        (
            rule(json!({"attribute": "id", "action": "mask"})),
            "id cannot be changed",
        ),
        (rule(json!({"attribute": "Bad", "action": "mask"})), "Bad"),
        (
            json!({"rules": [{"data": "/a", "action": "hash"}]}),
            "needs a \"key\"",
        ),
        (
            json!({"rules": [{"data": "/a", "action": "hash"}], "key": "short"}),
            "shorter than 16",
        ),
    ] {
        let found = match serde_json::from_str::<Config>(&document.to_string()) {
            Ok(_) => panic!("{document} is taken"),
            Err(error) => error.to_string(),
        };
        assert!(found.contains(part), "{part}: {found}");
        assert!(!found.contains(KEY), "the key is not told");
    }
}
