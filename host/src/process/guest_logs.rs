//! What plugins log on routes: the last lines of each plugin version, with the events that they
//! belong to.
//!
//! Memory only: a restart begins with nothing. A plugin that talks too much is cut, and what is left
//! out is counted and told; it never slows a route down.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sandbar_plugin::{Level, LogLine};
use sandbar_types::{Batch, Offset, PartitionId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{catalog::Resolved, clock};

/// Lines kept of a plugin version.
const LINES: usize = 1000;
/// Lines that a plugin version may write, per second and at once.
const LINES_PER_SECOND: u64 = 100;
const BURST: u64 = 200;
/// A line costs so many of the budget's units, which a millisecond brings [`LINES_PER_SECOND`] of.
const LINE_COSTS: u64 = 1000;

/// A line that a step's plugin logged; `line.events` are places in the route's source batch.
#[derive(Debug)]
pub struct Said {
    pub step: usize,
    pub line: LogLine,
}

/// A line as it is kept.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GuestLine {
    /// Goes up by one with each line of a plugin version, from 1; begins anew with the hub.
    pub number: u64,
    /// RFC 3339: when the call that logged it was over.
    pub time: String,
    /// `trace`, `debug`, `info`, `warn` or `error`.
    pub level: &'static str,
    pub message: String,
    pub route: String,
    /// The step, from 0.
    pub step: usize,
    /// The event of the route's source that it belongs to, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<LoggedEvent>,
    /// The events of the route's source that were in the call, where it cannot be told which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<LoggedEvents>,
}

/// An event that a line belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LoggedEvent {
    pub topic: String,
    pub partition: u32,
    pub offset: u64,
    pub id: String,
    pub source: String,
}

/// The events of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LoggedEvents {
    pub topic: String,
    pub partition: u32,
    pub first_offset: u64,
    pub last_offset: u64,
}

/// Which lines are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// This level and those above it.
    pub level: Level,
    pub route: Option<&'a str>,
    /// Only lines with a greater number.
    pub after: u64,
    /// The newest that many.
    pub limit: usize,
}

/// Lines of a plugin version.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct GuestLines {
    /// In the order in which they were written.
    pub lines: Vec<GuestLine>,
    /// How many lines the rate limit left out since the hub started.
    pub left_out: u64,
    /// The number of the newest line that there is: what to give as `after` for those that come.
    pub last: u64,
}

/// The lines of all plugin versions.
#[derive(Debug, Default)]
pub struct GuestLogs {
    rings: Mutex<HashMap<String, Arc<Mutex<Ring>>>>,
}

#[derive(Debug)]
struct Ring {
    lines: VecDeque<(Level, GuestLine)>,
    last: u64,
    /// What may still be spent on lines, in units of [`LINE_COSTS`]; as of `at`.
    budget: u64,
    /// Milliseconds since the epoch.
    at: u64,
    left_out: u64,
    /// Left out since the last line that was kept.
    untold: u64,
}

impl GuestLogs {
    /// Takes the lines of a turn. `offsets` are those of the events of `batch`.
    pub fn keep(
        &self,
        route: &Resolved,
        source: &PartitionId,
        offsets: &[Offset],
        batch: &Batch,
        said: Vec<Said>,
    ) {
        let now = clock::now();
        for Said { step, line } in said {
            let Some(plugin) = route.steps.get(step).map(|step| &step.reference) else {
                continue;
            };
            let ring = self.ring(plugin);
            // First of all, so that a flood costs nothing else.
            if !lock(&ring).spend(now) {
                continue;
            }
            let mut line_kept = GuestLine {
                number: 0,
                time: clock::to_text(now),
                level: line.level.as_str(),
                message: line.message,
                route: route.name.to_string(),
                step,
                event: None,
                events: None,
            };
            belongs_to(&mut line_kept, &line.events, source, offsets, batch);
            // Not under the lock: whoever reads the hub's output may be slow.
            report(plugin, line.level, &line_kept);
            lock(&ring).push(line.level, line_kept);
        }
    }

    /// The lines of `plugin` (`name@version`) that are wanted.
    #[must_use]
    pub fn read(&self, plugin: &str, wanted: &Wanted<'_>) -> GuestLines {
        let ring = lock(&self.rings).get(plugin).cloned();
        let Some(ring) = ring else {
            return GuestLines::default();
        };
        let ring = lock(&ring);
        let fits = |(level, line): &&(Level, GuestLine)| {
            *level >= wanted.level
                && line.number > wanted.after
                && wanted.route.is_none_or(|route| route == line.route)
        };
        let mut lines: Vec<GuestLine> = (ring.lines.iter().rev())
            .filter(fits)
            .take(wanted.limit)
            .map(|(_, line)| line.clone())
            .collect();
        lines.reverse();
        GuestLines {
            lines,
            left_out: ring.left_out,
            last: ring.last,
        }
    }

