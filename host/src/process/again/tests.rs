//! Requests are taken once, whole, and only where there is room.

use super::*;

fn ask(number: u64, offsets: std::ops::Range<Offset>) -> Again {
    let (answer, _) = oneshot::channel();
    let event = |offset: Offset| PutBack {
        offset,
        key: format!("key {}", offset % 3),
        redrives: 1,
    };
    Again {
        ticket: Ticket {
            asker: "job".into(),
            number,
        },
        events: offsets.map(event).collect(),
        answer,
    }
}

#[test]
fn a_request_that_is_repeated_changes_nothing() {
    let mut lane = Lane::starting_at(100);
    assert_eq!(
        ask(1, 0..10).apply(&mut lane, 4, 0),
        Ok(Taken {
            gone: vec![0, 1, 2, 3]
        })
    );
    assert_eq!(lane.waiting(), 6);
    // They were worked; then the asker, who was not answered, asks again.
    lane.lines.clear();
    lane.redrives.clear();
    let known = lane.clone();
    assert_eq!(
        ask(1, 0..10).apply(&mut lane, 4, 0),
        Ok(Taken {
            gone: vec![0, 1, 2, 3]
        })
    );
    assert_eq!(lane, known);
    assert!(ask(2, 10..11).apply(&mut lane, 4, 0).is_ok());
    assert_eq!(lane.waiting(), 1);
}

#[test]
fn a_lane_with_too_many_takes_no_more() {
    let mut lane = Lane::starting_at(10_000);
    let most = MOST_PUT_BACK as Offset;
    assert!(ask(1, 0..most).apply(&mut lane, 0, 0).is_ok());
    let known = lane.clone();
    assert_eq!(
        ask(2, most..most + 1).apply(&mut lane, 0, 0),
        Err(NotTaken::Full)
    );
    assert_eq!(lane, known);
}
