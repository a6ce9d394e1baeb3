//! One behaviour suite for every store.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Change, Error, Memory, Sled, Store, Table};

fn put(table: &'static str, key: &str, value: &str) -> Change {
    Change::Put {
        table,
        key: key.into(),
        value: value.into(),
    }
}

fn on_every_store(check: impl Fn(Arc<dyn Store>)) {
    check(Arc::new(Memory::new()));
    let folder = tempfile::tempdir().unwrap();
    check(Arc::new(Sled::open(folder.path()).unwrap()));
}

#[test]
fn what_is_put_is_found_until_it_is_deleted() {
    on_every_store(|store| {
        assert_eq!(store.get("topics", "a").unwrap(), None);
        store.commit(vec![put("topics", "a", "1")]).unwrap();
        store.commit(vec![put("topics", "a", "2")]).unwrap();
        assert_eq!(store.get("topics", "a").unwrap(), Some(b"2".to_vec()));
        store
            .commit(vec![Change::Delete {
                table: "topics",
                key: "a".into(),
            }])
            .unwrap();
        store
            .commit(vec![Change::Delete {
                table: "topics",
                key: "a".into(),
            }])
            .unwrap();
        assert_eq!(store.get("topics", "a").unwrap(), None);
    });
}

#[test]
fn tables_do_not_see_each_other() {
    on_every_store(|store| {
        store
            .commit(vec![
                put("topics", "a", "1"),
                put("topic", "sa", "2"),
                put("topic", "", "3"),
            ])
            .unwrap();
        assert_eq!(store.get("routes", "a").unwrap(), None);
        assert_eq!(
            store.scan("topic", "").unwrap(),
            [(String::new(), b"3".to_vec()), ("sa".into(), b"2".to_vec())]
        );
        assert_eq!(
            store.scan("topics", "").unwrap(),
            [("a".to_owned(), b"1".to_vec())]
        );
    });
}

#[test]
fn a_scan_has_the_keys_with_the_prefix_in_byte_order() {
    on_every_store(|store| {
        let keys = ["b/2", "a", "b/10", "c", "b", "b/ä"];
        store
            .commit(keys.map(|key| put("routes", key, key)).into())
            .unwrap();
        let found: Vec<String> = store
            .scan("routes", "b/")
            .unwrap()
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        assert_eq!(found, ["b/10", "b/2", "b/ä"]);
        assert!(store.scan("routes", "d").unwrap().is_empty());
    });
}

#[test]
fn changes_of_one_commit_apply_in_order() {
    on_every_store(|store| {
        let changes = vec![
            put("topics", "a", "1"),
            Change::Delete {
                table: "topics",
                key: "a".into(),
            },
            put("routes", "r", "1"),
            put("routes", "r", "2"),
        ];
        store.commit(changes).unwrap();
        assert_eq!(store.get("topics", "a").unwrap(), None);
        assert_eq!(store.get("routes", "r").unwrap(), Some(b"2".to_vec()));
    });
}

#[test]
fn values_of_a_megabyte_are_kept() {
    on_every_store(|store| {
        let value = vec![7; 3 << 20];
        let change = Change::Put {
            table: "contracts",
            key: "c".into(),
            value: value.clone(),
        };
        store.commit(vec![change]).unwrap();
        assert_eq!(store.get("contracts", "c").unwrap(), Some(value));
    });
}

#[test]
fn a_typed_table_gives_records_back_and_names_those_that_do_not_fit() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Record {
        count: u32,
    }
    on_every_store(|store| {
        let table: Table<Record> = Table::new(store.clone(), "topics");
        table.put("a", &Record { count: 1 }).unwrap();
        assert_eq!(table.get("a").unwrap(), Some(Record { count: 1 }));
        assert_eq!(
            table.scan("").unwrap(),
            [("a".to_owned(), Record { count: 1 })]
        );
        store
            .commit(vec![put("topics", "b", "{\"count\":\"x\"}")])
            .unwrap();
        let error = table.get("b").unwrap_err();
        assert!(
            matches!(&error, Error::Record { table: "topics", key, .. } if key == "b"),
            "{error}"
        );
        table.delete("b").unwrap();
        assert_eq!(table.get("b").unwrap(), None);
    });
}

#[test]
fn many_callers_at_once_lose_nothing() {
    on_every_store(|store| {
        std::thread::scope(|scope| {
            for caller in 0..8 {
                let store = &store;
                scope.spawn(move || {
                    for number in 0..25 {
                        let key = format!("{caller}-{number}");
                        store.commit(vec![put("topics", &key, "1")]).unwrap();
                    }
                });
            }
        });
        assert_eq!(store.scan("topics", "").unwrap().len(), 200);
    });
}
