//! The window against a model, and at its edges.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn identity(id: u32, content: u64) -> Identity {
    Identity {
        key: key("/s", &id.to_string()),
        content,
    }
}

fn stored(window: &mut Window, id: u32, content: u64, offset: u64, now: u64) {
    let (ticket, reserved) = window.reserve(&[identity(id, content)], now).unwrap();
    assert_eq!(reserved, [Reservation::New]);
    window.settle(ticket, &[(0, offset)], now);
}

#[test]
fn a_repeat_has_the_place_of_the_first() {
    let mut window = Window::new(10, 1000);
    stored(&mut window, 1, 7, 42, 0);
    let (_, reserved) = window.reserve(&[identity(1, 7)], 1).unwrap();
    assert_eq!(
        reserved,
        [Reservation::Duplicate {
            partition: 0,
            offset: 42
        }]
    );
}

#[test]
fn other_content_under_the_same_id_is_a_conflict() {
    let mut window = Window::new(10, 1000);
    stored(&mut window, 1, 7, 42, 0);
    let (_, reserved) = window
        .reserve(
            &[
                identity(1, 8),
                identity(2, 1),
                identity(2, 2),
                identity(2, 1),
            ],
            1,
        )
        .unwrap();
    let expected = [
        Reservation::Conflict {
            partition: 0,
            offset: Some(42),
        },
        Reservation::New,
        Reservation::Conflict {
            partition: 0,
            offset: None,
        },
        Reservation::Repeat { first: 1 },
    ];
    assert_eq!(reserved, expected);
}

#[test]
fn an_event_in_other_hands_is_waited_for_and_nothing_is_reserved() {
    let mut window = Window::new(10, 1000);
    let (ticket, _) = window.reserve(&[identity(1, 7)], 0).unwrap();
    assert_eq!(
        window.reserve(&[identity(2, 7), identity(1, 7)], 0),
        Err(Pending)
    );
    assert_eq!(window.len(), 1);
    window.abandon(ticket);
    assert!(window.is_empty());
    let (_, reserved) = window.reserve(&[identity(1, 9)], 0).unwrap();
    assert_eq!(reserved, [Reservation::New]);
}

#[test]
fn the_oldest_are_forgotten_by_count_and_by_age() {
    let mut window = Window::new(2, 100);
    for id in 0..3 {
        stored(&mut window, id, 7, id.into(), id.into());
    }
    assert_eq!(window.len(), 2);
    let (ticket, reserved) = window
        .reserve(&[identity(0, 7), identity(2, 7)], 3)
        .unwrap();
    assert_eq!(
        reserved,
        [
            Reservation::New,
            Reservation::Duplicate {
                partition: 0,
                offset: 2
            }
        ]
    );
    window.abandon(ticket);
    let (_, reserved) = window.reserve(&[identity(2, 7)], 103).unwrap();
    assert_eq!(reserved, [Reservation::New]);
}

#[test]
fn a_window_of_no_events_calls_all_new() {
    let mut window = Window::new(0, 100);
    let (ticket, reserved) = window
        .reserve(&[identity(1, 7), identity(1, 7)], 0)
        .unwrap();
    assert_eq!(reserved, [Reservation::New, Reservation::New]);
    window.settle(ticket, &[(0, 0), (0, 1)], 0);
    assert!(window.is_empty());
}

#[test]
fn what_is_remembered_is_a_duplicate_of_its_first() {
    let mut window = Window::new(10, 1000);
    window.remember(key("/s", "1"), 7, 3, 9, 0);
    window.remember(key("/s", "1"), 8, 3, 10, 1);
    let (_, reserved) = window.reserve(&[identity(1, 7)], 1).unwrap();
    assert_eq!(
        reserved,
        [Reservation::Duplicate {
            partition: 3,
            offset: 9
        }]
    );
}

#[test]
fn time_and_extensions_do_not_make_another_event_but_all_else_does() {
    let event = Event {
        id: "1".into(),
        source: "/s".into(),
        r#type: "t".into(),
        ..Event::default()
    };
    let first = identify(&event);
    let mut later = event.clone();
    later.time = "2026-01-01T00:00:00Z".into();
    later.extensions.insert(
        "traceparent".into(),
        sandbar_types::AttributeValue::String("x".into()),
    );
    assert_eq!(identify(&later), first);
    let mut moved = event.clone();
    moved.r#type = String::new();
    moved.subject = "t".into();
    assert_ne!(identify(&moved).content, first.content);
    let mut data = event.clone();
    data.data = "x".into();
    assert_ne!(identify(&data).content, first.content);
    let mut batch = sandbar_types::BatchBuilder::new();
    batch.push_event(&event);
    assert_eq!(content(batch.finish().get(0)), first.content);
}

