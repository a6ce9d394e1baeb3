//! Whether a reader's schema reads what a writer's schema writes: the specification's section "Schema
//! Resolution", asked of types instead of data.
//!
//! Every pair of types that can meet is taken to fit until it is shown that it does not, and what
//! depends on it is looked at again then. So recursive types need no special care, and nothing
//! recurses: schemas may be as deep as they like.

use std::collections::{HashMap, HashSet};

use crate::{
    Finding,
    logical::Logical,
    name,
    node::{Enum, Field, Id, Kind, Named, Record, Types},
};

/// So many findings are told.
const MOST: usize = 200;
/// Of a union so many branches are told, with the reason why the nearest is none, after a look at so
/// many pairs.
const EXPLAINED: usize = 20;
const PAIRS_EXPLAINED: usize = 1000;

/// A type of the reader's and one of the writer's.
pub(crate) type Pair = (Id, Id);

/// Which pairs fit.
#[derive(Debug)]
pub(crate) struct Fits {
    pairs: HashMap<Pair, bool>,
}

impl Fits {
    pub(crate) fn new(reader: &Types, writer: &Types) -> Self {
        let root = (reader.root, writer.root);
        let mut pairs = HashMap::from([(root, true)]);
        let mut depend: HashMap<Pair, Vec<Pair>> = HashMap::new();
        let mut waiting = vec![root];
        while let Some(pair) = waiting.pop() {
            if pairs.get(&pair) == Some(&false) {
                continue;
            }
            let mut met = Vec::new();
            let fits = judge(reader, writer, pair, &mut |inner| {
                met.push(inner);
                pairs.get(&inner).copied().unwrap_or(true)
            });
            for inner in met {
                depend.entry(inner).or_default().push(pair);
                pairs.entry(inner).or_insert_with(|| {
                    waiting.push(inner);
                    true
                });
            }
            if !fits {
                pairs.insert(pair, false);
                waiting.extend(depend.remove(&pair).unwrap_or_default());
            }
        }
        Self { pairs }
    }

    pub(crate) fn fit(&self, pair: Pair) -> bool {
        self.pairs.get(&pair).copied().unwrap_or(false)
    }
}

/// Whether a pair fits, where `fit` says it of the pairs within it.
fn judge(
    reader: &Types,
    writer: &Types,
    (read, written): Pair,
    fit: &mut dyn FnMut(Pair) -> bool,
) -> bool {
    // All are asked, so that all are known.
    let mut all =
        |pairs: &mut dyn Iterator<Item = Pair>| pairs.fold(true, |all, pair| fit(pair) & all);
    match (reader.kind(read), writer.kind(written)) {
        (_, Kind::Union(union)) => all(&mut union.branches.iter().map(|&branch| (read, branch))),
        (Kind::Union(union), kind) => union
            .candidates(kind)
            .into_iter()
            .fold(false, |any, place| {
                fit((union.branches[place], written)) | any
            }),
        (&Kind::Array(one), &Kind::Array(other)) | (&Kind::Map(one), &Kind::Map(other)) => {
            fit((one, other))
        }
        (Kind::Record(one), Kind::Record(other)) => {
            if !same_name(&one.named, &other.named) {
                return false;
            }
            let sources = sources(one, other);
            one.fields
                .iter()
                .zip(sources)
                .fold(true, |all, (field, source)| {
                    all & match source {
                        Some(source) => fit((field.schema, other.fields[source].schema)),
                        None => field.default.is_some(),
                    }
                })
        }
        _ => mismatch(reader, writer, (read, written)).is_none(),
    }
}

/// For each field of the reader's record the writer's field that it is read from: the one of its name,
/// else the one of an alias, unless the reader has a field of that name itself.
pub(crate) fn sources(reader: &Record, writer: &Record) -> Vec<Option<usize>> {
    let mut taken = HashSet::new();
    let by_alias = |field: &Field, taken: &mut HashSet<usize>| {
        field
            .aliases
            .iter()
            .filter(|alias| !reader.by_name.contains_key(*alias))
            .filter_map(|alias| writer.by_name.get(alias).copied())
            .find(|&source| taken.insert(source))
    };
    reader
        .fields
        .iter()
        .map(|field| {
            let same = writer.by_name.get(&field.name).copied();
            same.or_else(|| by_alias(field, &mut taken))
        })
        .collect()
}

