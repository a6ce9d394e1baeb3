//! Whether one version of an Avro or Protobuf contract may follow another, by the formats' own rules of
//! resolution. What they find is shown by the rule and the place, not by data.

use std::collections::BTreeMap;

use super::{
    Comparison, Definition, Finding, Format, InvalidSchema, Outcome, Policy, Verdict, avro,
    compatibility::MOST, protobuf,
};

/// A finding in either format.
struct Found {
    rule: String,
    path: String,
    message: String,
}

/// Compares two versions of one format, in the directions that the comparison has.
pub(super) fn compare(
    old: &Definition,
    new: &Definition,
    policy: Policy,
    comparison: &mut Comparison,
) {
    let found = match old.format {
        Format::Avro => of_avro(old, new),
        Format::Protobuf | Format::Json => of_protobuf(old, new, policy),
    };
    let outcomes = (comparison.backward.as_mut(), comparison.forward.as_mut());
    match (found, outcomes) {
        (Ok((backward, forward)), outcomes) => {
            if let Some(outcome) = outcomes.0 {
                outcome.take(backward);
            }
            if let Some(outcome) = outcomes.1 {
                outcome.take(forward);
            }
            types(old, new, comparison);
        }
        (Err(error), (backward, forward)) => {
            for outcome in backward.into_iter().chain(forward) {
                outcome.stop(None, format!("a schema cannot be read: {error}"));
            }
        }
    }
}

type Both = (Vec<Found>, Vec<Found>);

fn of_avro(old: &Definition, new: &Definition) -> Result<Both, InvalidSchema> {
    let (old, new) = (avro::parse(old)?, avro::parse(new)?);
    let of = |found: Vec<sandbar_avro::Finding>| {
        let each = found.into_iter().map(|one| Found {
            rule: one.rule.to_owned(),
            path: one.path,
            message: one.message,
        });
        each.collect()
    };
    Ok((
        of(sandbar_avro::compare(&new, &old)),
        of(sandbar_avro::compare(&old, &new)),
    ))
}

/// `strict` asks that every value comes through, in bytes and in JSON; `lenient` asks what Protobuf's own
/// groups of types allow on the wire.
fn of_protobuf(old: &Definition, new: &Definition, policy: Policy) -> Result<Both, InvalidSchema> {
    let (old, new) = (protobuf::parse(old)?, protobuf::parse(new)?);
    // A text without a message has no data.
    let (Some(old), Some(new)) = (old, new) else {
        return Ok((Vec::new(), Vec::new()));
    };
    let compare = match policy {
        Policy::Strict => sandbar_protobuf::compare,
        Policy::Lenient => sandbar_protobuf::compare_wire,
    };
    let of = |found: Vec<sandbar_protobuf::Finding>| {
        let each = found.into_iter().map(|one| Found {
            rule: one.rule.to_owned(),
            path: one.path,
            message: one.message,
        });
        each.collect()
    };
    Ok((of(compare(&new, &old)), of(compare(&old, &new))))
}

/// Types of events that came, went, or mean another message now.
fn types(old: &Definition, new: &Definition, comparison: &mut Comparison) {
    let found = |name: &str, rule: &str, message: String| Finding {
        rule: rule.to_owned(),
        message,
        r#type: Some(name.to_owned()),
        old: String::new(),
        new: String::new(),
        instance: String::new(),
        counterexample: None,
    };
    let none = BTreeMap::new();
    let (before, after) = match (&old.types, &new.types) {
        (None, None) => return,
        (before, after) => (
            before.as_ref().unwrap_or(&none),
            after.as_ref().unwrap_or(&none),
        ),
    };
    for (name, message) in before {
        let Some(outcome) = &mut comparison.backward else {
            break;
        };
        match (after.get(name), &new.types) {
            (Some(now), _) if now != message => {
                let text = format!("{message} became {now}");
                outcome.push(found(name, "type-changed", text));
            }
            (None, Some(_)) => {
                let text = "events of this type are refused".to_owned();
                outcome.push(found(name, "type-removed", text));
            }
            _ => {}
        }
    }
    for (name, message) in after {
        let Some(outcome) = &mut comparison.forward else {
            break;
        };
        match (before.get(name), &old.types) {
            (Some(then), _) if then != message => {
                let text = format!("{then} became {message}");
                outcome.push(found(name, "type-changed", text));
            }
            (None, Some(_)) => {
                let text = "the old version refuses events of this type".to_owned();
                outcome.push(found(name, "type-added", text));
            }
            _ => {}
        }
    }
    // One version has a message for all types, and the other for those that it lists.
    let widened = |outcome: &mut Option<Outcome>, text: &str| {
        if let Some(outcome) = outcome {
            outcome.push(Finding {
                r#type: None,
                ..found("", "types-listed", text.to_owned())
            });
        }
    };
    match (&old.types, &new.types) {
        (None, Some(_)) => widened(
            &mut comparison.backward,
            "events of types that are not listed are refused",
        ),
        (Some(_), None) => widened(
            &mut comparison.forward,
            "the old version refuses events of types that it does not list",
        ),
        _ => {}
    }
}

impl Outcome {
    fn take(&mut self, found: Vec<Found>) {
        for one in found {
            self.push(Finding {
                rule: one.rule,
                message: one.message,
                r#type: None,
                old: String::new(),
                new: String::new(),
                instance: one.path,
                counterexample: None,
            });
        }
    }

    fn push(&mut self, finding: Finding) {
        self.answer = Verdict::Incompatible;
        if self.findings.len() < MOST {
            self.findings.push(finding);
        }
    }
}
