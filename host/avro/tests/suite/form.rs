//! The JSON form: what the head of the crate says, value by value.

use sandbar_avro::{Flaw, Schema};
use serde_json::{Value, json};

use crate::{hex, schema, unhex};

/// A schema, the JSON of a value and its bytes, both ways.
#[track_caller]
fn both(described: Value, json: Value, bytes: &str) {
    let schema = schema(&described);
    let made = schema
        .to_bytes(&json)
        .unwrap_or_else(|flaw| panic!("{json}: {flaw}"));
    assert_eq!(hex(&made), bytes, "{json}");
    assert_eq!(schema.to_json(&made).unwrap(), json);
    fits_json_schema(&schema, &json);
}

/// JSON that is understood too.
#[track_caller]
fn taken(described: Value, json: Value, bytes: &str) {
    let made = schema(&described)
        .to_bytes(&json)
        .unwrap_or_else(|flaw| panic!("{json}: {flaw}"));
    assert_eq!(hex(&made), bytes, "{json}");
}

#[track_caller]
fn refused(described: Value, json: Value, path: &str, words: &str) {
    let flaw = schema(&described).to_bytes(&json).unwrap_err();
    tells(&flaw, path, words);
}

/// Bytes that are no datum.
#[track_caller]
fn no_datum(described: Value, bytes: &str, path: &str, words: &str) {
    let schema = schema(&described);
    let flaw = schema.to_json(&unhex(bytes)).unwrap_err();
    tells(&flaw, path, words);
    assert_eq!(schema.check(&unhex(bytes)).unwrap_err(), flaw);
}

#[track_caller]
fn tells(flaw: &Flaw, path: &str, words: &str) {
    assert_eq!(flaw.path, path, "{flaw}");
    assert!(flaw.reason.contains(words), "{flaw}");
}

#[track_caller]
pub fn fits_json_schema(schema: &Schema, json: &Value) {
    let described = schema.json_schema();
    let validator = jsonschema::validator_for(&described)
        .unwrap_or_else(|error| panic!("{described}: {error}"));
    if let Err(error) = validator.validate(json) {
        panic!("{json} does not fit {described}: {error}");
    }
}

#[test]
fn plain_values() {
    both(json!("null"), json!(null), "");
    both(json!("boolean"), json!(true), "01");
    both(json!("int"), json!(-2_147_483_648i64), "ffffffff0f");
    both(
        json!("long"),
        json!(9_223_372_036_854_775_807i64),
        "feffffffffffffffff01",
    );
    both(
        json!("long"),
        json!(-9_223_372_036_854_775_808i64),
        "ffffffffffffffffff01",
    );
    both(json!("string"), json!("Zoë"), "085a6fc3ab");
    both(json!("bytes"), json!("AP8="), "0400ff");
    both(
        json!({"type": "fixed", "name": "F", "size": 3}),
        json!("AP8B"),
        "00ff01",
    );
    both(
        json!({"type": "enum", "name": "E", "symbols": ["A", "B"]}),
        json!("B"),
        "02",
    );
    both(
        json!({"type": "array", "items": "int"}),
        json!([1, 2]),
        "04020400",
    );
    both(json!({"type": "array", "items": "int"}), json!([]), "00");
    both(
        json!({"type": "map", "values": "int"}),
        json!({"a": 1}),
        "0202610200",
    );

    taken(json!("int"), json!(5.0), "0a");
    refused(json!("int"), json!(5.5), "", "5.5 is no integer");
    refused(
        json!("int"),
        json!(2_147_483_648i64),
        "",
        "does not fit into an int",
    );
    refused(
        json!("long"),
        json!(9_223_372_036_854_775_808u64),
        "",
        "no integer that fits",
    );
    refused(json!("long"), json!(1e17), "", "no integer");
    refused(
        json!("boolean"),
        json!(1),
        "",
        "a boolean is needed, and this is 1",
    );
    refused(
        json!("null"),
        json!({}),
        "",
        "null is needed, and this is an object",
    );
    refused(json!("bytes"), json!("AP8"), "", "no base64");
    refused(json!("bytes"), json!("AP9="), "", "no base64");
    refused(
        json!({"type": "fixed", "name": "F", "size": 2}),
        json!("AP8B"),
        "",
        "2 bytes are needed, and these are 3",
    );
    refused(
        json!({"type": "enum", "name": "E", "symbols": ["A"]}),
        json!("B"),
        "",
        "\"B\" is no symbol of E",
    );
    refused(
        json!({"type": "array", "items": "int"}),
        json!([1, "2"]),
        "/1",
        "an integer is needed",
    );
    no_datum(
        json!({"type": "map", "values": "int"}),
        "04026102026102 00".replace(' ', "").as_str(),
        "/a",
        "twice",
    );
}

