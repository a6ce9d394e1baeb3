//! What `plugin!` expands to calls: the batch goes through the function, event by event, and the
//! outputs go straight into columns.

use serde::de::DeserializeOwned;

pub use crate::bindings::sandbar::transform::{
    columns::{Batch, Column, Verdicts},
    types::Problem,
};
use crate::{
    Event, IntoVerdict, Output, bindings::sandbar::transform::columns::Kind as VerdictKind,
    column::ColumnBuilder, output::REMOVED, verdict::Kind,
};

/// Once per instance: a panic leaves its message in the log before it traps.
pub fn start() {
    if cfg!(target_arch = "wasm32") {
        std::panic::set_hook(Box::new(|panic| crate::log::error(panic.to_string())));
    }
}

/// Reads the step's config.
///
/// # Errors
/// `invalid-config` with serde's message.
pub fn read_config<T: DeserializeOwned>(config: &str) -> Result<T, Problem> {
    serde_json::from_str(config).map_err(|error| Problem::InvalidConfig(error.to_string()))
}

/// Passes each event to `transform`.
#[inline]
pub fn run<V: IntoVerdict>(batch: Batch, transform: impl Fn(&Event<'_>) -> V) -> Verdicts {
    let mut answer = Answer::new(&batch);
    for index in 0..batch.count as usize {
        crate::log::at(Some(index as u32));
        answer.push(transform(&Event::new(&batch, index)).into_verdict().0);
    }
    crate::log::at(None);
    answer.finish()
}

struct Answer {
    kinds: Vec<VerdictKind>,
    counts: Vec<u32>,
    reasons: ColumnBuilder,
    outputs: u32,
    targets: ColumnBuilder,
    /// id, source, type, subject, time, datacontenttype, dataschema, extensions.
    attributes: [ColumnBuilder; 8],
    data: ColumnBuilder,
    has_data: Vec<u8>,
    inherits_data: bool,
}

impl Answer {
    fn new(batch: &Batch) -> Self {
        let count = batch.count as usize;
        Self {
            kinds: Vec::with_capacity(count),
            counts: Vec::with_capacity(count),
            reasons: ColumnBuilder::default(),
            outputs: 0,
            targets: ColumnBuilder::default(),
            attributes: Default::default(),
            data: ColumnBuilder::with_capacity(count, batch.data.bytes.len()),
            has_data: Vec::with_capacity(count),
            inherits_data: false,
        }
    }

    #[inline]
    fn push(&mut self, verdict: Kind) {
        match verdict {
            Kind::One(output) => {
                self.output(&output);
                self.verdict(VerdictKind::Emit, 1, "");
            }
            Kind::Many(outputs) => {
                for output in &outputs {
                    self.output(output);
                }
                self.verdict(VerdictKind::Emit, outputs.len() as u32, "");
            }
            Kind::Drop(reason) => self.verdict(VerdictKind::Drop, 0, &reason),
            Kind::Reject(problem) => self.verdict(VerdictKind::Reject, 0, &problem.to_string()),
            Kind::Retry(reason) => self.verdict(VerdictKind::Retry, 0, &reason),
        }
    }

    fn verdict(&mut self, kind: VerdictKind, count: u32, reason: &str) {
        self.kinds.push(kind);
        self.counts.push(count);
        self.reasons.push(reason.as_bytes());
    }

    fn output(&mut self, output: &Output) {
        let values = [
            &output.id,
            &output.source,
            &output.r#type,
            &output.subject,
            &output.time,
            &output.datacontenttype,
            &output.dataschema,
        ];
        for (column, value) in self.attributes.iter_mut().zip(values) {
            column.push(match value.as_deref() {
                None => b"",
                Some("") => REMOVED.as_bytes(),
                Some(value) => value.as_bytes(),
            });
        }
        self.attributes[7].push(output.extensions_json().as_bytes());
        self.targets
            .push(output.target.as_deref().unwrap_or_default().as_bytes());
        let data = output.data.as_deref();
        self.inherits_data |= data.is_none();
        self.has_data.push(u8::from(data.is_some()));
        self.data.push(data.unwrap_or_default());
        self.outputs += 1;
    }

    fn finish(self) -> Verdicts {
        let [
            id,
            source,
            type_,
            subject,
            time,
            datacontenttype,
            dataschema,
            extensions,
        ] = self.attributes.map(ColumnBuilder::finish);
        Verdicts {
            kinds: self.kinds,
            counts: self.counts,
            reasons: self.reasons.finish(),
            outputs: Batch {
                count: self.outputs,
                id,
                source,
                type_,
                subject,
                time,
                datacontenttype,
                dataschema,
                extensions,
                data: self.data.finish(),
            },
            targets: self.targets.finish(),
            has_data: if self.inherits_data {
                self.has_data
            } else {
                Vec::new()
            },
        }
    }
}

#[cfg(test)]
mod tests;
