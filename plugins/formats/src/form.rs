//! `application/x-www-form-urlencoded` (WHATWG URL, "application/x-www-form-urlencoded"): an object of
//! texts; a name that comes several times has an array of them.

use std::borrow::Cow;

use crate::node::{self, Node, View};

pub(crate) fn read(data: &[u8]) -> Result<Node<'_>, String> {
    let text = node::text(data)?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    check(text)?;
    let mut members: Vec<(Cow<'_, str>, Node<'_>)> = Vec::new();
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        let value = Node::Text(value);
        match members.iter_mut().find(|(known, _)| *known == name) {
            None => members.push((name, value)),
            Some((_, Node::Array(values))) => values.push(value),
            Some((_, first)) => *first = Node::Array(vec![first.clone(), value]),
        }
    }
    Ok(Node::Object(members))
}

/// The library takes anything, and puts U+FFFD in the place of what it cannot read.
fn check(text: &str) -> Result<(), String> {
    let bad = |at: usize, what: &str| {
        let (line, column) = sandbar_sdk::json::place(text.as_bytes(), at);
        Err(format!("line {line} column {column}: {what}"))
    };
    let mut decoded = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let digits = text.get(at + 1..at + 3);
                let sound = digits.filter(|two| two.bytes().all(|one| one.is_ascii_hexdigit()));
                let Some(byte) = sound.and_then(|two| u8::from_str_radix(two, 16).ok()) else {
                    return bad(at, "% without two hex digits");
                };
                decoded.push(byte);
                at += 3;
                continue;
            }
            byte if byte <= b' ' => {
                return bad(at, "a space or control character that is not encoded");
            }
            b'&' | b'=' => {
                if std::str::from_utf8(&decoded).is_err() {
                    return bad(at, "what stands before is not UTF-8");
                }
                decoded.clear();
            }
            byte => decoded.push(byte),
        }
        at += 1;
    }
    if std::str::from_utf8(&decoded).is_err() {
        return bad(at, "what stands before is not UTF-8");
    }
    Ok(())
}

pub(crate) fn write(node: &Node<'_>) -> Result<Vec<u8>, String> {
    let members = match node.view()? {
        View::Object(members) => members,
        other => return Err(format!("needs an object, not {}", other.kind())),
    };
    let mut out = form_urlencoded::Serializer::new(String::new());
    for (name, value) in &members {
        match value.view()? {
            View::Null => {}
            View::Scalar(text) => drop(out.append_pair(name, &text)),
            View::Array(values) => {
                for value in &values {
                    match value.view()? {
                        View::Scalar(text) => drop(out.append_pair(name, &text)),
                        View::Null => {}
                        other => return Err(format!("{name:?} holds {}", other.kind())),
                    }
                }
            }
            other => return Err(format!("{name:?} is {}", other.kind())),
        }
    }
    Ok(out.finish().into_bytes())
}
