//! Patterns: whether one can be run in time linear in the text, and why not.

use jsonschema::{PatternOptions, Validator};
use serde_json::json;

/// The most memory that one compiled pattern may take, in bytes.
const PATTERN_SIZE: usize = 1024 * 1024;

/// Why a pattern is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternFlaw {
    /// It is no regular expression, with what is wrong.
    Malformed(String),
    /// It cannot be run in linear time, or takes too much memory.
    Costly,
}

/// How every pattern is run.
pub(crate) fn options() -> PatternOptions<impl Sized> {
    PatternOptions::regex().size_limit(PATTERN_SIZE)
}

/// What texts that match a pattern are valid by; `None` where it is not taken.
#[must_use]
pub fn pattern(pattern: &str) -> Option<Validator> {
    let options = jsonschema::options().with_pattern_options(options());
    options.build(&json!({"pattern": pattern})).ok()
}

/// Why a pattern is not taken, if it is not.
#[must_use]
pub fn pattern_flaw(pattern: &str) -> Option<PatternFlaw> {
    use regex_syntax::ast::ErrorKind;
    if self::pattern(pattern).is_some() {
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
