//! Patterns: whether one can be run in time linear in the text, and why not.

use jsonschema::PatternOptions;
use serde_json::json;

use crate::PATTERN_SIZE;

/// Why a pattern is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternFlaw {
    /// It is no regular expression, with what is wrong.
    Malformed(String),
    /// It cannot be run in linear time, or takes too much memory.
    Costly,
}

/// Why a pattern is not taken, if it is not.
#[must_use]
pub fn pattern_flaw(pattern: &str) -> Option<PatternFlaw> {
    use regex_syntax::ast::ErrorKind;
    let probe = jsonschema::options()
        .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_SIZE))
        .build(&json!({"pattern": pattern}));
    if probe.is_ok() {
        return None;
    }
    Some(match regex_syntax::Parser::new().parse(pattern) {
        Err(regex_syntax::Error::Parse(error))
            if !matches!(
                error.kind(),
                ErrorKind::UnsupportedLookAround | ErrorKind::UnsupportedBackreference
            ) =>
        {
            PatternFlaw::Malformed(error.kind().to_string())
        }
        Err(regex_syntax::Error::Translate(error)) => {
            PatternFlaw::Malformed(error.kind().to_string())
        }
        _ => PatternFlaw::Costly,
    })
}
