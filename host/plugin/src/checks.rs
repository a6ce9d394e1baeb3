//! Puts checks into a core module by which a guest can be stopped from outside: it gets a memory of
//! its own of one page, and looks at its first byte wherever it could go on for ever. Pure.
//!
//! A check is a store of 0 into the first byte of that page. To stop the guest, the page is made
//! inaccessible: the next check traps. It costs one instruction, where wasmtime's epochs load,
//! compare and branch and keep two registers busy, and it stands only where it must:
//! - before each branch back to the head of a loop: most loops of a parser end in their first round;
//! - before each instruction that works on ranges or grows something;
//! - at the entry of each function that may call itself over others, that calls what is not known here
//!   (imports, tables), or that would do more than [`MOST_WORK`] instructions without any check.
//!
//! So between two checks there are few instructions, whatever the module does. That the compiler keeps
//! the check of a loop rests on its being a store: each round follows another last store than the round
//! before the first. A load of the same byte with no store in between is left out, and so would be a
//! loop's only check.
//!
//! Nothing of the module is renumbered: the memory comes behind its own, and all other bytes stay
//! as they are. A module whose own code could be reached before the host knows the page, or
//! that is not of the usual shape, is left to wasmtime's epochs.

use wasmparser::{FunctionBody, Operator, Parser, Payload, TypeRef, Validator, WasmFeatures};

/// What is compiled depends on this module: part of the key of compiled plugins.
pub(crate) const VERSION: u32 = 1;
/// The export under which the memory can be reached.
pub(crate) const MEMORY: &str = "sandbar:stop";
/// Instructions that a function may do at most, with all that it calls, if it has no check.
const MOST_WORK: u64 = 20_000;
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
struct Outline {
    imported_functions: u32,
    functions: Vec<Function>,
}

#[derive(Default)]
struct Function {
    /// Where checks must stand, in bytes of the module: branches back, work on ranges.
    points: Vec<usize>,
    /// Where the first instruction is.
    first: usize,
    /// Indexes into the functions with bodies, one for each call.
    calls: Vec<u32>,
    /// Calls an import or by a table.
    calls_unknown: bool,
    instructions: u64,
}

/// The module with checks; `None` where it is not of the shape for it.
pub(crate) fn insert(bytes: &[u8]) -> Option<Checked> {
    // Before the memory is there: afterwards its own code could name it.
    Validator::new_with_features(features())
        .validate_all(bytes)
        .ok()?;
    let outline = outline(bytes)?;
    let entries = entries(&outline.functions);
    splice(bytes, &outline, &entries)
}

/// What a module may be made of: `function` knows all its ways to branch, to call and to take long.
fn features() -> WasmFeatures {
    WasmFeatures::WASM2
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::RELAXED_SIMD
}

fn outline(bytes: &[u8]) -> Option<Outline> {
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
                let function = function(&body, outline.imported_functions)?;
                outline.functions.push(function);
            }
            _ => {}
        }
    }
    // One memory: then the index of ours, 1, needs no thought.
    (memories == 1).then_some(outline)
}