    /// Forgets the lines of a plugin version that is gone.
    pub fn forget(&self, plugin: &str) {
        lock(&self.rings).remove(plugin);
    }

    fn ring(&self, plugin: &str) -> Arc<Mutex<Ring>> {
        let mut rings = lock(&self.rings);
        if let Some(ring) = rings.get(plugin) {
            return ring.clone();
        }
        rings.entry(plugin.to_owned()).or_default().clone()
    }
}

/// Nothing under these locks panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn belongs_to(
    line: &mut GuestLine,
    events: &std::ops::Range<usize>,
    source: &PartitionId,
    offsets: &[Offset],
    batch: &Batch,
) {
    let (topic, partition) = (source.topic.to_string(), source.partition);
    match offsets.get(events.clone()).unwrap_or_default() {
        [] => {}
        [offset] => {
            let event = batch.get(events.start);
            line.event = Some(LoggedEvent {
                topic,
                partition,
                offset: *offset,
                id: event.id.to_owned(),
                source: event.source.to_owned(),
            });
        }
        [first, .., last] => {
            line.events = Some(LoggedEvents {
                topic,
                partition,
                first_offset: *first,
                last_offset: *last,
            });
        }
    }
}

/// The line in the hub's own output.
fn report(plugin: &str, level: Level, line: &GuestLine) {
    let event = line.event.as_ref();
    tracing::info!(
        target: "sandbar::guest",
        route = %line.route,
        plugin = %plugin,
        step = line.step,
        event = event.map(|event| format!("{}/{}/{}", event.topic, event.partition, event.offset)),
        level = ?level,
        "{}", line.message
    );
}

impl Default for Ring {
    fn default() -> Self {
        Self {
            lines: VecDeque::new(),
            last: 0,
            budget: BURST * LINE_COSTS,
            at: 0,
            left_out: 0,
            untold: 0,
        }
    }
}

impl Ring {
    /// Whether there is room for one more line now.
    fn spend(&mut self, now: u64) -> bool {
        let earned = now.saturating_sub(self.at).saturating_mul(LINES_PER_SECOND);
        self.budget = self.budget.saturating_add(earned).min(BURST * LINE_COSTS);
        self.at = now;
        if self.budget < LINE_COSTS {
            self.left_out += 1;
            self.untold += 1;
            return false;
        }
        self.budget -= LINE_COSTS;
        true
    }

    fn push(&mut self, level: Level, line: GuestLine) {
        let untold = std::mem::take(&mut self.untold);
        if untold > 0 {
            let told = GuestLine {
                level: Level::Warn.as_str(),
                message: format!(
                    "{untold} lines were left out: a plugin may write {LINES_PER_SECOND} a second"
                ),
                event: None,
                events: None,
                ..line.clone()
            };
            self.add(Level::Warn, told);
        }
        self.add(level, line);
    }

    fn add(&mut self, level: Level, mut line: GuestLine) {
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.last += 1;
        line.number = self.last;
        self.lines.push_back((level, line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> GuestLine {
        GuestLine {
            number: 0,
            time: String::new(),
            level: "info",
            message: "said".to_owned(),
            route: "r".to_owned(),
            step: 0,
            event: None,
            events: None,
        }
    }

    fn say(ring: &mut Ring, times: u64, now: u64) {
        for _ in 0..times {
            if ring.spend(now) {
                ring.push(Level::Info, line());
            }
        }
    }

    #[test]
    fn a_flood_is_cut_counted_and_told_with_the_next_line() {
        let mut ring = Ring::default();
        say(&mut ring, 1000, 5000);
        assert_eq!(
            (ring.lines.len() as u64, ring.left_out),
            (BURST, 1000 - BURST)
        );
        // Half a second brings fifty lines.
        say(&mut ring, 100, 5500);
        assert_eq!(
            (ring.last, ring.left_out),
            (BURST + 1 + 50, 1000 - BURST + 50)
        );
        let told = &ring.lines[BURST as usize].1;
        assert!(
            told.message.starts_with("800 lines were left out"),
            "{told:?}"
        );
        assert_eq!((told.level, told.number), ("warn", BURST + 1));
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let mut ring = Ring::default();
        for second in 1..=30 {
            say(&mut ring, 50, second * 1000);
        }
        assert_eq!(
            (ring.lines.len(), ring.last, ring.left_out),
            (LINES, 1500, 0)
        );
        assert_eq!(ring.lines[0].1.number, 501);
    }
}
