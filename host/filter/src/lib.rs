//! Which events a subscription takes: the filter dialects of the CloudEvents Subscriptions API
//! (`exact`, `prefix`, `suffix`, `all`, `any`, `not`, `sql`) and the language of the last one,
//! CloudEvents SQL.
//!
//! Pure: it knows an event through [`Attributes`], does no IO and knows nothing of topics,
//! subscriptions or HTTP. A [`Filter`] is what a user writes; [`Compiled`] is what runs, checked
//! once and then asked of every event.

mod attribute;
pub mod cesql;
mod compiled;
mod error;
mod event;
mod filter;
mod value;

pub use attribute::{Attribute, Attributes};
pub use compiled::{Compiled, MAX_DEPTH, MAX_FILTERS};
pub use error::{Error, Errors};
pub use event::Row;
pub use filter::Filter;
pub use value::{Type, Value};

/// The word that is nearest to an unknown one, where one is near.
fn nearest<'w>(unknown: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let scored = words
        .into_iter()
        .map(|word| (strsim::jaro_winkler(unknown, word), word));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 > 0.75).then_some(best.1)
}
