//! Uses the clock and randomness, which a route must grant.

use sandbar_sdk::{Event, Output, Verdict, clock, random};

fn transform(_: &Event<'_>) -> Verdict {
    Verdict::emit(Output::inherit().data(format!("{} {:?}", clock::now(), random::bytes(8))))
}

sandbar_sdk::plugin!(transform);
