//! From what a guest answered to what stands: checks the answer against the batch, fills in what is
//! inherited, and finds the events whose outputs cannot stand. Pure.
//!
//! Faults are pinned on single events where the answer allows it; an answer that makes no sense as
//! a whole is an error, and the caller tries the batch in halves. So is one with a wrong value that
//! stands for all outputs: which event led to it, only halves tell.

use std::collections::BTreeMap;

use sandbar_types::{Batch, BatchBuilder, Column, ColumnBuilder, Name};

use crate::{Fault, FaultKind, Limits, Verdict, attributes};

/// The value of an attribute that an output does not have although the event has it.
pub(crate) const REMOVED: &[u8] = b"\0";

const EXTENSIONS: usize = 7;
const DATA: usize = 8;

/// An answer in columns, as it came from a guest; nothing in it is trusted.
pub(crate) struct Raw {
    pub(crate) kinds: Vec<Kind>,
    pub(crate) counts: Vec<u32>,
    pub(crate) reasons: Column,
    /// How many outputs the columns claim to have.
    pub(crate) count: usize,
    pub(crate) outputs: [Column; 9],
    pub(crate) targets: Column,
    pub(crate) has_data: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Emit,
    Drop,
    Reject,
    Retry,
}

/// What stands of one call.
#[derive(Debug, PartialEq)]
pub(crate) struct Piece {
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) outputs: Batch,
    pub(crate) targets: Vec<u16>,
}

/// One output that is wanted: where it stands in the answer, and whose it is.
#[derive(Clone, Copy)]
struct Row {
    output: usize,
    event: usize,
    /// 0 for the event's first output.
    nth: usize,
}

struct Rows {
    list: Vec<Row>,
    /// Output `i` of the answer belongs to event `i`, for all events.
    one_to_one: bool,
    /// All outputs of the answer are wanted.
    all: bool,
}

type Faults = BTreeMap<usize, Fault>;

/// Judges and completes an answer to `batch`.
///
/// # Errors
/// When no single event can be blamed.
pub(crate) fn resolve(
    raw: Raw,
    batch: &Batch,
    targets: &[Name],
    limits: &Limits,
) -> Result<Piece, Fault> {
    check_shape(&raw, batch)?;
    let mut faults = Faults::new();
    let rows = rows(&raw.counts, limits, &mut faults);
    // A wrong value that stands for all outputs.
    let shared = |column: &Column, faults: &mut Faults| match column {
        Column::Same(_) if batch.len() > 1 => faults.pop_first().map(|(_, fault)| fault),
        _ => None,
    };
    let mut found = Faults::new();
    let chosen = choose_targets(&raw.targets, &rows, targets, &mut found);
    if let Some(fault) = shared(&raw.targets, &mut found) {
        return Err(fault);
    }
    add(&mut faults, found);
    let mut budget = limits.output_bytes;
    let mut columns: [Column; 9] = std::array::from_fn(|_| Column::Empty);
    for (index, column) in columns.iter_mut().enumerate() {
        let (raw_column, inherited) = (&raw.outputs[index], &batch.columns()[index]);
        let mut found = Faults::new();
        *column = match index {
            EXTENSIONS => extensions(raw_column, inherited, &rows, &mut budget, &mut found)?,
            DATA => data(raw_column, &raw.has_data, inherited, &rows, &mut budget)?,
            _ => {
                judge(index, raw_column, &rows, &mut found);
                attribute(index, raw_column, inherited, &rows, &mut budget)?
            }
        };
        if let Some(fault) = shared(raw_column, &mut found) {
            return Err(fault);
        }
        add(&mut faults, found);
    }
    if rows.list.is_empty() {
        return Ok(settle(&raw, &rows, Batch::empty(), chosen, faults));
    }
    let outputs = Batch::from_columns(rows.list.len(), columns)
        .map_err(|error| bad_answer(format!("the outputs do not hold together: {error}")))?;
    Ok(settle(&raw, &rows, outputs, chosen, faults))
}

fn bad_answer(message: String) -> Fault {
    Fault {
        kind: FaultKind::BadAnswer,
        message,
        backtrace: String::new(),
    }
}

