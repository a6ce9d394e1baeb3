//! An expression as text: keywords in capitals, parentheses only where the tree needs them.

use std::fmt::{self, Display, Formatter, Write as _};

use super::ast::{Expr, Level};
use crate::Value;

impl Expr {
    fn level(&self) -> Level {
        match self {
            Self::Literal(_) | Self::Attribute(_) | Self::Exists(_) | Self::Call { .. } => {
                Level::Primary
            }
            Self::Not(_) | Self::Negate(_) => Level::Unary,
            Self::Like { .. } | Self::In { .. } => Level::Postfix,
            Self::Chain { rest, .. } => rest
                .first()
                .map_or(Level::Primary, |(operator, _)| operator.level()),
        }
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(Value::String(text)) => quoted(f, text),
            Self::Literal(Value::Integer(value)) => value.fmt(f),
            Self::Literal(Value::Boolean(true)) => f.write_str("TRUE"),
            Self::Literal(Value::Boolean(false)) => f.write_str("FALSE"),
            Self::Attribute(attribute) => f.write_str(attribute.name()),
            Self::Exists(attribute) => write!(f, "EXISTS {}", attribute.name()),
            Self::Not(operand) => {
                f.write_str("NOT ")?;
                within(f, operand, Level::Unary)
            }
            // Without parentheses the sign would become part of the number.
            Self::Negate(operand) => match &**operand {
                Self::Literal(Value::Integer(value)) if *value >= 0 => write!(f, "-({value})"),
                operand => {
                    f.write_char('-')?;
                    within(f, operand, Level::Unary)
                }
            },
            Self::Like {
                target,
                negated,
                pattern,
            } => {
                within(f, target, Level::Postfix)?;
                f.write_str(if *negated { " NOT LIKE " } else { " LIKE " })?;
                quoted(f, pattern.source())
            }
            Self::In {
                target,
                negated,
                set,
            } => {
                within(f, target, Level::Postfix)?;
                f.write_str(if *negated { " NOT IN (" } else { " IN (" })?;
                listed(f, &set.elements)?;
                f.write_char(')')
            }
            Self::Call {
                function,
                arguments,
            } => {
                write!(f, "{}(", function.name())?;
                listed(f, arguments)?;
                f.write_char(')')
            }
            Self::Chain { first, rest } => {
                chained(f, first, self.level())?;
                for (operator, operand) in rest {
                    write!(f, " {} ", operator.symbol())?;
                    chained(f, operand, self.level())?;
                }
                Ok(())
            }
        }
    }
}

/// In parentheses where the expression binds less than `least`.
fn within(f: &mut Formatter<'_>, expr: &Expr, least: Level) -> fmt::Result {
    if expr.level() < least {
        write!(f, "({expr})")
    } else {
        expr.fmt(f)
    }
}

/// In parentheses where the expression does not bind more than the chain that it stands in.
fn chained(f: &mut Formatter<'_>, expr: &Expr, chain: Level) -> fmt::Result {
    if expr.level() <= chain {
        write!(f, "({expr})")
    } else {
        expr.fmt(f)
    }
}

fn listed(f: &mut Formatter<'_>, exprs: &[Expr]) -> fmt::Result {
    for (index, expr) in exprs.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        expr.fmt(f)?;
    }
    Ok(())
}

/// A string literal. Every text that came from one can be written with one of the quotes.
fn quoted(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    let quote = if fits(text, '\'') { '\'' } else { '"' };
    f.write_char(quote)?;
    for found in text.chars() {
        if found == quote {
            f.write_char('\\')?;
        }
        f.write_char(found)?;
    }
    f.write_char(quote)
}

/// Whether a text can stand between these quotes: before each of them, and at the end, an even
/// number of backslashes, because a backslash takes the character behind it along.
fn fits(text: &str, quote: char) -> bool {
    let mut odd = false;
    for found in text.chars() {
        if found == quote && odd {
            return false;
        }
        odd = found == '\\' && !odd;
    }
    !odd
}