#[test]
fn floats() {
    both(json!("double"), json!(0.1), "9a9999999999b93f");
    both(json!("double"), json!(-0.0), "0000000000000080");
    both(json!("double"), json!("NaN"), "000000000000f87f");
    both(json!("double"), json!("-Infinity"), "000000000000f0ff");
    both(json!("float"), json!(0.1), "cdcccc3d");
    both(json!("float"), json!("Infinity"), "0000807f");
    taken(json!("double"), json!(5), "0000000000001440");
    taken(json!("float"), json!(16_777_216), "0000804b");
    refused(
        json!("double"),
        json!(9_007_199_254_740_993i64),
        "",
        "would be rounded",
    );
    refused(
        json!("float"),
        json!(16_777_217),
        "",
        "a float keeps 16777216 of 16777217",
    );
    refused(
        json!("float"),
        json!(0.123_456_789),
        "",
        "round it, or make the field a double",
    );
    refused(json!("float"), json!(1e300), "", "too large for a float");
    refused(json!("double"), json!("5"), "", "a number");
}

#[test]
fn decimals() {
    let money = json!({"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2});
    both(money.clone(), json!("12.50"), "0404e2");
    both(money.clone(), json!("-0.01"), "02ff");
    both(money.clone(), json!("0.00"), "0200");
    both(money.clone(), json!("-9999.99"), "06f0bdc1");
    taken(money.clone(), json!("12.5000"), "0404e2");
    taken(money.clone(), json!(12.5), "0404e2");
    taken(money.clone(), json!(12), "0404b0");
    refused(
        money.clone(),
        json!("12.505"),
        "",
        "more than 2 digits behind the point",
    );
    refused(money.clone(), json!(0.1 + 0.2), "", "more than 15 digits");
    refused(
        money.clone(),
        json!("10000.00"),
        "",
        "more than the 6 digits",
    );
    for no_number in ["", "-", "1e3", "1.", ".5", "+1", "01", "1,5", "٣"] {
        refused(money.clone(), json!(no_number), "", "is no decimal");
    }
    // A sign that is repeated reads as the same number.
    assert_eq!(
        schema(&money).to_json(&unhex("0800000001")).unwrap(),
        "0.01"
    );
    no_datum(money.clone(), "00", "", "at least one byte");
    no_datum(money, "060f4240", "", "more than 6 digits");
    let fixed =
        json!({"type": "fixed", "name": "D", "size": 4, "logicalType": "decimal", "precision": 9});
    both(fixed.clone(), json!("-2"), "fffffffe");
    both(fixed, json!("999999999"), "3b9ac9ff");
    let whole = json!({"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 2});
    both(whole, json!("0.99"), "0263");
}

#[test]
fn dates_and_times() {
    let long = |word: &str| json!({"type": "long", "logicalType": word});
    let int = |word: &str| json!({"type": "int", "logicalType": word});
    both(int("date"), json!("1970-01-01"), "00");
    both(int("date"), json!("2000-02-29"), "90ac01");
    both(int("date"), json!("0000-01-01"), "cfea57");
    // A year before 0000 or after 9999 is its number of days.
    both(int("date"), json!(-719_529), "d1ea57");
    both(int("date"), json!(2_932_897), "c282e602");
    taken(int("date"), json!(1), "02");
    refused(int("date"), json!("2023-02-29"), "", "is no date");
    refused(int("date"), json!("2023-2-1"), "", "is no date");
    both(int("time-millis"), json!("13:05:09.123"), "86d0f62c");
    both(long("time-micros"), json!("00:00:00.000001"), "02");
    both(int("time-millis"), json!(86_400_000), "80f0b252");
    taken(int("time-millis"), json!("00:00:01"), "d00f");
    refused(int("time-millis"), json!("24:00:00"), "", "is no time");
    refused(
        int("time-millis"),
        json!("00:00:00.0001"),
        "",
        "more than 3 digits",
    );
    both(
        long("timestamp-millis"),
        json!("1970-01-01T00:00:00.001Z"),
        "02",
    );
    both(
        long("timestamp-millis"),
        json!("1969-12-31T23:59:59.999Z"),
        "01",
    );
    both(
        long("timestamp-micros"),
        json!("2026-01-31T13:05:09.123456Z"),
        "80b6cdd4d7eba406",
    );
    both(
        long("timestamp-nanos"),
        json!("1970-01-01T00:00:00.000000001Z"),
        "02",
    );
    both(
        long("local-timestamp-micros"),
        json!("1970-01-01T00:00:00.000001"),
        "02",
    );
    taken(
        long("timestamp-millis"),
        json!("1970-01-01T01:00:00+01:00"),
        "00",
    );
    taken(
        long("timestamp-millis"),
        json!("1970-01-01t00:00:00.001000z"),
        "02",
    );
    refused(
        long("timestamp-millis"),
        json!("1970-01-01T00:00:00"),
        "",
        "with its offset",
    );
    refused(
        long("timestamp-millis"),
        json!("1970-01-01T23:59:60Z"),
        "",
        "is no timestamp",
    );
    refused(
        long("timestamp-millis"),
        json!("1970-01-01T00:00:00.0001Z"),
        "",
        "would be lost",
    );
    refused(
        long("timestamp-nanos"),
        json!("2500-01-01T00:00:00Z"),
        "",
        "beyond what a timestamp",
    );
    refused(
        long("local-timestamp-millis"),
        json!("1970-01-01T00:00:00Z"),
        "",
        "without offset",
    );
    // The largest there are.
    let most = schema(&long("timestamp-millis")).to_json(&unhex("feffffffffffffffff01"));
    assert_eq!(most.unwrap(), json!(i64::MAX));
    let last = schema(&long("timestamp-nanos")).to_json(&unhex("feffffffffffffffff01"));
    assert_eq!(last.unwrap(), "2262-04-11T23:47:16.854775807Z");
}

#[test]
fn uuids_and_durations() {
    let uuid = "123E4567-e89b-12d3-a456-426614174000";
    let text = json!({"type": "string", "logicalType": "uuid"});
    both(
        text.clone(),
        json!(uuid),
        &format!("48{}", hex(uuid.as_bytes())),
    );
    refused(
        text,
        json!("123e4567e89b12d3a456426614174000"),
        "",
        "is no UUID",
    );
    let fixed = json!({"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"});
    both(
        fixed,
        json!(uuid.to_lowercase()),
        "123e4567e89b12d3a456426614174000",
    );
    let duration = json!({"type": "fixed", "name": "D", "size": 12, "logicalType": "duration"});
    both(
        duration.clone(),
        json!({"months": 1, "days": 2, "milliseconds": 4_294_967_295u32}),
        "0100000002000000ffffffff",
    );
    refused(
        duration.clone(),
        json!({"months": 1, "days": 2}),
        "",
        "milliseconds",
    );
    refused(
        duration,
        json!({"months": -1, "days": 2, "milliseconds": 3}),
        "",
        "months is an integer",
    );
}

#[test]
fn logical_types_that_do_not_count_are_ignored() {
    both(
        json!({"type": "string", "logicalType": "date"}),
        json!("x"),
        "0278",
    );
    both(
        json!({"type": "bytes", "logicalType": "decimal"}),
        json!("AA=="),
        "0200",
    );
    both(
        json!({"type": "bytes", "logicalType": "decimal", "precision": 1, "scale": 2}),
        json!("AA=="),
        "0200",
    );
    both(
        json!({"type": "fixed", "name": "D", "size": 1, "logicalType": "decimal", "precision": 3}),
        json!("AA=="),
        "00",
    );
    both(
        json!({"type": "bytes", "logicalType": "decimal", "precision": 1001}),
        json!("AA=="),
        "0200",
    );
}

#[test]
fn records() {
    let order = json!({"type": "record", "name": "Order", "fields": [
        {"name": "id", "type": "string"},
        {"name": "count", "type": "int", "default": 1},
        {"name": "note", "type": ["null", "string"], "default": null},
        {"name": "raw", "type": "bytes", "default": "\u{ff}\u{0}"},
        {"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [
            {"name": "price", "type": "double"}]}}, "default": [{"price": 2.5}]},
    ]});
    both(
        order.clone(),
        json!({"id": "a", "count": 2, "note": "x", "raw": "", "lines": []}),
        "026104020278 00 00".replace(' ', "").as_str(),
    );
    taken(
        order.clone(),
        json!({"id": "a"}),
        "0261020004ff000200000000000004 4000"
            .replace(' ', "")
            .as_str(),
    );
    fits_json_schema(&schema(&order), &json!({"id": "a"}));
    refused(
        order.clone(),
        json!({"count": 2}),
        "/id",
        "is missing, and it has no default",
    );
    refused(
        order.clone(),
        json!({"id": "a", "sum": 2}),
        "/sum",
        "the record Order has no such field",
    );
    refused(
        order.clone(),
        json!({"id": "a", "lines": [{"price": "2"}]}),
        "/lines/0/price",
        "a number",
    );
    refused(
        order.clone(),
        json!([]),
        "",
        "an object for the record Order is needed",
    );
    no_datum(order.clone(), "02610200", "/raw", "ends within an integer");
    no_datum(order, "0261020001", "/raw", "a length of -1");
}

#[test]
fn unions_that_are_bare() {
    both(json!(["null", "string"]), json!(null), "00");
    both(json!(["null", "string"]), json!("a"), "020261");
    both(json!(["int", "string"]), json!(5), "000a");
    taken(json!(["int", "string"]), json!({"int": 5}), "000a");
    taken(json!(["int", "string"]), json!(5.0), "000a");
    let record =
        json!({"type": "record", "name": "ns.R", "fields": [{"name": "string", "type": "int"}]});
    both(json!([record, "string"]), json!({"string": 5}), "000a");
    // A double is a number, and named when it is none.
    both(
        json!(["double", "string"]),
        json!(0.5),
        "00000000000000e03f",
    );
    both(json!(["double", "string"]), json!("NaN"), "02064e614e");
    both(
        json!(["double", "string"]),
        json!({"double": "NaN"}),
        "00000000000000f87f",
    );
    both(
        json!(["null", "double"]),
        json!("NaN"),
        "02000000000000f87f",
    );
    let date = json!({"type": "int", "logicalType": "date"});
    both(json!([date, "long"]), json!("1970-01-02"), "0002");
    both(json!([date, "long"]), json!(5), "020a");
    both(
        json!([date, "long"]),
        json!({"int": 2_932_897}),
        "00c282e602",
    );
    refused(
        json!(["null", "string"]),
        json!(5),
        "",
        "5 is of no branch of the union: null, string",
    );
    refused(
        json!(["string", "int"]),
        json!(null),
        "",
        "null is of no branch",
    );
    refused(
        json!(["string", "int"]),
        json!({"long": 1}),
        "",
        "no branch \"long\"",
    );
}

#[test]
fn unions_that_are_named() {
    both(json!(["null", "int", "long"]), json!({"long": 5}), "040a");
    both(json!(["null", "int", "long"]), json!(null), "00");
    both(
        json!(["string", "bytes"]),
        json!({"bytes": "AA=="}),
        "020200",
    );
    let a = json!({"type": "record", "name": "ns.A", "fields": []});
    let b = json!({"type": "record", "name": "B", "fields": [{"name": "x", "type": "int"}]});
    both(json!([a, b]), json!({"ns.A": {}}), "00");
    both(json!([a, b]), json!({"B": {"x": 1}}), "0202");
    // Beside an object, what could be taken for another branch is always named.
    both(
        json!(["double", "string", a]),
        json!({"double": 0.5}),
        "00000000000000e03f",
    );
    refused(
        json!(["null", "int", "long"]),
        json!(5),
        "",
        "{\"branch\": value}",
    );
    refused(
        json!([a, b]),
        json!({"B": {"x": "1"}}),
        "/B/x",
        "an integer",
    );
    refused(
        json!([a, b]),
        json!({"B": {"x": 1}, "ns.A": {}}),
        "",
        "{\"branch\": value}",
    );
    no_datum(json!([a, b]), "04", "", "there is no branch 2; there are 2");
    no_datum(
        json!(["null", "int", "long"]),
        "02",
        "/int",
        "ends within an integer",
    );
}

#[test]
fn recursion() {
    let list = json!({"type": "record", "name": "List", "fields": [
        {"name": "value", "type": "int"}, {"name": "next", "type": ["null", "List"]}]});
    both(
        list,
        json!({"value": 1, "next": {"value": 2, "next": null}}),
        "02020400",
    );
}

#[test]
fn nothing_is_left_over() {
    no_datum(json!("int"), "0202", "", "1 bytes are left over");
    no_datum(json!("int"), "", "", "ends within an integer");
    no_datum(json!("null"), "00", "", "left over");
}
