//! Where the checks of one function stand: goes through its instructions once and counts, on the
//! longest way to each, what a guest does without a check. Pure.
//!
//! Instructions are counted, not time; one that works on a range counts as one and has a check of its own.

use wasmparser::{FunctionBody, Operator};

/// Instructions that a guest may do at most from one check to the next, whatever calls lie between.
pub(super) const MOST_WORK: u32 = 20_000;
/// A function that may do more before its first check gets one at its entry, so that calls of it cost
/// their callers nothing.
const MOST_BEFORE_FIRST: u32 = MOST_WORK / 4;
/// What a call has done after its last check when that is not known. It leaves some instructions
/// until the next check: most functions return before, and the calls that one stack can hold, each with
/// so many, come to a few million.
const UNKNOWN: u32 = MOST_WORK - 256;

/// What callers must know of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    /// Instructions at most from the call to the first check, or until it is back.
    head: u32,
    /// Instructions at most from the last check, or from the call, until it is back.
    tail: u32,
}

/// What a function needs.
pub(super) struct Found {
    /// Where checks must stand, in bytes of the module, in order.
    pub(super) points: Vec<usize>,
    pub(super) summary: Summary,
}

/// Instructions on the longest way to a place.
#[derive(Clone, Copy, Default)]
struct Way {
    /// Since the last check, or since the function was called.
    since: u32,
    /// Since the function was called, where no check was met.
    head: Option<u32>,
}

/// No way leads here: the code behind a branch.
type Ways = Option<Way>;

fn join(one: Ways, other: Ways) -> Ways {
    match (one, other) {
        (Some(one), Some(other)) => Some(Way {
            since: one.since.max(other.since),
            head: one.head.max(other.head),
        }),
        (one, other) => one.or(other),
    }
}

/// A block around an instruction.
#[derive(Default)]
struct Block {
    is_loop: bool,
    /// Of the branches to its end.
    end: Ways,
    /// Of the way past an `if` that has no `else`, as far as it is known.
    without: Ways,
}

struct Walk {
    points: Vec<usize>,
    blocks: Vec<Block>,
    here: Ways,
    /// The most that was done before the first check.
    head: u32,
    /// Of all ways out.
    out: Ways,
}

/// Walks through a function. `summary` tells of each function of the module, by its index; `None` is
/// an import, or a function that waits for this one.
pub(super) fn walk(
    body: &FunctionBody<'_>,
    summary: impl Fn(u32) -> Option<Summary>,
) -> Option<Found> {
    let mut reader = body.get_operators_reader().ok()?;
    let first = reader.original_position();
    let mut walk = Walk {
        points: Vec::new(),
        blocks: vec![Block::default()],
        here: Some(Way {
            since: 0,
            head: Some(0),
        }),
        head: 0,
        out: None,
    };
    while !reader.eof() {
        let at = reader.original_position();
        walk.step(at, &reader.read().ok()?, &summary)?;
    }
    let at_entry = walk.head > MOST_BEFORE_FIRST;
    if at_entry && walk.points.first() != Some(&first) {
        walk.points.insert(0, first);
    }
    Some(Found {
        points: walk.points,
        summary: Summary {
            head: if at_entry { 1 } else { walk.head },
            tail: walk.out.map_or(0, |way| way.since),
        },
    })
}

impl Walk {
    fn step(
        &mut self,
        at: usize,
        operator: &Operator<'_>,
        summary: &impl Fn(u32) -> Option<Summary>,
    ) -> Option<()> {
        match operator {
            Operator::Block { .. } => self.blocks.push(Block::default()),
            Operator::Loop { .. } => self.blocks.push(Block {
                is_loop: true,
                ..Block::default()
            }),
            Operator::If { .. } => {
                self.work(at, 1);
                self.blocks.push(Block {
                    without: self.here,
                    ..Block::default()
                });
            }
            Operator::Else => {
                let block = self.blocks.last_mut()?;
                block.end = join(block.end, self.here);
                self.here = block.without.take();
            }
            Operator::End => {
                let block = self.blocks.pop()?;
                self.here = join(self.here, join(block.end, block.without));
                if self.blocks.is_empty() {
                    self.leave();
                }
            }
            Operator::Br { relative_depth } => {
                self.work(at, 1);
                self.branch(at, &[*relative_depth])?;
                self.here = None;
            }
            Operator::BrIf { relative_depth } => {
                self.work(at, 1);
                self.branch(at, &[*relative_depth])?;
            }
            Operator::BrTable { targets } => {
                self.work(at, 1);
                let mut all: Vec<u32> = targets.targets().collect::<Result<_, _>>().ok()?;
                all.push(targets.default());
                self.branch(at, &all)?;
                self.here = None;
            }
            Operator::Return => {
                self.work(at, 1);
                self.leave();
            }
            Operator::Unreachable => self.here = None,
            Operator::Call { function_index } => self.call(at, summary(*function_index)),
            Operator::CallIndirect { .. } => self.call(at, None),
            Operator::ReturnCall { function_index } => {
                self.call(at, summary(*function_index));
                self.leave();
            }
            Operator::ReturnCallIndirect { .. } => {
                self.call(at, None);
                self.leave();
            }
            Operator::MemoryCopy { .. }
            | Operator::MemoryFill { .. }
            | Operator::MemoryInit { .. }
            | Operator::MemoryGrow { .. }
            | Operator::TableCopy { .. }
            | Operator::TableFill { .. }
            | Operator::TableInit { .. }
            | Operator::TableGrow { .. } => {
                self.check(at);
                self.work(at, 1);
            }
            _ => self.work(at, 1),
        }
        Some(())
    }

    /// A check before the instruction at `at`.
    fn check(&mut self, at: usize) {
        let Some(way) = &mut self.here else { return };
        *way = Way::default();
        if self.points.last() != Some(&at) {
            self.points.push(at);
        }
    }

    /// So many instructions, before which a check is put when they would be too many.
    fn work(&mut self, at: usize, instructions: u32) {
        if self
            .here
            .is_some_and(|way| way.since + instructions > MOST_WORK)
        {
            self.check(at);
        }
        let Some(way) = &mut self.here else { return };
        way.since += instructions;
        if let Some(head) = &mut way.head {
            *head += instructions;
            self.head = self.head.max(*head);
        }
    }

    fn call(&mut self, at: usize, callee: Option<Summary>) {
        match callee {
            Some(callee) => {
                self.work(at, callee.head + 1);
                if let Some(way) = &mut self.here {
                    way.since = way.since.max(callee.tail);
                }
            }
            // Of a circle, an import, or by a table.
            None => {
                self.check(at);
                if let Some(way) = &mut self.here {
                    way.since = UNKNOWN;
                }
            }
        }
    }

    fn branch(&mut self, at: usize, depths: &[u32]) -> Option<()> {
        let index = |depth: &u32| self.blocks.len().checked_sub(*depth as usize + 1);
        let targets: Vec<usize> = depths.iter().map(index).collect::<Option<_>>()?;
        if targets.iter().any(|&target| self.blocks[target].is_loop) {
            self.check(at);
        }
        for target in targets {
            let block = &mut self.blocks[target];
            if !block.is_loop {
                block.end = join(block.end, self.here);
            }
        }
        Some(())
    }

    fn leave(&mut self) {
        self.out = join(self.out, self.here.take());
    }
}
