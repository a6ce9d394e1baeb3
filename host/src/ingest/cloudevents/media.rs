//! Media types (RFC 2046, with the grammar of RFC 9110 §8.3.1), as far as events need them.

/// `type/subtype` in lower case, without parameters.
pub(super) fn essence(text: &str) -> String {
    text.split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

/// The value of a parameter, without quotes.
pub(super) fn parameter<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut parameters = text
        .split(';')
        .skip(1)
        .filter_map(|one| one.split_once('='));
    let (_, value) = parameters.find(|(found, _)| found.trim().eq_ignore_ascii_case(name))?;
    Some(value.trim().trim_matches('"'))
}

/// Whether a text is a media type with well-formed parameters.
pub(super) fn is_valid(text: &str) -> bool {
    if text == "application/json" {
        return true;
    }
    let (essence, mut rest) = match text.find(';') {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let Some((kind, subtype)) = essence.trim_end_matches([' ', '\t']).split_once('/') else {
        return false;
    };
    if !is_token(kind) || !is_token(subtype) {
        return false;
    }
    while let Some(after) = rest.strip_prefix(';') {
        let after = after.trim_start_matches([' ', '\t']);
        let Some((name, value)) = after.split_once('=') else {
            // An empty parameter, as in `text/plain;`, is allowed by RFC 9110.
            rest = after;
            continue;
        };
        if name.is_empty() || !is_token(name) {
            return false;
        }
        let Some(length) = value_length(value) else {
            return false;
        };
        rest = value[length..].trim_start_matches([' ', '\t']);
    }
    rest.is_empty()
}

/// How many bytes the token or quoted string at the start has.
fn value_length(text: &str) -> Option<usize> {
    if !text.starts_with('"') {
        let length = text.find([';', ' ', '\t']).unwrap_or(text.len());
        return is_token(&text[..length]).then_some(length);
    }
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn is_token(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(inside)
}
