//! `sandbar status` and `sandbar lineage`.

use clap::Args;
use serde_json::Value;

use super::{Client, Outcome, client::Failure, table};

#[derive(Debug, Args)]
pub(super) struct LineageArgs {
    /// TOPIC/PARTITION/OFFSET
    position: String,
}

pub(super) fn status(client: &Client) -> Outcome {
    let answer = client.get("/v1/status")?;
    client.print(&answer, |answer| {
        for (name, value) in answer.as_object().into_iter().flatten() {
            println!("{name:<15} {}", table::cell(value));
        }
    });
    Ok(())
}

pub(super) fn lineage(client: &Client, args: &LineageArgs) -> Outcome {
    let parts: Vec<&str> = args.position.split('/').collect();
    let [topic, partition, offset] = parts[..] else {
        return Err(Failure::local(format!(
            "{:?} is not TOPIC/PARTITION/OFFSET",
            args.position
        )));
    };
    let answer = client.get(&format!("/v1/events/{topic}/{partition}/{offset}/lineage"))?;
    client.print(&answer, show);
    Ok(())
}

fn show(answer: &Value) {
    if let Some(origin) = answer["origin"].as_object() {
        println!("{}", table::cell(&origin["position"]));
        println!(
            "  │ route {}, output {}",
            table::cell(&origin["route"]),
            origin["index"]
        );
    }
    let event = &answer["event"];
    println!(
        "{}/{}/{}  {}  id {}",
        table::cell(&event["topic"]),
        event["partition"],
        event["offset"],
        table::cell(&event["type"]),
        table::cell(&event["id"])
    );
    for fate in answer["routes"].as_array().into_iter().flatten() {
        println!(
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
            println!(
                "  └→ {}/{}/{}",
                table::cell(&output["topic"]),
                output["partition"],
                output["offset"]
            );
        }
    }
}
