//! One part of a schema document, ready for data.

use std::sync::{Arc, OnceLock};

use jsonschema::{ValidationError, error::ValidationErrorKind};
use serde_json::Value;

use crate::{
    Prepared,
    counted::{self, Left, within},
    deep::on_a_stack,
    looks::{self, Looks},
};

/// So many steps any data may take.
const STEPS: u64 = 50_000;
/// And so many more for each value in it.
const STEPS_EACH: u64 = 1_000;
/// But, of what is large, no more than so many,
const STEPS_MOST: u64 = 10_000_000;
/// and so many for each value in it.
const STEPS_EACH_MOST: u64 = 20;
/// The most errors that are gathered before some are listed; each takes some hundred bytes.
const ERRORS: u64 = 20_000;
/// Where no more than this can come up, they are not counted.
const ERRORS_PLAIN: u64 = 100_000;

/// With fewer schemas in all, or fewer inside of each other, any stack will do.
const SHALLOW: u64 = 200;
/// Schemas inside of each other need so many bytes of stack each, at most, when they are asked,
const ASKED: u64 = 3 * 1024;
/// and when they are built.
const BUILT: u64 = 12 * 1024;
/// What leads further than this from schema to schema is not built: it takes time that grows with the square.
const FURTHEST: usize = 2_000;
/// What is asked deeper than this is stopped.
const DEEPEST: u64 = 250_000;

/// What a schema says of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Fits,
    Refused,
    /// It would take too many steps to tell.
    Stopped,
}

/// Errors of data that a schema refuses.
#[derive(Clone, Debug)]
pub struct Found<T> {
    pub listed: Vec<T>,
    /// How many there are beyond those listed.
    pub more: usize,
    /// Whether those are all; else it would take too many steps to find the others.
    pub complete: bool,
}

/// A part of a schema, compiled.
pub struct Validator {
    document: Arc<Prepared>,
    fragment: String,
    looks: Looks,
    /// Where no value is looked at too often.
    plain: Option<jsonschema::Validator>,
    /// With counted steps, once it is needed.
    counted: OnceLock<Result<jsonschema::Validator, String>>,
}

impl std::fmt::Debug for Validator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Validator")
            .field("fragment", &self.fragment)
            .field("looks", &self.looks)
            .finish_non_exhaustive()
    }
}

impl Validator {
    pub(crate) fn new(document: Arc<Prepared>, fragment: &str) -> Result<Self, String> {
        let looks = document.looker().looks(fragment);
        if looks.depth > FURTHEST {
            return Err(format!(
                "the schema leads from one part to the next more than {FURTHEST} times in a row"
            ));
        }
        let validator = Self {
            plain: match looks.most {
                ..=looks::MOST => Some(built(&document, fragment, looks, false)?),
                _ => None,
            },
            looks,
            document,
            fragment: fragment.to_owned(),
            counted: OnceLock::new(),
        };
        if validator.plain.is_none() {
            validator.counted().map_err(str::to_owned)?;
        }
        Ok(validator)
    }

    /// With counted steps.
    pub(crate) fn counted(&self) -> Result<&jsonschema::Validator, &str> {
        let build = || built(&self.document, &self.fragment, self.looks, true);
        self.counted
            .get_or_init(build)
            .as_ref()
            .map_err(String::as_str)
    }

    /// Without counted steps, whatever the schema.
    #[cfg(test)]
    pub(crate) fn document_plain(&self) -> Result<jsonschema::Validator, String> {
        self.document.compile(&self.fragment, false)
    }

    /// Asks on a stack that is deep enough; `None` where there is none.
    fn ask<T: Send>(&self, data: &Value, ask: impl FnOnce() -> T + Send) -> Option<T> {
        let looks = &self.looks;
        let levels = (looks.levels).unwrap_or_else(|| (looks.chain + 2) * counted::depth(data));
        if levels <= SHALLOW {
            return Some(ask());
        }
        let known = levels <= DEEPEST;
        known
            .then(|| on_a_stack((SHALLOW + levels) * ASKED, ask))
            .flatten()
    }

