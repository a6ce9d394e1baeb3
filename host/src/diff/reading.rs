//! Reads a JSON document so that documents that differ are read as different.

use std::collections::BTreeMap;

use serde_json::{Error, Value, value::RawValue};

/// So many digits of a number a float always keeps.
const DIGITS: usize = 15;

/// A document as it is written. What a [`Value`] does not hold stands as its text: numbers beyond a float
/// or with more digits than one keeps, texts with half of a surrogate pair; all of it where it is no JSON.
#[must_use]
pub fn read(text: &[u8]) -> Value {
    let whole = || Value::from(String::from_utf8_lossy(text).into_owned());
    let Ok(raw) = serde_json::from_slice::<&RawValue>(text) else {
        return whole();
    };
    part(raw).unwrap_or_else(|_| whole())
}

fn part(raw: &RawValue) -> Result<Value, Error> {
    let text = raw.get();
    Ok(match text.as_bytes().first() {
        Some(b'{') => match serde_json::from_str::<BTreeMap<String, &RawValue>>(text) {
            Ok(members) => {
                let members = members.into_iter();
                let each = members.map(|(name, member)| Ok((name, part(member)?)));
                Value::Object(each.collect::<Result<_, Error>>()?)
            }
            // A name that is no text.
            Err(_) => text.into(),
        },
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            let each = items.into_iter().map(part);
            Value::Array(each.collect::<Result<_, Error>>()?)
        }
        _ => match serde_json::from_str(text) {
            Ok(Value::Number(number)) if number.is_f64() && digits(text) > DIGITS => text.into(),
            Ok(value) => value,
            Err(_) => text.into(),
        },
    })
}

/// The digits of a number in front of its exponent.
fn digits(number: &str) -> usize {
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits = mantissa.bytes().filter(u8::is_ascii_digit);
    digits.skip_while(|digit| *digit == b'0').count()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_is_read_as_different() {
        let known = json!({"a": [1, -2.5, "x", null, true, {"b": {}}], "c": 18_446_744_073_709_551_615_u64});
        assert_eq!(read(known.to_string().as_bytes()), known);
        for (one, other) in [
            (
                r#"{"n":12345678901234567890123}"#,
                r#"{"n":12345678901234567890124}"#,
            ),
            (
                r#"{"n":0.12345678901234567}"#,
                r#"{"n":0.12345678901234568}"#,
            ),
            (r#"[1e400]"#, r#"[1e401]"#),
            (r#"{"a":"\ud800","b":1}"#, r#"{"a":"\ud800","b":2}"#),
            (r#"{"a":"\ud800"}"#, r#"{"a":"\ud801"}"#),
            (r#"{"\ud800":1}"#, r#"{"\ud800":2}"#),
            ("{", "["),
        ] {
            assert_ne!(
                read(one.as_bytes()),
                read(other.as_bytes()),
                "{one} {other}"
            );
        }
        let half = read(br#"{"a":"\ud800","b":1}"#);
        assert_eq!(half["b"], 1, "{half}");
        assert_eq!(read(b"{\"a\": 1.10}"), read(b"{ \"a\":1.1 }"));
    }
}