fn function(body: &FunctionBody<'_>, imported: u32) -> Option<Function> {
    let mut reader = body.get_operators_reader().ok()?;
    let mut function = Function {
        first: reader.original_position(),
        ..Function::default()
    };
    // Of each block around the instruction, the innermost last: whether it is a loop.
    let mut blocks = vec![false];
    while !reader.eof() {
        let at = reader.original_position();
        function.instructions += 1;
        let is_loop = |depth: u32| {
            let index = blocks.len().checked_sub(depth as usize + 1);
            index
                .and_then(|index| blocks.get(index))
                .copied()
                .unwrap_or(true)
        };
        match reader.read().ok()? {
            Operator::Loop { .. } => blocks.push(true),
            Operator::Block { .. } | Operator::If { .. } => blocks.push(false),
            Operator::End => drop(blocks.pop()),
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth }
                if is_loop(relative_depth) =>
            {
                function.points.push(at);
            }
            Operator::BrTable { targets } => {
                let mut back = is_loop(targets.default());
                for target in targets.targets() {
                    back |= is_loop(target.ok()?);
                }
                if back {
                    function.points.push(at);
                }
            }
            Operator::MemoryCopy { .. }
            | Operator::MemoryFill { .. }
            | Operator::MemoryInit { .. }
            | Operator::MemoryGrow { .. }
            | Operator::TableCopy { .. }
            | Operator::TableFill { .. }
            | Operator::TableInit { .. }
            | Operator::TableGrow { .. } => function.points.push(at),
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                match function_index.checked_sub(imported) {
                    Some(index) => function.calls.push(index),
                    None => function.calls_unknown = true,
                }
            }
            Operator::CallIndirect { .. } | Operator::ReturnCallIndirect { .. } => {
                function.calls_unknown = true;
            }
            _ => {}
        }
    }
    Some(function)
}

/// Which functions need a check at their entry.
fn entries(functions: &[Function]) -> Vec<bool> {
    /// Of a function that has been gone into and not yet left.
    const OPEN: u64 = u64::MAX;
    let mut checked: Vec<bool> = functions
        .iter()
        .map(|function| function.calls_unknown)
        .collect();
    // Instructions from a call until the first check in it, or until it is back.
    let mut work: Vec<Option<u64>> = vec![None; functions.len()];
    for root in 0..functions.len() {
        if work[root].is_some() {
            continue;
        }
        // Depth first with a stack of our own: a module may nest calls as deep as it likes.
        let mut stack = vec![(root, 0)];
        work[root] = Some(OPEN);
        while let Some((index, next)) = stack.last_mut() {
            let index = *index;
            if let Some(&callee) = functions[index].calls.get(*next) {
                *next += 1;
                let callee = callee as usize;
                match work.get(callee) {
                    Some(None) => {
                        work[callee] = Some(OPEN);
                        stack.push((callee, 0));
                    }
                    // It is under way, so this call closes a circle; each circle has such a call.
                    Some(Some(OPEN)) => checked[callee] = true,
                    _ => {}
                }
                continue;
            }
            stack.pop();
            let calls = functions[index]
                .calls
                .iter()
                .map(|&callee| match work[callee as usize] {
                    // Of a circle: it has a check at its entry.
                    Some(OPEN) | None => 1,
                    Some(work) => work,
                });
            let total = calls.fold(functions[index].instructions, u64::saturating_add);
            checked[index] |= total > MOST_WORK;
            work[index] = Some(if checked[index] { 1 } else { total });
        }
    }
    checked
}

/// Copies the module section by section and puts in what is new.
fn splice(bytes: &[u8], outline: &Outline, entries: &[bool]) -> Option<Checked> {
    let functions = u32::try_from(outline.functions.len()).ok()?;
    let mut out = bytes[..8].to_vec();
    let mut insertions = Vec::with_capacity(outline.functions.len());
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
                let index = insertions.len();
                let function = outline.functions.get(index)?;
                let range = body.range();
                let mut points = Vec::with_capacity(function.points.len() + 1);
                if entries[index] {
                    points.push(function.first);
                }
                points.extend_from_slice(&function.points);
                leb(
                    &mut code,
                    u32::try_from(range.len() + points.len() * CHECK.len()).ok()?,
                );
                let mut from = range.start;
                for &point in &points {
                    code.extend_from_slice(&bytes[from..point]);
                    code.extend_from_slice(&CHECK);
                    from = point;
                }
                code.extend_from_slice(&bytes[from..range.end]);
                insertions.push(Insertions {
                    at: (points.iter())
                        .map(|point| u32::try_from(point - range.start).unwrap_or(u32::MAX))
                        .collect(),
                });
                if insertions.len() == outline.functions.len() {
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
            ("(func (call 2)) (func (call 1))", vec![1, 0]),
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
