//! The types of JSON values, as the validator tells them apart.

use jsonschema::Draft;
use serde_json::Value;

/// A set of types. Numbers are three: written without a fraction, whole but written as a float
/// (`1.0`, an integer from draft-06 on, not before), and others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Types(u8);

impl Types {
    pub const NULL: Self = Self(1);
    pub const BOOLEAN: Self = Self(2);
    pub const INTEGER: Self = Self(4);
    pub const WHOLE: Self = Self(8);
    pub const FRACTION: Self = Self(16);
    pub const STRING: Self = Self(32);
    pub const ARRAY: Self = Self(64);
    pub const OBJECT: Self = Self(128);
    pub const NUMBER: Self = Self(4 | 8 | 16);
    pub const ALL: Self = Self(255);
    pub const NONE: Self = Self(0);

    const EACH: [Self; 8] = [
        Self::NULL,
        Self::BOOLEAN,
        Self::INTEGER,
        Self::WHOLE,
        Self::FRACTION,
        Self::STRING,
        Self::ARRAY,
        Self::OBJECT,
    ];

    /// By the name in a schema.
    pub fn named(name: &str, draft: Draft) -> Self {
        match name {
            "null" => Self::NULL,
            "boolean" => Self::BOOLEAN,
            "integer" if draft == Draft::Draft4 => Self::INTEGER,
            "integer" => Self::INTEGER.or(Self::WHOLE),
            "number" => Self::NUMBER,
            "string" => Self::STRING,
            "array" => Self::ARRAY,
            "object" => Self::OBJECT,
            _ => Self::NONE,
        }
    }

    pub fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOLEAN,
            Value::Number(number) if number.is_i64() || number.is_u64() => Self::INTEGER,
            Value::Number(number) => {
                let whole = number.as_f64().is_some_and(|float| float.fract() == 0.0);
                if whole { Self::WHOLE } else { Self::FRACTION }
            }
            Value::String(_) => Self::STRING,
            Value::Array(_) => Self::ARRAY,
            Value::Object(_) => Self::OBJECT,
        }
    }

    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Each type by itself.
    pub fn each(self) -> impl Iterator<Item = Self> {
        Self::EACH.into_iter().filter(move |one| self.meets(*one))
    }

    /// In words.
    pub fn words(self) -> String {
        if self == Self::ALL {
            return "any".to_owned();
        }
        let mut words = Vec::new();
        if self.meets(Self::NULL) {
            words.push("null");
        }
        if self.meets(Self::BOOLEAN) {
            words.push("boolean");
        }
        if Self::NUMBER.within(self) {
            words.push("number");
        } else if self.meets(Self::INTEGER) {
            words.push("integer");
        } else if self.meets(Self::NUMBER) {
            words.push("non-integer number");
        }
        for (one, word) in [
            (Self::STRING, "string"),
            (Self::ARRAY, "array"),
            (Self::OBJECT, "object"),
        ] {
            if self.meets(one) {
                words.push(word);
            }
        }
        if words.is_empty() {
            words.push("nothing");
        }
        words.join(" or ")
    }
}
