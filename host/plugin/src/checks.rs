//! Puts checks into a core module by which a guest can be stopped from outside: it gets a memory of
//! its own of one page, and looks at its first byte wherever it could go on for ever. Pure.
//!
//! A check is a store of 0 into the first byte of that page. To stop the guest, the page is made
//! inaccessible: the next check traps. It costs one instruction, where wasmtime's epochs load,
//! compare and branch and keep two registers busy, and it stands only where it must:
//! - before each branch back to the head of a loop: most loops of a parser end in their first round;
//! - before each instruction that works on ranges or grows something;
//! - before each call by which a function may come to call itself, and each call of what is not known here
//!   (imports, tables);
//! - wherever the longest way from the last check, through all calls, would have more than
//!   [`walk::MOST_WORK`] instructions.
//!
//! So between two checks there are few instructions, whatever the module does: also in straight code of
//! many megabytes, and where branches lead around checks. A circle of calls has its check before the call that
//! closes it, and that is mostly a cold one: nearly everything can panic, and a panic can do nearly everything.
//!
//! That the compiler keeps the check of a loop rests on its being a store: each round follows another last
//! store than the round before the first. A load of the same byte with no store in between is left out, and
//! so would be a loop's only check.
//!
//! Nothing of the module is renumbered: the memory comes behind its own, and all other bytes stay
//! as they are. A module whose own code could be reached before the host knows the page, or
//! that is not of the usual shape, is left to wasmtime's epochs.

use wasmparser::{FunctionBody, Operator, Parser, Payload, TypeRef, Validator, WasmFeatures};

mod walk;
use walk::{Summary, walk};

/// What is compiled depends on this module: part of the key of compiled plugins.
pub(crate) const VERSION: u32 = 2;
/// The export under which the memory can be reached.
pub(crate) const MEMORY: &str = "sandbar:stop";
/// No compiler takes a larger function (the limit of the JavaScript API, which wasmparser has too).
const LARGEST_FUNCTION: usize = 7_654_321;
/// `i32.store8 (memory 1) (i32.const 0) (i32.const 0)`
const CHECK: [u8; 8] = [0x41, 0, 0x41, 0, 0x3a, 0x40, 1, 0];

/// A module with checks.
pub(crate) struct Checked {
    pub(crate) bytes: Vec<u8>,
    /// Of each function with a body, in order: where checks were put in.
    pub(crate) functions: Vec<Insertions>,
}

/// The checks of a function.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Insertions {
    /// Counted from the body's first byte in the module as it was.
    at: Vec<u32>,
}

impl Insertions {
    /// The place in the body as it was, of a place in the body with checks.
    pub(crate) fn original(&self, place: u32) -> u32 {
        let mut moved = 0;
        for &at in &self.at {
            if at + moved + CHECK.len() as u32 > place {
                // In the check itself: what stands behind it.
                return at.min(place - moved);
            }
            moved += CHECK.len() as u32;
        }
        place - moved
    }
}

/// What a module has, as far as it matters here.
#[derive(Default)]
struct Outline<'a> {
    imported_functions: u32,
    functions: Vec<Function<'a>>,
}

struct Function<'a> {
    body: FunctionBody<'a>,
    /// Indexes into the functions with bodies, one for each call.
    calls: Vec<u32>,
}

/// The module with checks; `None` where it is not of the shape for it.
pub(crate) fn insert(bytes: &[u8]) -> Option<Checked> {
    // Before the memory is there: afterwards its own code could name it.
    Validator::new_with_features(features())
        .validate_all(bytes)
        .ok()?;
    let outline = outline(bytes)?;
    let points = points(&outline)?;
    splice(bytes, &points)
}

/// What a module may be made of: `walk` knows all its ways to branch, to call and to take long.
fn features() -> WasmFeatures {
    WasmFeatures::WASM2
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::RELAXED_SIMD
}

fn outline(bytes: &[u8]) -> Option<Outline<'_>> {
    let mut outline = Outline::default();
    let mut memories = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.ok()? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    match import.ok()?.ty {
                        TypeRef::Func(_) => outline.imported_functions += 1,
                        TypeRef::Memory(_) => return None,
                        _ => {}
                    }
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    memory.ok()?;
                    memories += 1;
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    // The initializer would run before the host knows the page; so would a start.
                    let name = export.ok()?.name;
                    if name == MEMORY || name == "_initialize" || name.starts_with("cm32p2") {
                        return None;
                    }
                }
            }
            Payload::StartSection { .. } => return None,
            Payload::CodeSectionEntry(body) => {
                let calls = calls(&body, outline.imported_functions)?;
                outline.functions.push(Function { body, calls });
            }
            _ => {}
        }
    }
    // One memory: then the index of ours, 1, needs no thought.
    (memories == 1).then_some(outline)
}

