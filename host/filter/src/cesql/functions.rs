//! The built-in functions (CESQL 1.0 §3.5): their names, how many arguments they take, and what
//! they do with arguments that are already evaluated.

use std::borrow::Cow;

use super::{
    MAX_TEXT,
    error::{Calculated, Calculation, EvaluationError},
};
use crate::{Type, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Int,
    Bool,
    String,
    IsInt,
    IsBool,
    Abs,
    Length,
    Concat,
    ConcatWs,
    Lower,
    Upper,
    Trim,
    Left,
    Right,
    Substring,
}

/// What a function says: a value, or an error together with a value of its own (§3.5.3).
pub(super) type Said<'a> = Result<Value<'a>, (EvaluationError<'a>, Option<Value<'a>>)>;

impl Function {
    pub const ALL: [Self; 15] = [
        Self::Int,
        Self::Bool,
        Self::String,
        Self::IsInt,
        Self::IsBool,
        Self::Abs,
        Self::Length,
        Self::Concat,
        Self::ConcatWs,
        Self::Lower,
        Self::Upper,
        Self::Trim,
        Self::Left,
        Self::Right,
        Self::Substring,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "INT",
            Self::Bool => "BOOL",
            Self::String => "STRING",
            Self::IsInt => "IS_INT",
            Self::IsBool => "IS_BOOL",
            Self::Abs => "ABS",
            Self::Length => "LENGTH",
            Self::Concat => "CONCAT",
            Self::ConcatWs => "CONCAT_WS",
            Self::Lower => "LOWER",
            Self::Upper => "UPPER",
            Self::Trim => "TRIM",
            Self::Left => "LEFT",
            Self::Right => "RIGHT",
            Self::Substring => "SUBSTRING",
        }
    }

    /// The function of this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|function| function.name().eq_ignore_ascii_case(name))
    }

    /// The fewest and the most arguments; no most for any number.
    pub fn arity(self) -> (usize, Option<usize>) {
        match self {
            Self::Concat => (0, None),
            Self::ConcatWs => (1, None),
            Self::Left | Self::Right => (2, Some(2)),
            Self::Substring => (2, Some(3)),
            _ => (1, Some(1)),
        }
    }

    pub fn value_type(self) -> Type {
        match self {
            Self::Int | Self::Abs | Self::Length => Type::Integer,
            Self::Bool | Self::IsInt | Self::IsBool => Type::Boolean,
            _ => Type::String,
        }
    }

    /// The function of one, two or three arguments. Others are not asked for; the parser counts.
    pub fn fixed<'a>(self, first: Value<'a>, more: [Option<Value<'a>>; 2]) -> Said<'a> {
        let [second, third] = more;
        Ok(match self {
            Self::Int => Value::Integer(cast_integer(first)?),
            Self::Bool => Value::Boolean(cast_boolean(first)?),
            Self::IsInt => Value::Boolean(first.integer().is_some()),
            Self::IsBool => Value::Boolean(first.boolean().is_some()),
            Self::Abs => {
                let value = cast_integer(first)?;
                match value.checked_abs() {
                    Some(value) => Value::Integer(value),
                    None => {
                        let error = EvaluationError::Math(Calculation(Calculated::Absolute(value)));
                        return Err((error, Some(Value::Integer(i32::MAX))));
                    }
                }
            }
            Self::Length => {
                let length = first.with_text(|text| text.chars().count());
                Value::Integer(i32::try_from(length).unwrap_or(i32::MAX))
            }
            Self::String | Self::Concat | Self::ConcatWs => Value::String(first.into_text()),
            Self::Lower => Value::String(lower(first.into_text())),
            Self::Upper => Value::String(upper(first.into_text())),
            Self::Trim => {
                let text = first.into_text();
                let start = text.len() - text.trim_start().len();
                let end = text.trim_end().len().max(start);
                Value::String(part(text, start, end))
            }
            Self::Left | Self::Right => {
                let text = first.into_text();
                let wanted = second.map_or(Ok(0), cast_integer)?;
                return self.side(text, wanted);
            }
            Self::Substring => {
                let text = first.into_text();
                let position = second.map_or(Ok(0), cast_integer)?;
                let length = third.map(cast_integer).transpose()?;
                return substring(text, position, length);
            }
        })
    }

    /// LEFT and RIGHT.
    fn side(self, text: Cow<'_, str>, wanted: i32) -> Said<'_> {
        let Ok(wanted) = usize::try_from(wanted) else {
            let error = EvaluationError::Function {
                function: self.name(),
                reason: "the number of characters is negative",
            };
            return Err((error, Some(Value::String(text))));
        };
        let (start, end) = if self == Self::Left {
            (0, byte_of(&text, wanted))
        } else {
            let length = text.chars().count();
            (byte_of(&text, length.saturating_sub(wanted)), text.len())
        };
        Ok(Value::String(part(text, start, end)))
    }
}

fn substring(text: Cow<'_, str>, position: i32, length: Option<i32>) -> Said<'_> {
    let refuse = |reason| {
        let error = EvaluationError::Function {
            function: Function::Substring.name(),
            reason,
        };
        Err((error, None))
    };
    if length.is_some_and(|length| length < 0) {
        return refuse("the length is negative");
    }
    let characters = text.chars().count();
    let position_length = position.unsigned_abs() as usize;
    if position_length > characters {
        return refuse("the position is outside of the text");
    }
    let from = match position {
        0 => return Ok(Value::text("")),
        1.. => position_length - 1,
        _ => characters - position_length,
    };
    let start = byte_of(&text, from);
    let end = match length {
        None => text.len(),
        Some(length) => start + byte_of(&text[start..], length.unsigned_abs() as usize),
    };
    Ok(Value::String(part(text, start, end)))
}

/// The byte at which a character starts, or the end of the text.
fn byte_of(text: &str, character: usize) -> usize {
    text.char_indices()
        .nth(character)
        .map_or(text.len(), |(at, _)| at)
}

/// A part of a text, borrowed where the text is.
fn part(text: Cow<'_, str>, start: usize, end: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[start..end]),
        Cow::Owned(mut text) => {
            text.truncate(end);
            text.drain(..start);
            Cow::Owned(text)
        }
    }
}

fn lower(text: Cow<'_, str>) -> Cow<'_, str> {
    if text
        .bytes()
        .all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase())
    {
        return text;
    }
    Cow::Owned(text.to_lowercase())
}

fn upper(text: Cow<'_, str>) -> Cow<'_, str> {
    if text
        .bytes()
        .all(|byte| byte.is_ascii() && !byte.is_ascii_lowercase())
    {
        return text;
    }
    Cow::Owned(text.to_uppercase())
}

/// CONCAT and CONCAT_WS put together; a text that comes alone is not copied.
#[derive(Default)]
pub(super) struct Joined<'a> {
    text: Option<Cow<'a, str>>,
}

impl<'a> Joined<'a> {
    pub fn push(&mut self, between: &str, next: Cow<'a, str>) -> Result<(), EvaluationError<'a>> {
        let Some(text) = &mut self.text else {
            self.text = Some(next);
            return Ok(());
        };
        if text.len() + between.len() + next.len() > MAX_TEXT {
            return Err(EvaluationError::TextTooLong);
        }
        let text = text.to_mut();
        text.push_str(between);
        text.push_str(&next);
        Ok(())
    }

    pub fn finish(self) -> Value<'a> {
        self.text.map_or(Value::text(""), Value::String)
    }
}

/// A cast that fails is an error of whoever asked for it, without a value of its own.
pub(super) fn cast_integer(value: Value<'_>) -> Result<i32, EvaluationError<'_>> {
    value.integer().ok_or(EvaluationError::Cast {
        value,
        to: Type::Integer,
    })
}

pub(super) fn cast_boolean(value: Value<'_>) -> Result<bool, EvaluationError<'_>> {
    value.boolean().ok_or(EvaluationError::Cast {
        value,
        to: Type::Boolean,
    })
}

impl<'a> From<EvaluationError<'a>> for (EvaluationError<'a>, Option<Value<'a>>) {
    fn from(error: EvaluationError<'a>) -> Self {
        (error, None)
    }
}