fn check_shape(raw: &Raw, batch: &Batch) -> Result<(), Fault> {
    let events = batch.len();
    let lengths = [("kinds", raw.kinds.len()), ("counts", raw.counts.len())];
    if let Some((name, found)) = lengths.into_iter().find(|(_, length)| *length != events) {
        return Err(bad_answer(format!(
            "{name} has {found} entries for {events} events"
        )));
    }
    let wanted: u64 = raw.counts.iter().map(|count| u64::from(*count)).sum();
    if wanted != raw.count as u64 {
        return Err(bad_answer(format!(
            "counts sum to {wanted}, but there are {} outputs",
            raw.count
        )));
    }
    let stray = raw
        .kinds
        .iter()
        .zip(&raw.counts)
        .position(|(kind, count)| *kind != Kind::Emit && *count > 0);
    if let Some(event) = stray {
        return Err(bad_answer(format!(
            "event {event} has outputs without being emitted"
        )));
    }
    if !raw.has_data.is_empty() && raw.has_data.len() != raw.count {
        return Err(bad_answer(format!(
            "has-data has {} entries for {} outputs",
            raw.has_data.len(),
            raw.count
        )));
    }
    check_column("reasons", &raw.reasons, events, true)?;
    check_column("targets", &raw.targets, raw.count, true)?;
    for (index, column) in raw.outputs.iter().enumerate() {
        check_column(
            sandbar_types::batch::COLUMN_NAMES[index],
            column,
            raw.count,
            index != DATA,
        )?;
    }
    Ok(())
}

fn check_column(name: &str, column: &Column, count: usize, text: bool) -> Result<(), Fault> {
    let (bytes, ends) = match column {
        Column::Empty => return Ok(()),
        Column::Same(bytes) => (bytes, [].as_slice()),
        Column::Each { bytes, ends } => {
            if ends.len() != count {
                return Err(bad_answer(format!(
                    "the column {name} has {} ends for {count} values",
                    ends.len()
                )));
            }
            let ordered = ends.is_sorted();
            if !ordered || ends.last().map_or(0, |&end| end as usize) != bytes.len() {
                return Err(bad_answer(format!(
                    "the column {name} has ends that go backwards or past its bytes"
                )));
            }
            (bytes, ends.as_slice())
        }
    };
    if !text {
        return Ok(());
    }
    match std::str::from_utf8(bytes) {
        Ok(_) if bytes.is_ascii() => Ok(()),
        Ok(text) if ends.iter().all(|&end| text.is_char_boundary(end as usize)) => Ok(()),
        _ => Err(bad_answer(format!("the column {name} is not UTF-8"))),
    }
}

fn rows(counts: &[u32], limits: &Limits, faults: &mut Faults) -> Rows {
    let mut rows = Rows {
        list: Vec::with_capacity(counts.len()),
        one_to_one: true,
        all: true,
    };
    let mut output = 0;
    for (event, &count) in counts.iter().enumerate() {
        let count = count as usize;
        rows.one_to_one &= count == 1;
        if count > limits.outputs_per_event {
            rows.all = false;
            let message = format!(
                "{count} outputs; at most {} are allowed for one event",
                limits.outputs_per_event
            );
            faults.insert(
                event,
                Fault {
                    kind: FaultKind::FanOut,
                    message,
                    backtrace: String::new(),
                },
            );
        } else {
            rows.list.extend((0..count).map(|nth| Row {
                output: output + nth,
                event,
                nth,
            }));
        }
        output += count;
    }
    rows.one_to_one &= rows.all;
    rows
}

