//! Which events of a topic somebody wants to read: filters in a query. Pure.

use std::sync::Arc;

use sandbar_filter::{Compiled, Filter, Row};
use sandbar_types::Batch;

use crate::problem::{Code, Problem};

/// The events that are wanted; all of them by default. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct EventFilter(Option<Arc<Compiled>>);

impl EventFilter {
    /// Of a text: an expression in CloudEvents SQL, or, in JSON, a filter of the CloudEvents
    /// Subscriptions API or an array of them, all of which must take the event.
    ///
    /// # Errors
    /// `malformed-request`, with the place in the text.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let malformed =
            |reason: String| Problem::new(Code::MalformedRequest, format!("filter: {reason}"));
        let json = |text: &str| format!("{text}; write CloudEvents SQL, or filters in JSON");
        let (filters, sql) = match text.trim_start().bytes().next() {
            Some(b'[') => {
                let filters = serde_json::from_str::<Vec<Filter>>(text);
                (
                    filters.map_err(|error| malformed(json(&error.to_string())))?,
                    false,
                )
            }
            Some(b'{') => {
                let filter = serde_json::from_str::<Filter>(text);
                (
                    vec![filter.map_err(|error| malformed(json(&error.to_string())))?],
                    false,
                )
            }
            _ => (vec![Filter::Sql(text.to_owned())], true),
        };
        let compiled = Compiled::all(&filters).map_err(|errors| {
            let first = errors.as_slice().first().filter(|_| sql);
            malformed(first.map_or_else(|| errors.to_string(), |error| error.reason.clone()))
        })?;
        Ok(Self(
            (!compiled.takes_everything()).then(|| Arc::new(compiled)),
        ))
    }

    /// Whether every event is wanted.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// Whether event `index` of a batch is wanted.
    #[must_use]
    pub fn takes(&self, batch: &Batch, index: usize) -> bool {
        match &self.0 {
            None => true,
            Some(filters) => filters.takes(&Row::new(batch, index)),
        }
    }
}

#[cfg(test)]
mod tests {
    use sandbar_types::{BatchBuilder, Event};

    use super::*;

    fn batch() -> Batch {
        let mut builder = BatchBuilder::new();
        for (id, kind) in [("1", "order.created"), ("2", "order.paid")] {
            builder.push_event(&Event {
                id: id.to_owned(),
                source: "/s".to_owned(),
                r#type: kind.to_owned(),
                ..Event::default()
            });
        }
        builder.finish()
    }

    #[test]
    fn expressions_and_filters_in_json_are_taken() {
        let batch = batch();
        for (text, wanted) in [
            ("type = 'order.paid'", [false, true]),
            (r#"{"exact": {"id": "1"}}"#, [true, false]),
            (
                r#" [{"prefix": {"type": "order."}}, {"sql": "id = '2'"}]"#,
                [false, true],
            ),
            ("[]", [true, true]),
        ] {
            let selection = EventFilter::parse(text).expect(text);
            let taken = [selection.takes(&batch, 0), selection.takes(&batch, 1)];
            assert_eq!(taken, wanted, "{text}");
        }
        assert!(EventFilter::parse("[]").expect("none").is_all());
        assert!(EventFilter::default().takes(&batch, 0));
    }

    #[test]
    fn what_cannot_be_right_is_told_with_its_place() {
        for (text, told) in [
            ("", "filter: "),
            ("type = ", "column"),
            ("LOWR(type) = 'x'", "did you mean LOWER?"),
            (r#"{"exakt": {"id": "1"}}"#, "exakt"),
            (r#"[{"exact": {"id": ""}}]"#, "/0/exact/id"),
            (r#"[{"sql": "type = "}]"#, "/0/sql: line 1"),
            ("[", "EOF"),
        ] {
            let problem = EventFilter::parse(text).expect_err(text);
            assert_eq!(problem.code, Code::MalformedRequest);
            assert!(problem.detail.contains(told), "{text}: {}", problem.detail);
        }
    }
}
