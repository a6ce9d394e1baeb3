//! Programs on events: map, filter, validate, and what is refused.

use sandbar_sdk::test::{Sample, log_lines};
use serde_json::{Value, json};

use super::*;

fn config(document: Value) -> Config {
    serde_json::from_value(document).unwrap()
}

fn refused(document: Value) -> String {
    match serde_json::from_str::<Config>(&document.to_string()) {
        Ok(_) => panic!("{document} is taken"),
        Err(error) => error.to_string(),
    }
}

fn order() -> Sample {
    Sample::new("shop.order")
        .subject("order/7")
        .extension("partitionkey", "k")
        .extension("priority", 3)
        .json(&json!({"id": 7, "total": 19.5, "lines": [{"sku": "a"}, {"sku": "b"}]}))
}

fn run(document: Value, sample: &Sample) -> Verdict {
    sample.run_with(&config(document), transform)
}

/// The data of the outputs of a program on `sample`.
fn data(program: &str, sample: &Sample) -> Vec<String> {
    let verdict = run(json!({"program": program}), sample);
    assert!(verdict.rejected().is_none(), "{program}: {verdict:?}");
    let outputs = verdict.outputs().iter();
    outputs
        .map(|output| String::from_utf8(output.data_bytes().unwrap().to_vec()).unwrap())
        .collect()
}

fn reason(program: &str, sample: &Sample) -> String {
    let verdict = run(json!({"program": program}), sample);
    let problem = verdict.rejected();
    problem
        .unwrap_or_else(|| panic!("{program}: {verdict:?}"))
        .reason()
        .to_owned()
}