fn choose_targets(raw: &Column, rows: &Rows, targets: &[Name], faults: &mut Faults) -> Vec<u16> {
    let find = |name: &[u8]| -> Option<u16> {
        if name.is_empty() {
            return Some(0);
        }
        let found = targets
            .iter()
            .position(|target| target.as_str().as_bytes() == name)?;
        u16::try_from(found).ok()
    };
    let alike = match raw {
        Column::Empty => Some(0),
        Column::Same(name) => find(name),
        Column::Each { .. } => None,
    };
    if let Some(target) = alike {
        return vec![target; rows.list.len()];
    }
    let mut chosen = Vec::with_capacity(rows.list.len());
    for row in &rows.list {
        let name = raw.get(row.output);
        chosen.push(find(name).unwrap_or_else(|| {
            let declared: Vec<&str> = targets.iter().map(Name::as_str).collect();
            let message = format!(
                "the output names the target {:?}; declared are {}",
                String::from_utf8_lossy(name),
                declared.join(", ")
            );
            blame(faults, row.event, FaultKind::UndeclaredTarget, message);
            0
        }));
    }
    chosen
}

fn blame(faults: &mut Faults, event: usize, kind: FaultKind, message: String) {
    faults.entry(event).or_insert(Fault {
        kind,
        message,
        backtrace: String::new(),
    });
}

/// The first thing found wrong with an event is the one that is told.
fn add(faults: &mut Faults, found: Faults) {
    for (event, fault) in found {
        faults.entry(event).or_insert(fault);
    }
}

/// Finds illegal values among those that the guest set.
fn judge(index: usize, raw: &Column, rows: &Rows, faults: &mut Faults) {
    let required = index < attributes::REQUIRED;
    let name = sandbar_types::batch::COLUMN_NAMES[index];
    let wrong = |value: &[u8]| -> Option<&'static str> {
        match value {
            [] => None,
            REMOVED => required.then_some("must not be removed"),
            value => attributes::wrong(index, std::str::from_utf8(value).unwrap_or("\0")),
        }
    };
    let suspects = match raw {
        Column::Empty => return,
        Column::Same(value) => wrong(value).is_some(),
        // Only the time and URIs have a form of their own.
        Column::Each { bytes, .. } => {
            matches!(index, 1 | 4 | 6) || attributes::may_have_control(bytes)
        }
    };
    if suspects {
        for row in &rows.list {
            if let Some(wrong) = wrong(raw.get(row.output)) {
                let value = String::from_utf8_lossy(raw.get(row.output)).into_owned();
                let message = format!("the output's {name} {wrong}: {value:?}");
                blame(faults, row.event, FaultKind::BadAnswer, message);
            }
        }
    }
}

fn attribute(
    index: usize,
    raw: &Column,
    inherited: &Column,
    rows: &Rows,
    budget: &mut usize,
) -> Result<Column, Fault> {
    match raw {
        Column::Same(value) if value.as_ref() == REMOVED => return Ok(Column::Empty),
        Column::Same(value) => return Ok(Column::Same(value.clone())),
        Column::Each { bytes, ends } if rows.all && all_set(ends) && !bytes.contains(&0) => {
            return Ok(raw.clone());
        }
        Column::Empty if index != 0 || rows.one_to_one => return inherit(inherited, rows, budget),
        Column::Empty | Column::Each { .. } => {}
    }
    let mut column = ColumnBuilder::default();
    let mut suffixed = Vec::new();
    for row in &rows.list {
        let value = match raw.get(row.output) {
            REMOVED => &[][..],
            // A second output with the id of the first would count as the same event.
            [] if index == 0 && row.nth > 0 => {
                suffixed.clear();
                suffixed.extend_from_slice(inherited.get(row.event));
                suffixed.extend_from_slice(format!("/{}", row.nth).as_bytes());
                &suffixed
            }
            [] => inherited.get(row.event),
            value => value,
        };
        spend(budget, value.len())?;
        column.push(value);
    }
    Ok(column.finish())
}

fn all_set(ends: &[u32]) -> bool {
    ends.first().is_some_and(|&end| end > 0) && ends.windows(2).all(|pair| pair[0] < pair[1])
}

fn inherit(inherited: &Column, rows: &Rows, budget: &mut usize) -> Result<Column, Fault> {
    match inherited {
        Column::Each { .. } if !rows.one_to_one => {
            let mut column = ColumnBuilder::default();
            for row in &rows.list {
                let value = inherited.get(row.event);
                spend(budget, value.len())?;
                column.push(value);
            }
            Ok(column.finish())
        }
        // Shared, not copied.
        whole => Ok(whole.clone()),
    }
}

