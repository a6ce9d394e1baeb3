//! The world `transformer`: plain records. What comes back is put into columns, so that all that
//! follows is the same for both worlds.

use std::borrow::Cow;

use sandbar_types::{Batch, ColumnBuilder};
use wasmtime::{Store, component::Func};

use crate::{
    resolve::{Kind, REMOVED, Raw},
    state::State,
};

mod memory;

const EXTENSIONS: usize = 7;
const DATA: usize = 8;

/// The export of this world.
pub(crate) const EXPORT: &str = "transform";

pub(crate) type Parameters<'a> = (&'a [lifted::Event<'a>],);
pub(crate) type Results = (memory::Verdicts,);
pub(crate) use lifted::Problem;

// The derives write the unsafe code that lifting and lowering need; there is none of our own.
#[allow(unsafe_code)]
pub(crate) mod lifted {
    use std::borrow::Cow;

    use wasmtime::component::{ComponentType, Lift, Lower};

    use super::memory::Text;

    #[derive(ComponentType, Lower)]
    #[component(record)]
    pub(crate) struct Event<'a> {
        pub(super) id: Text<'a>,
        pub(super) source: Text<'a>,
        #[component(name = "type")]
        pub(super) r#type: Text<'a>,
        pub(super) subject: Option<Text<'a>>,
        pub(super) time: Option<Text<'a>>,
        pub(super) datacontenttype: Option<Text<'a>>,
        pub(super) dataschema: Option<Text<'a>>,
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
use memory::{Text, Verdicts};

/// Calls the guest with a batch.
pub(crate) fn call(
    function: &Func,
    store: &mut Store<State>,
    batch: &Batch,
) -> wasmtime::Result<Raw> {
    let function = function.typed::<Parameters<'_>, Results>(&mut *store)?;
    let events: Vec<Event<'_>> = (0..batch.len()).map(|index| lower(batch, index)).collect();
    let (Verdicts(raw),) = function.call(store, (&events,))?;
    Ok(raw)
}

fn lower(batch: &Batch, index: usize) -> Event<'_> {
    let columns = batch.columns();
    let text = |column: usize| Text(columns[column].get(index));
    let present = |column: usize| Some(text(column)).filter(|text| !text.0.is_empty());
    let extensions = match columns[EXTENSIONS].get(index) {
        [] => Vec::new(),
        _ => (batch.get(index).extension_map().into_iter())
            .map(|(name, value)| (name, value.to_text()))
            .collect(),
    };
    Event {
        id: text(0),
        source: text(1),
        r#type: text(2),
        subject: present(3),
        time: present(4),
        datacontenttype: present(5),
        dataschema: present(6),
        extensions,
        data: columns[DATA].get(index),
    }
}

/// Of a guest whose texts are not UTF-8; the others' answers are read in [`memory`].
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