/// The functions with bodies that a body calls.
fn calls(body: &FunctionBody<'_>, imported: u32) -> Option<Vec<u32>> {
    let mut reader = body.get_operators_reader().ok()?;
    let mut calls = Vec::new();
    while !reader.eof() {
        if let Operator::Call { function_index } | Operator::ReturnCall { function_index } =
            reader.read().ok()?
        {
            calls.extend(function_index.checked_sub(imported));
        }
    }
    Some(calls)
}

/// Where the checks of each function stand.
fn points(outline: &Outline<'_>) -> Option<Vec<Vec<usize>>> {
    let functions = &outline.functions;
    let mut begun = vec![false; functions.len()];
    // Of the functions that are done with. A call of one that is begun and not done closes a circle, and
    // each circle has such a call.
    let mut summaries: Vec<Option<Summary>> = vec![None; functions.len()];
    let mut points = vec![Vec::new(); functions.len()];
    for root in 0..functions.len() {
        if begun[root] {
            continue;
        }
        // Depth first with a stack of our own: a module may nest calls as deep as it likes.
        let mut stack = vec![(root, 0)];
        begun[root] = true;
        while let Some((index, next)) = stack.last_mut() {
            let index = *index;
            if let Some(&callee) = functions[index].calls.get(*next) {
                *next += 1;
                let callee = callee as usize;
                if let Some(begun) = begun.get_mut(callee).filter(|begun| !**begun) {
                    *begun = true;
                    stack.push((callee, 0));
                }
                continue;
            }
            stack.pop();
            let found = walk(&functions[index].body, |function| {
                let callee = function.checked_sub(outline.imported_functions)?;
                *summaries.get(callee as usize)?
            })?;
            points[index] = found.points;
            summaries[index] = Some(found.summary);
        }
    }
    Some(points)
}

/// Copies the module section by section and puts in what is new.
fn splice(bytes: &[u8], points: &[Vec<usize>]) -> Option<Checked> {
    let functions = u32::try_from(points.len()).ok()?;
    let mut out = bytes[..8].to_vec();
    let mut insertions = Vec::with_capacity(points.len());
    let mut code = Vec::with_capacity(bytes.len());
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.ok()?;
        match &payload {
            // One page and never more.
            Payload::MemorySection(found) => {
                more(
                    &mut out,
                    5,
                    found.count(),
                    &bytes[found.range()],
                    &[1, 1, 1],
                )?;
            }
            Payload::ExportSection(found) => {
                let mut added = Vec::new();
                leb(&mut added, u32::try_from(MEMORY.len()).ok()?);
                added.extend_from_slice(MEMORY.as_bytes());
                added.extend_from_slice(&[2, 1]);
                more(&mut out, 7, found.count(), &bytes[found.range()], &added)?;
            }
            Payload::CodeSectionStart { .. } => leb(&mut code, functions),
            Payload::CodeSectionEntry(body) => {
                let here = points.get(insertions.len())?;
                let range = body.range();
                let length = range.len() + here.len() * CHECK.len();
                if length > LARGEST_FUNCTION {
                    return None;
                }
                leb(&mut code, u32::try_from(length).ok()?);
                let mut from = range.start;
                for &point in here {
                    code.extend_from_slice(&bytes[from..point]);
                    code.extend_from_slice(&CHECK);
                    from = point;
                }
                code.extend_from_slice(&bytes[from..range.end]);
                insertions.push(Insertions {
                    at: (here.iter())
                        .map(|point| u32::try_from(point - range.start).unwrap_or(u32::MAX))
                        .collect(),
                });
                if insertions.len() == points.len() {
                    section(&mut out, 10, &code)?;
                }
            }
            other => {
                if let Some((id, range)) = other.as_section() {
                    section(&mut out, id, &bytes[range])?;
                }
            }
        }
    }
    (!insertions.is_empty()).then_some(Checked {
        bytes: out,
        functions: insertions,
    })
}

fn section(out: &mut Vec<u8>, id: u8, body: &[u8]) -> Option<()> {
    out.push(id);
    leb(out, u32::try_from(body.len()).ok()?);
    out.extend_from_slice(body);
    Some(())
}

