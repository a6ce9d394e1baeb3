//! Which values an output's attributes may have (CloudEvents 1.0.2, "Context Attributes" and "Type
//! System"). Only what a plugin set is judged; what it inherits was judged at ingest.

use std::collections::BTreeMap;

use sandbar_types::AttributeValue;

/// Columns of attributes that every event must have: id, source, type.
pub(crate) const REQUIRED: usize = 3;
const TIME: usize = 4;
const URIS: [usize; 2] = [1, 6];

/// What is wrong with a value of the attribute in this column, if anything; `value` is not empty.
pub(crate) fn wrong(column: usize, value: &str) -> Option<&'static str> {
    if has_control(value) {
        return Some("has a control character");
    }
    if URIS.contains(&column)
        && value
            .chars()
            .any(|found| found == ' ' || matches!(found, '<' | '>' | '"'))
    {
        return Some("is no URI reference");
    }
    if column == TIME && !is_timestamp(value) {
        return Some("is no RFC 3339 timestamp");
    }
    None
}

/// Whether bytes of UTF-8 may hold a control character; may be wrong in saying yes.
pub(crate) fn may_have_control(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .any(|&byte| byte < 0x20 || byte == 0x7f || byte == 0xc2)
}

fn has_control(text: &str) -> bool {
    may_have_control(text.as_bytes()) && text.chars().any(char::is_control)
}

/// The extensions that an output has in the end: `set` over `inherited`, both JSON objects or
/// empty; an empty text in `set` removes one. Answers JSON, or empty when none is left.
///
/// # Errors
/// What is wrong with `set`.
pub(crate) fn merge_extensions(inherited: &str, set: &str) -> Result<String, String> {
    let set: BTreeMap<String, AttributeValue> = serde_json::from_str(set).map_err(|error| {
        format!("the extensions are no JSON object of texts, booleans and 32-bit integers: {error}")
    })?;
    let mut merged: BTreeMap<String, AttributeValue> = if inherited.is_empty() {
        BTreeMap::new()
    } else {
        serde_json::from_str(inherited)
            .map_err(|error| format!("the inherited extensions: {error}"))?
    };
    for (name, value) in set {
        if matches!(&value, AttributeValue::String(text) if text.is_empty()) {
            merged.remove(&name);
            continue;
        }
        let legal = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if !legal || CORE.contains(&name.as_str()) {
            return Err(format!(
                "{name:?} is no name of an extension: a-z and 0-9, and none of CloudEvents' own"
            ));
        }
        if matches!(&value, AttributeValue::String(text) if has_control(text)) {
            return Err(format!("the extension {name} has a control character"));
        }
        merged.insert(name, value);
    }
    if merged.is_empty() {
        return Ok(String::new());
    }
    serde_json::to_string(&merged).map_err(|error| error.to_string())
}

const CORE: [&str; 10] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "data",
    "database64",
];

/// RFC 3339 `date-time`: `2026-01-31T23:59:60.5+01:00`.
fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize, low: u32, high: u32| {
        let digits = bytes.get(from..to)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let value = digits
            .iter()
            .fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
        (low..=high).contains(&value).then_some(value)
    };
    let at = |index: usize, allowed: &[u8]| {
        bytes
            .get(index)
            .is_some_and(|found| allowed.contains(found))
    };
    let clock = |from: usize| {
        number(from, from + 2, 0, 23).is_some() && number(from + 3, from + 5, 0, 59).is_some()
    };
    let (Some(year), Some(month), Some(day)) = (
        number(0, 4, 0, 9999),
        number(5, 7, 1, 12),
        number(8, 10, 1, 31),
    ) else {
        return false;
    };
    let fixed = at(4, b"-") && at(7, b"-") && at(10, b"Tt") && at(13, b":") && at(16, b":");
    if !fixed || day > days(year, month) || !clock(11) || number(17, 19, 0, 60).is_none() {
        return false;
    }
    let mut zone = 19;
    if at(zone, b".") {
        let digits = bytes[zone + 1..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if digits == 0 {
            return false;
        }
        zone += 1 + digits;
    }
    match bytes.get(zone) {
        Some(b'Z' | b'z') => bytes.len() == zone + 1,
        Some(b'+' | b'-') => bytes.len() == zone + 6 && at(zone + 3, b":") && clock(zone + 1),
        _ => false,
    }
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn timestamps_are_judged_by_rfc_3339() {
        for good in [
            "2026-01-31T23:59:59Z",
            "2024-02-29t00:00:00z",
            "2026-06-30T23:59:60.123456789+01:30",
            "0000-01-01T00:00:00-00:00",
        ] {
            assert!(is_timestamp(good), "{good}");
        }
        for bad in [
            "yesterday",
            "",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01 00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+0100",
            "2026-01-01T00:00:00Zx",
            "2026-01-01T00:00:00+01:00x",
        ] {
            assert!(!is_timestamp(bad), "{bad}");
        }
    }

    #[test]
    fn extensions_are_set_over_the_inherited_ones() {
        let merged =
            merge_extensions(r#"{"a":1,"b":"x"}"#, r#"{"b":"y","a":"","c":true}"#).unwrap();
        assert_eq!(merged, r#"{"b":"y","c":true}"#);
        assert_eq!(merge_extensions(r#"{"a":1}"#, r#"{"a":""}"#).unwrap(), "");
        assert_eq!(
            merge_extensions("", r#"{"a":"1"}"#).unwrap(),
            r#"{"a":"1"}"#
        );
    }

    #[test]
    fn illegal_extensions_are_named() {
        for (set, name) in [
            (r#"{"Upper":"x"}"#, "Upper"),
            (r#"{"id":"x"}"#, "id"),
            ("{\"ok\":\"a\\u0007\"}", "ok"),
            (r#"{"":"x"}"#, "\"\""),
            (r#"{"big":3000000000}"#, "32-bit"),
            ("[1]", "JSON object"),
        ] {
            let error = merge_extensions("", set).unwrap_err();
            assert!(error.contains(name), "{set}: {error}");
        }
    }

    #[test]
    fn control_characters_are_found_and_umlauts_are_not() {
        assert!(wrong(3, "a\u{7}b").is_some());
        assert!(wrong(3, "a\u{85}b").is_some());
        assert_eq!(wrong(3, "Füße § ©"), None);
        assert!(wrong(1, "no uri").is_some());
    }
}