#[test]
fn long_names_are_told_apart() {
    let long = "x".repeat(500);
    assert_ne!(key(&long, "1"), key(&long, "2"));
    assert_ne!(key("ab", "c"), key("a", "bc"));
}

#[test]
fn an_entry_takes_64_bytes_at_most() {
    for count in [100_000u64, 115_000, 230_000] {
        let mut window = Window::new(count, u64::MAX);
        for id in 0..count {
            window.remember(key("/s", &id.to_string()), 1, 0, id, id);
        }
        let each = window.byte_length() as f64 / count as f64;
        assert!(each <= 64.0, "{each} bytes for each of {count}");
    }
}

#[test]
fn publishes_that_fail_again_and_again_take_no_memory() {
    let mut window = Window::new(100, u64::MAX);
    stored(&mut window, 0, 1, 0, 0);
    for round in 0..1000 {
        let (failing, _) = window
            .reserve(
                &(1..50).map(|id| identity(id, 1)).collect::<Vec<_>>(),
                round,
            )
            .unwrap();
        let (going, _) = window
            .reserve(&[identity(1000 + round as u32, 1)], round)
            .unwrap();
        window.abandon(failing);
        window.abandon(going);
    }
    assert!(window.byte_length() < 1 << 20, "{}", window.byte_length());
}

/// The same rules, written down naively.
#[derive(Default)]
struct Model {
    /// Oldest first: id, content, place when stored, time.
    entries: Vec<(u32, u64, Option<u64>, u64)>,
}

#[derive(Clone, Debug)]
enum Step {
    Publish { events: Vec<(u32, u64)>, keep: bool },
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (prop::collection::vec((0u32..12, 0u64..2), 1..6), prop::bool::weighted(0.8))
            .prop_map(|(events, keep)| Step::Publish { events, keep }),
        1 => (0u64..30).prop_map(Step::Wait),
    ]
}

const MOST: usize = 5;
const AGE: u64 = 40;

impl Model {
    fn evict(&mut self, now: u64) {
        self.entries
            .retain(|entry| entry.2.is_none() || now - entry.3 <= AGE);
        while self.entries.len() > MOST && self.entries[0].2.is_some() {
            self.entries.remove(0);
        }
    }

    fn reserve(&mut self, events: &[(u32, u64)], now: u64) -> Vec<Reservation> {
        self.evict(now);
        let mut firsts = HashMap::new();
        let mut answers = Vec::new();
        for (place, &(id, content)) in events.iter().enumerate() {
            let found = self.entries.iter().find(|entry| entry.0 == id).copied();
            answers.push(match found {
                None => {
                    self.entries.push((id, content, None, now));
                    firsts.insert(id, place);
                    Reservation::New
                }
                Some((_, same, None, _)) if same == content => {
                    Reservation::Repeat { first: firsts[&id] }
                }
                Some((_, _, None, _)) => Reservation::Conflict {
                    partition: 0,
                    offset: None,
                },
                Some((_, same, Some(offset), _)) if same == content => Reservation::Duplicate {
                    partition: 1,
                    offset,
                },
                Some((_, _, offset, _)) => Reservation::Conflict {
                    partition: 1,
                    offset,
                },
            });
        }
        answers
    }
}

proptest! {
    #[test]
    fn it_answers_as_the_model_does(steps in prop::collection::vec(step(), 1..60)) {
        let mut window = Window::new(MOST as u64, AGE);
        let mut model = Model::default();
        let (mut now, mut tail) = (0, 0);
        for step in steps {
            match step {
                Step::Wait(time) => now += time,
                Step::Publish { events, keep } => {
                    let identities: Vec<_> = events.iter().map(|&(id, content)| identity(id, content)).collect();
                    let (ticket, answers) = window.reserve(&identities, now).unwrap();
                    prop_assert_eq!(&answers, &model.reserve(&events, now));
                    if keep {
                        let mut places = Vec::new();
                        for entry in model.entries.iter_mut().filter(|entry| entry.2.is_none()) {
                            entry.2 = Some(tail);
                            places.push((1, tail));
                            tail += 1;
                        }
                        window.settle(ticket, &places, now);
                    } else {
                        window.abandon(ticket);
                        model.entries.retain(|entry| entry.2.is_some());
                    }
                    model.evict(now);
                    window.evict(now);
                    prop_assert_eq!(window.len(), model.entries.len());
                }
            }
        }
    }
}
