//! `sandbar status` and `sandbar lineage`.

use clap::Args;
use serde_json::Value;

use super::{
    Client, Outcome,
    client::{Failure, path},
    output::say,
    table,
};

#[derive(Debug, Args)]
pub(super) struct LineageArgs {
    /// TOPIC/PARTITION/OFFSET
    position: String,
}

pub(super) fn status(client: &Client) -> Outcome {
    let answer = client.get("/v1/status")?;
    client.print(&answer, |answer| {
        for (name, value) in answer.as_object().into_iter().flatten() {
            say!("{name:<15} {}", table::cell(value));
        }
    });
    Ok(())
}

pub(super) fn lineage(client: &Client, args: &LineageArgs) -> Outcome {
    let parts: Vec<&str> = args.position.split('/').collect();
    let [topic, partition, offset] = parts[..] else {
        return Err(Failure::Usage(format!(
            "{:?} is not TOPIC/PARTITION/OFFSET",
            args.position
        )));
    };
    let answer = client.get(&path(&["events", topic, partition, offset, "lineage"])?)?;
    client.print(&answer, show);
    Ok(())
}

fn show(answer: &Value) {
    if let Some(origin) = answer["origin"].as_object() {
        say!("{}", table::cell(&origin["position"]));
        say!(
            "  │ route {}, output {}",
            table::cell(&origin["route"]),
            origin["index"]
        );
    }
    let event = &answer["event"];
    say!(
        "{}/{}/{}  {}  id {}",
        table::cell(&event["topic"]),
        event["partition"],
        event["offset"],
        table::cell(&event["type"]),
        table::cell(&event["id"])
    );
    for fate in answer["routes"].as_array().into_iter().flatten() {
        say!(
            "  │ route {}: {} {}",
            table::cell(&fate["route"]),
            table::cell(&fate["verdict"]),
            table::cell(&fate["reason"])
        );
        for output in answer["outputs"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|one| one["route"] == fate["route"])
        {
            say!(
                "  └→ {}/{}/{}",
                table::cell(&output["topic"]),
                output["partition"],
                output["offset"]
            );
        }
    }
}