fn spend(budget: &mut usize, bytes: usize) -> Result<(), Fault> {
    *budget = budget.checked_sub(bytes).ok_or_else(|| Fault {
        kind: FaultKind::OutputLimit,
        message: "the outputs, with what they inherit, have more bytes than the limit".to_owned(),
        backtrace: String::new(),
    })?;
    Ok(())
}

fn data(
    raw: &Column,
    has: &[u8],
    inherited: &Column,
    rows: &Rows,
    budget: &mut usize,
) -> Result<Column, Fault> {
    if !has.is_empty() && has.iter().all(|&has| has == 0) {
        return inherit(inherited, rows, budget);
    }
    if rows.all && (has.is_empty() || has.iter().all(|&has| has != 0)) {
        return Ok(raw.clone());
    }
    let mut column = ColumnBuilder::default();
    for row in &rows.list {
        let set = has.get(row.output).is_none_or(|&has| has != 0);
        let value = if set {
            raw.get(row.output)
        } else {
            inherited.get(row.event)
        };
        spend(budget, value.len())?;
        column.push(value);
    }
    Ok(column.finish())
}

struct Merged<'a> {
    set: &'a [u8],
    from: &'a [u8],
    merged: Result<String, String>,
}

fn extensions(
    raw: &Column,
    inherited: &Column,
    rows: &Rows,
    budget: &mut usize,
    faults: &mut Faults,
) -> Result<Column, Fault> {
    if *raw == Column::Empty {
        return inherit(inherited, rows, budget);
    }
    let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
    let mut column = ColumnBuilder::default();
    // Most batches set the same over the same.
    let mut last: Option<Merged<'_>> = None;
    for row in &rows.list {
        let (set, from) = (raw.get(row.output), inherited.get(row.event));
        if set.is_empty() {
            spend(budget, from.len())?;
            column.push(from);
            continue;
        }
        let known = (last.as_ref()).is_some_and(|last| last.set == set && last.from == from);
        if !known {
            let merged = attributes::merge_extensions(text(from), text(set));
            last = Some(Merged { set, from, merged });
        }
        match last.as_ref().map(|last| &last.merged) {
            Some(Ok(merged)) => {
                spend(budget, merged.len())?;
                column.push(merged.as_bytes());
            }
            Some(Err(error)) => {
                blame(
                    faults,
                    row.event,
                    FaultKind::BadAnswer,
                    format!("the output's extensions: {error}"),
                );
                column.push(b"");
            }
            None => {}
        }
    }
    Ok(column.finish())
}

/// Puts verdicts and outputs together, leaving out the outputs of events at fault.
fn settle(raw: &Raw, rows: &Rows, outputs: Batch, targets: Vec<u16>, mut faults: Faults) -> Piece {
    let (outputs, targets) = if faults.is_empty() {
        (outputs, targets)
    } else {
        let mut kept = BatchBuilder::new();
        let mut kept_targets = Vec::new();
        for (index, row) in rows.list.iter().enumerate() {
            if !faults.contains_key(&row.event) {
                kept.push(outputs.get(index));
                kept_targets.push(targets[index]);
            }
        }
        (kept.finish(), kept_targets)
    };
    let mut first = 0;
    let mut verdicts = Vec::with_capacity(raw.kinds.len());
    for (event, (kind, &count)) in raw.kinds.iter().zip(&raw.counts).enumerate() {
        let reason = || String::from_utf8_lossy(raw.reasons.get(event)).into_owned();
        verdicts.push(match (faults.remove(&event), kind) {
            (Some(fault), _) => Verdict::Fault(fault),
            (None, Kind::Emit) if count == 0 => Verdict::Drop(String::new()),
            (None, Kind::Emit) => {
                let count = count as usize;
                first += count;
                Verdict::Emit {
                    first: first - count,
                    count,
                }
            }
            (None, Kind::Drop) => Verdict::Drop(reason()),
            (None, Kind::Reject) => Verdict::Reject(reason()),
            (None, Kind::Retry) => Verdict::Retry(reason()),
        });
    }
    Piece {
        verdicts,
        outputs,
        targets,
    }
}

#[cfg(test)]
mod tests;
