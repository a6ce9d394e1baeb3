//! JSON with every number as it was written. `serde_json` rounds numbers of many digits to a neighbour of
//! the nearest double at times, which would be a loss on the way from one double to the same double.

use std::collections::BTreeMap;

use serde_json::{Error, Number, Value, value::RawValue};

/// Parses JSON text.
pub(super) fn parse(text: &[u8]) -> Result<Value, Error> {
    let parsed: Value = serde_json::from_slice(text)?;
    if !has_fraction(&parsed) {
        return Ok(parsed);
    }
    // It is valid and nests no deeper than the parser takes; now with numbers by the standard library.
    exact(serde_json::from_slice(text)?)
}

fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_fraction),
        Value::Object(members) => members.values().any(has_fraction),
        _ => false,
    }
}

fn exact(raw: &RawValue) -> Result<Value, Error> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
            let members = members.into_iter();
            let exact = members.map(|(name, member)| Ok((name, exact(member)?)));
            Ok(Value::Object(exact.collect::<Result<_, Error>>()?))
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            let exact: Result<_, Error> = items.into_iter().map(exact).collect();
            Ok(Value::Array(exact?))
        }
        _ => {
            let value: Value = serde_json::from_str(text)?;
            let nearest = match &value {
                Value::Number(number) if number.is_f64() => text.parse().ok(),
                _ => None,
            };
            Ok(nearest
                .and_then(Number::from_f64)
                .map_or(value, Value::Number))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_double_comes_back() {
        let mut bits = 1u64;
        for _ in 0..20_000 {
            bits = bits
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let double = f64::from_bits(bits);
            if !double.is_finite() {
                continue;
            }
            let value = serde_json::json!({"a": [double, 5, "x"], "b": {}});
            let back = parse(value.to_string().as_bytes()).unwrap();
            assert_eq!(back["a"][0].as_f64().unwrap().to_bits(), bits);
            assert_eq!(back, value);
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "{", "[1.5", "1.5.5", "nan"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
