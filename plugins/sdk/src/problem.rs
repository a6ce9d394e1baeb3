//! Why an event, or a configuration, is refused.

use std::fmt;

/// Why a plugin refuses its configuration or an event. A text converts into
/// [`Problem::InvalidEvent`], as do serde's errors, so `?` works on both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The configuration does not fit.
    InvalidConfig(String),
    /// The event does not fit what the plugin expects.
    InvalidEvent(String),
    /// Anything else, in words for the operator.
    Other(String),
}

impl Problem {
    /// The reason, without its class.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::InvalidConfig(reason) | Self::InvalidEvent(reason) | Self::Other(reason) => {
                reason
            }
        }
    }

    /// The class as the column world spells it.
    pub(crate) fn case(&self) -> &'static str {
        match self {
            Self::InvalidConfig(_) => "invalid-config",
            Self::InvalidEvent(_) => "invalid-event",
            Self::Other(_) => "other",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.case(), self.reason())
    }
}

impl std::error::Error for Problem {}

impl From<&str> for Problem {
    fn from(reason: &str) -> Self {
        Self::InvalidEvent(reason.to_owned())
    }
}

impl From<String> for Problem {
    fn from(reason: String) -> Self {
        Self::InvalidEvent(reason)
    }
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        Self::InvalidEvent(error.to_string())
    }
}
