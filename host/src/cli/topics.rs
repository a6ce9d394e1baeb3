//! `sandbar topic …`

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{Client, Outcome, table};

#[derive(Debug, Subcommand)]
pub(super) enum TopicCommand {
    /// List all topics.
    List,
    /// Show one topic and its partitions.
    Show { topic: String },
    /// Make a topic, or change one.
    Create(CreateArgs),
    /// Delete a topic with all its events.
    Delete { topic: String },
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    topic: String,
    /// Fixed once the topic is made.
    #[arg(long)]
    partitions: Option<u32>,
    /// NAME@VERSION, or NAME for the latest version.
    #[arg(long)]
    contract: Option<String>,
    /// sync or async.
    #[arg(long)]
    durability: Option<String>,
    /// Keep events for so many seconds.
    #[arg(long)]
    max_age_seconds: Option<u64>,
    /// Keep so many bytes per partition.
    #[arg(long)]
    max_bytes: Option<u64>,
}

pub(super) fn run(client: &Client, command: &TopicCommand) -> Outcome {
    match command {
        TopicCommand::List => {
            let answer = client.get("/v1/topics")?;
            client.print(&answer, |answer| {
                let rows: Vec<_> = answer["topics"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(row)
                    .collect();
                table::print(
                    &[
                        "topic",
                        "partitions",
                        "events",
                        "bytes",
                        "contract",
                        "status",
                    ],
                    &rows,
                );
            });
        }
        TopicCommand::Show { topic } => {
            let answer = client.get(&format!("/v1/topics/{topic}"))?;
            client.print(&answer, show);
        }
        TopicCommand::Create(create) => {
            let answer = client.put(&format!("/v1/topics/{}", create.topic), &create.document())?;
            client.print(&answer, show);
        }
        TopicCommand::Delete { topic } => {
            client.delete(&format!("/v1/topics/{topic}"))?;
        }
    }
    Ok(())
}

impl CreateArgs {
    fn document(&self) -> Value {
        let mut document = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                document.insert(name.to_owned(), value);
            }
        };
        set("partitions", self.partitions.map(Value::from));
        set("contract", self.contract.clone().map(Value::from));
        set("durability", self.durability.clone().map(Value::from));
        if self.max_age_seconds.is_some() || self.max_bytes.is_some() {
            let retention =
                json!({"max_age_seconds": self.max_age_seconds, "max_bytes": self.max_bytes});
            set("retention", Some(retention));
        }
        Value::Object(document)
    }
}

fn partitions(topic: &Value) -> impl Iterator<Item = &Value> {
    topic["state"]["partitions"]
        .as_array()
        .into_iter()
        .flatten()
}

fn row(topic: &Value) -> Vec<String> {
    let sum = |field: &str| {
        partitions(topic)
            .map(|one| one[field].as_u64().unwrap_or(0))
            .sum::<u64>()
    };
    let troubles: Vec<String> = partitions(topic)
        .map(|one| table::cell(&one["status"]))
        .filter(|s| s != "ok")
        .collect();
    vec![
        table::cell(&topic["name"]),
        table::cell(&topic["partitions"]),
        (sum("tail") - sum("earliest")).to_string(),
        sum("bytes").to_string(),
        table::cell(&topic["contract"]),
        if troubles.is_empty() {
            "ok".into()
        } else {
            troubles.join("; ")
        },
    ]
}

fn show(topic: &Value) {
    println!("topic       {}", table::cell(&topic["name"]));
    println!("contract    {}", table::cell(&topic["contract"]));
    println!("durability  {}", table::cell(&topic["durability"]));
    println!("retention   {}", topic["retention"]);
    println!("dedupe      {}", topic["dedupe"]);
    let cells = |one: &Value| {
        ["partition", "earliest", "tail", "bytes", "status"]
            .map(|name| table::cell(&one[name]))
            .to_vec()
    };
    let rows: Vec<_> = partitions(topic).map(cells).collect();
    table::print(&["partition", "earliest", "tail", "bytes", "status"], &rows);
}