/// A section of `count` items, which `body` holds behind that number, and one more.
fn more(out: &mut Vec<u8>, id: u8, count: u32, body: &[u8], added: &[u8]) -> Option<()> {
    let number = body.iter().position(|byte| byte & 0x80 == 0)? + 1;
    let mut new = Vec::with_capacity(body.len() + added.len() + 5);
    leb(&mut new, count + 1);
    new.extend_from_slice(&body[number..]);
    new.extend_from_slice(added);
    section(out, id, &new)
}

fn leb(out: &mut Vec<u8>, mut value: u32) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn checked(functions: &str) -> Option<Vec<usize>> {
        let text = format!(r#"(module (import "host" "f" (func $host)) (memory 1) {functions})"#);
        let module = wat::parse_str(text).unwrap();
        let checked = insert(&module)?;
        Validator::new().validate_all(&checked.bytes).unwrap();
        Some(
            checked
                .functions
                .iter()
                .map(|function| function.at.len())
                .collect(),
        )
    }

    #[test]
    fn checks_stand_where_a_guest_could_go_on_for_ever_and_nowhere_else() {
        for (functions, expected) in [
            ("(func nop)", vec![0]),
            // Left by a branch forward, repeated by a branch back.
            (
                "(func (loop $l (block $b (br_if $b (i32.const 1)) (br $l))))",
                vec![1],
            ),
            ("(func (block (loop (br 1))))", vec![0]),
            ("(func (call 2)) (func nop)", vec![0, 0]),
            // In the one that closes the circle.
            ("(func (call 2)) (func (call 1))", vec![0, 1]),
            ("(func (call 1))", vec![1]),
            ("(func (call $host))", vec![1]),
            (
                "(table 1 funcref) (func (call_indirect (i32.const 0)))",
                vec![1],
            ),
            (
                "(func (memory.copy (i32.const 0) (i32.const 0) (i32.const 0)))",
                vec![1],
            ),
        ] {
            assert_eq!(checked(functions).unwrap(), expected, "{functions}");
        }
    }

    #[test]
    fn calls_that_multiply_have_a_check_before_they_are_too_many() {
        let tower: String = (2..40)
            .map(|floor| format!("(func (call {floor}) (call {floor}))"))
            .collect();
        let checks = checked(&format!("{tower} (func nop)")).unwrap();
        let gaps: Vec<usize> = checks
            .split(|count| *count == 1)
            .map(<[usize]>::len)
            .collect();
        assert!(gaps.iter().all(|gap| *gap < 16), "{checks:?}");
    }

    #[test]
    fn work_without_end_has_a_check_every_so_often() {
        // Two instructions.
        let work = |instructions: usize| "(drop (i32.const 1))".repeat(instructions / 2);
        for (what, functions, expected) in [
            (
                "straight code, and its entry",
                format!("(func {})", work(60_000)),
                vec![3],
            ),
            (
                "calls, and the entry of what makes them",
                format!("(func {}) (func {})", "(call 2)".repeat(6), work(4_000)),
                vec![2, 0],
            ),
            (
                "a branch around the check",
                format!(
                    "(func {} (block (br_if 0 (i32.const 1)) {}) {})",
                    work(19_990),
                    work(20),
                    work(19_000)
                ),
                vec![3],
            ),
            (
                "one of two arms",
                format!(
                    "(func (if (i32.const 1) (then {}) (else (nop))) {})",
                    work(4_000),
                    work(17_000)
                ),
                vec![2],
            ),
            (
                "much to do behind a call that may go deep",
                format!("(func (call 1) {})", work(300)),
                vec![2],
            ),
            (
                "little to do behind it",
                format!("(func (call 1) {})", work(200)),
                vec![1],
            ),
        ] {
            assert_eq!(checked(&functions).unwrap(), expected, "{what}");
        }
    }

    #[test]
    fn modules_of_another_shape_are_left_alone() {
        for functions in [
            "(start 1) (func nop)",
            r#"(func (export "_initialize"))"#,
            "(memory 1) (func nop)",
            r#"(func (export "sandbar:stop"))"#,
        ] {
            assert_eq!(checked(functions), None, "{functions}");
        }
    }

    #[test]
    fn places_are_found_again() {
        let insertions = Insertions { at: vec![3, 10] };
        let length = CHECK.len() as u32;
        for (place, original) in [
            (0, 0),
            (2, 2),
            (3, 3),
            (3 + length - 1, 3),
            (3 + length, 3),
            (9 + length, 9),
            (10 + length, 10),
            (12 + 2 * length, 12),
        ] {
            assert_eq!(insertions.original(place), original, "{place}");
        }
    }
}
