//! Texts: what a pattern matches, what a format takes, how long it is.

use regex_syntax::hir::{Class, Hir, HirKind};

/// No text is made longer, in characters.
const LONGEST: usize = 20_000;

/// A text that the pattern matches; `more` asks for more repetitions and other alternatives. Only a
/// guess where the dialects differ; the validator has the last word.
pub(crate) fn matching(pattern: &str, more: u32) -> Option<String> {
    let hir = regex_syntax::ParserBuilder::new()
        .nest_limit(100)
        .build()
        .parse(pattern)
        .ok()?;
    let mut text = String::new();
    write(&hir, more, &mut text, 0).then_some(text)
}

fn write(hir: &Hir, more: u32, text: &mut String, depth: u32) -> bool {
    if text.len() > LONGEST || depth > 200 {
        return false;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => {
            text.push_str(&String::from_utf8_lossy(&literal.0));
            true
        }
        HirKind::Class(class) => match pick(class, more) {
            Some(char) => {
                text.push(char);
                true
            }
            None => false,
        },
        HirKind::Repetition(repetition) => {
            let most = repetition.max.unwrap_or(u32::MAX);
            let times = repetition.min.saturating_add(more).min(most);
            (0..times).all(|_| write(&repetition.sub, more, text, depth + 1))
        }
        HirKind::Capture(capture) => write(&capture.sub, more, text, depth + 1),
        HirKind::Concat(parts) => parts.iter().all(|part| write(part, more, text, depth + 1)),
        HirKind::Alternation(parts) => {
            write(&parts[more as usize % parts.len()], more, text, depth + 1)
        }
    }
}

fn pick(class: &Class, more: u32) -> Option<char> {
    let Class::Unicode(class) = class else {
        return Some('a');
    };
    let inside = |char: char| {
        class
            .iter()
            .any(|range| range.start() <= char && char <= range.end())
    };
    let liked = [
        'a', 'A', '0', '1', 'b', 'z', 'Z', '9', '-', '_', ' ', '.', '!',
    ];
    let liked: Vec<char> = liked.into_iter().filter(|char| inside(*char)).collect();
    if !liked.is_empty() {
        return Some(liked[more as usize % liked.len()]);
    }
    class
        .iter()
        .next()
        .map(regex_syntax::hir::ClassUnicodeRange::start)
}

/// Texts of a format.
pub(crate) fn of_format(format: &str) -> &'static [&'static str] {
    match format {
        "date" => &["2020-01-01", "1999-12-31"],
        "date-time" => &["2020-01-01T00:00:00Z", "1999-12-31T23:59:59.5+01:00"],
        "time" => &["00:00:00Z", "23:59:59.5+01:00"],
        "duration" => &["P1D", "PT1H"],
        "email" | "idn-email" => &["a@example.org", "someone.else@example.com"],
        "hostname" | "idn-hostname" => &["example.org", "a"],
        "ipv4" => &["127.0.0.1", "10.0.0.255"],
        "ipv6" => &["::1", "2001:db8::1"],
        "uri" | "iri" => &["https://example.org/", "urn:a:b"],
        "uri-reference" | "iri-reference" => &["/a", "https://example.org/", "a"],
        "uri-template" => &["/a/{b}", "/a"],
        "uuid" => &[
            "00000000-0000-0000-0000-000000000000",
            "123e4567-e89b-12d3-a456-426614174000",
        ],
        "json-pointer" => &["", "/a"],
        "relative-json-pointer" => &["0", "1/a"],
        "regex" => &["a", "^a+$"],
        _ => &[],
    }
}

/// Texts worth trying anywhere.
pub(crate) const PLAIN: &[&str] = &[
    "",
    "a",
    "text",
    "A",
    "0",
    "1",
    " ",
    "-",
    "_",
    "!",
    "é",
    "a b",
    "(",
    "%",
    "\u{1f600}",
    "ABC",
    "abc",
    "a1",
    "some longer text",
];

/// A text brought to a length in characters.
pub(crate) fn of_length(text: &str, length: u64) -> Option<String> {
    let length = usize::try_from(length)
        .ok()
        .filter(|length| *length <= LONGEST)?;
    let base = text
        .chars()
        .chain(std::iter::repeat(text.chars().last().unwrap_or('a')));
    Some(base.take(length).collect())
}
