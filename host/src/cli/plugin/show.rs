//! What a plugin said of events, in words for people. Works on the JSON that `--json` prints, be it
//! from a hub or from a run here.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::super::{
    client::Failure,
    output::say,
    paint::{Paint, Tone},
    table::{cell, plain},
};

/// A result: verdict, reason, outputs, backtrace; and logs, time and memory where it has them. `text` is the
/// same as it is written, and so are the outputs shown.
pub(super) fn result(paint: Paint, result: &Value, text: &str) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Outputs<'a> {
        #[serde(borrow, default)]
        outputs: Vec<Output<'a>>,
    }
    #[derive(Deserialize)]
    struct Output<'a> {
        target: String,
        #[serde(borrow)]
        event: &'a RawValue,
    }
    say!("{}", head(paint, result));
    for line in result["backtrace"].as_str().unwrap_or_default().lines() {
        say!("    {} {}", paint.text(Tone::Quiet, "in"), plain(line));
    }
    let outputs: Outputs<'_> = serde_json::from_str(text).map_err(Failure::local)?;
    for output in outputs.outputs {
        say!(
            "  {} {}  {}",
            paint.text(Tone::Good, "→"),
            paint.text(Tone::Strong, plain(&output.target)),
            plain(output.event.get())
        );
    }
    logs(paint, result);
    if result["time_ns"].is_u64() {
        say!("  {}", paint.text(Tone::Quiet, cost(result)));
    }
    Ok(())
}

/// `id  verdict: reason`
fn head(paint: Paint, result: &Value) -> String {
    let verdict = cell(&result["verdict"]);
    let tone = match verdict.as_str() {
        "emit" => Tone::Good,
        "drop" => Tone::Notice,
        "retry" => Tone::Waiting,
        _ => Tone::Bad,
    };
    let fault = match &result["fault"] {
        Value::String(kind) => format!(" ({kind})"),
        _ => String::new(),
    };
    let reason = cell(&result["reason"]);
    let colon = if reason.is_empty() { "" } else { ": " };
    format!(
        "{}  {}{fault}{colon}{}",
        paint.text(Tone::Strong, plain(&cell(&result["id"]))),
        paint.text(tone, verdict),
        plain(&reason)
    )
}

/// The lines of `logs`.
pub(super) fn logs(paint: Paint, holder: &Value) {
    for line in holder["logs"].as_array().into_iter().flatten() {
        let level = cell(&line["level"]);
        let tone = match level.as_str() {
            "error" => Tone::Bad,
            "warn" => Tone::Notice,
            _ => Tone::Quiet,
        };
        say!(
            "  log {}: {}",
            paint.text(tone, level),
            plain(&cell(&line["message"]))
        );
    }
}

/// `412 µs, 1152 KiB of memory`
pub(super) fn cost(holder: &Value) -> String {
    let micros = holder["time_ns"].as_u64().unwrap_or(0) / 1000;
    let kibibytes = holder["memory_bytes"].as_u64().unwrap_or(0) / 1024;
    format!("{micros} µs, {kibibytes} KiB of memory")
}
