//! Subjects of the registry API as names of contracts.
//!
//! A subject may have characters that a name may not, such as the slashes of Protobuf imports. Each byte
//! that a name cannot have becomes `_x` and its two hexadecimal digits: the subject `acme/money.proto` is
//! the contract `acme_x2Fmoney.proto`. The way back is unique. Pure.

use sandbar_types::Name;

/// The contract that a subject is. `None` when no name can stand for it.
pub(super) fn name_of(subject: &str) -> Option<Name> {
    // The default context may be named.
    let subject = subject.strip_prefix(":.:").unwrap_or(subject);
    let mut name = String::with_capacity(subject.len());
    let mut rest = subject;
    while let Some(letter) = rest.chars().next() {
        let plain = letter.is_ascii_alphanumeric()
            || letter == '-'
            || (letter == '.' && !name.ends_with('.'))
            || (letter == '_' && escaped(rest).is_none());
        if plain {
            name.push(letter);
        } else {
            for byte in letter.to_string().bytes() {
                name.push_str(&format!("_x{byte:02X}"));
            }
        }
        rest = &rest[letter.len_utf8()..];
    }
    Name::new(&name).ok()
}

/// The subject that a contract is.
pub(super) fn subject_of(name: &Name) -> String {
    let mut bytes = Vec::with_capacity(name.as_str().len());
    let mut rest = name.as_str();
    while let Some(letter) = rest.chars().next() {
        // Names are ASCII.
        match escaped(rest) {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[4..];
            }
            None => {
                bytes.extend(letter.to_string().bytes());
                rest = &rest[letter.len_utf8()..];
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| name.to_string())
}

/// The byte of an escape at the start of a text: `_x2F` is `/`.
fn escaped(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("_x")?.get(..2)?;
    let upper = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
    if !digits.bytes().all(upper) {
        return None;
    }
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_names_and_back() {
        for (subject, name) in [
            ("orders-value", "orders-value"),
            ("com.acme.Order", "com.acme.Order"),
            ("acme/v1/money.proto", "acme_x2Fv1_x2Fmoney.proto"),
            ("an order", "an_x20order"),
            ("a_x2Fb", "a_x5Fx2Fb"),
            ("a_b_xyz", "a_b_xyz"),
            ("a..b", "a._x2Eb"),
            ("Größe", "Gr_xC3_xB6_xC3_x9Fe"),
        ] {
            let found = name_of(subject).map(|name| name.to_string());
            assert_eq!(found.as_deref(), Some(name), "{subject}");
            assert_eq!(
                name_of(subject).map(|name| subject_of(&name)).as_deref(),
                Some(subject)
            );
        }
        assert_eq!(
            name_of(":.:orders").map(|name| name.to_string()).as_deref(),
            Some("orders")
        );
        for none in ["", ":.other:orders", "_schemas", &"x".repeat(129)] {
            assert_eq!(name_of(none), None, "{none}");
        }
    }
}
