//! Which events are shown: options made into filters that the hub evaluates, so that no others are sent.

use clap::Args;
use sandbar_filter::{Compiled, Filter};
use serde_json::{Value, json};

use crate::cli::client::Failure;

#[derive(Debug, Default, Args)]
pub(super) struct FilterArgs {
    /// Only events of this type; given several times, of any of them.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only events from this source; given several times, from any of them.
    #[arg(long, value_name = "SOURCE")]
    source: Vec<String>,
    /// Only events with this subject; given several times, with any of them.
    #[arg(long, value_name = "SUBJECT")]
    subject: Vec<String>,
    /// Only events of this key (partitionkey, else subject, else id); given several times, of any of
    /// them.
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// Only events for which this CloudEvents SQL expression is true, as in "type LIKE 'order.%' AND
    /// amount > 100"; or filters of the CloudEvents Subscriptions API as JSON.
    #[arg(long, value_name = "SQL")]
    filter: Option<String>,
}

impl FilterArgs {
    /// The parameter of the query that says it, if there is anything to say.
    pub(super) fn query(&self) -> Result<Option<(&'static str, String)>, Failure> {
        let filters = self.filters()?;
        Ok((!filters.is_empty()).then(|| ("filter", Value::from(filters).to_string())))
    }

    /// Filters that all must take an event.
    fn filters(&self) -> Result<Vec<Value>, Failure> {
        let mut filters = Vec::new();
        let exact = |name: &str, value: &String| json!({"exact": {name: value}});
        for (name, values) in [
            ("type", &self.types),
            ("source", &self.source),
            ("subject", &self.subject),
        ] {
            if !values.is_empty() {
                let any: Vec<Value> = values.iter().map(|value| exact(name, value)).collect();
                filters.push(json!({ "any": any }));
            }
        }
        if !self.key.is_empty() {
            let any: Vec<Value> = self.key.iter().map(|key| of_key(key)).collect();
            filters.push(json!({ "any": any }));
        }
        if let Some(filter) = &self.filter {
            filters.extend(parsed(filter)?);
        }
        Ok(filters)
    }
}

/// What order is kept by, as the hub finds it.
fn of_key(key: &str) -> Value {
    let none = |name: &str| json!({"not": {"sql": format!("EXISTS {name}")}});
    json!({"any": [
        {"exact": {"partitionkey": key}},
        {"all": [none("partitionkey"), {"exact": {"subject": key}}]},
        {"all": [none("partitionkey"), none("subject"), {"exact": {"id": key}}]},
    ]})
}

/// The filters in `--filter`, checked here: what is wrong is told before anything is asked.
fn parsed(text: &str) -> Result<Vec<Value>, Failure> {
    let usage = |reason: String| Failure::Usage(format!("--filter: {reason}"));
    let given: Value = match text.trim_start().bytes().next() {
        Some(b'[' | b'{') => {
            serde_json::from_str(text).map_err(|error| usage(format!("is not JSON: {error}")))?
        }
        _ => json!({ "sql": text }),
    };
    let given = match given {
        Value::Array(filters) => filters,
        one => vec![one],
    };
    let filters: Vec<Filter> = serde_json::from_value(Value::from(given.clone()))
        .map_err(|error| usage(error.to_string()))?;
    Compiled::all(&filters).map_err(|errors| match errors.as_slice() {
        [one] if filters == [Filter::Sql(text.to_owned())] => usage(one.reason.clone()),
        _ => usage(errors.to_string()),
    })?;
    Ok(given)
}

#[cfg(test)]
mod tests {
    use sandbar_types::Event;

    use super::*;

    fn takes(args: &FilterArgs, event: &Event) -> bool {
        let filters = args.filters().unwrap_or_else(|failure| panic!("{failure}"));
        let filters: Vec<Filter> = serde_json::from_value(filters.into()).expect("filters");
        Compiled::all(&filters).expect("good filters").takes(event)
    }

    fn event(id: &str, subject: &str, key: Option<&str>) -> Event {
        let mut event = Event {
            id: id.to_owned(),
            source: "/s".to_owned(),
            r#type: "t".to_owned(),
            subject: subject.to_owned(),
            ..Event::default()
        };
        if let Some(key) = key {
            let key = sandbar_types::AttributeValue::String(key.to_owned());
            event.extensions.insert("partitionkey".into(), key);
        }
        event
    }

    #[test]
    fn a_key_is_what_the_hub_takes_for_it() {
        for key in ["k", r"it's a\", r#"quotes " and ' "#] {
            let args = FilterArgs {
                key: vec!["other".to_owned(), key.to_owned()],
                ..FilterArgs::default()
            };
            for (event, wanted) in [
                (event("1", "s", Some(key)), true),
                (event("1", key, None), true),
                (event(key, "", None), true),
                (event("1", key, Some("else")), false),
                (event(key, "s", None), false),
                (event("1", "s", None), false),
            ] {
                assert_eq!(takes(&args, &event), wanted, "{key} {event:?}");
                assert_eq!(event.key() == key, wanted);
            }
        }
    }

    #[test]
    fn all_options_must_hold_and_one_value_of_each() {
        let args = FilterArgs {
            types: vec!["a".to_owned(), "t".to_owned()],
            filter: Some("id = '1'".to_owned()),
            ..FilterArgs::default()
        };
        assert!(takes(&args, &event("1", "", None)));
        assert!(!takes(&args, &event("2", "", None)));
        assert!(
            FilterArgs::default()
                .query()
                .is_ok_and(|none| none.is_none())
        );
    }

    #[test]
    fn what_is_wrong_is_told_before_anything_is_asked() {
        for (text, told) in [
            ("id = ", "column"),
            (r#"{"exakt": {}}"#, "exakt"),
            (r#"[{"exact": {"id": "1"}}, {"sql": "id ="}]"#, "/1/sql"),
            ("[", "not JSON"),
        ] {
            let failure = parsed(text).expect_err(text).to_string();
            assert!(failure.contains(told), "{text}: {failure}");
        }
    }
}
