//! Tables of topics: what a lookup finds, and when.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use sandbar_log::{Append, Disk, Durability, Embedded, Retention};
use sandbar_types::BatchBuilder;

use super::*;

const LONG: Duration = Duration::from_secs(60);

struct Fixture {
    log: Arc<Embedded>,
    tables: Tables,
    _folder: tempfile::TempDir,
}

fn topic() -> Name {
    Name::new("customers").unwrap()
}

fn partition(number: u32) -> PartitionId {
    PartitionId::new(topic(), number)
}

fn fixture(most_keys: usize) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let options = sandbar_log::Options {
        segment_bytes: 4096,
        ..Default::default()
    };
    let log = Arc::new(Embedded::open(folder.path(), options, Arc::new(Disk)).unwrap());
    for number in 0..2 {
        log.create(&partition(number)).unwrap();
    }
    Fixture {
        tables: Tables::new(log.clone(), most_keys),
        log,
        _folder: folder,
    }
}

impl Fixture {
    /// One frame with an event for each key.
    fn append(&self, number: u32, keys: &[&str], name: &str) {
        let mut batch = BatchBuilder::new();
        for key in keys {
            batch.push_event(&Event {
                id: name.to_owned(),
                subject: (*key).to_owned(),
                ..Event::default()
            });
        }
        let append = Append {
            partition: partition(number),
            count: u32::try_from(keys.len()).unwrap(),
            body: Bytes::from(batch.finish().encode()),
            provenance: None,
            durability: Durability::Async,
        };
        self.log.append(vec![append]).unwrap();
    }

    fn catch_up(&self) -> Result<bool, String> {
        self.tables.catch_up([&topic()], LONG)
    }
}

fn id(table: &Table, key: &str) -> Option<String> {
    let found = table.get(key, Instant::now() + LONG).unwrap();
    found.map(|event| event.id)
}

#[test]
fn the_latest_event_of_each_key_is_found_after_catching_up() {
    let fixture = fixture(100);
    let table = fixture.tables.table(&topic());
    fixture.append(0, &["a", "b", "a"], "first");
    fixture.append(1, &["c"], "first");
    assert_eq!(fixture.catch_up(), Ok(true));
    assert_eq!(id(&table, "a").as_deref(), Some("first"));
    assert_eq!(id(&table, "d"), None);
    fixture.append(0, &["a"], "second");
    assert_eq!(id(&table, "a").as_deref(), Some("first"));
    assert_eq!(fixture.catch_up(), Ok(true));
    assert_eq!(id(&table, "a").as_deref(), Some("second"));
    assert_eq!(id(&table, "b").as_deref(), Some("first"));
    assert_eq!(id(&table, "c").as_deref(), Some("first"));
}

#[test]
fn a_table_is_shared_and_gone_with_the_last_who_needs_it() {
    let fixture = fixture(100);
    fixture.append(0, &["a"], "first");
    let table = fixture.tables.table(&topic());
    fixture.catch_up().unwrap();
    let other = fixture.tables.table(&topic());
    assert!(Arc::ptr_eq(&table, &other));
    drop((table, other));
    let table = fixture.tables.table(&topic());
    assert!(lock(&table.reading).is_empty(), "it begins anew");
    // Who asks before anybody caught up has it read.
    assert_eq!(id(&table, "a").as_deref(), Some("first"));
}

#[test]
fn reading_stops_when_its_time_is_over_and_goes_on_from_there() {
    let fixture = fixture(100_000);
    for _ in 0..20 {
        fixture.append(0, &["a", "b"], "early");
    }
    let table = fixture.tables.table(&topic());
    assert_eq!(
        fixture.tables.catch_up([&topic()], Duration::ZERO),
        Ok(false)
    );
    let asked = table.get("a", Instant::now());
    assert!(asked.unwrap_err().contains("still being read"));
    assert_eq!(fixture.catch_up(), Ok(true));
    assert_eq!(id(&table, "a").as_deref(), Some("early"));
}

#[test]
fn too_many_keys_and_too_long_ones_are_refused() {
    let fixture = fixture(2);
    fixture.append(0, &["a", "b"], "first");
    let table = fixture.tables.table(&topic());
    assert_eq!(fixture.catch_up(), Ok(true));
    fixture.append(1, &["c"], "first");
    assert!(fixture.catch_up().unwrap_err().contains("--lookup-keys"));
    assert_eq!(id(&table, "a").as_deref(), Some("first"));
    let long = "x".repeat(3 * TEXT_PER_KEY);
    let fixture = self::fixture(2);
    fixture.append(0, &[&long], "first");
    let _table = fixture.tables.table(&topic());
    assert!(fixture.catch_up().unwrap_err().contains("--lookup-keys"));
}

#[test]
fn what_retention_deleted_is_gone_and_gives_its_room_back() {
    let fixture = fixture(300);
    let table = fixture.tables.table(&topic());
    for round in 0..3 {
        for number in 0..100 {
            fixture.append(0, &[&format!("{round}-{number}")], "x");
        }
        assert_eq!(fixture.catch_up(), Ok(true), "round {round}");
    }
    let retention = Retention {
        max_bytes: Some(4096),
        ..Retention::default()
    };
    fixture
        .log
        .trim(&partition(0), retention, u64::MAX, 0)
        .unwrap();
    assert_eq!(fixture.catch_up(), Ok(true));
    assert_eq!(id(&table, "0-0"), None);
    assert_eq!(id(&table, "2-99").as_deref(), Some("x"));
    let keys = table.keys.read().unwrap();
    assert!(keys.places.len() < 300);
    let text: usize = keys.places.keys().map(|key| key.len()).sum();
    assert_eq!(keys.text, text);
}
