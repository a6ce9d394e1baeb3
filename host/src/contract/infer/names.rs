//! Names: which member names are data, and what a part of a document is called.

use std::collections::BTreeSet;

use super::texts::Known;

/// A longer member name is data, in bytes.
pub(super) const LONGEST_NAME: usize = 64;

/// Whether a member name was made from data (an id, a date, a number) and not by a programmer.
pub(super) fn is_data(name: &str, known: &Known) -> bool {
    name.len() > LONGEST_NAME
        || name.bytes().next().is_none_or(|byte| byte.is_ascii_digit())
        || known.is_data(name)
        || is_hash(name)
        || is_numbered(name)
}

/// `deadbeef01…`: hexadecimal, with digits, and long.
fn is_hash(name: &str) -> bool {
    name.len() >= 16
        && name.bytes().all(|byte| byte.is_ascii_hexdigit())
        && name.bytes().any(|byte| byte.is_ascii_digit())
}

/// `sku-1001`: a separator and two digits or more at the end.
fn is_numbered(name: &str) -> bool {
    let stem = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    name.len() - stem.len() >= 2 && stem.ends_with(['-', '_', ':', '.', '/', '#'])
}

/// A name for something in a document: readable, of letters that are plain in any reference and that all
/// documents allow (`A-Z a-z 0-9 . _ -`), and not taken.
pub fn plain_name(text: &str, taken: &mut BTreeSet<String>) -> String {
    let plain = |letter: char| match letter {
        letter if letter.is_ascii_alphanumeric() || "._-".contains(letter) => letter,
        _ => '_',
    };
    let mut base: String = text.chars().take(200).map(plain).collect();
    if base.is_empty() {
        base.push('_');
    }
    let mut name = base.clone();
    let mut number = 1;
    while !taken.insert(name.clone()) {
        number += 1;
        name = format!("{base}_{number}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_programmers_are_told_from_data() {
        let known = Known::default();
        for data in [
            "2026-01-02",
            "17",
            "sku-1001",
            "user:42",
            "a@example.com",
            "550e8400-e29b-41d4-a716-446655440000",
            "deadbeefdeadbeef01",
            "",
        ] {
            assert!(is_data(data, &known), "{data:?}");
        }
        for name in [
            "id",
            "order_id",
            "address2",
            "line_1",
            "sha256",
            "base64",
            "@type",
            "$ref",
            "dc:title",
            "createdAt",
            "größe",
        ] {
            assert!(!is_data(name, &known), "{name:?}");
        }
    }

    #[test]
    fn definitions_have_plain_names_of_their_own() {
        let mut taken = BTreeSet::new();
        let mut name = |text: &str| plain_name(text, &mut taken);
        assert_eq!(name("com.example.order"), "com.example.order");
        assert_eq!(name("a/b~c%d"), "a_b_c_d");
        assert_eq!(name("a/b c d"), "a_b_c_d_2");
    }
}