#[test]
fn each_value_is_an_output_with_this_data() {
    assert_eq!(
        data("{order: .id, total}", &order()),
        [r#"{"order":7,"total":19.5}"#]
    );
    assert_eq!(data(".lines[].sku", &order()), [r#""a""#, r#""b""#]);
    assert_eq!(data("[.lines[].sku] | join(\",\")", &order()), [r#""a,b""#]);
}

#[test]
fn no_value_is_a_drop() {
    let verdict = run(json!({"program": "select(.total > 20)"}), &order());
    assert_eq!(verdict.dropped(), Some("the program gives nothing"));
    let named = json!({"program": "empty", "drop_reason": "not wanted"});
    assert_eq!(run(named, &order()).dropped(), Some("not wanted"));
}

#[test]
fn an_error_is_a_reject_with_its_message() {
    assert_eq!(reason(r#"error("no total")"#, &order()), "no total");
    assert_eq!(reason(r#"error({code: 5})"#, &order()), r#"{"code":5}"#);
    // Also after values, which then do not count.
    assert_eq!(reason(r#".lines[], error("late")"#, &order()), "late");
    assert!(
        reason(".id[]", &order()).contains("7"),
        "a slip of the program is told"
    );
    assert_eq!(data(r#"try error("x") catch ."#, &order()), [r#""x""#]);
}

#[test]
fn what_is_not_json_is_rejected() {
    let sample = Sample::new("t");
    for (sample, part) in [
        (sample.clone().data("{\"a\": 1,}"), "line 1 column 9"),
        (sample.clone().data("# comment\n1"), "line 1 column 1"),
        (sample.clone().data("NaN"), "line 1 column 1"),
        (sample.clone().data(vec![b'"', 0xff, b'"']), "not UTF-8"),
        (
            sample.clone().data("[".repeat(200) + &"]".repeat(200)),
            "deeper than 128",
        ),
        (sample.clone().data(r#""\ud800""#), "not JSON"),
        (
            sample.clone().data("a,b").datacontenttype("text/csv"),
            "text/csv",
        ),
        (sample.clone(), "no data"),
    ] {
        let found = reason(".", &sample);
        assert!(found.contains(part), "{part}: {found}");
    }
}

#[test]
fn numbers_keep_what_they_are() {
    let sample = Sample::new("t").data("[19.90, 12345678901234567890, 3000000000, 1e400, -0.0, 7]");
    assert_eq!(
        data(".", &sample),
        ["[19.90,12345678901234567890,3000000000,1e400,-0.0,7]"]
    );
    assert_eq!(
        data(
            "[.[2] + 1, .[5] / 7, .[0] * 2, 0.5, (\"01.5\" | tonumber)]",
            &sample
        ),
        ["[3000000001,1,39.8,0.5,1.5]"]
    );
}

#[test]
fn what_json_cannot_say_is_rejected() {
    for (program, part) in [
        ("nan", "NaN"),
        ("infinite", "inf"),
        ("{(1): 2}", "key 1"),
        ("\"a\" | tobytes", "bytes"),
        ("reduce range(200) as $i (0; [.])", "deeper than 128"),
    ] {
        let found = reason(program, &order());
        assert!(found.contains(part), "{program}: {found}");
    }
}

#[test]
fn a_program_without_end_is_ended() {
    assert!(reason("repeat(1)", &order()).contains("more than 65536"));
}

#[test]
fn a_program_that_is_wrong_is_refused_with_the_place() {
    for (program, parts) in [
        (
            ".a | | .b",
            &["line 1, column 6", "expected term", "\"|\""][..],
        ),
        ("{a: 1", &["line 1, column 6", "closing brace"]),
        (".a\n| .b +", &["line 2, column 7", "found the end"]),
        ("§", &["line 1, column 1"]),
        (
            ".a | nosuch(1)",
            &["line 1, column 6", "no function nosuch of one argument"],
        ),
        ("$nosuch", &["line 1, column 1", "no variable $nosuch"]),
        ("now", &["now is not offered"]),
        ("[inputs]", &["line 1, column 2", "inputs is not offered"]),
        ("env.HOME", &["not offered"]),
        ("$ENV", &["not offered"]),
        ("halt_error", &["not offered"]),
        ("include \"a\"; .", &["no modules can be loaded"]),
        ("", &["found the end"]),
    ] {
        let found = refused(json!({"program": program}));
        for part in parts {
            assert!(found.contains(part), "{program}: {part}: {found}");
        }
    }
}

#[test]
fn a_config_that_is_wrong_is_refused() {
    for (document, part) in [
        (json!(null), "an object with \"program\""),
        (json!({}), "program"),
        (json!({"program": ".", "inpt": "data"}), "inpt"),
        (json!({"program": ".", "input": "events"}), "events"),
    ] {
        let found = refused(document);
        assert!(found.contains(part), "{part}: {found}");
    }
}

#[test]
fn target_and_type_may_stand_in_the_config() {
    let document = json!({"program": ".lines[]", "target": "lines", "type": "shop.line"});
    let verdict = run(document, &order());
    for output in verdict.outputs() {
        assert_eq!(output.target_name(), Some("lines"));
        assert_eq!(output.attribute("type"), Some("shop.line"));
    }
    assert_eq!(verdict.outputs().len(), 2);
}

#[test]
fn a_program_on_data_may_look_at_the_attributes() {
    let program = "{what: $event.type, about: $event.subject, priority: $event.priority, none: $event.time, data: ($event | has(\"data\"))}";
    assert_eq!(
        data(program, &order()),
        [r#"{"what":"shop.order","about":"order/7","priority":3,"none":null,"data":false}"#]
    );
}

#[test]
fn a_whole_event_loses_what_is_deleted() {
    let program = r#".type = "shop.parcel" | .data |= {order: .id} | del(.subject, .priority) | .big = true | .sandbartarget = "parcels""#;
    let verdict = run(json!({"program": program, "input": "event"}), &order());
    let output = &verdict.outputs()[0];
    assert_eq!(output.attribute("type"), Some("shop.parcel"));
    assert_eq!(output.attribute("subject"), Some(""), "left out");
    assert_eq!(output.attribute("priority"), Some(""), "left out");
    assert_eq!(output.attribute("partitionkey"), None, "as it was");
    assert_eq!(output.attribute("id"), None, "as it was");
    assert_eq!(output.attribute("big"), Some("true"));
    assert_eq!(output.target_name(), Some("parcels"));
    assert_eq!(output.json_value(), json!({"order": 7}));
    let without = run(json!({"program": "del(.data)", "input": "event"}), &order());
    assert_eq!(without.outputs()[0].data_bytes(), Some(&[][..]));
}

#[test]
fn an_object_without_specversion_inherits_the_rest() {
    let program = r#"{type: "shop.parcel", subject: null, data: .data.lines[]}"#;
    let verdict = run(json!({"program": program, "input": "event"}), &order());
    assert_eq!(verdict.outputs().len(), 2);
    let output = &verdict.outputs()[1];
    assert_eq!(output.attribute("subject"), Some(""), "left out");
    assert_eq!(output.attribute("priority"), None, "inherited");
    assert_eq!(output.json_value(), json!({"sku": "b"}));
    // From data to whole events, too.
    let document = json!({"program": "{subject: \"s\", sandbartarget: (if .total > 10 then \"big\" else null end)}", "output": "event"});
    let verdict = run(document, &order());
    let output = &verdict.outputs()[0];
    assert_eq!(
        (output.attribute("subject"), output.target_name()),
        (Some("s"), Some("big"))
    );
    assert_eq!(output.data_bytes(), None, "inherited");
}

#[test]
fn an_object_that_is_no_event_is_rejected() {
    for (program, part) in [
        ("1", "a number"),
        ("{id: null}", "no id"),
        ("del(.source)", "no source"),
        ("{subject: 5}", "subject is a number"),
        ("{\"Bad-Name\": \"x\"}", "Bad-Name"),
        ("{sandbarx: \"x\"}", "sandbarx"),
        ("{extra: [1]}", "extra is an array"),
        ("{extra: 1.5}", "extra is a number"),
        ("{specversion: \"0.3\"}", "0.3"),
        ("{data: 1, data_base64: \"\"}", "both"),
        ("{data_base64: \"?\"}", "data_base64"),
        (
            "{datacontenttype: \"text/plain\", data: {}}",
            "data is an object",
        ),
    ] {
        let verdict = run(json!({"program": program, "input": "event"}), &order());
        let found = verdict
            .rejected()
            .unwrap_or_else(|| panic!("{program}: {verdict:?}"));
        assert!(found.reason().contains(part), "{program}: {found}");
    }
}

#[test]
fn data_that_is_not_json_is_a_text_or_base64_of_an_event() {
    let csv = Sample::new("t").datacontenttype("text/csv").data("a;b");
    let event = |program: &str, sample: &Sample| {
        let verdict = run(json!({"program": program, "input": "event"}), sample);
        assert!(verdict.rejected().is_none(), "{program}: {verdict:?}");
        verdict.outputs()[0].clone()
    };
    let output = event(".data |= ascii_upcase", &csv);
    assert_eq!(output.data_bytes(), Some(&b"A;B"[..]));
    assert_eq!(output.attribute("datacontenttype"), None);
    let output = event(".data |= split(\";\")", &csv);
    assert_eq!(output.json_value(), json!(["a", "b"]));
    assert_eq!(
        output.attribute("datacontenttype"),
        Some("application/json")
    );
    let bytes = Sample::new("t")
        .datacontenttype("image/png")
        .data(vec![0xff, 0xfe]);
    assert_eq!(event(".", &bytes).data_bytes(), Some(&[0xff, 0xfe][..]));
    // Data of an event that is not JSON, as the data of a JSON event.
    let document = json!({"program": "{text: .data}", "input": "event", "output": "data"});
    let verdict = run(document, &csv);
    assert_eq!(
        verdict.outputs()[0].attribute("datacontenttype"),
        Some("application/json")
    );
}

#[test]
fn debug_writes_to_the_log() {
    let _ = log_lines();
    assert_eq!(data(".id | debug | debug(\"id \\(.)\")", &order()), ["7"]);
    let lines: Vec<String> = log_lines().into_iter().map(|(_, line)| line).collect();
    assert_eq!(lines, ["7", "id 7"]);
}

#[test]
fn dates_and_patterns_work() {
    let sample =
        Sample::new("t").json(&json!({"at": "2040-01-02T03:04:05Z", "name": "Ada Lovelace"}));
    assert_eq!(
        data(
            ".at | fromdate, (fromdate | todate), (fromdate | strftime(\"%d.%m.%Y\"))",
            &sample
        ),
        ["2209086245", r#""2040-01-02T03:04:05Z""#, r#""02.01.2040""#]
    );
    assert_eq!(
        data(
            r#".name | capture("(?<first>\\w+) (?<last>\\w+)")"#,
            &sample
        ),
        [r#"{"first":"Ada","last":"Lovelace"}"#]
    );
}

#[test]
fn what_jq_has_and_jaq_has_not_is_there() {
    for (program, expected) in [
        (
            r#"[1.50, "a\"b", null, true] | @csv"#,
            r#""1.50,\"a\"\"b\",,true""#,
        ),
        (r#"["a\tb\\", null, 1] | @tsv"#, r#""a\\tb\\\\\t\t1""#),
        ("65 | ascii", r#""A""#),
        ("[1, [1] | toarray]", "[[1],[1]]"),
        (r#""abc" | trimstr("a") | trimstr("c")"#, r#""b""#),
        ("[{a: [1]} | leaf_paths]", r#"[["a",0]]"#),
        ("[2 | IN(1, 2), IN(3)]", "[true,false]"),
        ("IN(1, 2; 2, 3)", "true"),
        (
            "[{k: 1}, {k: 2}] | INDEX(.k)",
            r#"{"1":{"k":1},"2":{"k":2}}"#,
        ),
    ] {
        assert_eq!(data(program, &order()), [expected], "{program}");
    }
    let found = reason("[[1]] | @csv", &order());
    assert_eq!(found, "array in a row of @csv");
}
