//! The answer to a batch while it is being put together. Knows nothing of instances.

use std::time::Instant;

use sandbar_types::{Batch, Name};

use crate::{Answer, Level, LogLine, Usage, Verdict, resolve::Piece};

/// An answer that is being put together, part by part, in the order of the events.
pub(super) struct Work<'a> {
    pub(super) batch: &'a Batch,
    pub(super) targets: &'a [Name],
    pub(super) started: Instant,
    pub(super) calls: u32,
    pub(super) verdicts: Vec<Verdict>,
    pub(super) outputs: Vec<Batch>,
    pub(super) output_count: usize,
    pub(super) output_targets: Vec<u16>,
    pub(super) logs: Vec<LogLine>,
    pub(super) lines_left_out: usize,
}

/// Lines kept of a batch that was tried in parts.
const LINES: usize = 200;

impl Work<'_> {
    pub(super) fn add(&mut self, piece: Piece, logs: Vec<LogLine>) {
        let before = self.output_count;
        if before == 0 && self.verdicts.is_empty() {
            self.verdicts = piece.verdicts;
            self.output_targets = piece.targets;
        } else {
            self.verdicts
                .extend(piece.verdicts.into_iter().map(|verdict| match verdict {
                    Verdict::Emit { first, count } => Verdict::Emit {
                        first: first + before,
                        count,
                    },
                    other => other,
                }));
            self.output_targets.extend(piece.targets);
        }
        self.output_count += piece.outputs.len();
        if !piece.outputs.is_empty() {
            self.outputs.push(piece.outputs);
        }
        self.keep_logs(logs);
    }

    pub(super) fn add_all(&mut self, events: usize, verdict: &Verdict) {
        self.verdicts
            .extend(std::iter::repeat_n(verdict, events).cloned());
    }

    pub(super) fn keep_logs(&mut self, mut logs: Vec<LogLine>) {
        let room = LINES.saturating_sub(self.logs.len());
        self.lines_left_out += logs.len().saturating_sub(room);
        logs.truncate(room);
        self.logs.append(&mut logs);
    }

    pub(super) fn answer(mut self, usage: Usage) -> Answer {
        if self.lines_left_out > 0 {
            let message = format!("{} more lines were left out", self.lines_left_out);
            self.logs.push(LogLine {
                level: Level::Warn,
                message,
                events: 0..self.batch.len(),
            });
        }
        Answer {
            verdicts: self.verdicts,
            outputs: Batch::concat(&self.outputs),
            targets: self.output_targets,
            logs: self.logs,
            usage,
        }
    }
}
