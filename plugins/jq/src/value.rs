//! JSON text (RFC 8259) into jaq's values and back. jaq's values can hold more than JSON can: bytes,
//! keys that are no texts, numbers that are none. Reading takes JSON alone, writing refuses the rest.

use std::io::Write as _;

use jaq_json::{Num, Val, read};
use sandbar_sdk::json::{DEEPEST, Raw, write_text as write_json_text};
use serde::de::IgnoredAny;

/// Integers up to here are exact in a floating-point number.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Reads one JSON value. Decimal numbers keep the digits that they are written with.
///
/// # Errors
/// What is wrong, with line and column.
pub(crate) fn parse(bytes: &[u8]) -> Result<Val, String> {
    // jaq's own reader takes comments, NaN and more.
    let json = Raw::parse(bytes)?;
    read::parse_single(json.as_str().as_bytes()).map_err(|error| error.to_string())
}

/// A value as JSON.
///
/// # Errors
/// What in it JSON cannot say.
pub(crate) fn to_json(value: &Val) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(256);
    write(value, DEEPEST, &mut out)?;
    Ok(out)
}

fn write(value: &Val, depth: usize, out: &mut Vec<u8>) -> Result<(), String> {
    match value {
        Val::Null => out.extend_from_slice(b"null"),
        Val::Bool(true) => out.extend_from_slice(b"true"),
        Val::Bool(false) => out.extend_from_slice(b"false"),
        Val::Num(number) => write_number(number, out)?,
        Val::TStr(text) => write_text(text, out)?,
        Val::BStr(_) => {
            return Err("the output holds bytes, which JSON cannot say; use @base64".to_owned());
        }
        Val::Arr(items) => {
            let deeper = go_deeper(depth)?;
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, deeper, out)?;
            }
            out.push(b']');
        }
        Val::Obj(members) => {
            let deeper = go_deeper(depth)?;
            out.push(b'{');
            for (index, (key, member)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                let Val::TStr(key) = key else {
                    return Err(format!("the output has the key {key}, which is no text"));
                };
                write_text(key, out)?;
                out.push(b':');
                write(member, deeper, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn go_deeper(depth: usize) -> Result<usize, String> {
    let too_deep = || format!("the output is nested deeper than {DEEPEST}");
    depth.checked_sub(1).ok_or_else(too_deep)
}

fn write_text(text: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let text = std::str::from_utf8(text)
        .map_err(|_| "the output holds a text that is not UTF-8".to_owned())?;
    write_json_text(text, out);
    Ok(())
}

fn write_number(number: &Num, out: &mut Vec<u8>) -> Result<(), String> {
    let written = match number {
        Num::Int(number) => write!(out, "{number}"),
        Num::BigInt(number) => write!(out, "{number}"),
        Num::Float(number) => return write_float(*number, out),
        Num::Dec(digits) if is_json_number(digits) => {
            out.extend_from_slice(digits.as_bytes());
            Ok(())
        }
        Num::Dec(digits) => return write_float(digits.parse().unwrap_or(f64::NAN), out),
    };
    written.map_err(|error| error.to_string())
}

/// A whole number is written without a fraction, as jq does: `10 / 2` is `5`.
fn write_float(number: f64, out: &mut Vec<u8>) -> Result<(), String> {
    if !number.is_finite() {
        return Err(format!(
            "the output holds the number {number}, which JSON cannot say"
        ));
    }
    if number.trunc() == number && number.abs() < EXACT {
        return write!(out, "{}", number as i64).map_err(|error| error.to_string());
    }
    serde_json::to_writer(out, &number).map_err(|error| error.to_string())
}

/// jaq keeps the digits of decimal numbers as they were written, also where jq allows what JSON does
/// not, such as `.5`.
fn is_json_number(digits: &str) -> bool {
    digits.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        && serde_json::from_str::<IgnoredAny>(digits).is_ok()
}
