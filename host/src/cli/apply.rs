//! `sandbar apply`: brings a hub to what a `sandbar.yaml` says.
//!
//! First the whole file is read and checked, then what the hub has is fetched and a plan is made and
//! shown, with what the activation gate says where all that a route names is there already. Then the plan
//! is carried out in the order contracts, plugins, topics, routes, subscriptions. Nothing is ever deleted.
//! Applying twice does nothing the second time.

mod contracts;
mod entries;
mod file;
mod plan;
mod references;
mod version;

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Client, Outcome, client::Failure, compatibility, gate, impact, output::say, table};
use plan::{Act, Item, Plan};

#[derive(Debug, Args)]
pub(super) struct ApplyArgs {
    /// The file; paths in it are relative to it.
    #[arg(short, long, default_value = "sandbar.yaml")]
    file: PathBuf,
    /// Only show the plan; exits with 1 where it would be refused.
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: exit with 5 when there are changes.
    #[arg(long, requires = "dry_run")]
    exit_code: bool,
    /// Have routes and contracts go live also where the activation gate or stored events speak against it; recorded.
    #[arg(long)]
    force: bool,
    /// Kept with what was found.
    #[arg(long, default_value = "")]
    reason: String,
}

pub(super) fn run(client: &Client, args: &ApplyArgs) -> Outcome {
    let wanted = file::read(&args.file)?;
    let plan = plan::make(client, &wanted)?;
    if !client.json {
        show(&plan);
    }
    let changes = plan
        .items
        .iter()
        .filter(|item| item.act != Act::Keep)
        .count();
    let refusal = refusal(&plan, args.force);
    if args.dry_run || refusal.is_some() {
        print_json(client, &plan, false);
    }
    if let Some(refusal) = refusal {
        return Err(Failure::local(refusal));
    }
    if args.dry_run {
        return if args.exit_code && changes > 0 {
            Err(Failure::Changes)
        } else {
            Ok(())
        };
    }
    let query = gate::query(args.force, &args.reason);
    let mut done = Vec::new();
    for item in plan.items.iter().filter(|item| item.act != Act::Keep) {
        item.carry_out(client, &query).inspect_err(|_| {
            eprintln!(
                "sandbar: stopped at {} {}; {} of {changes} changes were made before it{}{}",
                item.kind,
                item.name,
                done.len(),
                if done.is_empty() { "" } else { ": " },
                done.join(", ")
            );
        })?;
        done.push(format!("{} {}", item.kind, item.name));
    }
    print_json(client, &plan, true);
    if !client.json {
        say!(
            "{}",
            match done.len() {
                _ if changes == 0 => "nothing to do".to_owned(),
                1 => "1 change made".to_owned(),
                several => format!("{several} changes made"),
            }
        );
    }
    Ok(())
}

/// Why the plan is not to be carried out.
fn refusal(plan: &Plan, force: bool) -> Option<String> {
    let any = |refused: fn(&Item) -> bool| plan.items.iter().any(refused);
    let broken = plan.items.iter().filter(|item| item.breaks_rule());
    let broken: Vec<String> = broken
        .map(|item| {
            let rule = item
                .rule
                .as_ref()
                .map(|answer| table::cell(&answer["rule"]));
            format!("{} ({})", item.name, rule.unwrap_or_default())
        })
        .collect();
    if !broken.is_empty() {
        return Some(format!(
            "the rule of a contract refuses its next version: {}; nothing was changed. Change the schema, or the contract's 'compatibility' in the file; what is only unknown may be accepted with 'sandbar contract push --accept-unknown'.",
            broken.join(", ")
        ));
    }
    if !force && any(Item::is_refused) {
        let reason = "the activation gate refuses it; nothing was changed. With --force it goes live all the same, which is recorded.";
        return Some(reason.to_owned());
    }
    if !force && any(Item::breaks_events) {
        let reason = "stored events do not fit the contracts that their topics would be bound to; nothing was changed. With --force they are bound all the same, which is recorded.";
        return Some(reason.to_owned());
    }
    None
}

fn show(plan: &Plan) {
    for item in &plan.items {
        let sign = match item.act {
            Act::Make => '+',
            Act::Change => '~',
            Act::Keep => '=',
        };
        say!("{sign} {:<12} {}", item.kind, item.name);
        for change in &item.changes {
            say!("    {change}");
        }
        if let Some(answer) = item.rule.as_ref().filter(|_| item.breaks_rule()) {
            say!("    the rule {} refuses it:", table::cell(&answer["rule"]));
            for line in compatibility::lines(answer) {
                say!("    {line}");
            }
        }
        if let Some(binding) = &item.binding {
            say!("    events: {}", impact::headline(&binding["events"]));
            for line in impact::examples(&binding["events"]) {
                say!("      {line}");
            }
        }
        for report in &item.gate {
            for line in gate::lines(report) {
                say!("    gate: {line}");
            }
        }
    }
}

fn print_json(client: &Client, plan: &Plan, applied: bool) {
    if client.json {
        let item = |item: &Item| {
            let act = match item.act {
                Act::Make => "create",
                Act::Change => "change",
                Act::Keep => "keep",
            };
            json!({"kind": item.kind, "name": item.name, "act": act, "changes": item.changes, "gate": item.gate, "binding": item.binding, "rule": item.rule})
        };
        let items: Vec<_> = plan.items.iter().map(item).collect();
        say!("{}", json!({"applied": applied, "plan": items}));
    }
}
