//! Logical types: which one an annotation means, and values between their underlying type and JSON.

use serde_json::{Map, Value};

use crate::{
    decimal,
    node::Kind,
    temporal::{self, Unit},
    union::describe,
};

/// A decimal of more digits is its bytes: turning long numbers into text costs the square of their length.
const MOST_DIGITS: u64 = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logical {
    Decimal { precision: u32, scale: u32 },
    Date,
    Time(Unit),
    Timestamp(Unit),
    LocalTimestamp(Unit),
    Uuid,
    Duration,
}

impl Logical {
    /// What an annotation means on a type: nothing where it is unknown or wrong there, as the
    /// specification asks.
    pub(crate) fn find(kind: &Kind, annotation: &Map<String, Value>) -> Option<Self> {
        let word = annotation.get("logicalType")?.as_str()?;
        match (word, kind) {
            ("decimal", Kind::Bytes | Kind::Fixed(_)) => {
                let precision = annotation.get("precision")?.as_u64()?;
                let scale = match annotation.get("scale") {
                    None => 0,
                    Some(scale) => scale.as_u64()?,
                };
                let room = match kind {
                    Kind::Fixed(fixed) => decimal::most_digits(fixed.size),
                    _ => MOST_DIGITS,
                };
                let fits = (1..=MOST_DIGITS.min(room)).contains(&precision) && scale <= precision;
                fits.then_some(Self::Decimal {
                    precision: u32::try_from(precision).ok()?,
                    scale: u32::try_from(scale).ok()?,
                })
            }
            ("date", Kind::Int) => Some(Self::Date),
            ("time-millis", Kind::Int) => Some(Self::Time(Unit::Millis)),
            ("time-micros", Kind::Long) => Some(Self::Time(Unit::Micros)),
            ("timestamp-millis", Kind::Long) => Some(Self::Timestamp(Unit::Millis)),
            ("timestamp-micros", Kind::Long) => Some(Self::Timestamp(Unit::Micros)),
            ("timestamp-nanos", Kind::Long) => Some(Self::Timestamp(Unit::Nanos)),
            ("local-timestamp-millis", Kind::Long) => Some(Self::LocalTimestamp(Unit::Millis)),
            ("local-timestamp-micros", Kind::Long) => Some(Self::LocalTimestamp(Unit::Micros)),
            ("local-timestamp-nanos", Kind::Long) => Some(Self::LocalTimestamp(Unit::Nanos)),
            ("uuid", Kind::String) => Some(Self::Uuid),
            ("uuid", Kind::Fixed(fixed)) if fixed.size == 16 => Some(Self::Uuid),
            ("duration", Kind::Fixed(fixed)) if fixed.size == 12 => Some(Self::Duration),
            _ => None,
        }
    }

    /// The word of the specification.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Decimal { .. } => "decimal",
            Self::Date => "date",
            Self::Time(Unit::Millis) => "time-millis",
            Self::Time(_) => "time-micros",
            Self::Timestamp(Unit::Millis) => "timestamp-millis",
            Self::Timestamp(Unit::Micros) => "timestamp-micros",
            Self::Timestamp(Unit::Nanos) => "timestamp-nanos",
            Self::LocalTimestamp(Unit::Millis) => "local-timestamp-millis",
            Self::LocalTimestamp(Unit::Micros) => "local-timestamp-micros",
            Self::LocalTimestamp(Unit::Nanos) => "local-timestamp-nanos",
            Self::Uuid => "uuid",
            Self::Duration => "duration",
        }
    }

    /// The text of an int or long; none where there is no text for it.
    pub(crate) fn text(self, value: i64) -> Option<String> {
        match self {
            Self::Date => temporal::date_text(value),
            Self::Time(unit) => temporal::time_text(value, unit),
            Self::Timestamp(unit) => temporal::timestamp_text(value, unit).map(|text| text + "Z"),
            Self::LocalTimestamp(unit) => temporal::timestamp_text(value, unit),
            Self::Decimal { .. } | Self::Uuid | Self::Duration => None,
        }
    }

    /// The int or long of a text.
    pub(crate) fn number(self, text: &str) -> Result<i64, String> {
        match self {
            Self::Date => temporal::date(text),
            Self::Time(unit) => temporal::time(text, unit),
            Self::Timestamp(unit) => temporal::timestamp(text, unit, true),
            Self::LocalTimestamp(unit) => temporal::timestamp(text, unit, false),
            Self::Decimal { .. } | Self::Uuid | Self::Duration => {
                Err("the type has no text".to_owned())
            }
        }
    }

    /// Why two sides that both have a logical type read each other's values as other ones.
    pub(crate) fn differ(reader: Self, writer: Self) -> Option<String> {
        if let (
            Self::Decimal { precision, scale },
            Self::Decimal {
                precision: written,
                scale: written_scale,
            },
        ) = (reader, writer)
        {
            if scale != written_scale {
                return Some(format!(
                    "reader's decimal has scale {scale}, the writer's {written_scale}, so the numbers would be others"
                ));
            }
            return (precision < written).then(|| {
                format!("reader's decimal has {precision} digits, the writer's {written}")
            });
        }
        (reader != writer).then(|| {
            format!(
                "reader's {} takes the writer's {} for other values",
                reader.word(),
                writer.word()
            )
        })
    }
}

/// Whether a text is a UUID in the form of RFC 4122: 8-4-4-4-12 digits in hex.
pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

pub(crate) fn uuid_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    text
}

/// The 16 bytes of a UUID's text.
pub(crate) fn uuid_bytes(text: &str) -> Option<Vec<u8>> {
    if !is_uuid(text) {
        return None;
    }
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|letter| letter.to_digit(16))
        .filter_map(|digit| u8::try_from(digit).ok())
        .collect();
    Some(
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect(),
    )
}

/// The parts of a duration, in the order of its bytes.
pub(crate) const DURATION: [&str; 3] = ["months", "days", "milliseconds"];

pub(crate) fn duration_json(bytes: &[u8]) -> Value {
    let parts = DURATION
        .iter()
        .zip(bytes.chunks_exact(4))
        .map(|(name, part)| {
            let number = part
                .iter()
                .rev()
                .fold(0u32, |sum, &byte| sum << 8 | u32::from(byte));
            ((*name).to_owned(), Value::from(number))
        });
    Value::Object(parts.collect())
}

pub(crate) fn duration_bytes(json: &Value) -> Result<Vec<u8>, String> {
    let wanted = "a duration is {\"months\": …, \"days\": …, \"milliseconds\": …}";
    let members = json
        .as_object()
        .filter(|members| members.len() == 3)
        .ok_or_else(|| format!("{wanted}; this is {}", describe(json)))?;
    let mut bytes = Vec::with_capacity(12);
    for name in DURATION {
        let part = members
            .get(name)
            .ok_or_else(|| format!("{wanted}; {name} is missing"))?;
        let number = part
            .as_u64()
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| format!("{name} is an integer from 0 to 4294967295"))?;
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    Ok(bytes)
}