    /// Whether every answer is found without counting: no value is looked at too often by this schema.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.plain.is_some()
    }

    /// What the schema says of data. `at_most` is no less than the number of values in it, if that is known
    /// without looking.
    #[must_use]
    pub fn verdict(&self, data: &Value, at_most: Option<u64>) -> Verdict {
        self.counted_verdict(data, at_most).0
    }

    /// The same, with the steps that were counted, if they were.
    #[must_use]
    pub fn counted_verdict(&self, data: &Value, at_most: Option<u64>) -> (Verdict, u64) {
        let told = |fits| {
            if fits {
                Verdict::Fits
            } else {
                Verdict::Refused
            }
        };
        if let Some(plain) = &self.plain {
            let cheap = |values: u64| self.looks.most.saturating_mul(values) <= STEPS_MOST;
            let few = self.looks.most <= STEPS_EACH_MOST;
            if few || at_most.is_some_and(cheap) || cheap(counted::size(data)) {
                let fits = self.ask(data, || plain.is_valid(data));
                return (fits.map_or(Verdict::Stopped, told), 0);
            }
        }
        let Ok(counted) = self.counted() else {
            return (Verdict::Stopped, 0);
        };
        let left = Left {
            steps: steps(counted::size(data)),
            errors: u64::MAX,
        };
        match self.ask(data, || within(left, || counted.is_valid(data))) {
            Some((Ok(fits), steps)) => (told(fits), steps),
            Some((Err(_), steps)) => (Verdict::Stopped, steps),
            None => (Verdict::Stopped, 0),
        }
    }

    /// The errors of data that is refused, at most `most` of them, each as `each` makes it.
    pub fn errors<T: Send>(
        &self,
        data: &Value,
        most: usize,
        each: impl Fn(&ValidationError<'_>) -> T + Sync,
    ) -> Found<T> {
        let gather = |validator: &jsonschema::Validator| {
            let mut found = Found {
                listed: Vec::new(),
                more: 0,
                complete: true,
            };
            for error in validator.iter_errors(data) {
                if found.listed.len() < most {
                    found.listed.push(each(&error));
                } else {
                    found.more += 1;
                }
            }
            found
        };
        let size = counted::size(data);
        if let Some(plain) = &self.plain {
            let held = self.looks.most.saturating_mul(self.looks.weight);
            if held.saturating_mul(size) <= ERRORS_PLAIN
                && let Some(found) = self.ask(data, || gather(plain))
            {
                return found;
            }
        }
        let mut listed = Vec::new();
        if let Ok(counted) = self.counted() {
            let left = Left {
                steps: steps(size),
                errors: ERRORS,
            };
            if let Some((Ok(found), _)) = self.ask(data, || within(left, || gather(counted))) {
                return found;
            }
            // The first is found without those after it.
            let first = || counted.validate(data).err().map(|error| each(&error));
            if let Some((Ok(first), _)) = self.ask(data, || within(left, first)) {
                listed.extend(first);
            }
        }
        Found {
            listed,
            more: 0,
            complete: false,
        }
    }
}

impl Drop for Validator {
    fn drop(&mut self) {
        let parts = (self.plain.take(), self.counted.take());
        if self.looks.schemas > SHALLOW {
            let _ = on_a_stack(self.looks.schemas * BUILT, || drop(parts));
        }
    }
}

/// Builds a validator on a stack that is deep enough.
fn built(
    document: &Prepared,
    fragment: &str,
    looks: Looks,
    counting: bool,
) -> Result<jsonschema::Validator, String> {
    if looks.schemas <= SHALLOW {
        return document.compile(fragment, counting);
    }
    let build = || document.compile(fragment, counting);
    on_a_stack(looks.schemas * BUILT, build)
        .unwrap_or_else(|| Err("there is no stack that is deep enough for the schema".to_owned()))
}

/// What an error says, where `place` stands for the value that it is about.
#[must_use]
pub fn message(error: &ValidationError<'_>, place: &str) -> String {
    match error.kind() {
        // The one message that holds a schema, which may be one with steps.
        ValidationErrorKind::Not { schema } => {
            format!(
                "{} is not allowed for {place}",
                counted::without_steps(schema)
            )
        }
        _ => error.masked_with(place).to_string(),
    }
}

/// The steps that data of a size may take.
fn steps(size: u64) -> u64 {
    let each = STEPS + size.saturating_mul(STEPS_EACH);
    each.min(STEPS_MOST + size.saturating_mul(STEPS_EACH_MOST))
}
