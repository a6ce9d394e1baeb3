//! What can go wrong with an expression (CESQL 1.0 §3.3): before it runs, with the place in its
//! text, and for an event.

use std::fmt;

use super::{ast::Operator, functions::Function};
use crate::{Type, Value};

/// The specification's error types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    Parse,
    Math,
    Cast,
    MissingAttribute,
    MissingFunction,
    FunctionEvaluation,
    Generic,
}

impl ErrorKind {
    /// The name in the specification.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Parse => "ParseError",
            Self::Math => "MathError",
            Self::Cast => "CastError",
            Self::MissingAttribute => "MissingAttributeError",
            Self::MissingFunction => "MissingFunctionError",
            Self::FunctionEvaluation => "FunctionEvaluationError",
            Self::Generic => "GenericError",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a text is no expression, and where. `Display` shows the place with a caret below it:
/// ```text
/// line 1, column 13: expected a value, found the end
///   type = 'a' OR
///                ^
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    kind: ErrorKind,
    message: String,
    offset: usize,
    line: usize,
    column: usize,
    /// The line in question, or the part of it around the place.
    excerpt: String,
    /// Characters in `excerpt` before the place, and of the place.
    caret: (usize, usize),
}

impl ParseError {
    /// `from` and `to` are bytes in `text`, at boundaries of characters.
    pub(super) fn new(
        kind: ErrorKind,
        text: &str,
        from: usize,
        to: usize,
        message: impl Into<String>,
    ) -> Self {
        const BEFORE: usize = 50;
        const AFTER: usize = 30;
        let start = text[..from].rfind('\n').map_or(0, |at| at + 1);
        let end = text[from..].find('\n').map_or(text.len(), |at| from + at);
        let before: Vec<char> = text[start..from].chars().collect();
        let place = text[from..to.clamp(from, end)].chars().count().max(1);
        let mut excerpt = String::new();
        let shown = before.len().min(BEFORE);
        if shown < before.len() {
            excerpt.push('…');
        }
        excerpt.extend(&before[before.len() - shown..]);
        let caret = excerpt.chars().count();
        let after = text[from..end].chars().count();
        excerpt.extend(text[from..end].chars().take(AFTER));
        if after > AFTER {
            excerpt.push('…');
        }
        let excerpt = excerpt
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        Self {
            kind,
            message: message.into(),
            offset: from,
            line: text[..from].matches('\n').count() + 1,
            column: before.len() + 1,
            excerpt,
            caret: (caret, place.min(AFTER)),
        }
    }

    /// [`ErrorKind::Parse`] or [`ErrorKind::MissingFunction`].
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What is wrong, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The byte in the text, from 0.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The line, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The character in the line, from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, place) = self.caret;
        write!(
            f,
            "line {}, column {}: {}\n  {}\n  {}{}",
            self.line,
            self.column,
            self.message,
            self.excerpt.trim_end(),
            " ".repeat(before),
            "^".repeat(place)
        )
    }
}

impl std::error::Error for ParseError {}

/// Why an expression has no proper value for an event. Made without allocating.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EvaluationError<'a> {
    /// The event has no attribute of this name.
    MissingAttribute(&'a str),
    /// The value cannot be read as the type.
    Cast { value: Value<'a>, to: Type },
    /// The division has no result, or the result needs more than 32 bits.
    Math(Calculation),
    /// The function does not take these arguments.
    Function {
        function: &'static str,
        reason: &'static str,
    },
    /// A text became longer than [`super::MAX_TEXT`].
    TextTooLong,
}

/// What was worked out when it went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calculation(pub(super) Calculated);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calculated {
    Binary(i32, Operator, i32),
    Negation(i32),
    Absolute(i32),
}

impl fmt::Display for Calculation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Calculated::Binary(left, operator, right) => {
                write!(f, "{left} {} {right}", operator.symbol())
            }
            Calculated::Negation(value) => write!(f, "-({value})"),
            Calculated::Absolute(value) => write!(f, "{}({value})", Function::Abs.name()),
        }
    }
}

impl EvaluationError<'_> {
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::MissingAttribute(_) => ErrorKind::MissingAttribute,
            Self::Cast { .. } => ErrorKind::Cast,
            Self::Math(_) => ErrorKind::Math,
            Self::Function { .. } => ErrorKind::FunctionEvaluation,
            Self::TextTooLong => ErrorKind::Generic,
        }
    }
}

impl fmt::Display for EvaluationError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.kind())?;
        match self {
            Self::MissingAttribute(name) => write!(f, "the event has no attribute {name:?}"),
            Self::Cast { value, to } => match value {
                Value::String(text) => write!(f, "{text:?} cannot be read as {to}"),
                Value::Integer(value) => write!(f, "{value} cannot be read as {to}"),
                Value::Boolean(value) => write!(f, "{value} cannot be read as {to}"),
            },
            Self::Math(calculation @ Calculation(Calculated::Binary(_, _, 0))) => {
                write!(f, "{calculation} has no result")
            }
            Self::Math(calculation) => {
                write!(f, "the result of {calculation} needs more than 32 bits")
            }
            Self::Function { function, reason } => write!(f, "{function}: {reason}"),
            Self::TextTooLong => write!(
                f,
                "the expression makes a text of more than {} bytes",
                super::MAX_TEXT
            ),
        }
    }
}

impl std::error::Error for EvaluationError<'_> {}
