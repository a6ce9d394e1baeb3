//! `sandbar topic …`

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{
    Client, Outcome,
    client::{Failure, path},
    gate,
    output::say,
    table,
};

#[derive(Debug, Subcommand)]
pub(super) enum TopicCommand {
    /// List all topics.
    List,
    /// Show one topic and its partitions.
    Show { topic: String },
    /// Make a topic, or change what is given of one that there is.
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
    /// Take at most so many events a second.
    #[arg(long)]
    quota_events: Option<u64>,
    /// Take at most so many bytes a second.
    #[arg(long)]
    quota_bytes: Option<u64>,
    /// After a pause, what comes in so many seconds may come at once.
    #[arg(long)]
    quota_burst_seconds: Option<u64>,
    /// Take as much as comes.
    #[arg(long, conflicts_with_all = ["quota_events", "quota_bytes", "quota_burst_seconds"])]
    no_quota: bool,
    /// Bind the contract also where the activation gate refuses it for a route that writes here; recorded.
    #[arg(long)]
    force: bool,
    /// Kept with what the activation gate said.
    #[arg(long, default_value = "")]
    reason: String,
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
            let answer = client.get(&path(&["topics", topic])?)?;
            client.print(&answer, show);
        }
        TopicCommand::Create(create) => {
            let answer = create.run(client)?;
            client.print(&answer, show);
        }
        TopicCommand::Delete { topic } => {
            client.delete(&path(&["topics", topic])?)?;
        }
    }
    Ok(())
}

impl CreateArgs {
    fn run(&self, client: &Client) -> Result<Value, Failure> {
        let path = path(&["topics", &self.topic])?;
        let present = client.find(&path)?;
        let query = gate::query(self.force, &self.reason);
        client.put(&format!("{path}{query}"), &self.document(present))
    }

    /// What is given, laid over what there is: the API replaces the whole document, and a topic must
    /// not lose its contract because someone changed its retention.
    fn document(&self, present: Option<Value>) -> Value {
        let mut document = match present {
            Some(Value::Object(present)) => present,
            _ => Map::new(),
        };
        for shown in ["name", "state", "activation"] {
            document.remove(shown);
        }
        let given = [
            ("partitions", self.partitions.map(Value::from)),
            ("contract", self.contract.clone().map(Value::from)),
            ("durability", self.durability.clone().map(Value::from)),
        ];
        for (name, value) in given {
            if let Some(value) = value {
                document.insert(name.to_owned(), value);
            }
        }
        if self.no_quota {
            document.remove("quota");
        }
        let inner = [
            ("retention", "max_age_seconds", self.max_age_seconds),
            ("retention", "max_bytes", self.max_bytes),
            ("quota", "events_per_second", self.quota_events),
            ("quota", "bytes_per_second", self.quota_bytes),
            ("quota", "burst_seconds", self.quota_burst_seconds),
        ];
        for (part, name, value) in inner {
            if let Some(value) = value {
                let part = document.entry(part).or_insert_with(|| json!({}));
                part[name] = Value::from(value);
            }
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
        sum("tail").saturating_sub(sum("earliest")).to_string(),
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
    say!("topic       {}", table::cell(&topic["name"]));
    say!("contract    {}", table::cell(&topic["contract"]));
    let kept = gate::kept(&topic["activation"]["gate"]);
    if !kept.is_empty() {
        say!("gate        {kept}");
    }
    say!("durability  {}", table::cell(&topic["durability"]));
    say!("retention   {}", topic["retention"]);
    say!("dedupe      {}", topic["dedupe"]);
    if topic["quota"].is_object() {
        say!("quota       {}", topic["quota"]);
    }
    let cells = |one: &Value| {
        ["partition", "earliest", "tail", "bytes", "status"]
            .map(|name| table::cell(&one[name]))
            .to_vec()
    };
    let rows: Vec<_> = partitions(topic).map(cells).collect();
    table::print(&["partition", "earliest", "tail", "bytes", "status"], &rows);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_stays_as_it_is() {
        let create = CreateArgs {
            topic: "t".into(),
            partitions: None,
            contract: None,
            durability: None,
            max_age_seconds: None,
            max_bytes: Some(5),
            quota_events: Some(7),
            quota_bytes: None,
            quota_burst_seconds: None,
            no_quota: false,
            force: false,
            reason: String::new(),
        };
        let present = json!({
            "name": "t", "state": {}, "activation": {}, "partitions": 2, "contract": "c@1",
            "retention": {"max_age_seconds": 60}, "quota": {"burst_seconds": 2}
        });
        assert_eq!(
            create.document(Some(present)),
            json!({
                "partitions": 2, "contract": "c@1",
                "retention": {"max_age_seconds": 60, "max_bytes": 5},
                "quota": {"burst_seconds": 2, "events_per_second": 7}
            })
        );
        assert_eq!(
            create.document(None),
            json!({"retention": {"max_bytes": 5}, "quota": {"events_per_second": 7}})
        );
    }
}
