//! Log lines belong to events.

use sandbar_plugin::{Grants, Level};

use crate::{batch, engine, event, guest, limits, run, targets};

#[test]
fn a_line_of_the_sdk_belongs_to_its_event_also_in_a_batch_that_is_split() {
    let plugin = engine().compile(&guest("guest-mapper")).unwrap();
    let mut runner = plugin
        .instantiate("null", limits(), &Grants::default())
        .unwrap();
    let mut builder = sandbar_types::BatchBuilder::new();
    for index in 0..100 {
        let data = match index {
            13 => r#"{"do": "trap"}"#,
            12 | 14 | 99 => r#"{"log": "said"}"#,
            _ => "{}",
        };
        builder.push_event(&sandbar_types::Event {
            data: data.into(),
            ..event("x", index)
        });
    }
    let answer = runner.run(&builder.finish(), &targets());
    assert!(answer.usage.calls > 1, "it was split");
    let lines: Vec<_> = (answer.logs.iter())
        .map(|line| (line.events.clone(), line.level))
        .collect();
    assert_eq!(
        lines,
        [
            (12..13, Level::Warn),
            (13..14, Level::Error),
            (14..15, Level::Warn),
            (99..100, Level::Warn)
        ]
    );
}

#[test]
fn a_line_of_which_the_plugin_says_nothing_belongs_to_the_call() {
    for kind in ["log-plain", "log-nowhere"] {
        let answer = run(&batch(3, &[(1, kind)]));
        assert_eq!(answer.logs[0].events, 0..3, "{kind}");
        let answer = run(&batch(1, &[(0, kind)]));
        assert_eq!(answer.logs[0].events, 0..1, "{kind}");
    }
    let answer = run(&batch(3, &[(1, "log")]));
    assert_eq!(answer.logs[0].events, 1..2);
}
