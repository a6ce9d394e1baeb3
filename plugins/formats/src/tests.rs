//! Each format into each other, and what is malformed.

use sandbar_sdk::test::Sample;
use serde_json::{Value, json};

use super::*;

fn config(document: Value) -> Config {
    serde_json::from_value(document).unwrap()
}

fn run(document: Value, data: &str) -> Verdict {
    let sample = Sample::new("t")
        .dataschema("https://example.com/schema")
        .data(data);
    sample.run_with(&config(document), transform)
}

/// The data of all outputs.
fn data(document: Value, input: &str) -> Vec<String> {
    let verdict = run(document.clone(), input);
    assert!(verdict.is_emit(), "{document} {input:?}: {verdict:?}");
    let outputs = verdict.outputs().iter();
    outputs
        .map(|output| String::from_utf8(output.data_bytes().unwrap().to_vec()).unwrap())
        .collect()
}

fn one(document: Value, input: &str) -> String {
    let all = data(document, input);
    assert_eq!(all.len(), 1);
    all[0].clone()
}

fn reason(document: Value, input: &str) -> String {
    let verdict = run(document.clone(), input);
    let problem = verdict.rejected();
    problem
        .unwrap_or_else(|| panic!("{document} {input:?}: {verdict:?}"))
        .reason()
        .to_owned()
}

#[test]
fn csv_with_a_header_becomes_objects() {
    let input = "\u{feff}id,name,note\r\n7,\"Ada, L.\",\"say \"\"hi\"\"\n\"\r\n008,,x\r\n";
    assert_eq!(
        one(json!({"from": "csv", "to": "json"}), input),
        r#"[{"id":"7","name":"Ada, L.","note":"say \"hi\"\n"},{"id":"008","name":"","note":"x"}]"#
    );
    let infer = json!({"from": "csv", "to": "json", "csv": {"infer": true, "delimiter": ";"}});
    assert_eq!(
        one(
            infer,
            "a;b;c;d;e;f\n1.50;true;;008;-2e3;12345678901234567890\n"
        ),
        r#"[{"a":1.50,"b":true,"c":null,"d":"008","e":-2e3,"f":12345678901234567890}]"#
    );
}

