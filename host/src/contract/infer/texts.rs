//! Texts: which formats all of them have, and which values there are.
//!
//! The formats are those that the hub's validator asserts, asked one by one, so that what is drafted
//! is what will be checked. Formats that almost any text has (hostname, uri-reference, json-pointer,
//! regex) are left out: that a text happens to fit them says nothing.

use std::collections::BTreeMap;

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

/// Different values that are kept of one place.
pub(super) const MOST_VALUES: usize = 16;
/// A longer value is no member of an enumeration, in bytes.
const LONGEST_VALUE: usize = 64;
/// Longer texts are taken to have no format, in bytes.
const LONGEST_FORMATTED: usize = 2048;
/// An enumeration was seen so often at least, and so many times as often as it has values.
const LEAST_SEEN: u64 = 20;
const SEEN_PER_VALUE: u64 = 10;

/// In the order in which they are preferred.
const FORMATS: [&str; 9] = [
    "uuid",
    "date-time",
    "date",
    "time",
    "duration",
    "ipv4",
    "ipv6",
    "email",
    "uri",
];

/// The formats, ready to be asked.
#[derive(Debug)]
pub(super) struct Known {
    validators: Vec<Option<Validator>>,
}

impl Default for Known {
    fn default() -> Self {
        let of = |format: &&str| {
            jsonschema::options()
                .with_draft(Draft::Draft202012)
                .should_validate_formats(true)
                .build(&json!({"format": format}))
                .ok()
        };
        Self {
            validators: FORMATS.iter().map(of).collect(),
        }
    }
}

impl Known {
    /// The formats of `candidates` that a text has.
    fn of(&self, text: &str, candidates: Formats) -> Formats {
        let mut left = Formats(0);
        if candidates.0 == 0 || text.len() > LONGEST_FORMATTED {
            return left;
        }
        let mut value = None;
        for (index, format) in FORMATS.iter().enumerate() {
            let bit = 1 << index;
            if candidates.0 & bit == 0 || !plausible(format, text) {
                continue;
            }
            let value = value.get_or_insert_with(|| Value::from(text));
            let fits = self.validators[index]
                .as_ref()
                .is_some_and(|validator| validator.is_valid(value));
            if fits {
                left.0 |= bit;
            }
        }
        left
    }

    /// Whether a text has any of the formats that make a name data: an id, a date, an address.
    pub fn is_data(&self, text: &str) -> bool {
        self.of(text, Formats::default()).0 != 0
    }
}

/// What is cheap to see, before the validator is asked.
fn plausible(format: &str, text: &str) -> bool {
    let bytes = text.as_bytes();
    let digit_first = bytes.first().is_some_and(u8::is_ascii_digit);
    match format {
        "uuid" => bytes.len() == 36,
        "date-time" => bytes.len() >= 20 && digit_first,
        "date" => bytes.len() == 10 && digit_first,
        "time" => digit_first && bytes.contains(&b':'),
        "duration" => bytes.len() > 2 && bytes[0] == b'P',
        "ipv4" => digit_first && bytes.len() <= 15,
        "ipv6" => bytes.contains(&b':') && bytes.len() <= 45,
        "email" => bytes.contains(&b'@'),
        // A scheme alone makes an URI, so that "note:x" is one; it is not meant by that.
        "uri" => text.contains("://") || text.starts_with("urn:"),
        _ => true,
    }
}

/// A set of formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Formats(u16);

impl Default for Formats {
    fn default() -> Self {
        Self((1 << FORMATS.len()) - 1)
    }
}

impl Formats {
    pub fn narrow(&mut self, text: &str, known: &Known) {
        *self = known.of(text, *self);
    }

    pub fn and(&mut self, other: Self) {
        self.0 &= other.0;
    }

    /// The one to write down.
    pub fn first(self) -> Option<&'static str> {
        let mut each = FORMATS.iter().enumerate();
        each.find(|(index, _)| self.0 & (1 << index) != 0)
            .map(|(_, format)| *format)
    }
}

/// The texts at one place.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts {
    pub count: u64,
    pub formats: Formats,
    /// The fewest and the most characters.
    pub lengths: (usize, usize),
    /// How often each value was seen; empty once there are too many, or one is too long.
    pub values: BTreeMap<String, u64>,
    many: bool,
}

impl Texts {
    pub fn observe(&mut self, text: &str, known: &Known) {
        let length = text.chars().count();
        if self.count == 0 {
            self.lengths = (length, length);
        }
        self.lengths = (self.lengths.0.min(length), self.lengths.1.max(length));
        self.count += 1;
        self.formats.narrow(text, known);
        if self.many {
            return;
        }
        if let Some(count) = self.values.get_mut(text) {
            *count += 1;
        } else if text.len() <= LONGEST_VALUE && self.values.len() < MOST_VALUES {
            self.values.insert(text.to_owned(), 1);
        } else {
            self.forget_values();
        }
    }

    pub fn merge(&mut self, other: Self) {
        self.lengths = match (self.count, other.count) {
            (0, _) => other.lengths,
            (_, 0) => self.lengths,
            _ => (
                self.lengths.0.min(other.lengths.0),
                self.lengths.1.max(other.lengths.1),
            ),
        };
        self.count += other.count;
        self.formats.and(other.formats);
        for (value, count) in other.values {
            *self.values.entry(value).or_default() += count;
        }
        if self.many || other.many || self.values.len() > MOST_VALUES {
            self.forget_values();
        }
    }

    fn forget_values(&mut self) {
        self.many = true;
        self.values = BTreeMap::new();
    }

    /// Whether the values are an enumeration: several, each seen again, all together often, and not
    /// made by counting, as ids are. A value that was seen but once says that there are more to come.
    pub fn is_enumeration(&self) -> bool {
        let values = self.values.len() as u64;
        values >= 2
            && self.count >= LEAST_SEEN.max(values * SEEN_PER_VALUE)
            && self.values.values().all(|count| *count > 1)
            && !self.looks_counted()
    }

    /// Two of the values differ in digits only, or one has nothing else.
    fn looks_counted(&self) -> bool {
        let mut stems = std::collections::BTreeSet::new();
        self.values.keys().any(|value| {
            let stem: String = value
                .chars()
                .filter(|letter| !letter.is_ascii_digit())
                .collect();
            (stem.is_empty() && !value.is_empty()) || !stems.insert(stem)
        })
    }
}
