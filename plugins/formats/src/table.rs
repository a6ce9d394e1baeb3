//! CSV (RFC 4180), with a delimiter of choice. The library reads whatever it is given; what breaks the
//! rules is found before, because a quote in the wrong place would shift fields in silence.

use std::borrow::Cow;

use csv::{ReaderBuilder, StringRecord, Terminator, WriterBuilder};
use sandbar_sdk::json::{Raw, place};

use crate::{
    config::{Csv, Header, check_names},
    node::{self, Node, View},
};

pub(crate) fn read<'a>(data: &'a [u8], config: &Csv, max_rows: usize) -> Result<Node<'a>, String> {
    let text = node::text(data)?;
    check_quotes(text.as_bytes(), config.delimiter)?;
    let mut reader = ReaderBuilder::new()
        .delimiter(config.delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut names: Option<Vec<String>> = match &config.header {
        Header::Names(names) => Some(names.clone()),
        Header::There(_) => None,
    };
    let mut takes_names = matches!(config.header, Header::There(true));
    let mut width = names.as_ref().map(Vec::len);
    let mut rows = Vec::new();
    let mut record = StringRecord::new();
    loop {
        let more = reader.read_record(&mut record);
        if !more.map_err(|error| error.to_string())? {
            return Ok(Node::Array(rows));
        }
        let line = record.position().map_or(0, csv::Position::line);
        if takes_names {
            takes_names = false;
            let found: Vec<String> = record.iter().map(str::to_owned).collect();
            check_names(&found).map_err(|reason| format!("line {line}: {reason}"))?;
            width = Some(found.len());
            names = Some(found);
            continue;
        }
        let expected = *width.get_or_insert(record.len());
        if record.len() != expected {
            return Err(format!(
                "line {line}: {} fields, and {expected} columns",
                record.len()
            ));
        }
        if rows.len() == max_rows {
            return Err(format!(
                "line {line}: there are more than {max_rows} rows (max_rows)"
            ));
        }
        let values = record.iter().map(|field| value(field, config.infer));
        rows.push(match &names {
            None => Node::Array(values.collect()),
            Some(names) => {
                let names = names.iter().map(|name| Cow::Owned(name.clone()));
                Node::Object(names.zip(values).collect())
            }
        });
    }
}

fn value<'a>(field: &str, infer: bool) -> Node<'a> {
    let owned = || Cow::Owned(field.to_owned());
    match field {
        "" if infer => Node::Null,
        "true" | "false" if infer => Node::Literal(owned()),
        _ if infer && is_number(field) => Node::Literal(owned()),
        _ => Node::Text(owned()),
    }
}

/// As JSON writes numbers: `007` and `+1` are texts.
fn is_number(field: &str) -> bool {
    field.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        && Raw::parse(field.as_bytes()).is_ok_and(|raw| raw.as_str() == field)
}

/// Finds a quote in the middle of a field, anything behind a closing quote, and a quote that is never
/// closed (RFC 4180 §2, rules 5 to 7).
fn check_quotes(bytes: &[u8], delimiter: u8) -> Result<(), String> {
    #[derive(PartialEq)]
    enum At {
        Start,
        Plain,
        Quoted,
        Closed,
    }
    let mut state = At::Start;
    let mut opened = 0;
    let fault = |at: usize, what: &str| {
        let (line, column) = place(bytes, at);
        Err(format!("line {line} column {column}: {what}"))
    };
    for (at, byte) in bytes.iter().copied().enumerate() {
        let ends = byte == delimiter || byte == b'\n' || byte == b'\r';
        state = match (&state, byte) {
            (At::Quoted, b'"') => At::Closed,
            (At::Quoted, _) => At::Quoted,
            (At::Closed, b'"') => At::Quoted,
            (At::Closed, _) if !ends => {
                return fault(at, "a quoted field goes on after its closing quote");
            }
            (At::Start, b'"') => {
                opened = at;
                At::Quoted
            }
            (At::Plain, b'"') => return fault(at, "a quote within a field that is not quoted"),
            _ if ends => At::Start,
            _ => At::Plain,
        };
    }
    if state == At::Quoted {
        return fault(opened, "the quote is never closed");
    }
    Ok(())
}

pub(crate) fn write(node: &Node<'_>, config: &Csv) -> Result<Vec<u8>, String> {
    let rows: Vec<View<'_>> = match node.view()? {
        View::Array(rows) => rows.iter().map(Node::view).collect::<Result<_, _>>()?,
        one @ View::Object(_) => vec![one],
        other => return Err(format!("needs rows, not {}", other.kind())),
    };
    let columns = columns(&rows, &config.header);
    let mut writer = WriterBuilder::new()
        .delimiter(config.delimiter)
        .terminator(Terminator::CRLF)
        .flexible(true)
        .from_writer(Vec::new());
    let failed = |error: csv::Error| error.to_string();
    if !matches!(config.header, Header::There(false)) && !columns.is_empty() {
        writer
            .write_record(columns.iter().map(|name| name.as_bytes()))
            .map_err(failed)?;
    }
    for (index, row) in rows.iter().enumerate() {
        let fields = fields(row, &columns, &config.header)
            .map_err(|reason| format!("row {}: {reason}", index + 1))?;
        writer
            .write_record(fields.iter().map(|text| text.as_bytes()))
            .map_err(failed)?;
    }
    writer.into_inner().map_err(|error| error.to_string())
}

/// The fields of a row, in the order of the columns.
fn fields<'a>(
    row: &View<'a>,
    columns: &[Cow<'a, str>],
    header: &Header,
) -> Result<Vec<Cow<'a, str>>, String> {
    let mut fields = Vec::with_capacity(columns.len());
    match row {
        View::Object(members) => {
            for name in columns {
                // Of members of one name the last counts, as with most readers of JSON.
                let found = members.iter().rev().find(|(known, _)| known == name);
                let value = found.map_or(Ok(Cow::Borrowed("")), |(_, value)| field(value));
                fields.push(value.map_err(|kind| format!("{name:?} is {kind}"))?);
            }
        }
        View::Array(values) if !matches!(header, Header::There(true)) => {
            if !columns.is_empty() && values.len() != columns.len() {
                return Err(format!(
                    "{} values, and {} columns",
                    values.len(),
                    columns.len()
                ));
            }
            for (at, value) in values.iter().enumerate() {
                fields.push(field(value).map_err(|kind| format!("item {at} is {kind}"))?);
            }
        }
        other => return Err(format!("is {}, not an object", other.kind())),
    }
    Ok(fields)
}

/// The names of the columns: those of the config, else all that rows have, in the order in which they
/// come first.
fn columns<'a>(rows: &[View<'a>], header: &Header) -> Vec<Cow<'a, str>> {
    if let Header::Names(names) = header {
        return names.iter().map(|name| Cow::Owned(name.clone())).collect();
    }
    let mut columns: Vec<Cow<'a, str>> = Vec::new();
    let mut known = std::collections::HashSet::new();
    for row in rows {
        if let View::Object(members) = row {
            for (name, _) in members {
                if known.insert(name.clone()) {
                    columns.push(name.clone());
                }
            }
        }
    }
    columns
}

/// The text of a field; a value that is none answers with its kind.
fn field<'a>(node: &Node<'a>) -> Result<Cow<'a, str>, String> {
    match node.view()? {
        View::Null => Ok(Cow::Borrowed("")),
        View::Scalar(text) => Ok(text),
        other => Err(other.kind().to_owned()),
    }
}
