//! Turns data of one format into another: CSV, XML, form-encoded, NDJSON, JSON. What the config means,
//! and how the formats are mapped, is told in README.md.
//!
//! `node` is what lies between; `table` (CSV), `xml`, `form` and `lines` (NDJSON) each read a format
//! into it and write it.

use sandbar_sdk::{Event, Output, Problem, Verdict, json::Raw};

mod config;
mod form;
mod lines;
mod node;
mod table;
mod xml;

use config::{Config, Format};
use node::{Node, View};

fn transform(event: &Event<'_>, config: &Config) -> Result<Verdict, Problem> {
    if event.data().is_empty() {
        return Err("the event has no data".into());
    }
    let node = read(event.data(), config)
        .map_err(|reason| format!("the data as {}: {reason}", config.from.name()))?;
    if !config.split {
        return Ok(Verdict::emit(output(&node, event, config)?));
    }
    let rows = match node.view()? {
        View::Array(rows) => rows,
        other => return Err(format!("the data is {}, not rows to split", other.kind()).into()),
    };
    if rows.len() > config.max_rows {
        return Err(too_many_rows(config).into());
    }
    if rows.is_empty() {
        return Ok(Verdict::drop("there are no rows"));
    }
    let outputs: Result<Vec<_>, _> = rows.iter().map(|row| output(row, event, config)).collect();
    Ok(Verdict::emit_all(outputs?))
}

fn read<'a>(data: &'a [u8], config: &Config) -> Result<Node<'a>, String> {
    match config.from {
        Format::Json => Ok(Node::Json(Raw::parse(data)?)),
        Format::Csv => table::read(data, &config.csv, config.max_rows),
        Format::Ndjson => lines::read(data, config.max_rows),
        Format::Xml => xml::read(data, &config.xml),
        Format::Form => form::read(data),
    }
}

fn write(node: &Node<'_>, config: &Config) -> Result<Vec<u8>, String> {
    match config.to {
        Format::Json => {
            let mut out = Vec::with_capacity(256);
            node.write_json(&mut out);
            Ok(out)
        }
        Format::Csv => table::write(node, &config.csv),
        Format::Ndjson => lines::write(node),
        Format::Xml => xml::write(node, &config.xml),
        Format::Form => form::write(node),
    }
}

fn output(node: &Node<'_>, event: &Event<'_>, config: &Config) -> Result<Output, String> {
    let data = write(node, config)
        .map_err(|reason| format!("the data as {}: {reason}", config.to.name()))?;
    let output = Output::inherit()
        .data(data)
        .datacontenttype(&config.datacontenttype);
    // The schema is that of the data as it was.
    Ok(match event.dataschema() {
        Some(_) => output.dataschema(""),
        None => output,
    })
}

fn too_many_rows(config: &Config) -> String {
    format!("there are more than {} rows (max_rows)", config.max_rows)
}

sandbar_sdk::plugin!(transform, config: Config);

#[cfg(test)]
mod tests;
