//! Does, per event, the harm that the event's type names; every other event passes unchanged. The
//! types that start with `lie-` spoil the answer to the whole batch after it was made.

use std::cell::Cell;

use sandbar_sdk::{
    Event, Output, Verdict, bindings,
    guest::{Batch, Column, Problem, Verdicts},
    log,
};

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static KEPT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

struct Plugin;

impl bindings::Guest for Plugin {
    fn configure(config: String) -> Result<(), Problem> {
        sandbar_sdk::guest::start();
        match config.as_str() {
            "\"refuse\"" => Err(Problem::InvalidConfig("/mode: refused as asked".to_owned())),
            "\"trap\"" => panic!("trapped in configure as asked"),
            "\"loop\"" => endless(),
            _ => Ok(()),
        }
    }

    fn transform_columns(batch: Batch) -> Verdicts {
        CALLS.set(CALLS.get() + 1);
        let types: Vec<String> = (0..batch.count as usize)
            .map(|index| text(&batch.type_, index))
            .collect();
        let mut verdicts = sandbar_sdk::guest::run(batch, transform);
        for lie in types.iter().filter_map(|kind| kind.strip_prefix("lie-")) {
            spoil(&mut verdicts, lie);
        }
        verdicts
    }
}

fn transform(event: &Event<'_>) -> Verdict {
    match event.r#type() {
        "trap" => panic!("trapped as asked by {}", event.id()),
        "loop" => endless(),
        "memory" => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(vec![1_u8; 1 << 20]);
                std::hint::black_box(&hoard);
            }
        }
        "recurse" => Verdict::drop(recurse(event.data().len() as u64 + 1).to_string()),
        "huge" => Verdict::emit(Output::inherit().data(vec![b'x'; 20 << 20])),
        "fan-out" => Verdict::emit_all((0..1001).map(|_| Output::inherit())),
        "three" => Verdict::emit_all((0..3).map(|_| Output::inherit())),
        "target" => Verdict::emit(Output::inherit().target(event.subject().unwrap_or("nowhere"))),
        "half" => Verdict::emit_all([Output::inherit(), Output::inherit().target("nowhere")]),
        "log" => {
            log::warn(format!("seen {}", event.id()));
            Verdict::emit(Output::inherit())
        }
        "log-plain" | "log-nowhere" => {
            use bindings::sandbar::transform::log::{Level, log, log_for};
            match event.r#type() {
                "log-plain" => log(Level::Warn, "of the call"),
                _ => log_for(u32::MAX, Level::Warn, "of no event"),
            }
            Verdict::emit(Output::inherit())
        }
        "chatter" => {
            for line in 0..100_000 {
                log::info(line.to_string());
            }
            Verdict::emit(Output::inherit())
        }
        "calls" => Verdict::emit(Output::inherit().data(CALLS.get().to_string())),
        "keep" => {
            let mut kept = KEPT.take();
            kept.resize(kept.len() + (8 << 20), 1);
            KEPT.set(kept);
            Verdict::emit(Output::inherit().data(CALLS.get().to_string()))
        }
        "drop" => Verdict::drop("dropped as asked"),
        "reject" => Verdict::reject("rejected as asked"),
        "retry" => Verdict::retry("not now"),
        "no-id" => Verdict::emit(Output::inherit().id("")),
        "no-subject" => Verdict::emit(Output::inherit().subject("")),
        "set" => Verdict::emit(
            Output::inherit()
                .id("new")
                .source("/new")
                .r#type("new")
                .extension("added", "1")
                .extension("trace", ""),
        ),
        "bad-time" => Verdict::emit(Output::inherit().time("yesterday")),
        "bad-extension" => Verdict::emit(Output::inherit().extension("Not-Legal", "x")),
        "control" => Verdict::emit(Output::inherit().subject("a\u{7}b")),
        "no-data" => Verdict::emit(Output::inherit().data(Vec::new())),
        _ => Verdict::emit(Output::inherit()),
    }
}

fn spoil(verdicts: &mut Verdicts, lie: &str) {
    let column = |bytes: &[u8], ends: &[u32]| Column {
        bytes: bytes.to_vec(),
        ends: ends.to_vec(),
    };
    match lie {
        "fewer" => {
            verdicts.kinds.pop();
        }
        "counts" => verdicts.counts.iter_mut().for_each(|count| *count += 1),
        "ends" => verdicts.outputs.subject = column(b"abc", &[9_000_000]),
        "backwards" => verdicts.outputs.subject = column(b"abc", &[3, 1, 3]),
        "utf8" => verdicts.outputs.subject = column(&[0xff, 0xfe], &[]),
        "extensions" => verdicts.outputs.extensions = column(b"[1,2", &[]),
        "has-data" => verdicts.has_data = vec![1; 5000],
        _ => {}
    }
}

fn text(column: &Column, index: usize) -> String {
    let (start, end) = match column.ends.as_slice() {
        [] => (0, column.bytes.len()),
        ends => (
            if index == 0 {
                0
            } else {
                ends[index - 1] as usize
            },
            ends[index] as usize,
        ),
    };
    String::from_utf8_lossy(&column.bytes[start..end]).into_owned()
}

fn endless() -> ! {
    let mut count = 0_u64;
    loop {
        count = std::hint::black_box(count.wrapping_add(1));
    }
}

// Never ends on purpose: it is there to exhaust the stack.
#[allow(unconditional_recursion)]
fn recurse(depth: u64) -> u64 {
    std::hint::black_box(recurse(std::hint::black_box(depth + 1))) + 1
}

bindings::export_guest!(Plugin with_types_in bindings);
