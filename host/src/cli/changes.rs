//! Places in which two documents differ, in words for people: `+`, `-` and `~` with the JSON Pointer.

use serde_json::Value;

use super::{
    paint::{Paint, Tone},
    table::plain,
};

/// One change, as [`crate::diff`] writes it in JSON.
pub(super) fn line(paint: Paint, change: &Value) -> String {
    let pointer = plain(change["pointer"].as_str().unwrap_or_default());
    let json = |value: &Value| plain(&value.to_string());
    match change["kind"].as_str() {
        Some("added") => paint.text(
            Tone::Good,
            format!("+ {pointer}  {}", json(&change["value"])),
        ),
        Some("removed") => paint.text(
            Tone::Bad,
            format!("- {pointer}  {}", json(&change["value"])),
        ),
        _ => format!(
            "{} {pointer}  {} → {}",
            paint.text(Tone::Notice, "~"),
            paint.text(Tone::Bad, json(&change["before"])),
            paint.text(Tone::Good, json(&change["after"]))
        ),
    }
}
