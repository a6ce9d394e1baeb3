//! Who is told what under a key, and what a restart knows of it.

use std::sync::Arc;

use super::*;
use crate::meta::Memory;

const ONCE: Keep = Keep::Durably { repeatable: false };
const REPEATABLE: Keep = Keep::Durably { repeatable: true };

fn open(store: &Arc<dyn meta::Store>) -> Arc<Idempotency> {
    Arc::new(Idempotency::open(store.clone(), 5).expect("opened"))
}

fn first(keys: &Arc<Idempotency>, key: &str, keep: Keep) -> Running {
    match keys.begin("me", key, 1, keep, 5) {
        Ok(Begun::First(running)) => running,
        other => panic!("{other:?}"),
    }
}

fn answer() -> Answer {
    Answer {
        status: 201,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: "{}".to_owned(),
    }
}

fn refused(keys: &Arc<Idempotency>, key: &str, request: u128) -> Code {
    let refused = keys.begin("me", key, request, ONCE, 6);
    refused.expect_err("refused").code
}

#[test]
fn what_was_answered_is_answered_alike_also_after_a_restart() {
    let store: Arc<dyn meta::Store> = Arc::new(Memory::default());
    let keys = open(&store);
    for (key, keep) in [
        ("once", ONCE),
        ("put", REPEATABLE),
        ("publish", Keep::InMemory),
    ] {
        first(&keys, key, keep).answered(answer(), 5);
        let again = keys.begin("me", key, 1, keep, 6);
        assert!(
            matches!(again, Ok(Begun::Again(found)) if *found == answer()),
            "{key}"
        );
        assert_eq!(refused(&keys, key, 2), Code::IdempotencyKeyReused);
    }
    // Keys of another caller are others.
    let other = keys.begin("you", "once", 2, ONCE, 6);
    assert!(matches!(other, Ok(Begun::First(_))));
    let keys = open(&store);
    for key in ["once", "put"] {
        let again = keys.begin("me", key, 1, ONCE, 6);
        assert!(
            matches!(again, Ok(Begun::Again(found)) if *found == answer()),
            "{key}"
        );
    }
    drop(first(&keys, "publish", Keep::InMemory));
}

#[test]
fn a_hub_that_stopped_in_the_middle_says_so_unless_it_can_be_done_again() {
    let store: Arc<dyn meta::Store> = Arc::new(Memory::default());
    let keys = open(&store);
    let running = [first(&keys, "once", ONCE), first(&keys, "put", REPEATABLE)];
    assert_eq!(refused(&keys, "once", 1), Code::IdempotencyKeyInUse);
    // What is on record now is what a kill leaves.
    let after = open(&store);
    assert_eq!(refused(&after, "once", 1), Code::IdempotencyOutcomeUnknown);
    first(&after, "put", REPEATABLE).forgotten();
    // The same where only the request broke off.
    drop(running);
    assert_eq!(refused(&keys, "once", 1), Code::IdempotencyOutcomeUnknown);
    first(&keys, "put", REPEATABLE).forgotten();
}

#[test]
fn what_came_to_nothing_may_be_tried_again() {
    let store: Arc<dyn meta::Store> = Arc::new(Memory::default());
    let keys = open(&store);
    first(&keys, "k", ONCE).forgotten();
    first(&keys, "k", ONCE).forgotten();
    drop(first(&open(&store), "k", ONCE));
}
