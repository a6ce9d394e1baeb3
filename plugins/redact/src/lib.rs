//! Masks, hashes, shortens or drops fields of events, so that they may go where the originals may not.
//! What the config means is told in README.md.
//!
//! `config` reads the rules, `pattern` says which of them hold where, `action` makes the new value,
//! `rewrite` goes through the data, and `attributes` through the rest of the event.

use sandbar_sdk::{Event, Output, Problem, json::Raw};

mod action;
mod attributes;
mod config;
mod pattern;
mod rewrite;

use config::Config;
use rewrite::Rewriter;

fn transform(event: &Event<'_>, config: &Config) -> Result<Output, Problem> {
    let mut output = Output::inherit();
    let mut matched = vec![false; config.rules.len()];
    // What has no data has nothing to hide in it.
    if !config.patterns.is_empty() && !event.data().is_empty() {
        if !event.is_json() {
            let kind = event.datacontenttype().unwrap_or_default();
            return Err(format!("the data is {kind}, not JSON: its fields cannot be found").into());
        }
        let data =
            Raw::parse(event.data()).map_err(|reason| format!("the data is not JSON: {reason}"))?;
        let rewriter = Rewriter::new(config, &mut matched);
        if let Some(data) = rewriter.run(data)? {
            output = output.data(data);
        }
    }
    output = attributes::redact(output, event, config, &mut matched)?;
    for (rule, matched) in config.rules.iter().zip(matched) {
        if rule.strict && !matched {
            return Err(format!("there is nothing at {}, which is strict", rule.place).into());
        }
    }
    Ok(output)
}

sandbar_sdk::plugin!(transform, config: Config);

#[cfg(test)]
mod tests;
