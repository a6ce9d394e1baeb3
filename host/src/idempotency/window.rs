//! Which keys are known, and what is to become of a request under one. Pure: times come in, and what
//! is forgotten is told.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::{Answer, KEPT_FOR_MS};

/// How much is kept; the oldest goes first.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    entries: usize,
    bytes: usize,
    /// Of one answer; a larger one is not kept.
    largest: usize,
}

/// Of calls that make something: they are few, and lie in meta as well.
const DURABLE: Bounds = Bounds {
    entries: 10_000,
    bytes: 32 * 1024 * 1024,
    largest: 1024 * 1024,
};
/// Of publishes, whose answers name every event.
const IN_MEMORY: Bounds = Bounds {
    entries: 100_000,
    bytes: 64 * 1024 * 1024,
    largest: 8 * 1024 * 1024,
};
/// What an entry takes besides key and body, about.
const OVERHEAD: usize = 200;

/// All keys.
#[derive(Debug)]
pub(super) struct Window {
    entries: HashMap<String, Entry>,
    durable: Queue,
    in_memory: Queue,
}

#[derive(Debug)]
struct Entry {
    request: u128,
    state: State,
}

#[derive(Debug)]
enum State {
    Running,
    Answered(Arc<Answer>),
    Unknown,
}

/// Keys in the order in which they were answered.
#[derive(Debug)]
struct Queue {
    bounds: Bounds,
    order: VecDeque<(u64, String, usize)>,
    bytes: usize,
}

/// What is known of a key that a request comes with.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing; now it runs.
    New,
    Answered(Arc<Answer>),
    /// It belongs to another request.
    Other,
    Running,
    /// It was begun, and nobody knows how it ended.
    Unknown,
}

impl Default for Window {
    fn default() -> Self {
        Self::bounded(DURABLE, IN_MEMORY)
    }
}

impl Window {
    fn bounded(durable: Bounds, in_memory: Bounds) -> Self {
        let queue = |bounds| Queue {
            bounds,
            order: VecDeque::new(),
            bytes: 0,
        };
        Self {
            entries: HashMap::new(),
            durable: queue(durable),
            in_memory: queue(in_memory),
        }
    }

    /// What to do with a request under a key; a new one runs from now on.
    pub(super) fn begin(&mut self, key: &str, request: u128, now: u64) -> Found {
        // Those on record are deleted with the next answer; here only their time counts.
        self.in_memory.prune(now, &mut self.entries);
        let expired = self.durable.is_expired(key, now);
        match self.entries.get(key).filter(|_| !expired) {
            Some(entry) if entry.request != request => Found::Other,
            Some(entry) => match &entry.state {
                State::Running => Found::Running,
                State::Answered(answer) => Found::Answered(answer.clone()),
                State::Unknown => Found::Unknown,
            },
            None => {
                if expired {
                    self.durable.remove(key);
                }
                let state = State::Running;
                (self.entries).insert(key.to_owned(), Entry { request, state });
                Found::New
            }
        }
    }

    /// Keeps an answer; false where it is too large to be kept. `forgotten` gets the keys that made
    /// room and are on record.
    pub(super) fn answered(
        &mut self,
        key: &str,
        request: u128,
        durable: bool,
        now: u64,
        answer: Arc<Answer>,
        forgotten: &mut Vec<String>,
    ) -> bool {
        let queue = if durable {
            &mut self.durable
        } else {
            &mut self.in_memory
        };
        let bytes = key.len() + answer.body.len() + OVERHEAD;
        let kept = answer.body.len() <= queue.bounds.largest;
        if kept {
            queue.push(now, key, bytes);
            let state = State::Answered(answer);
            (self.entries).insert(key.to_owned(), Entry { request, state });
        } else {
            self.entries.remove(key);
        }
        let gone = queue.prune(now, &mut self.entries);
        if durable {
            forgotten.extend(gone.into_iter().filter(|gone| gone != key));
        }
        kept
    }

    /// Takes in an answer that is on record. Oldest first.
    pub(super) fn restore(&mut self, key: String, request: u128, at: u64, answer: Arc<Answer>) {
        let bytes = key.len() + answer.body.len() + OVERHEAD;
        self.durable.push(at, &key, bytes);
        let state = State::Answered(answer);
        self.entries.insert(key, Entry { request, state });
    }

    /// Takes in a key that was begun and has no answer on record. Oldest first.
    pub(super) fn restore_unknown(&mut self, key: String, request: u128, at: u64) {
        self.durable.push(at, &key, key.len() + OVERHEAD);
        let state = State::Unknown;
        self.entries.insert(key, Entry { request, state });
    }

    /// Forgets what is too old or too much; gives the keys that are on record.
    pub(super) fn prune(&mut self, now: u64) -> Vec<String> {
        self.durable.prune(now, &mut self.entries)
    }

    /// The request under a key, which is on record, ended, and nobody knows how.
    pub(super) fn unknown(&mut self, key: &str, at: u64) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.state = State::Unknown;
            self.durable.push(at, key, key.len() + OVERHEAD);
        }
    }

    pub(super) fn forget(&mut self, key: &str) {
        self.entries.remove(key);
    }
}

