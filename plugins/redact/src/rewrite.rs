//! The data, written anew with the rules applied. What no rule looks into is copied byte by byte, so
//! numbers keep their digits and objects their order.

use sandbar_sdk::json::{self, Kind, Raw};

use crate::{config::Config, pattern::State};

/// Applies the rules on data.
pub(crate) struct Rewriter<'a> {
    config: &'a Config,
    /// By rule: whether it matched anything.
    matched: &'a mut [bool],
    /// Whether any value was replaced or dropped.
    changed: bool,
    out: Vec<u8>,
}

impl<'a> Rewriter<'a> {
    pub(crate) fn new(config: &'a Config, matched: &'a mut [bool]) -> Self {
        Self {
            config,
            matched,
            changed: false,
            out: Vec::new(),
        }
    }

    /// The new data, or `None` when it stays as it is.
    ///
    /// # Errors
    /// When a rule cannot be applied to what it matches, with the place.
    pub(crate) fn run(mut self, data: Raw<'_>) -> Result<Option<Vec<u8>>, String> {
        self.out.reserve(data.as_str().len() + 64);
        self.inside(data, &self.config.patterns.start())
            .map_err(|fault| format!("the data at {:?} {}", fault.place, fault.reason))?;
        Ok(self.changed.then_some(self.out))
    }

    /// Writes a value that no rule matches itself.
    fn inside(&mut self, value: Raw<'_>, state: &State) -> Result<(), Fault> {
        match value.kind() {
            Kind::Object if !state.is_empty() => {
                self.out.push(b'{');
                let mut first = true;
                for (name, member) in value.members()? {
                    let start = self.out.len();
                    if !first {
                        self.out.push(b',');
                    }
                    json::write_text(&name, &mut self.out);
                    self.out.push(b':');
                    if self.child(&name, member, state)? {
                        first = false;
                    } else {
                        self.out.truncate(start);
                    }
                }
                self.out.push(b'}');
            }
            Kind::Array if !state.is_empty() => {
                self.out.push(b'[');
                let mut first = true;
                for (index, item) in value.items()?.into_iter().enumerate() {
                    let start = self.out.len();
                    if !first {
                        self.out.push(b',');
                    }
                    if self.child(&index.to_string(), item, state)? {
                        first = false;
                    } else {
                        self.out.truncate(start);
                    }
                }
                self.out.push(b']');
            }
            _ => self.out.extend_from_slice(value.as_str().as_bytes()),
        }
        Ok(())
    }

    /// Writes a member or item; answers false when it is dropped.
    fn child(&mut self, name: &str, value: Raw<'_>, state: &State) -> Result<bool, Fault> {
        let mut first = None;
        let matched = &mut *self.matched;
        let below = self.config.patterns.step(state, name, |rule| {
            matched[rule] = true;
            // The patterns of a state are not in the order of the rules.
            first = Some(first.map_or(rule, |earlier: usize| earlier.min(rule)));
        });
        let Some(rule) = first else {
            self.inside(value, &below)
                .map_err(|fault| fault.under(name))?;
            return Ok(true);
        };
        self.changed = true;
        let action = &self.config.rules[rule].action;
        action
            .on_value(value, &mut self.out)
            .map_err(|reason| Fault::from(reason).under(name))
    }
}

/// What is wrong, and where: a JSON Pointer that grows on the way up.
struct Fault {
    place: String,
    reason: String,
}

impl Fault {
    fn under(mut self, name: &str) -> Self {
        let name = name.replace('~', "~0").replace('/', "~1");
        self.place = format!("/{name}{}", self.place);
        self
    }
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self {
            place: String::new(),
            reason,
        }
    }
}
