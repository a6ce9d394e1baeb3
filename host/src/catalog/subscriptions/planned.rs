//! What putting a document would change. Values are compared where they are known, so a difference in
//! what answers mask is found, and no value is told.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Catalog, SubscriptionDocument};
use crate::{dial::Targets, problem::Problem};

/// What a document would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// There is no subscription of this name.
    Make,
    /// There is one, and it would be another.
    Change,
    /// There is one, and it is as asked.
    Keep,
}

/// What a document would do to a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlannedSubscription {
    pub change: Change,
    /// The members that would change, such as `retry` or `push.headers`.
    pub members: Vec<String>,
}

impl Catalog {
    /// What [`Catalog::put_subscription`] would do. Nothing is changed.
    ///
    /// # Errors
    /// As there.
    pub fn plan_subscription(
        &self,
        name: &str,
        mut document: SubscriptionDocument,
        targets: &Targets,
    ) -> Result<PlannedSubscription, Problem> {
        let (_, existing) = self.checked_subscription(name, &mut document, targets)?;
        let Some(existing) = existing else {
            return Ok(PlannedSubscription {
                change: Change::Make,
                members: Vec::new(),
            });
        };
        let members = differing(&existing.document, &document);
        let change = match members.is_empty() {
            true => Change::Keep,
            false => Change::Change,
        };
        Ok(PlannedSubscription { change, members })
    }
}

/// The members in which two documents differ, those of `push` for themselves.
fn differing(one: &SubscriptionDocument, other: &SubscriptionDocument) -> Vec<String> {
    let value = |document: &SubscriptionDocument| {
        let mut value = serde_json::json!(document);
        // Two spellings of one URL are one URL.
        if let Some(push) = &document.push {
            value["push"]["url"] = push.masked().url.into();
        }
        value
    };
    let (one, other) = (value(one), value(other));
    let mut members = Vec::new();
    for name in names(&one, &other) {
        let (one, other) = (&one[&name], &other[&name]);
        if name == "push" && one.is_object() && other.is_object() {
            let within = names(one, other).into_iter();
            let within = within.filter(|name| one[name] != other[name]);
            members.extend(within.map(|name| format!("push.{name}")));
        } else if one != other {
            members.push(name);
        }
    }
    members
}

fn names(one: &Value, other: &Value) -> BTreeSet<String> {
    let objects = [one, other].into_iter().filter_map(Value::as_object);
    objects.flat_map(|object| object.keys().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(value: Value) -> SubscriptionDocument {
        serde_json::from_value(value).expect("a document")
    }

    #[test]
    fn members_that_differ_are_named_and_their_values_are_not() {
        let one = document(json!({
            "topics": ["t"],
            "push": {"url": "http://example.com", "headers": {"authorization": "Bearer one"}},
        }));
        let mut other = one.clone();
        assert_eq!(differing(&one, &other), Vec::<String>::new());
        let push = other.push.as_mut().expect("it is pushed");
        push.url = "http://example.com/".to_owned();
        assert_eq!(differing(&one, &other), Vec::<String>::new());
        other.keep = true;
        let push = other.push.as_mut().expect("it is pushed");
        for value in push.headers.values_mut() {
            value.0 = "Bearer two".to_owned();
        }
        assert_eq!(differing(&one, &other), ["keep", "push.headers"]);
        other.push = None;
        assert_eq!(differing(&one, &other), ["keep", "push"]);
    }
}
