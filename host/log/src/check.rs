//! Looking a log over while nobody has it open, and mending what can be mended.
//!
//! A repair never moves a record: offsets are what checkpoints, lineage and readers hold. So what
//! can be read is kept at its offsets, and a lost range stays as a gap, marked in the header of the
//! segment behind it (`follows`). Cutting at the damage instead would throw away good records and
//! give their offsets to others. A read from inside a gap goes on at the first record behind it.

use std::{
    collections::BTreeMap,
    io::{self, IoSlice},
    ops::Range,
    path::{Path, PathBuf},
};

use sandbar_types::{Offset, PartitionId};

use crate::{
    Error, FileSystem, Result,
    embedded::{partition_number, topics},
    partition::io_error,
    segment::{self, HEADER, Header},
    survey::{Run, survey},
};

/// What a log holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    pub partitions: Vec<PartitionReport>,
}

impl Report {
    /// Whether nothing is damaged.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.partitions
            .iter()
            .all(|partition| partition.damage.is_empty())
    }
}

/// What one partition holds.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PartitionReport {
    pub partition: PartitionId,
    pub segments: u64,
    pub frames: u64,
    pub records: u64,
    pub earliest: Offset,
    pub tail: Offset,
    pub damage: Vec<DamagedRange>,
    /// Offsets that an earlier repair gave up.
    pub gaps: Vec<Range<Offset>>,
}

/// Bytes that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DamagedRange {
    pub file: String,
    pub bytes: Range<u64>,
    /// The offsets lost with them: empty for bytes at the very end that hold no acknowledged record
    /// as far as can be told.
    pub lost: Range<Offset>,
    pub detail: String,
}

/// One run of good frames, and the file that it stands in.
struct Piece {
    file: Offset,
    run: Run,
    /// Whether it is all that the file holds, with a sound header.
    whole: bool,
}

struct Findings {
    report: PartitionReport,
    pieces: Vec<Piece>,
    headers: BTreeMap<Offset, Option<Header>>,
    /// The offset from which on nothing was ever written, as far as can be told.
    tail: Offset,
}

fn context(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let context = format!("cannot {what} {}", path.display());
    move |source| io_error(context, source)
}

/// Reads every byte of the log in `folder` and says what is there. Changes nothing; the log must
/// not be open.
///
/// # Errors
/// [`Error::Io`] when a file cannot be read. Damage is no error: it is in the report.
pub fn verify(folder: &Path, files: &dyn FileSystem) -> Result<Report> {
    let mut report = Report::default();
    for (id, path) in partitions(folder, files)? {
        report.partitions.push(
            examine(&id, &path, files)
                .map_err(context("read", &path))?
                .report,
        );
    }
    Ok(report)
}

/// Mends every damaged partition of the log in `folder`: keeps what is readable at its offsets,
/// and keeps each damaged file aside as `*.damaged`. The log must not be open. With `dry_run`
/// nothing is changed. The report says what was found before.
///
/// # Errors
/// [`Error::Io`] when a file cannot be read or written; run it again then.
pub fn repair(folder: &Path, files: &dyn FileSystem, dry_run: bool) -> Result<Report> {
    let mut report = Report::default();
    for (id, path) in partitions(folder, files)? {
        let fail = || context("repair", &path);
        if !dry_run {
            finish_interrupted(&path, files).map_err(fail())?;
        }
        let findings = examine(&id, &path, files).map_err(fail())?;
        if !dry_run && !findings.report.damage.is_empty() {
            mend(&path, files, &findings).map_err(fail())?;
        }
        report.partitions.push(findings.report);
    }
    Ok(report)
}

