//! Maps, filters and validates events by a jq program that stands in the route step's config. What
//! the config means is told in README.md.
//!
//! `program` compiles and runs jq and knows no events; `value` reads and writes strict JSON; `shape`
//! is an event as a value, and a value as an output.

use jaq_json::Val;
use sandbar_sdk::{Event, Output, Problem, Verdict};
use serde::Deserialize;

mod program;
mod shape;
mod value;

use program::Program;

/// No event may become more outputs than this. Routes have a lower limit of their own; this one ends
/// a program that never stops before it takes all memory.
const MOST_OUTPUTS: usize = 65_536;

/// What a value stands for, on the way in or out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    #[default]
    Data,
    Event,
}

/// The config as it is written.
#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with \"program\", a jq program"
)]
struct Document {
    program: String,
    #[serde(default)]
    input: Form,
    output: Option<Form>,
    target: Option<String>,
    r#type: Option<String>,
    drop_reason: Option<String>,
}

/// The config as it is run.
#[derive(Deserialize)]
#[serde(try_from = "Document")]
struct Config {
    program: Program,
    input: Form,
    output: Form,
    target: Option<String>,
    r#type: Option<String>,
    drop_reason: String,
}

impl TryFrom<Document> for Config {
    type Error = String;

    fn try_from(document: Document) -> Result<Self, String> {
        Ok(Self {
            program: Program::compile(&document.program)?,
            input: document.input,
            output: document.output.unwrap_or(document.input),
            target: document.target,
            r#type: document.r#type,
            drop_reason: document
                .drop_reason
                .unwrap_or_else(|| "the program gives nothing".to_owned()),
        })
    }
}

fn transform(event: &Event<'_>, config: &Config) -> Result<Verdict, Problem> {
    let input = match config.input {
        Form::Data => shape::data(event)?,
        Form::Event => shape::event(event)?,
    };
    let variable = if config.program.uses_event() {
        shape::attributes(event)
    } else {
        Val::Null
    };
    let mut values = config.program.run(input, variable);
    let Some(first) = values.next() else {
        return Ok(Verdict::drop(config.drop_reason.clone()));
    };
    let first = output(first?, event, config)?;
    let Some(second) = values.next() else {
        return Ok(Verdict::emit(first));
    };
    let mut outputs = vec![first, output(second?, event, config)?];
    for value in values {
        if outputs.len() == MOST_OUTPUTS {
            let reason = format!("the program gives more than {MOST_OUTPUTS} values");
            return Err(Problem::InvalidEvent(reason));
        }
        outputs.push(output(value?, event, config)?);
    }
    Ok(Verdict::emit_all(outputs))
}

fn output(value: Val, event: &Event<'_>, config: &Config) -> Result<Output, String> {
    let mut output = match config.output {
        Form::Data => shape::output_of_data(&value, event)?,
        Form::Event => shape::output_of_event(&value, event)?,
    };
    if let Some(target) = &config.target
        && output.target_name().is_none()
    {
        output = output.target(target);
    }
    if let Some(r#type) = &config.r#type
        && output.attribute("type").is_none()
    {
        output = output.r#type(r#type);
    }
    Ok(output)
}

sandbar_sdk::plugin!(transform, config: Config);

#[cfg(test)]
mod tests;
