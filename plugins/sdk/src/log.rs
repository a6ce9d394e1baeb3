//! Lines for the operator. The hub keeps them per plugin version, with the event that the function
//! was at, and limits their rate: `sandbar logs NAME@VERSION`.
//! Natively, in tests, they are collected: see [`crate::test::log_lines`].

use std::cell::Cell;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// Writes a line.
pub fn log(level: Level, message: impl AsRef<str>) {
    write(level, message.as_ref());
}

/// Writes a line at level trace.
pub fn trace(message: impl AsRef<str>) {
    write(Level::Trace, message.as_ref());
}

/// Writes a line at level debug.
pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message.as_ref());
}

/// Writes a line at level info.
pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message.as_ref());
}

/// Writes a line at level warn.
pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message.as_ref());
}

/// Writes a line at level error.
pub fn error(message: impl AsRef<str>) {
    write(Level::Error, message.as_ref());
}

thread_local! {
    /// The place in the batch of the event that the function is at.
    static AT: Cell<Option<u32>> = const { Cell::new(None) };
}

/// From here on lines belong to this event of the call.
#[inline]
pub(crate) fn at(event: Option<u32>) {
    AT.set(event);
}

#[cfg(target_arch = "wasm32")]
fn write(level: Level, message: &str) {
    use crate::bindings::sandbar::transform::log;
    let level = match level {
        Level::Trace => log::Level::Trace,
        Level::Debug => log::Level::Debug,
        Level::Info => log::Level::Info,
        Level::Warn => log::Level::Warn,
        Level::Error => log::Level::Error,
    };
    match AT.get() {
        Some(event) => log::log_for(event, level, message),
        None => log::log(level, message),
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn write(level: Level, message: &str) {
    crate::test::keep_log_line(level, message);
}