impl Queue {
    fn push(&mut self, at: u64, key: &str, bytes: usize) {
        self.order.push_back((at, key.to_owned(), bytes));
        self.bytes += bytes;
    }

    fn is_expired(&self, key: &str, now: u64) -> bool {
        let old = |at: u64| now.saturating_sub(at) >= KEPT_FOR_MS;
        let mut oldest = self.order.iter().take_while(|(at, _, _)| old(*at));
        oldest.any(|(_, known, _)| known == key)
    }

    fn remove(&mut self, key: &str) {
        if let Some(place) = self.order.iter().position(|(_, known, _)| known == key)
            && let Some((_, _, bytes)) = self.order.remove(place)
        {
            self.bytes -= bytes;
        }
    }

    fn prune(&mut self, now: u64, entries: &mut HashMap<String, Entry>) -> Vec<String> {
        let mut gone = Vec::new();
        while let Some((at, _, _)) = self.order.front() {
            let old = now.saturating_sub(*at) >= KEPT_FOR_MS;
            let much = self.order.len() > self.bounds.entries || self.bytes > self.bounds.bytes;
            if !old && !much {
                break;
            }
            if let Some((_, key, bytes)) = self.order.pop_front() {
                self.bytes -= bytes;
                entries.remove(&key);
                gone.push(key);
            }
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Bounds = Bounds {
        entries: 3,
        bytes: 4 * 1024,
        largest: 1024,
    };

    fn answer(body: &str) -> Arc<Answer> {
        Arc::new(Answer {
            status: 200,
            headers: Vec::new(),
            body: body.to_owned(),
        })
    }

    fn done(window: &mut Window, key: &str, durable: bool, now: u64, body: &str) -> Vec<String> {
        assert!(matches!(window.begin(key, 1, now), Found::New), "{key}");
        let mut forgotten = Vec::new();
        window.answered(key, 1, durable, now, answer(body), &mut forgotten);
        forgotten
    }

    #[test]
    fn a_key_runs_and_is_answered_once() {
        let mut window = Window::bounded(SMALL, SMALL);
        assert!(matches!(window.begin("k", 1, 0), Found::New));
        assert!(matches!(window.begin("k", 1, 0), Found::Running));
        assert!(matches!(window.begin("k", 2, 0), Found::Other));
        window.answered("k", 1, false, 0, answer("a"), &mut Vec::new());
        assert!(matches!(window.begin("k", 1, 1), Found::Answered(found) if found.body == "a"));
        assert!(matches!(window.begin("k", 2, 1), Found::Other));
        assert!(matches!(window.begin("other", 2, 1), Found::New));
        window.forget("other");
        assert!(matches!(window.begin("other", 3, 1), Found::New));
        window.unknown("other", 1);
        assert!(matches!(window.begin("other", 3, 2), Found::Unknown));
    }

    #[test]
    fn after_a_day_a_key_is_free_again() {
        for durable in [false, true] {
            let mut window = Window::bounded(SMALL, SMALL);
            done(&mut window, "k", durable, 10, "a");
            let before = 10 + KEPT_FOR_MS - 1;
            assert!(matches!(window.begin("k", 1, before), Found::Answered(_)));
            // Also with another request.
            assert!(matches!(window.begin("k", 2, before + 1), Found::New));
            let mut forgotten = Vec::new();
            window.answered("k", 2, durable, before + 1, answer("b"), &mut forgotten);
            assert!(forgotten.is_empty(), "its record was written over");
            assert!(matches!(
                window.begin("k", 2, before + 2),
                Found::Answered(_)
            ));
        }
    }

    #[test]
    fn the_oldest_makes_room_and_what_is_on_record_is_told() {
        let mut window = Window::bounded(SMALL, SMALL);
        for key in ["a", "b", "c"] {
            assert!(done(&mut window, key, true, 0, "x").is_empty());
        }
        assert_eq!(done(&mut window, "d", true, 0, "x"), ["a"]);
        let large = "x".repeat(1000);
        for key in ["e", "f", "g"] {
            done(&mut window, key, true, 0, &large);
        }
        assert!(window.durable.bytes <= SMALL.bytes);
        assert!(matches!(window.begin("d", 1, 0), Found::New));
        // In memory there is room of its own.
        assert!(done(&mut window, "m", false, 0, &large).is_empty());
        assert!(matches!(window.begin("g", 1, 0), Found::Answered(_)));
        assert!(done(&mut window, "n", false, KEPT_FOR_MS + 1, "x").is_empty());
    }

    #[test]
    fn an_answer_that_is_too_large_is_not_kept() {
        let mut window = Window::bounded(SMALL, SMALL);
        done(&mut window, "k", false, 0, &"x".repeat(1025));
        assert!(matches!(window.begin("k", 1, 0), Found::New));
        assert_eq!(
            (window.in_memory.bytes, window.in_memory.order.len()),
            (0, 0)
        );
    }
}
