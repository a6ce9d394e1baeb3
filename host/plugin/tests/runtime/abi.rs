//! Guests that answer by hand, and wrongly: pointers, lengths and texts that the canonical ABI does
//! not allow. Each takes down its own call and nothing else.

use sandbar_plugin::{Engine, FaultKind, Grants, InstantiateError, Limits, Plugin, Verdict};

use crate::{batch, engine, fault, limits, start, targets};

/// A plugin of records. Its memory holds `data` from 16 on, where the answer to a call stands: the
/// place and number of its verdicts, of 16 bytes each.
fn by_hand(engine: &Engine, extra: &str, data: &[u8], answer_at: u32) -> Plugin {
    let data: String = data.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let realloc = r#"(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
        (global.set $next (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
        (global.get $next)
        (global.set $next (i32.add (global.get $next) (local.get 3))))"#;
    let realloc = if extra.contains("cabi_realloc") {
        ""
    } else {
        realloc
    };
    let configure = r#"(func (export "configure") (param i32 i32) (result i32) (i32.const 0))"#;
    let text = format!(
        r#"(module
            (memory (export "memory") 2)
            (global $next (mut i32) (i32.const 4096))
            (data (i32.const 16) "{data}")
            {extra} {realloc} {configure}
            (func (export "transform") (param i32 i32) (result i32) (i32.const {answer_at})))"#
    );
    engine.compile(&wat::parse_str(text).unwrap()).unwrap()
}

/// Numbers in the order in which they lie in memory.
fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

const DROP: u32 = 1;

#[test]
fn a_right_answer_by_hand_is_taken() {
    let mut data = words(&[32, 1, 0, 0, DROP, 64, 2, 0]);
    data.extend(vec![0; 16]);
    data.extend(b"ok");
    let plugin = by_hand(&engine(), "", &data, 16);
    let answer = start(&plugin).run(&batch(1, &[]), &targets());
    assert_eq!(answer.verdicts, [Verdict::Drop("ok".to_owned())]);
}

#[test]
fn wrong_pointers_lengths_and_texts_take_down_the_call_alone() {
    let verdict = |words_of_verdict: &[u32]| {
        let mut all = vec![32, 1, 0, 0];
        all.extend(words_of_verdict);
        words(&all)
    };
    let mut invalid_utf8 = verdict(&[DROP, 48, 2, 0]);
    invalid_utf8.extend([0xff, 0xfe]);
    let wrong = [
        ("the answer is outside", words(&[]), 0x7fff_fff0),
        ("the answer is misaligned", words(&[0, 32, 1]), 18),
        ("the list is outside", words(&[0x7fff_fff0, 1]), 16),
        (
            "the list is longer than the memory",
            words(&[32, 0x0fff_ffff]),
            16,
        ),
        ("the list is misaligned", words(&[33, 1]), 16),
        ("no such verdict", verdict(&[9, 0, 0, 0]), 16),
        (
            "the text is outside",
            verdict(&[DROP, 0x7fff_fff0, 4, 0]),
            16,
        ),
        (
            "the text is longer than the memory",
            verdict(&[DROP, 48, 0xffff_ffff, 0]),
            16,
        ),
        ("the text is not UTF-8", invalid_utf8, 16),
        (
            "the outputs are outside",
            verdict(&[0, 0x7fff_fff0, 1, 0]),
            16,
        ),
    ];
    let engine = engine();
    for (what, data, answer_at) in wrong {
        let plugin = by_hand(&engine, "", &data, answer_at);
        let mut runner = start(&plugin);
        for _ in 0..2 {
            let answer = runner.run(&batch(1, &[]), &targets());
            let kind = fault(&answer.verdicts[0]).map(|fault| fault.kind);
            assert_eq!(kind, Some(FaultKind::BadAnswer), "{what}: {answer:?}");
        }
    }
}

#[test]
fn room_that_the_guest_does_not_have_is_not_written_to() {
    for place in ["(i32.const 0x7ffffff0)", "(unreachable)"] {
        let realloc = format!(
            r#"(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (if (result i32) (i32.gt_u (global.get $calls) (i32.const 0))
                    (then {place}) (else (i32.const 1024)))
                (global.set $calls (i32.add (global.get $calls) (i32.const 1))))
               (global $calls (mut i32) (i32.const 0))"#
        );
        let plugin = by_hand(&engine(), &realloc, &words(&[32, 0]), 16);
        let answer = start(&plugin).run(&batch(3, &[]), &targets());
        assert!(
            answer
                .verdicts
                .iter()
                .all(|verdict| fault(verdict).is_some()),
            "{place}: {answer:?}"
        );
    }
}

#[test]
fn a_start_function_that_never_ends_is_stopped() {
    let endless = "(func $endless (loop (br 0))) (start $endless)";
    let plugin = by_hand(&engine(), endless, &[], 16);
    let refused = plugin
        .instantiate("null", limits(), &Grants::default())
        .map(|_| ())
        .unwrap_err();
    assert_eq!(refused, InstantiateError::Deadline(limits().deadline));
}

#[test]
fn tables_do_not_grow_without_end() {
    // Traps unless the growth was refused.
    let growing = r#"(table $t 1 funcref)
        (func $grow
            (if (i32.ne (table.grow $t (ref.null func) (i32.const 200000)) (i32.const -1)) (then (unreachable)))
            (if (i32.eq (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1)) (then (unreachable))))
        (start $grow)"#;
    let plugin = by_hand(&engine(), growing, &[], 16);
    assert!(
        plugin
            .instantiate("null", limits(), &Grants::default())
            .is_ok()
    );
}

#[test]
fn memory_grows_up_to_its_cap_and_not_a_page_further() {
    // Traps unless the first growth succeeds and the second is refused.
    let growing = r#"(func $grow
            (if (i32.ne (memory.grow (i32.const 62)) (i32.const 2)) (then (unreachable)))
            (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then (unreachable))))
        (start $grow)"#;
    let plugin = by_hand(&engine(), growing, &words(&[32, 0]), 16);
    for (pages, starts) in [(64, true), (63, false), (65, false)] {
        let limits = Limits {
            memory_bytes: pages << 16,
            ..limits()
        };
        let started = plugin.instantiate("null", limits, &Grants::default());
        assert_eq!(started.is_ok(), starts, "{pages} pages");
    }
}

#[test]
fn thousands_of_functions_compile() {
    let functions: String = (0..20_000)
        .map(|number| format!("(func (result i32) (i32.const {number}))"))
        .collect();
    let mut data = words(&[32, 1, 0, 0, DROP, 48, 2, 0]);
    data.extend(b"ok");
    let plugin = by_hand(&engine(), &functions, &data, 16);
    let answer = start(&plugin).run(&batch(1, &[]), &targets());
    assert_eq!(answer.verdicts, [Verdict::Drop("ok".to_owned())]);
}
