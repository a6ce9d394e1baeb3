//! Why filters cannot be used.

use std::fmt;

/// What is wrong with one filter, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {reason}")]
pub struct Error {
    /// A JSON Pointer (RFC 6901) from the array of filters on, such as `/0/exact/type`.
    pub pointer: String,
    /// What is wrong and what to do. Of an SQL expression it has several lines, the last ones
    /// showing the place.
    pub reason: String,
}

/// Everything that is wrong with an array of filters; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors(pub(crate) Vec<Error>);

impl Errors {
    /// Each fault, in the order of the document. The first twenty are told.
    #[must_use]
    pub fn as_slice(&self) -> &[Error] {
        &self.0
    }

    #[must_use]
    pub fn into_vec(self) -> Vec<Error> {
        self.0
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}
