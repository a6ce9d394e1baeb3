//! A flaw on its way up from where it was found: the path grows as the callers return.

use crate::Flaw;

/// Longer pieces of data are cut in paths and reasons.
const LONGEST: usize = 100;

#[derive(Debug)]
pub(crate) struct Fault(Box<Inner>);

#[derive(Debug)]
struct Inner {
    /// The innermost first.
    path: Vec<String>,
    reason: String,
}

pub(crate) fn fault(reason: impl Into<String>) -> Fault {
    Fault(Box::new(Inner {
        path: Vec::new(),
        reason: reason.into(),
    }))
}

impl Fault {
    /// It was found within this.
    pub(crate) fn within(mut self, segment: &str) -> Self {
        let segment = shortened(segment);
        self.0
            .path
            .push(segment.replace('~', "~0").replace('/', "~1"));
        self
    }

    pub(crate) fn at(self, index: usize) -> Self {
        self.within(&index.to_string())
    }

    pub(crate) fn reason(&self) -> &str {
        &self.0.reason
    }

    /// JSON Pointer to the place.
    pub(crate) fn pointer(&self) -> String {
        self.0
            .path
            .iter()
            .rev()
            .fold(String::new(), |path, segment| path + "/" + segment)
    }
}

impl From<Fault> for Flaw {
    fn from(fault: Fault) -> Self {
        Self {
            path: fault.pointer(),
            reason: fault.0.reason,
        }
    }
}

pub(crate) fn shortened(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let end = (0..=LONGEST)
        .rev()
        .find(|&end| text.is_char_boundary(end))
        .unwrap_or(0);
    format!("{}…", &text[..end])
}
