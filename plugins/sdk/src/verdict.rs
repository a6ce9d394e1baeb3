//! What a plugin says of an event.

use std::borrow::Cow;

use crate::{Output, Problem};

/// What a plugin says of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a verdict is what the function returns"]
pub struct Verdict(pub(crate) Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
// One output is the usual case: not boxed, because allocating costs more than moving it.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Kind {
    One(Output),
    Many(Vec<Output>),
    Drop(Cow<'static, str>),
    Reject(Problem),
    Retry(Cow<'static, str>),
}

impl Verdict {
    /// Give out one event.
    pub fn emit(output: Output) -> Self {
        Self(Kind::One(output))
    }

    /// Give out these events, in this order; they stand or fall together. None at all is the same
    /// as [`Verdict::drop`] without a reason.
    pub fn emit_all(outputs: impl IntoIterator<Item = Output>) -> Self {
        Self(Kind::Many(outputs.into_iter().collect()))
    }

    /// Leave the event out on purpose; it is counted under this reason, so keep the reasons few.
    pub fn drop(reason: impl Into<Cow<'static, str>>) -> Self {
        Self(Kind::Drop(reason.into()))
    }

    /// The event cannot be processed: it becomes a dead letter.
    pub fn reject(problem: impl Into<Problem>) -> Self {
        Self(Kind::Reject(problem.into()))
    }

    /// Not now: the hub calls again later with the same event, and holds back later ones of its key.
    pub fn retry(reason: impl Into<Cow<'static, str>>) -> Self {
        Self(Kind::Retry(reason.into()))
    }

    /// The outputs; empty for every verdict but emit.
    pub fn outputs(&self) -> &[Output] {
        match &self.0 {
            Kind::One(output) => std::slice::from_ref(output),
            Kind::Many(outputs) => outputs,
            _ => &[],
        }
    }

    /// Whether this is emit, with or without outputs.
    #[must_use]
    pub fn is_emit(&self) -> bool {
        matches!(self.0, Kind::One(_) | Kind::Many(_))
    }

    /// The reason of a drop.
    #[must_use]
    pub fn dropped(&self) -> Option<&str> {
        match &self.0 {
            Kind::Drop(reason) => Some(reason),
            _ => None,
        }
    }

    /// The problem of a reject.
    #[must_use]
    pub fn rejected(&self) -> Option<&Problem> {
        match &self.0 {
            Kind::Reject(problem) => Some(problem),
            _ => None,
        }
    }

    /// The reason of a retry.
    #[must_use]
    pub fn retried(&self) -> Option<&str> {
        match &self.0 {
            Kind::Retry(reason) => Some(reason),
            _ => None,
        }
    }
}

/// What a plugin's function may return.
pub trait IntoVerdict {
    /// The verdict that it stands for.
    fn into_verdict(self) -> Verdict;
}

impl IntoVerdict for Verdict {
    fn into_verdict(self) -> Verdict {
        self
    }
}

/// Emit this one.
impl IntoVerdict for Output {
    fn into_verdict(self) -> Verdict {
        Verdict::emit(self)
    }
}

/// An error is a reject.
impl<T: IntoVerdict, P: Into<Problem>> IntoVerdict for Result<T, P> {
    fn into_verdict(self) -> Verdict {
        match self {
            Ok(verdict) => verdict.into_verdict(),
            Err(problem) => Verdict::reject(problem),
        }
    }
}
