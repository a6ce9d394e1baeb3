//! The rules on attributes.

use sandbar_sdk::{Event, Output};

use crate::config::{Config, Place};

/// Sets what the rules on attributes say. The first rule on an attribute holds.
pub(crate) fn redact(
    mut output: Output,
    event: &Event<'_>,
    config: &Config,
    matched: &mut [bool],
) -> Result<Output, String> {
    for (rule, matched) in config.rules.iter().zip(matched) {
        let Place::Attribute(name) = &rule.place else {
            continue;
        };
        let Some(value) = value(event, name) else {
            continue;
        };
        *matched = true;
        if output.attribute(name).is_some() {
            continue;
        }
        // An empty one is left out.
        let new = rule.action.on_text(&value).unwrap_or_default().into_owned();
        output = match name.as_str() {
            "id" => output.id(new),
            "source" => output.source(new),
            "subject" => output.subject(new),
            "time" => output.time(new),
            "dataschema" => output.dataschema(new),
            _ => output.extension(name, new),
        };
    }
    Ok(output)
}

fn value(event: &Event<'_>, name: &str) -> Option<String> {
    match name {
        "id" => Some(event.id().to_owned()),
        "source" => Some(event.source().to_owned()),
        "subject" => event.subject().map(str::to_owned),
        "time" => event.time().map(str::to_owned),
        "dataschema" => event.dataschema().map(str::to_owned),
        _ => event.extension(name),
    }
}
