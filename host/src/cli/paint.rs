//! Colours, for terminals only. `NO_COLOR` and `CLICOLOR` are respected.

use std::fmt::Display;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

/// What a text is, not how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Notice,
    Waiting,
    Bad,
    Quiet,
    Strong,
}

/// Whether standard output shows colours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    on: bool,
}

impl Paint {
    /// As standard output and the environment want it.
    pub(super) fn for_stdout() -> Self {
        let choice = AutoStream::choice(&std::io::stdout());
        Self {
            on: choice != ColorChoice::Never,
        }
    }

    pub(super) fn text(self, tone: Tone, text: impl Display) -> String {
        if !self.on {
            return text.to_string();
        }
        let style = match tone {
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Notice => AnsiColor::Yellow.on_default(),
            Tone::Waiting => AnsiColor::Cyan.on_default(),
            Tone::Bad => AnsiColor::Red.on_default().bold(),
            Tone::Quiet => Style::new().dimmed(),
            Tone::Strong => Style::new().bold(),
        };
        format!("{style}{text}{style:#}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals() {
        let plain = Paint { on: false };
        assert_eq!(plain.text(Tone::Bad, "fault"), "fault");
        let painted = Paint { on: true };
        assert_eq!(painted.text(Tone::Good, "emit"), "\u{1b}[32memit\u{1b}[0m");
    }
}