fn partitions(folder: &Path, files: &dyn FileSystem) -> Result<Vec<(PartitionId, PathBuf)>> {
    let fail = || context("read", folder);
    let mut found = Vec::new();
    for (topic, name) in topics(files, folder).map_err(fail())? {
        for entry in files
            .list(&topic)
            .map_err(fail())?
            .into_iter()
            .filter(|entry| entry.directory)
        {
            if let Some(number) = partition_number(&entry.name) {
                found.push((
                    PartitionId::new(name.clone(), number),
                    topic.join(&entry.name),
                ));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn bases(folder: &Path, files: &dyn FileSystem, extension: &str) -> io::Result<Vec<Offset>> {
    let entries = files.list(folder)?;
    let mut bases: Vec<_> = entries
        .iter()
        .filter_map(|entry| segment::parse_name(&entry.name, extension))
        .collect();
    bases.sort_unstable();
    Ok(bases)
}

fn examine(id: &PartitionId, folder: &Path, files: &dyn FileSystem) -> io::Result<Findings> {
    let bases = bases(folder, files, ".seg")?;
    let mut report = PartitionReport {
        partition: id.clone(),
        segments: bases.len() as u64,
        frames: 0,
        records: 0,
        earliest: bases.first().copied().unwrap_or_default(),
        tail: 0,
        damage: Vec::new(),
        gaps: Vec::new(),
    };
    let mut pieces = Vec::new();
    let mut headers = BTreeMap::new();
    let mut before: Option<Offset> = None;
    if bases.is_empty() {
        report.damage.push(DamagedRange {
            file: folder.display().to_string(),
            bytes: 0..0,
            lost: 0..0,
            detail: "the partition's folder holds no segment".to_owned(),
        });
    }
    for (index, &base) in bases.iter().enumerate() {
        let path = segment::path(folder, base);
        let name = path.display().to_string();
        let bytes = segment::read_all(&*files.open(&path)?, 0)?;
        let length = bytes.len() as u64;
        let damaged = |bytes: Range<u64>, lost: Range<Offset>, detail: String| DamagedRange {
            file: name.clone(),
            bytes,
            lost,
            detail,
        };
        let header = Header::decode(&bytes).and_then(|header| {
            if header.base == base {
                Ok(header)
            } else {
                Err(format!("the header says base {}", header.base))
            }
        });
        if let Err(detail) = &header {
            report
                .damage
                .push(damaged(0..HEADER.min(length), base..base, detail.clone()));
        }
        if let (Ok(header), Some(before)) = (&header, before) {
            if header.follows != before {
                let lost = before.min(base)..base;
                report.damage.push(damaged(
                    0..0,
                    lost,
                    "records before this segment are missing".to_owned(),
                ));
            } else if before < base {
                report.gaps.push(before..base);
            }
        }
        let found = survey(
            bytes.get(HEADER as usize..).unwrap_or_default(),
            HEADER,
            base,
            u64::MAX,
        );
        let covered =
            segment::read_index_header(files, folder, base).map_or(base, |covers| covers.end);
        let next_base = bases.get(index + 1).copied();
        let known_end = next_base.unwrap_or(covered);
        for hole in &found.holes {
            let after = found
                .runs
                .iter()
                .find(|run| run.from >= hole.to)
                .map(|run| run.base);
            let end = after.unwrap_or(known_end).max(hole.offset);
            report.damage.push(damaged(
                hole.from..hole.to,
                hole.offset..end,
                hole.detail.clone(),
            ));
        }
        let end = found.end(base);
        if found.holes.is_empty() && next_base.is_none() && end < covered {
            report.damage.push(damaged(
                length..length,
                end..covered,
                "the end of the segment is missing".to_owned(),
            ));
        }
        let whole = found.holes.is_empty() && header.is_ok();
        headers.insert(base, header.ok());
        report.frames += found.runs.iter().map(|run| run.frames).sum::<u64>();
        report.records += found.runs.iter().map(|run| run.end - run.base).sum::<u64>();
        pieces.extend(found.runs.into_iter().map(|run| Piece {
            file: base,
            run,
            whole,
        }));
        before = Some(end);
        report.tail = end.max(if next_base.is_none() { covered } else { 0 });
    }
    let tail = report.tail;
    Ok(Findings {
        report,
        pieces,
        headers,
        tail,
    })
}

/// A repair that was interrupted left new segments beside the old one, or in its place.
fn finish_interrupted(folder: &Path, files: &dyn FileSystem) -> io::Result<()> {
    let repaired = bases(folder, files, ".repaired")?;
    let ready = files.list(folder)?.iter().any(|entry| entry.name == READY);
    for base in repaired {
        let path = folder.join(format!("{base:020}.repaired"));
        if ready {
            set_aside(folder, files, base)?;
            files.rename(&path, &segment::path(folder, base))?;
        } else {
            files.remove_file(&path)?;
        }
    }
    if ready {
        files.sync_dir(folder)?;
        files.remove_file(&folder.join(READY))?;
        files.sync_dir(folder)?;
    }
    Ok(())
}

/// Stands in the folder while repaired segments, all of them complete, take the place of others.
const READY: &str = "repair-ready";

fn set_aside(folder: &Path, files: &dyn FileSystem, base: Offset) -> io::Result<()> {
    let taken = files.list(folder)?;
    let name = format!("{base:020}.seg");
    if taken.iter().all(|entry| entry.name != name) {
        return Ok(());
    }
    let mut aside = format!("{name}.damaged");
    let mut number = 2;
    while taken.iter().any(|entry| entry.name == aside) {
        aside = format!("{name}.{number}.damaged");
        number += 1;
    }
    files.rename(&folder.join(name), &folder.join(aside))
}

/// Writes every piece that does not stand alone in a sound file as a segment of its own, then puts
/// them in place. Complete copies are on disk before anything is renamed.
fn mend(folder: &Path, files: &dyn FileSystem, findings: &Findings) -> io::Result<()> {
    let mut written = Vec::new();
    let mut before: Option<(Offset, u64)> = None;
    let write = |header: Header, body: &[u8]| {
        let file = files.create(&folder.join(format!("{:020}.repaired", header.base)))?;
        file.write_at(&mut [IoSlice::new(&header.encode()), IoSlice::new(body)], 0)?;
        file.sync_data()
    };
    for piece in &findings.pieces {
        let run = &piece.run;
        let (follows, time) = before.unwrap_or((run.base, 0));
        let kept = findings.headers.get(&piece.file).copied().flatten();
        if !(piece.whole
            && kept.is_some_and(|header| before.is_none() || header.follows == follows))
        {
            let mut body = Vec::new();
            let file = files.open(&segment::path(folder, piece.file))?;
            file.read_at(&mut body, run.from, (run.to - run.from) as usize)?;
            write(
                Header {
                    base: run.base,
                    follows,
                    time,
                },
                &body,
            )?;
            written.push(run.base);
        }
        before = Some((run.end, run.last_time));
    }
    let last_file = findings.headers.keys().next_back().copied();
    let end = before.map_or(findings.tail, |(end, _)| end);
    let empty_last =
        last_file.is_some_and(|last| findings.pieces.iter().all(|piece| piece.file != last));
    if findings.tail > end || findings.pieces.is_empty() || empty_last {
        // Offsets that were given out are never given out again.
        let base = findings.tail.max(end).max(last_file.unwrap_or_default());
        let (follows, time) = before.unwrap_or((base, 0));
        write(
            Header {
                base,
                follows,
                time,
            },
            &[],
        )?;
        written.push(base);
    }
    files.create(&folder.join(READY))?.sync_data()?;
    files.sync_dir(folder)?;
    for &base in findings.headers.keys() {
        let kept = findings
            .pieces
            .iter()
            .any(|piece| piece.file == base && piece.whole);
        if !kept && !written.contains(&base) {
            set_aside(folder, files, base)?;
        }
        let _ = files.remove_file(&segment::index_path(folder, base));
    }
    finish_interrupted(folder, files)
}