/// Whether the names of two types match: without namespace, or by an alias of the reader's.
pub(crate) fn same_name(reader: &Named, writer: &Named) -> bool {
    name::simple(&reader.full) == name::simple(&writer.full)
        || reader.aliases.contains(&writer.full)
}

/// Whether a type of the reader's takes the writer's by promotion.
pub(crate) fn promoted(reader: &Kind, writer: &Kind) -> bool {
    matches!(
        (reader, writer),
        (Kind::Long, Kind::Int)
            | (Kind::Float, Kind::Int | Kind::Long)
            | (Kind::Double, Kind::Int | Kind::Long | Kind::Float)
            | (Kind::Bytes, Kind::String)
            | (Kind::String, Kind::Bytes)
    )
}

/// The symbols that the writer has and the reader does not, unless those are read as its default.
fn missing<'a>(reader: &Enum, writer: &'a Enum) -> Vec<&'a str> {
    if reader.default.is_some() {
        return Vec::new();
    }
    let symbols = writer.symbols.iter();
    symbols
        .filter(|symbol| !reader.by_symbol.contains_key(*symbol))
        .map(String::as_str)
        .collect()
}

/// What is wrong between two types themselves, without what is in them: rule, place and message.
pub(crate) fn mismatch(
    reader: &Types,
    writer: &Types,
    (read, written): Pair,
) -> Option<(&'static str, &'static str, String)> {
    let (one, other) = (reader.node(read), writer.node(written));
    if let (Some(named), Some(written)) = (one.kind.named(), other.kind.named())
        && one.kind.word() == other.kind.word()
        && !same_name(named, written)
    {
        let message = format!(
            "the reader's {} is {}, the writer's {}; an alias would make them the same",
            one.kind.word(),
            named.full,
            written.full
        );
        return Some(("NAME_MISMATCH", "/name", message));
    }
    match (&one.kind, &other.kind) {
        (Kind::Fixed(fixed), Kind::Fixed(written)) if fixed.size != written.size => {
            let message = format!(
                "the reader's {} has {} bytes, the writer's {}",
                fixed.named.full, fixed.size, written.size
            );
            Some(("FIXED_SIZE_MISMATCH", "/size", message))
        }
        (Kind::Enum(symbols), Kind::Enum(written)) => {
            let missing = missing(symbols, written);
            (!missing.is_empty()).then(|| {
                let shown = missing
                    .iter()
                    .take(10)
                    .copied()
                    .collect::<Vec<_>>()
                    .join(", ");
                let more = match missing.len().saturating_sub(10) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                let message = format!(
                    "the reader's {} has no default and lacks the writer's {shown}{more}",
                    symbols.named.full
                );
                ("MISSING_ENUM_SYMBOLS", "/symbols", message)
            })
        }
        (kind, written) if kind.word() == written.word() || promoted(kind, written) => {
            logical(one.logical, other.logical).map(|message| ("TYPE_MISMATCH", "", message))
        }
        (Kind::Union(_), _) | (_, Kind::Union(_)) => None,
        (kind, written) => {
            let message = format!(
                "reader's type {} does not take the writer's {}",
                kind.word().to_uppercase(),
                written.word().to_uppercase()
            );
            Some(("TYPE_MISMATCH", "", message))
        }
    }
}

fn logical(reader: Option<Logical>, writer: Option<Logical>) -> Option<String> {
    Logical::differ(reader?, writer?)
}

pub(crate) fn compare(reader: &Types, writer: &Types) -> Vec<Finding> {
    let fits = Fits::new(reader, writer);
    let mut findings = Vec::new();
    let root = (reader.root, writer.root);
    gather(reader, writer, &fits, root, true, &mut findings);
    findings
}

