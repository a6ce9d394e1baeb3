//! The value of an expression for one event (CESQL 1.0 §3.4 to §3.7). Stops at the first error; what
//! stands around the place of an error has the zero value of its own type.

use super::{
    ast::{Expr, Operator, Set},
    error::{Calculated, Calculation, EvaluationError},
    functions::{Function, Joined, Said, cast_boolean, cast_integer},
};
use crate::{Attribute, Attributes, Type, Value};

/// What an expression says of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation<'a> {
    /// Always there; with an error the zero value of the expression's type (of a Boolean where the
    /// type hangs on the event), unless the function that failed defines another.
    pub value: Value<'a>,
    /// The first error.
    pub error: Option<EvaluationError<'a>>,
}

pub(super) fn evaluate<'a, E: Attributes + ?Sized>(expr: &'a Expr, event: &'a E) -> Evaluation<'a> {
    match run(expr, event) {
        Ok(value) => Evaluation { value, error: None },
        Err((error, own)) => Evaluation {
            value: own.unwrap_or_else(|| expr.value_type().unwrap_or(Type::Boolean).zero()),
            error: Some(error),
        },
    }
}

pub(super) fn takes<E: Attributes + ?Sized>(expr: &Expr, event: &E) -> bool {
    matches!(run(expr, event), Ok(Value::Boolean(true)))
}

/// The value of an operand. Where it failed, its own value is of no matter any more. Most operands
/// are leaves, which are read here without a call.
#[inline]
fn operand<'a, E: Attributes + ?Sized>(
    expr: &'a Expr,
    event: &'a E,
) -> Result<Value<'a>, EvaluationError<'a>> {
    match expr {
        Expr::Literal(value) => Ok(borrowed(value)),
        Expr::Attribute(attribute) => read(attribute, event),
        expr => run(expr, event).map_err(|(error, _)| error),
    }
}

#[inline]
fn borrowed<'a>(value: &'a Value<'static>) -> Value<'a> {
    match value {
        Value::String(text) => Value::text(text),
        Value::Integer(value) => Value::Integer(*value),
        Value::Boolean(value) => Value::Boolean(*value),
    }
}

#[inline]
fn read<'a, E: Attributes + ?Sized>(
    attribute: &'a Attribute,
    event: &'a E,
) -> Result<Value<'a>, EvaluationError<'a>> {
    let missing = || EvaluationError::MissingAttribute(attribute.name());
    event.get(attribute).ok_or_else(missing)
}

fn run<'a, E: Attributes + ?Sized>(expr: &'a Expr, event: &'a E) -> Said<'a> {
    Ok(match expr {
        Expr::Literal(value) => borrowed(value),
        Expr::Attribute(attribute) => read(attribute, event)?,
        Expr::Exists(attribute) => {
            Value::Boolean(attribute.is_required() || event.get(attribute).is_some())
        }
        Expr::Not(inner) => Value::Boolean(!cast_boolean(operand(inner, event)?)?),
        Expr::Negate(inner) => {
            let value = cast_integer(operand(inner, event)?)?;
            let negated = value
                .checked_neg()
                .ok_or(EvaluationError::Math(Calculation(Calculated::Negation(
                    value,
                ))))?;
            Value::Integer(negated)
        }
        Expr::Like {
            target,
            negated,
            pattern,
        } => {
            let matches = operand(target, event)?.with_text(|text| pattern.matches(text));
            Value::Boolean(matches != *negated)
        }
        Expr::In {
            target,
            negated,
            set,
        } => Value::Boolean(is_in(&operand(target, event)?, set, event)? != *negated),
        Expr::Call {
            function,
            arguments,
        } => return call(*function, arguments, event),
        Expr::Chain { first, rest } => chain(first, rest, event)?,
    })
}

