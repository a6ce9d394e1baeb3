//! `examples/languages/vectors`: what goes in, and what must come out.

use std::collections::BTreeSet;

use sandbar_tests::repository;
use serde_json::Value;

/// One file.
pub struct Vector {
    pub name: String,
    pub config: Value,
    /// In the CloudEvents JSON format.
    pub events: Vec<Value>,
    /// One per event.
    pub expected: Vec<Expected>,
}

/// What the plugin says of an event.
pub enum Expected {
    Emit(Invoice),
    Drop(String),
    /// The case of `problem`, a colon, the reason: as the hub tells it.
    Reject(String),
}

/// What the plugin gives out.
pub struct Invoice {
    pub kind: String,
    pub subject: String,
    pub country: String,
    /// Canonical JSON.
    pub data: String,
}

impl Vector {
    pub fn pairs(&self) -> impl Iterator<Item = (&Value, &Expected)> {
        self.events.iter().zip(&self.expected)
    }
}

/// All files, in the order of their names.
pub fn all() -> Vec<Vector> {
    let folder = repository().join("examples/languages/vectors");
    let mut files: Vec<_> = (std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 12, "{files:?}");
    let vectors: Vec<Vector> = files.iter().map(|file| read(file)).collect();
    let mut ids = BTreeSet::new();
    for (event, _) in vectors.iter().flat_map(Vector::pairs) {
        assert!(
            ids.insert(event["id"].to_string()),
            "{} is there twice",
            event["id"]
        );
    }
    vectors
}

fn read(file: &std::path::Path) -> Vector {
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(file).unwrap();
    let document: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let list = |key: &str| document[key].as_array().unwrap().clone();
    let vector = Vector {
        config: document["config"].clone(),
        events: list("events"),
        expected: list("expected").iter().map(expected).collect(),
        name,
    };
    assert_eq!(
        vector.events.len(),
        vector.expected.len(),
        "{}",
        vector.name
    );
    vector
}

fn expected(document: &Value) -> Expected {
    let text = |value: &Value| {
        let text = value.as_str();
        text.unwrap_or_else(|| panic!("a text is missing: {document}"))
            .to_owned()
    };
    let (verdict, says) = document.as_object().unwrap().iter().next().unwrap();
    match verdict.as_str() {
        "emit" => Expected::Emit(Invoice {
            kind: text(&says["type"]),
            subject: text(&says["subject"]),
            country: text(&says["country"]),
            data: text(&says["data"]),
        }),
        "drop" => Expected::Drop(text(says)),
        "reject" => {
            let (case, reason) = says.as_object().unwrap().iter().next().unwrap();
            Expected::Reject(format!("{case}: {}", text(reason)))
        }
        other => panic!("{other} is no verdict"),
    }
}