/// All that is wrong below a pair, each pair once. Unions say why their nearest branch does not fit
/// where `explain` asks for it.
fn gather(
    reader: &Types,
    writer: &Types,
    fits: &Fits,
    root: Pair,
    explain: bool,
    findings: &mut Vec<Finding>,
) {
    let mut seen = HashSet::new();
    let mut waiting = vec![(root, String::new())];
    while let Some((pair, path)) = waiting.pop() {
        if fits.fit(pair) || !seen.insert(pair) {
            continue;
        }
        let enough = findings.len() >= MOST || (!explain && seen.len() > PAIRS_EXPLAINED);
        if enough {
            return;
        }
        let explain = (explain && findings.len() < EXPLAINED).then_some(fits);
        let (read, written) = pair;
        let mut found = |rule, place: &str, message| {
            let path = format!("{path}{place}");
            findings.push(Finding {
                rule,
                path: if path.is_empty() {
                    "/".to_owned()
                } else {
                    path
                },
                message,
            });
        };
        let before = waiting.len();
        match (reader.kind(read), writer.kind(written)) {
            (Kind::Union(_), Kind::Union(union)) => {
                let missing = union.branches.iter().enumerate();
                let missing = missing.filter(|&(_, &branch)| !fits.fit((read, branch)));
                for (index, &branch) in missing.take(EXPLAINED) {
                    let message = lacking(reader, writer, (read, branch), explain);
                    found("MISSING_UNION_BRANCH", &format!("/{index}"), message);
                }
            }
            (_, Kind::Union(union)) => {
                let branches = union.branches.iter();
                waiting.extend(branches.map(|&branch| ((read, branch), path.clone())));
            }
            (Kind::Union(_), _) => {
                let message = lacking(reader, writer, pair, explain);
                found("MISSING_UNION_BRANCH", "", message);
            }
            (&Kind::Array(one), &Kind::Array(other)) => {
                waiting.push(((one, other), format!("{path}/items")));
            }
            (&Kind::Map(one), &Kind::Map(other)) => {
                waiting.push(((one, other), format!("{path}/values")));
            }
            (Kind::Record(one), Kind::Record(other)) => {
                if let Some((rule, place, message)) = mismatch(reader, writer, pair) {
                    found(rule, place, message);
                }
                let sources = sources(one, other);
                for (index, (field, source)) in one.fields.iter().zip(sources).enumerate() {
                    match source {
                        Some(source) => waiting.push((
                            (field.schema, other.fields[source].schema),
                            format!("{path}/fields/{index}/type"),
                        )),
                        None if field.default.is_none() => {
                            let message = format!(
                                "the reader's field {:?} has no default, and the writer's {} no such field",
                                field.name, other.named.full
                            );
                            let place = format!("/fields/{index}");
                            found("READER_FIELD_MISSING_DEFAULT_VALUE", &place, message);
                        }
                        None => {}
                    }
                }
            }
            _ => {
                if let Some((rule, place, message)) = mismatch(reader, writer, pair) {
                    found(rule, place, message);
                }
            }
        }
        waiting[before..].reverse();
    }
}

/// That a union of the reader's has no branch for a type, and why the nearest one is none.
fn lacking(
    reader: &Types,
    writer: &Types,
    (read, written): Pair,
    explain: Option<&Fits>,
) -> String {
    let kind = writer.kind(written);
    let mut message = format!(
        "reader's union lacks the writer's type {}",
        kind.word().to_uppercase()
    );
    if let Some(named) = kind.named() {
        message += &format!(" {}", named.full);
    }
    let (Kind::Union(union), Some(fits)) = (reader.kind(read), explain) else {
        return message;
    };
    let near = union.candidates(kind).into_iter();
    let mut near = near.map(|place| union.branches[place]);
    if let Some(near) = near.find(|&branch| reader.kind(branch).word() == kind.word()) {
        let mut within = Vec::new();
        gather(reader, writer, fits, (near, written), false, &mut within);
        if let Some(first) = within.first() {
            message += &format!(
                "; its branch {} does not take it: {} at {}: {}",
                reader.branch_name(near),
                first.rule,
                first.path,
                first.message
            );
        }
    }
    message
}