/// Operators of one precedence, from left to right. AND and OR leave out their right side where the
/// left one decides.
fn chain<'a, E: Attributes + ?Sized>(
    first: &'a Expr,
    rest: &'a [(Operator, Expr)],
    event: &'a E,
) -> Result<Value<'a>, EvaluationError<'a>> {
    let mut left = operand(first, event)?;
    for (operator, right) in rest {
        left = match operator {
            Operator::And => {
                Value::Boolean(cast_boolean(left)? && cast_boolean(operand(right, event)?)?)
            }
            Operator::Or => {
                Value::Boolean(cast_boolean(left)? || cast_boolean(operand(right, event)?)?)
            }
            operator => apply(*operator, left, operand(right, event)?)?,
        };
    }
    Ok(left)
}

fn apply<'a>(
    operator: Operator,
    left: Value<'a>,
    right: Value<'a>,
) -> Result<Value<'a>, EvaluationError<'a>> {
    match operator {
        Operator::And => Ok(Value::Boolean(cast_boolean(left)? & cast_boolean(right)?)),
        Operator::Or => Ok(Value::Boolean(cast_boolean(left)? | cast_boolean(right)?)),
        Operator::Xor => Ok(Value::Boolean(cast_boolean(left)? ^ cast_boolean(right)?)),
        Operator::Equal => equal(left, &right).map(Value::Boolean),
        Operator::NotEqual => equal(left, &right).map(|equal| Value::Boolean(!equal)),
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            let order = cast_integer(left)?.cmp(&cast_integer(right)?);
            Ok(Value::Boolean(match operator {
                Operator::Less => order.is_lt(),
                Operator::LessOrEqual => order.is_le(),
                Operator::Greater => order.is_gt(),
                _ => order.is_ge(),
            }))
        }
        Operator::Add
        | Operator::Subtract
        | Operator::Multiply
        | Operator::Divide
        | Operator::Remainder => {
            let (left, right) = (cast_integer(left)?, cast_integer(right)?);
            let result = match operator {
                Operator::Add => left.checked_add(right),
                Operator::Subtract => left.checked_sub(right),
                Operator::Multiply => left.checked_mul(right),
                Operator::Divide => left.checked_div(right),
                // The remainder of the least integer by -1 is 0, though the quotient does not fit.
                _ => (right != 0).then(|| left.wrapping_rem(right)),
            };
            let wrong = Calculation(Calculated::Binary(left, operator, right));
            result
                .map(Value::Integer)
                .ok_or(EvaluationError::Math(wrong))
        }
    }
}

/// Whether two values are equal, the first one read as the type of the second (§3.7).
fn equal<'a>(value: Value<'a>, as_type: &Value<'_>) -> Result<bool, EvaluationError<'a>> {
    match as_type {
        Value::String(other) => Ok(value.with_text(|text| text == other)),
        Value::Integer(other) => cast_integer(value).map(|value| value == *other),
        Value::Boolean(other) => cast_boolean(value).map(|value| value == *other),
    }
}

/// Elements are looked at from left to right up to the first that is equal.
fn is_in<'a, E: Attributes + ?Sized>(
    target: &Value<'a>,
    set: &'a Set,
    event: &'a E,
) -> Result<bool, EvaluationError<'a>> {
    if let (Value::String(text), Some(sorted)) = (target, &set.sorted) {
        return Ok(sorted
            .binary_search_by(|element| (**element).cmp(text))
            .is_ok());
    }
    for element in &set.elements {
        if equal(operand(element, event)?, target)? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[inline(never)]
fn call<'a, E: Attributes + ?Sized>(
    function: Function,
    arguments: &'a [Expr],
    event: &'a E,
) -> Said<'a> {
    let mut values = arguments.iter().map(|argument| operand(argument, event));
    match function {
        Function::Concat | Function::ConcatWs => {
            let between = match function {
                Function::ConcatWs => values.next().transpose()?.map(Value::into_text),
                _ => None,
            };
            let mut joined = Joined::default();
            for value in values {
                joined.push(between.as_deref().unwrap_or(""), value?.into_text())?;
            }
            Ok(joined.finish())
        }
        _ => {
            let first = values.next().transpose()?.unwrap_or(Value::text(""));
            let more = [values.next().transpose()?, values.next().transpose()?];
            function.fixed(first, more)
        }
    }
}
