//! CloudEvents SQL (CESQL 1.0.0): an expression over the attributes of one event.
//!
//! An [`Expression`] is parsed once and evaluated against many events. Evaluation gives a value and
//! perhaps an error; it stops at the first error (§4.1 "fail fast", which §1.2 asks of filters).
//! Not here: what a filter makes of the result, and how expressions get into a document.
//!
//! # Where the specification leaves room
//! - AND, OR and XOR have one precedence and go from left to right (§3.6): `a OR b AND c` is
//!   `(a OR b) AND c`.
//! - NOT binds tighter than LIKE, IN and the comparisons (§3.6): `NOT a = b` is `(NOT a) = b`.
//! - An operator with an operand that failed gives the zero value of its own type (§3.3).
//! - A sum, difference, product, quotient or negation past 32 bits is a `MathError` with the value 0;
//!   the specification speaks of ABS alone, which gives 2147483647.
//! - Names of attributes are read in any case, as keywords are, because attributes have no capitals.
//! - A sign belongs to the digits right behind it where a value is expected, and is an operator
//!   elsewhere: `4 -1` is 3.
//! - In a string, only the quote that encloses it is escaped; any other backslash stands for itself.
//! - `INT`, `BOOL`, `STRING`, `IS_INT` and `IS_BOOL` are the functions of the drafts; a value `IS_INT` where
//!   `INT` would not fail.
//!
//! # Bounds
//! The text has at most [`MAX_LENGTH`] bytes. Parentheses, arguments, sets, NOT, minus, LIKE and IN
//! stand in each other at most [`MAX_NESTING`] deep; operators of one precedence in a row do not
//! nest, however many there are. So neither parsing nor evaluating can overrun the stack. Texts that
//! an expression makes have at most [`MAX_TEXT`] bytes; more is a `GenericError`.

mod ast;
mod error;
mod evaluate;
mod functions;
mod lexer;
mod like;
mod parser;
mod print;

use std::{fmt, str::FromStr};

pub use error::{ErrorKind, EvaluationError, ParseError};
pub use evaluate::Evaluation;

use crate::{Attributes, Type};

/// The longest text of an expression, in bytes.
pub const MAX_LENGTH: usize = 16 * 1024;

/// How deep parts of an expression may stand in each other.
pub const MAX_NESTING: usize = 64;

/// The longest text that an expression may make, in bytes.
pub const MAX_TEXT: usize = 1024 * 1024;

/// A parsed expression. Its `Display` is the expression in a uniform writing, which parses to the
/// same expression again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression(ast::Expr);

impl Expression {
    /// Parses an expression.
    ///
    /// # Errors
    /// The first place that is not as the grammar says, or a function that is not there.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parser::parse(text).map(Self)
    }

    /// The type of the expression's value where it is the same for every event. An attribute alone
    /// has the type that the event gives it.
    #[must_use]
    pub fn value_type(&self) -> Option<Type> {
        self.0.value_type()
    }

    /// The value for an event, and the first error.
    pub fn evaluate<'a, E: Attributes + ?Sized>(&'a self, event: &'a E) -> Evaluation<'a> {
        evaluate::evaluate(&self.0, event)
    }

    /// Whether the value is the Boolean true and there is no error (§1.2).
    #[must_use]
    pub fn takes<E: Attributes + ?Sized>(&self, event: &E) -> bool {
        evaluate::takes(&self.0, event)
    }
}

impl FromStr for Expression {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
