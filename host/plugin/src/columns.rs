//! The world `column-transformer`: a batch goes in as the byte ranges that it already is, and comes
//! back in the same shape.

use sandbar_types::{Batch, Column};
use wasmtime::{Store, component::Func};

use crate::{
    resolve::{Kind, Raw},
    state::State,
};

/// The export of this world.
pub(crate) const EXPORT: &str = "transform-columns";

pub(crate) type Parameters<'a> = (lifted::BatchIn<'a>,);
pub(crate) type Results = (lifted::Verdicts,);

// The derives write the unsafe code that lifting and lowering need; there is none of our own.
#[allow(unsafe_code)]
pub(crate) mod lifted {
    use wasmtime::component::{ComponentType, Lift, Lower};

    #[derive(Clone, Copy, ComponentType, Lower)]
    #[component(record)]
    pub(crate) struct ColumnIn<'a> {
        pub(super) bytes: &'a [u8],
        pub(super) ends: &'a [u32],
    }

    #[derive(ComponentType, Lower)]
    #[component(record)]
    pub(crate) struct BatchIn<'a> {
        pub(super) count: u32,
        pub(super) id: ColumnIn<'a>,
        pub(super) source: ColumnIn<'a>,
        #[component(name = "type")]
        pub(super) r#type: ColumnIn<'a>,
        pub(super) subject: ColumnIn<'a>,
        pub(super) time: ColumnIn<'a>,
        pub(super) datacontenttype: ColumnIn<'a>,
        pub(super) dataschema: ColumnIn<'a>,
        pub(super) extensions: ColumnIn<'a>,
        pub(super) data: ColumnIn<'a>,
    }

    #[derive(ComponentType, Lift)]
    #[component(record)]
    pub(crate) struct ColumnOut {
        pub(super) bytes: Vec<u8>,
        pub(super) ends: Vec<u32>,
    }

    #[derive(ComponentType, Lift)]
    #[component(record)]
    pub(crate) struct BatchOut {
        pub(super) count: u32,
        pub(super) id: ColumnOut,
        pub(super) source: ColumnOut,
        #[component(name = "type")]
        pub(super) r#type: ColumnOut,
        pub(super) subject: ColumnOut,
        pub(super) time: ColumnOut,
        pub(super) datacontenttype: ColumnOut,
        pub(super) dataschema: ColumnOut,
        pub(super) extensions: ColumnOut,
        pub(super) data: ColumnOut,
    }

    #[derive(Clone, Copy, ComponentType, Lift)]
    #[component(enum)]
    #[expect(dead_code, reason = "the lifting writes the discriminant")]
    #[repr(u8)]
    pub(crate) enum KindOut {
        #[component(name = "emit")]
        Emit,
        #[component(name = "drop")]
        Drop,
        #[component(name = "reject")]
        Reject,
        #[component(name = "retry")]
        Retry,
    }

    #[derive(ComponentType, Lift)]
    #[component(record)]
    pub(crate) struct Verdicts {
        pub(super) kinds: Vec<KindOut>,
        pub(super) counts: Vec<u32>,
        pub(super) reasons: ColumnOut,
        pub(super) outputs: BatchOut,
        pub(super) targets: ColumnOut,
        #[component(name = "has-data")]
        pub(super) has_data: Vec<u8>,
    }
}
use lifted::{BatchIn, ColumnIn, ColumnOut, KindOut, Verdicts};

/// Calls the guest with a batch.
pub(crate) fn call(
    function: &Func,
    store: &mut Store<State>,
    batch: &Batch,
) -> wasmtime::Result<Raw> {
    // Typed anew for each call: a typed function cannot outlive the batch that it borrows from.
    // The check takes about a microsecond, for a batch.
    let function = function.typed::<Parameters<'_>, Results>(&mut *store)?;
    let (verdicts,) = function.call(store, (lower(batch),))?;
    Ok(verdicts.into())
}

fn lower(batch: &Batch) -> BatchIn<'_> {
    let [
        id,
        source,
        r#type,
        subject,
        time,
        datacontenttype,
        dataschema,
        extensions,
        data,
    ] = batch.columns().each_ref().map(|column| match column {
        Column::Empty => ColumnIn {
            bytes: &[],
            ends: &[],
        },
        Column::Same(bytes) => ColumnIn { bytes, ends: &[] },
        Column::Each { bytes, ends } => ColumnIn { bytes, ends },
    });
    BatchIn {
        count: u32::try_from(batch.len()).unwrap_or(u32::MAX),
        id,
        source,
        r#type,
        subject,
        time,
        datacontenttype,
        dataschema,
        extensions,
        data,
    }
}

impl From<ColumnOut> for Column {
    fn from(column: ColumnOut) -> Self {
        if !column.ends.is_empty() {
            Self::Each {
                bytes: column.bytes.into(),
                ends: column.ends,
            }
        } else if column.bytes.is_empty() {
            Self::Empty
        } else {
            Self::Same(column.bytes.into())
        }
    }
}

impl From<Verdicts> for Raw {
    fn from(verdicts: Verdicts) -> Self {
        let kinds = verdicts.kinds.iter().map(|kind| match kind {
            KindOut::Emit => Kind::Emit,
            KindOut::Drop => Kind::Drop,
            KindOut::Reject => Kind::Reject,
            KindOut::Retry => Kind::Retry,
        });
        let outputs = verdicts.outputs;
        Self {
            kinds: kinds.collect(),
            counts: verdicts.counts,
            reasons: verdicts.reasons.into(),
            count: outputs.count as usize,
            outputs: [
                outputs.id.into(),
                outputs.source.into(),
                outputs.r#type.into(),
                outputs.subject.into(),
                outputs.time.into(),
                outputs.datacontenttype.into(),
                outputs.dataschema.into(),
                outputs.extensions.into(),
                outputs.data.into(),
            ],
            targets: verdicts.targets.into(),
            has_data: verdicts.has_data,
        }
    }
}
