//! An expression as a tree. Operators of one precedence in a row are one [`Expr::Chain`], so that
//! the tree is as deep as the text is nested and not as deep as it is long.

use super::{functions::Function, like::Pattern};
use crate::{Attribute, Type, Value};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expr {
    Literal(Value<'static>),
    Attribute(Attribute),
    Exists(Attribute),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    Like {
        target: Box<Expr>,
        negated: bool,
        pattern: Pattern,
    },
    In {
        target: Box<Expr>,
        negated: bool,
        set: Set,
    },
    Call {
        function: Function,
        arguments: Box<[Expr]>,
    },
    /// `first op a op b …`, from left to right; all operators are of one [`Level`].
    Chain {
        first: Box<Expr>,
        rest: Box<[(Operator, Expr)]>,
    },
}

/// The elements of an `IN`; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Set {
    pub elements: Box<[Expr]>,
    /// The elements in order, where all of them are string literals.
    pub sorted: Option<Box<[Box<str>]>>,
}

impl Set {
    pub fn new(elements: Vec<Expr>) -> Self {
        let text = |element: &Expr| match element {
            Expr::Literal(Value::String(text)) => Some(Box::from(&**text)),
            _ => None,
        };
        let texts: Option<Vec<Box<str>>> = elements.iter().map(text).collect();
        Self {
            sorted: texts.map(|mut texts| {
                texts.sort_unstable();
                texts.into()
            }),
            elements: elements.into(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    And,
    Or,
    Xor,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// What binds tighter is greater (§3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Logic,
    Comparison,
    Sum,
    Product,
    /// LIKE and IN.
    Postfix,
    /// NOT and minus.
    Unary,
    /// What stands by itself.
    Primary,
}

impl Operator {
    pub fn level(self) -> Level {
        match self {
            Self::And | Self::Or | Self::Xor => Level::Logic,
            Self::Equal
            | Self::NotEqual
            | Self::Less
            | Self::LessOrEqual
            | Self::Greater
            | Self::GreaterOrEqual => Level::Comparison,
            Self::Add | Self::Subtract => Level::Sum,
            Self::Multiply | Self::Divide | Self::Remainder => Level::Product,
        }
    }

    pub fn value_type(self) -> Type {
        match self.level() {
            Level::Sum | Level::Product => Type::Integer,
            _ => Type::Boolean,
        }
    }

    pub fn symbol(self) -> &'static str {
        match self {
            Self::And => "AND",
            Self::Or => "OR",
            Self::Xor => "XOR",
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

impl Expr {
    /// The type of the value, where it does not hang on the event.
    pub fn value_type(&self) -> Option<Type> {
        match self {
            Self::Literal(value) => Some(value.value_type()),
            Self::Attribute(_) => None,
            Self::Exists(_) | Self::Not(_) | Self::Like { .. } | Self::In { .. } => {
                Some(Type::Boolean)
            }
            Self::Negate(_) => Some(Type::Integer),
            Self::Call { function, .. } => Some(function.value_type()),
            Self::Chain { rest, .. } => rest.last().map(|(operator, _)| operator.value_type()),
        }
    }
}