#[test]
fn csv_without_a_header_becomes_arrays_or_takes_given_names() {
    let none = json!({"from": "csv", "to": "json", "csv": {"header": false}});
    assert_eq!(one(none, "1,2\n3,4"), r#"[["1","2"],["3","4"]]"#);
    let given = json!({"from": "csv", "to": "json", "csv": {"header": ["x", "y"]}});
    assert_eq!(one(given, "1,2\n"), r#"[{"x":"1","y":"2"}]"#);
}

#[test]
fn rows_may_become_events_of_their_own() {
    let split = json!({"from": "csv", "to": "json", "split": true});
    let verdict = run(split.clone(), "a\n1\n2\n");
    assert_eq!(verdict.outputs().len(), 2);
    for output in verdict.outputs() {
        assert_eq!(
            output.attribute("datacontenttype"),
            Some("application/json")
        );
        assert_eq!(output.attribute("dataschema"), Some(""), "left out");
    }
    assert_eq!(verdict.outputs()[1].json_value(), json!({"a": "2"}));
    assert_eq!(run(split, "a\n").dropped(), Some("there are no rows"));
    let lines = json!({"from": "ndjson", "to": "csv", "split": true});
    assert_eq!(
        data(lines, "{\"a\":1}\n\n{\"a\":2}"),
        ["a\r\n1\r\n", "a\r\n2\r\n"]
    );
    let array = json!({"from": "json", "to": "json", "split": true});
    assert_eq!(
        data(array.clone(), "[1.0, {\"b\": 2}]"),
        ["1.0", "{\"b\": 2}"]
    );
    assert!(reason(array, "{}").contains("an object, not rows"));
}

#[test]
fn csv_that_breaks_the_rules_is_rejected_with_the_place() {
    for (input, part) in [
        ("a,b\n1,2\n3\n", "line 3: 1 fields, and 2 columns"),
        ("a,b\n1,2,3\n", "line 2: 3 fields"),
        ("a,b\n1,\"2\n", "line 2 column 3: the quote is never closed"),
        ("a,b\n1,x\"2\n", "line 2 column 4: a quote within"),
        ("a,b\n\"1\"x,2\n", "line 2 column 4: a quoted field goes on"),
        ("a,a\n1,2\n", "line 1: two columns have the name \"a\""),
    ] {
        let found = reason(json!({"from": "csv", "to": "json"}), input);
        assert!(found.contains(part), "{part}: {found}");
    }
    let few = json!({"from": "csv", "to": "json", "max_rows": 1});
    assert!(reason(few, "a\n1\n2\n").contains("line 3: there are more than 1 rows"));
    let sample = Sample::new("t").data(b"a\n\xff\n".to_vec());
    let verdict = sample.run_with(&config(json!({"from": "csv", "to": "json"})), transform);
    assert!(
        verdict
            .rejected()
            .unwrap()
            .reason()
            .contains("line 2 column 1: not UTF-8")
    );
}

#[test]
fn json_becomes_csv() {
    let plain = json!({"from": "json", "to": "csv"});
    let input = r#"[{"id": 7, "n": 1.50}, {"n": null, "t": "a,\"b\"", "id": true}]"#;
    assert_eq!(
        one(plain.clone(), input),
        "id,n,t\r\n7,1.50,\r\ntrue,,\"a,\"\"b\"\"\"\r\n"
    );
    assert_eq!(one(plain.clone(), r#"{"a": "x"}"#), "a\r\nx\r\n");
    assert_eq!(one(plain.clone(), "[]"), "");
    let chosen =
        json!({"from": "json", "to": "csv", "csv": {"header": ["t", "id"], "delimiter": "\t"}});
    assert_eq!(
        one(chosen, input),
        "t\tid\r\n\t7\r\n\"a,\"\"b\"\"\"\ttrue\r\n"
    );
    let none = json!({"from": "json", "to": "csv", "csv": {"header": false}});
    assert_eq!(one(none, r#"[[1, "x"], [2, ""]]"#), "1,x\r\n2,\r\n");
    for (input, part) in [
        (r#"[{"a": {"b": 1}}]"#, "row 1: \"a\" is an object"),
        ("[[1]]", "row 1: is an array"),
        ("5", "needs rows, not a single value"),
        ("{", "line 1"),
    ] {
        let found = reason(plain.clone(), input);
        assert!(found.contains(part), "{part}: {found}");
    }
}

#[test]
fn ndjson_and_an_array_are_the_same() {
    let input = "{\"a\": 1.0}\r\n\n[2,\r\"x\"]\n";
    assert_eq!(
        one(json!({"from": "ndjson", "to": "json"}), input),
        "[{\"a\": 1.0},[2,\r\"x\"]]"
    );
    let back = json!({"from": "json", "to": "ndjson"});
    assert_eq!(
        one(back.clone(), "[{\"a\":\n1},\"x\\n\"]"),
        "{\"a\": 1}\n\"x\\n\"\n"
    );
    assert_eq!(one(back, "{\"a\": 1}"), "{\"a\": 1}\n");
    let found = reason(json!({"from": "ndjson", "to": "json"}), "1\n\n{\"a\" 1}\n");
    assert!(
        found.contains("line 3: ") && found.contains("column 6"),
        "{found}"
    );
}

#[test]
fn a_form_becomes_an_object_and_back() {
    let from = json!({"from": "form", "to": "json"});
    assert_eq!(
        one(
            from.clone(),
            "name=Ada+L%C3%B6ve&tag=a&tag=b&tag=&empty&x=%26"
        ),
        r#"{"name":"Ada Löve","tag":["a","b",""],"empty":"","x":"&"}"#
    );
    for (input, part) in [
        ("a=%4", "column 3: %"),
        ("a=1&b=%zz", "column 7: %"),
        ("a=%ff&b=1", "column 6: what stands before is not UTF-8"),
        ("a=b c", "column 4: a space"),
    ] {
        let found = reason(from.clone(), input);
        assert!(found.contains(part), "{part}: {found}");
    }
    let to = json!({"from": "json", "to": "form"});
    assert_eq!(
        one(
            to.clone(),
            r#"{"n": 1.50, "t": ["a b", "ö"], "none": null, "b": true}"#
        ),
        "n=1.50&t=a+b&t=%C3%B6&b=true"
    );
    assert!(reason(to.clone(), r#"{"a": {"b": 1}}"#).contains("\"a\" is an object"));
    assert!(reason(to, "[1]").contains("needs an object"));
}

#[test]
fn xml_becomes_an_object() {
    let input = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!-- one --><order id=\"7\" note='a &lt; &#66;'>\n  <name>Ada &amp; <![CDATA[<L>]]>&#x41;</name>\n  <line sku=\"a\">2</line>\n  <line/>\n  <x:empty></x:empty>\n</order>\n";
    assert_eq!(
        one(json!({"from": "xml", "to": "json"}), input),
        r##"{"order":{"@id":"7","@note":"a < B","name":"Ada & <L>A","line":[{"@sku":"a","#text":"2"},""],"x:empty":""}}"##
    );
    let arrays = json!({"from": "xml", "to": "json", "xml": {"arrays": ["b"]}});
    assert_eq!(one(arrays, "<a><b> 1 </b></a>"), r#"{"a":{"b":[" 1 "]}}"#);
}

#[test]
fn xml_that_is_broken_is_rejected_with_the_place() {
    let deep = "<a>".repeat(200);
    for (input, part) in [
        ("<a>\n<b></a>", "line 2 column 4"),
        ("<a>", "line 1 column 4: <a> is never closed"),
        ("<a/><b/>", "line 1 column 5: a second root"),
        ("<a/>x", "line 1 column 5: text outside"),
        ("<a>&nosuch;</a>", "line 1 column 4: the entity &nosuch;"),
        ("<a b='1' b='2'/>", "line 1 column 1"),
        ("<!DOCTYPE a [<!ENTITY x 'y'>]><a/>", "document type"),
        ("<?xml version='1.0' encoding='latin1'?><a/>", "latin1"),
        (deep.as_str(), "deeper than 128"),
        ("  ", "there is no element"),
        ("{}", "text outside"),
    ] {
        let found = reason(json!({"from": "xml", "to": "json"}), input);
        assert!(found.contains(part), "{part}: {found}");
    }
}

#[test]
fn json_becomes_xml() {
    let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    let plain = json!({"from": "json", "to": "xml"});
    let input = r##"{"order": {"name": "A & <b>", "@id": 7, "line": [{"@s": "\"\n", "#text": 1.50}, null], "none": []}}"##;
    assert_eq!(
        one(plain.clone(), input),
        format!(
            "{head}<order id=\"7\"><name>A &amp; &lt;b&gt;</name><line s=\"&quot;&#10;\">1.50</line><line/></order>"
        )
    );
    let rooted = json!({"from": "csv", "to": "xml", "xml": {"root": "orders", "item": "order"}});
    assert_eq!(
        one(rooted, "id\n1\n2\n"),
        format!("{head}<orders><order><id>1</id></order><order><id>2</id></order></orders>")
    );
    for (input, part) in [
        (r#"{"a": 1, "b": 2}"#, "needs an object of one member"),
        (r#"{"a": [1, 2]}"#, "needs an object of one member"),
        (r#"{"a b": 1}"#, "\"a b\" is no name"),
        (r#"{"a": {"@b": {}}}"#, "a/@b: is an object"),
        (r#"{"a": "\u0000"}"#, "U+0000"),
        (r#"{"a": {"b": [[1]]}}"#, "array in an array"),
    ] {
        let found = reason(plain.clone(), input);
        assert!(found.contains(part), "{part}: {found}");
    }
    // There and back.
    let back = one(json!({"from": "xml", "to": "json"}), &one(plain, input));
    assert_eq!(
        back,
        r##"{"order":{"@id":"7","name":"A & <b>","line":[{"@s":"\"\n","#text":"1.50"},""]}}"##
    );
}

#[test]
fn the_media_type_is_that_of_the_new_format_or_of_the_config() {
    for (to, kind) in [
        ("csv", "text/csv"),
        ("xml", "application/xml"),
        ("form", "application/x-www-form-urlencoded"),
        ("ndjson", "application/x-ndjson"),
    ] {
        let verdict = run(json!({"from": "json", "to": to}), r#"{"a": "b"}"#);
        let output = &verdict.outputs()[0];
        assert_eq!(output.attribute("datacontenttype"), Some(kind));
    }
    let named = json!({"from": "json", "to": "xml", "datacontenttype": "text/xml"});
    let verdict = run(named, r#"{"a": "b"}"#);
    assert_eq!(
        verdict.outputs()[0].attribute("datacontenttype"),
        Some("text/xml")
    );
}

#[test]
fn an_event_without_data_is_rejected() {
    assert!(reason(json!({"from": "json", "to": "xml"}), "").contains("no data"));
}

#[test]
fn a_config_that_is_wrong_is_refused_with_the_place() {
    for (document, part) in [
        (json!(null), "an object with \"from\" and \"to\""),
        (json!({"from": "csv"}), "to"),
        (json!({"from": "csv", "to": "yaml"}), "yaml"),
        (json!({"from": "csv", "to": "json", "splt": true}), "splt"),
        (json!({"from": "json", "to": "json"}), "/to"),
        (
            json!({"from": "xml", "to": "json", "split": true}),
            "/split",
        ),
        (
            json!({"from": "json", "to": "xml", "csv": {}}),
            "/csv: neither",
        ),
        (
            json!({"from": "json", "to": "csv", "xml": {}}),
            "/xml: neither",
        ),
        (
            json!({"from": "csv", "to": "json", "csv": {"delimiter": "\""}}),
            "/csv/delimiter",
        ),
        (
            json!({"from": "csv", "to": "json", "csv": {"delimiter": ";;"}}),
            "/csv/delimiter",
        ),
        (
            json!({"from": "csv", "to": "json", "csv": {"header": ["a", "a"]}}),
            "/csv/header: two columns",
        ),
        (
            json!({"from": "csv", "to": "json", "csv": {"header": 1}}),
            "header is true, false",
        ),
        (
            json!({"from": "csv", "to": "json", "max_rows": 0}),
            "/max_rows",
        ),
    ] {
        let found = match serde_json::from_str::<Config>(&document.to_string()) {
            Ok(_) => panic!("{document} is taken"),
            Err(error) => error.to_string(),
        };
        assert!(found.contains(part), "{part}: {found}");
    }
}
