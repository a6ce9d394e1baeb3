//! What a guest says of itself when it breaks: the reason, and where, among the lines that it wrote. Pure.

use crate::{Level, LogLine};

/// The most bytes of a trace that are kept.
const MOST: usize = 4096;

/// What is no reason: advice of a runtime, and what it says of every failure of the language in it.
const NOISE: [&str; 3] = [
    "note: run with ",
    "Python function threw an unexpected exception",
    "Traceback (most recent call last)",
];

/// Why a guest broke, in its own words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LastWords {
    pub reason: String,
    /// The other lines that lead to it, one a line; empty where there are none.
    pub trace: String,
}

/// Of the lines of a call: the last error that says something. Exceptions of languages with a runtime of
/// their own stand before what the runtime says when it gives up.
pub(crate) fn of(logs: &[LogLine]) -> Option<LastWords> {
    let last = logs.last().filter(|line| line.level == Level::Error)?;
    let from = logs.iter().rposition(|line| line.level != Level::Error);
    let errors = &logs[from.map_or(0, |index| index + 1)..];
    let lines: Vec<&str> = errors
        .iter()
        .flat_map(|line| line.message.lines())
        .collect();
    // Where the runtime panics, its place stands on the line before.
    let says = |line: &&str| {
        let text = line.trim();
        let is_noise = NOISE.iter().any(|noise| text.starts_with(noise));
        let is_place = text.starts_with("thread '") && text.contains("panicked at");
        !(text.is_empty() || line.starts_with(' ') || is_noise || is_place)
    };
    let Some(place) = lines.iter().rposition(says) else {
        return Some(LastWords {
            reason: last.message.clone(),
            trace: String::new(),
        });
    };
    // One message is the reason as it is: a panic says its place and its words in it.
    if errors.len() == 1 {
        return Some(LastWords {
            reason: last.message.clone(),
            trace: String::new(),
        });
    }
    let mut trace = String::new();
    let mut seen: Vec<&str> = Vec::new();
    for line in &lines[..place] {
        let known = seen.contains(line) || *line == lines[place];
        if known || line.trim().is_empty() || trace.len() + line.len() >= MOST {
            continue;
        }
        seen.push(line);
        trace.push_str(line);
        trace.push('\n');
    }
    Some(LastWords {
        reason: lines[place].to_owned(),
        trace,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: &[(Level, &str)]) -> Option<(String, String)> {
        let logs: Vec<LogLine> = (lines.iter())
            .map(|(level, message)| LogLine {
                level: *level,
                message: (*message).to_owned(),
                events: 0..1,
            })
            .collect();
        of(&logs).map(|words| (words.reason, words.trace))
    }

    #[test]
    fn an_exception_is_told_and_not_what_the_runtime_says_of_it() {
        let (reason, trace) = said(&[
            (Level::Info, "begun"),
            (Level::Error, "Traceback (most recent call last):"),
            (Level::Error, "  File \"/0/app.py\", line 27, in transform"),
            (Level::Error, "KeyError: 'lines'"),
            (Level::Error, ""),
            (
                Level::Error,
                "thread '<unnamed>' (1) panicked at runtime/src/lib.rs:1280:25:",
            ),
            (
                Level::Error,
                "Python function threw an unexpected exception",
            ),
            (
                Level::Error,
                "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
            ),
        ])
        .expect("words");
        assert_eq!(reason, "KeyError: 'lines'");
        assert_eq!(
            trace,
            "Traceback (most recent call last):\n  File \"/0/app.py\", line 27, in transform\n"
        );
    }

    #[test]
    fn one_line_is_the_reason_and_no_error_is_none() {
        let panic = "panicked at src/lib.rs:5:2:\nno index 3";
        assert_eq!(
            said(&[(Level::Error, panic)]),
            Some((panic.to_owned(), String::new()))
        );
        assert_eq!(said(&[(Level::Error, "why"), (Level::Info, "later")]), None);
        assert_eq!(said(&[]), None);
        let only = said(&[(Level::Error, "note: run with `RUST_BACKTRACE=1`")]);
        assert_eq!(
            only.map(|words| words.0).as_deref(),
            Some("note: run with `RUST_BACKTRACE=1`")
        );
    }

    #[test]
    fn a_panic_in_lines_says_its_message() {
        let (reason, _) = said(&[
            (Level::Error, "thread 'main' panicked at src/main.rs:3:5:"),
            (Level::Error, "no index 3"),
            (Level::Error, "note: run with `RUST_BACKTRACE=1`"),
        ])
        .expect("words");
        assert_eq!(reason, "no index 3");
    }
}
