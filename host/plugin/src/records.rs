//! The world `transformer`: plain records. What comes back is put into columns, so that all that
//! follows is the same for both worlds.

use std::borrow::Cow;

use sandbar_types::{Batch, ColumnBuilder, EventRef};
use wasmtime::{Store, component::Func};

use crate::{
    resolve::{Kind, REMOVED, Raw},
    state::State,
};

/// The export of this world.
pub(crate) const EXPORT: &str = "transform";

pub(crate) type Parameters<'a> = (&'a [lifted::Event<'a>],);
pub(crate) type Results = (Vec<lifted::Verdict>,);
pub(crate) use lifted::Problem;

// The derives write the unsafe code that lifting and lowering need; there is none of our own.
#[allow(unsafe_code)]
pub(crate) mod lifted {
    use std::borrow::Cow;

    use wasmtime::component::{ComponentType, Lift, Lower};

    #[derive(ComponentType, Lower)]
    #[component(record)]
    pub(crate) struct Event<'a> {
        pub(super) id: &'a str,
        pub(super) source: &'a str,
        #[component(name = "type")]
        pub(super) r#type: &'a str,
        pub(super) subject: Option<&'a str>,
        pub(super) time: Option<&'a str>,
        pub(super) datacontenttype: Option<&'a str>,
        pub(super) dataschema: Option<&'a str>,
        pub(super) extensions: Vec<(String, String)>,
        pub(super) data: &'a [u8],
    }

    #[derive(ComponentType, Lift)]
    #[component(record)]
    pub(crate) struct Output {
        pub(super) target: Option<String>,
        pub(super) id: Option<String>,
        pub(super) source: Option<String>,
        #[component(name = "type")]
        pub(super) r#type: Option<String>,
        pub(super) subject: Option<String>,
        pub(super) time: Option<String>,
        pub(super) datacontenttype: Option<String>,
        pub(super) dataschema: Option<String>,
        pub(super) extensions: Vec<(String, String)>,
        pub(super) data: Option<Vec<u8>>,
    }

    #[derive(ComponentType, Lift)]
    #[component(variant)]
    pub(crate) enum Problem {
        #[component(name = "invalid-config")]
        InvalidConfig(String),
        #[component(name = "invalid-event")]
        InvalidEvent(String),
        #[component(name = "other")]
        Other(String),
    }

    impl Problem {
        /// The case, a colon, the reason: as the world of columns spells it.
        pub(crate) fn text(&self) -> Cow<'static, str> {
            match self {
                Self::InvalidConfig(reason) => format!("invalid-config: {reason}").into(),
                Self::InvalidEvent(reason) => format!("invalid-event: {reason}").into(),
                Self::Other(reason) => format!("other: {reason}").into(),
            }
        }
    }

    #[derive(ComponentType, Lift)]
    #[component(variant)]
    pub(crate) enum Verdict {
        #[component(name = "emit")]
        Emit(Vec<Output>),
        #[component(name = "drop")]
        Drop(String),
        #[component(name = "reject")]
        Reject(Problem),
        #[component(name = "retry")]
        Retry(String),
    }
}
use lifted::{Event, Output, Verdict};

/// Calls the guest with a batch.
pub(crate) fn call(
    function: &Func,
    store: &mut Store<State>,
    batch: &Batch,
) -> wasmtime::Result<Raw> {
    let function = function.typed::<Parameters<'_>, Results>(&mut *store)?;
    let events: Vec<Event<'_>> = batch.iter().map(lower).collect();
    let (verdicts,) = function.call(store, (&events,))?;
    Ok(into_columns(&verdicts))
}

fn lower(event: EventRef<'_>) -> Event<'_> {
    let present = |text: &'_ str| !text.is_empty();
    let extensions = event.extension_map();
    Event {
        id: event.id,
        source: event.source,
        r#type: event.r#type,
        subject: Some(event.subject).filter(|text| present(text)),
        time: Some(event.time).filter(|text| present(text)),
        datacontenttype: Some(event.datacontenttype).filter(|text| present(text)),
        dataschema: Some(event.dataschema).filter(|text| present(text)),
        extensions: extensions
            .into_iter()
            .map(|(name, value)| (name, value.to_text()))
            .collect(),
        data: event.data,
    }
}

fn into_columns(verdicts: &[Verdict]) -> Raw {
    let mut reasons = ColumnBuilder::default();
    let mut collected = Collected::default();
    let mut kinds = Vec::with_capacity(verdicts.len());
    let mut counts = Vec::with_capacity(verdicts.len());
    for verdict in verdicts {
        let (kind, count, reason) = match verdict {
            Verdict::Emit(outputs) => {
                outputs.iter().for_each(|output| collected.push(output));
                (Kind::Emit, outputs.len(), Cow::Borrowed(""))
            }
            Verdict::Drop(reason) => (Kind::Drop, 0, Cow::Borrowed(reason.as_str())),
            Verdict::Reject(problem) => (Kind::Reject, 0, problem.text()),
            Verdict::Retry(reason) => (Kind::Retry, 0, Cow::Borrowed(reason.as_str())),
        };
        kinds.push(kind);
        counts.push(u32::try_from(count).unwrap_or(u32::MAX));
        reasons.push(reason.as_bytes());
    }
    Raw {
        kinds,
        counts,
        reasons: reasons.finish(),
        count: collected.has_data.len(),
        outputs: collected.columns.map(ColumnBuilder::finish),
        targets: collected.targets.finish(),
        has_data: collected.has_data,
    }
}

#[derive(Default)]
struct Collected {
    columns: [ColumnBuilder; 9],
    targets: ColumnBuilder,
    has_data: Vec<u8>,
}

impl Collected {
    fn push(&mut self, output: &Output) {
        let attributes = [
            &output.id,
            &output.source,
            &output.r#type,
            &output.subject,
            &output.time,
            &output.datacontenttype,
            &output.dataschema,
        ];
        for (column, attribute) in self.columns.iter_mut().zip(attributes) {
            column.push(match attribute.as_deref() {
                None => b"",
                Some("") => REMOVED,
                Some(value) => value.as_bytes(),
            });
        }
        self.columns[7].push(extensions(&output.extensions).as_bytes());
        self.columns[8].push(output.data.as_deref().unwrap_or_default());
        self.targets
            .push(output.target.as_deref().unwrap_or_default().as_bytes());
        self.has_data.push(u8::from(output.data.is_some()));
    }
}

fn extensions(pairs: &[(String, String)]) -> String {
    if pairs.is_empty() {
        return String::new();
    }
    let object: serde_json::Map<String, serde_json::Value> = pairs
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().into()))
        .collect();
    serde_json::Value::Object(object).to_string()
}
