//! Contracts over the life of a data folder: what older versions wrote, ids and numbers.
#![allow(clippy::unwrap_used)]

use sandbar_log::{Disk, Embedded};
use sandbar_plugin::{EngineOptions, http::Http, lookup::Lookup};
use serde_json::{Value, json};

use super::*;
use crate::{
    catalog::{HttpGrant, Services},
    contract::ContractReference,
    meta::{self, Memory, Store},
};

/// No route runs here, so nothing is granted.
#[derive(Debug)]
struct Nothing;

impl Services for Nothing {
    fn lookup(&self, _: &[Name]) -> Arc<dyn Lookup> {
        unreachable!("nothing is granted")
    }

    fn http(&self, _: &HttpGrant) -> Arc<dyn Http> {
        unreachable!("nothing is granted")
    }
}

struct Folder {
    store: Arc<dyn Store>,
    folder: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        Self {
            store: Arc::new(Memory::new()),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn put(&self, table: &'static str, key: &str, value: &str) {
        let (key, value) = (key.to_owned(), value.as_bytes().to_vec());
        let put = meta::Change::Put { table, key, value };
        self.store.commit(vec![put]).unwrap();
    }

    fn open(&self) -> Catalog {
        let log = Embedded::open(
            &self.folder.path().join("log"),
            sandbar_log::Options::default(),
            Arc::new(Disk),
        );
        let engine = sandbar_plugin::Engine::new(EngineOptions::default()).unwrap();
        let plugins = self.folder.path().join("plugins");
        let services = Arc::new(Nothing);
        Catalog::open(
            &self.store,
            Arc::new(log.unwrap()),
            engine,
            plugins,
            false,
            services,
        )
        .unwrap()
    }
}

fn json(schema: Value) -> Definition {
    Definition {
        schema,
        ..Definition::default()
    }
}

fn referring(schema: Value, name: &str, contract: &str, version: u32) -> Definition {
    Definition {
        references: vec![ContractReference {
            name: name.to_owned(),
            contract: Name::new(contract).unwrap(),
            version,
        }],
        ..json(schema)
    }
}

fn ids(catalog: &Catalog) -> Vec<(String, u32)> {
    let all = catalog.contracts();
    all.iter().map(|one| (one.reference(), one.id)).collect()
}

/// As versions before formats, references and ids wrote it.
fn golden(folder: &Folder) {
    for (key, value) in [
        (
            "order@1",
            r#"{"definition":{"schema":{"type":"object"}},"created":"2026-01-02T03:04:05.678Z"}"#,
        ),
        (
            "order@2",
            r##"{"definition":{"schema":{"definitions":{"a":{}}},"types":{"t":"#/definitions/a"},"description":"two"},"created":"2026-01-01T00:00:00.000Z","accepted_unknown":true}"##,
        ),
        (
            "other@7",
            r#"{"definition":{"schema":{"type":"object"},"description":"the same"},"created":"2026-01-03T00:00:00.000Z"}"#,
        ),
    ] {
        folder.put(meta::tables::CONTRACTS, key, value);
    }
    folder.put(
        meta::tables::AGREEMENTS,
        "order",
        r#"{"compatibility":"full","policy":"lenient","owner":"o","description":"d","deprecated":true}"#,
    );
}

#[test]
fn what_older_versions_wrote_is_read() {
    let folder = Folder::new();
    golden(&folder);
    let numbered = [
        ("order@1".to_owned(), 2),
        ("order@2".to_owned(), 1),
        ("other@7".to_owned(), 2),
    ];
    for _ in 0..2 {
        let catalog = folder.open();
        assert_eq!(ids(&catalog), numbered, "the oldest content is the first");
        let two = catalog.contract("order@2").unwrap();
        assert_eq!(two.definition.description, "two");
        assert!(two.accepted_unknown && two.definition.types.is_some());
        assert!(catalog.is_deprecated("order") && !catalog.is_deprecated("other"));
    }
}

#[test]
fn a_content_keeps_its_id_and_a_number_its_version() {
    let folder = Folder::new();
    let catalog = folder.open();
    let register = |catalog: &Catalog, name: &str, schema: Value| {
        let (bound, _) = catalog
            .register(name, json(schema), Registering::default())
            .unwrap();
        (bound.version, bound.id)
    };
    assert_eq!(register(&catalog, "a", json!({"title": "1"})), (1, 1));
    assert_eq!(register(&catalog, "a", json!({"title": "2"})), (2, 2));
    assert_eq!(register(&catalog, "b", json!({"title": "2"})), (1, 2));
    assert_eq!(register(&catalog, "a", json!({"title": "1"})), (1, 1));
    catalog.delete_contract("a@2").unwrap();
    catalog.delete_contract("b@1").unwrap();
    assert!(catalog.contract_by_id(2).is_err());
    drop(catalog);
    let catalog = folder.open();
    assert_eq!(register(&catalog, "a", json!({"title": "3"})), (3, 3));
    assert_eq!(register(&catalog, "b", json!({"title": "2"})), (2, 2));
    catalog.delete_agreement("a").unwrap();
    drop(catalog);
    let catalog = folder.open();
    assert_eq!(register(&catalog, "a", json!({"title": "4"})), (4, 4));
}

#[test]
fn what_is_referred_to_stays_and_is_there_after_a_restart() {
    let folder = Folder::new();
    let catalog = folder.open();
    let register = |name: &str, definition: Definition| {
        catalog
            .register(name, definition, Registering::default())
            .map(|(bound, _)| bound.reference())
    };
    // The order of the names is not that of the references.
    register("z", json(json!({"type": "integer"}))).unwrap();
    register("m", referring(json!({"items": {"$ref": "z"}}), "z", "z", 1)).unwrap();
    register("a", referring(json!({"items": {"$ref": "m"}}), "m", "m", 1)).unwrap();
    // Of itself, an earlier version.
    register(
        "a",
        referring(json!({"contains": {"$ref": "a"}}), "a", "a", 1),
    )
    .unwrap();
    for used in ["z@1", "m@1", "a@1"] {
        let problem = catalog.delete_contract(used).unwrap_err();
        assert_eq!(problem.code, Code::ContractInUse, "{problem}");
    }
    assert_eq!(
        catalog.delete_agreement("m").unwrap_err().code,
        Code::ContractInUse
    );
    let itself = register("a", referring(json!({}), "b", "b", 1)).unwrap_err();
    assert_eq!(itself.code, Code::InvalidSchema);
    assert!(itself.detail.starts_with("/references/0:"), "{itself}");
    drop(catalog);
    let catalog = folder.open();
    let bound = catalog.contract("a").unwrap();
    assert!(bound.contract.check_value("t", &json!([[[1]]])).is_ok());
    assert!(bound.contract.check_value("t", &json!([[["x"]]])).is_err());
    catalog.delete_agreement("a").unwrap();
    catalog.delete_contract("m@1").unwrap();
    catalog.delete_contract("z@1").unwrap();
}

#[test]
fn references_in_a_row_are_bounded() {
    let catalog = Folder::new().open();
    catalog
        .register("c", json(json!({})), Registering::default())
        .unwrap();
    let mut last = 1;
    let refused = loop {
        // Each refers twice to what the one before refers to twice.
        let mut next = referring(
            json!({"items": {"$ref": "x"}, "contains": {"$ref": "y"}}),
            "x",
            "c",
            last,
        );
        next.references.push(ContractReference {
            name: "y".to_owned(),
            ..next.references[0].clone()
        });
        match catalog.register("c", next, Registering::default()) {
            Ok((bound, _)) => last = bound.version,
            Err(problem) => break problem,
        }
    };
    assert_eq!(last, DEEPEST);
    assert!(refused.detail.contains("in a row"), "{refused}");
}

#[test]
fn only_what_is_used_is_compiled() {
    let folder = Folder::new();
    {
        let catalog = folder.open();
        for name in ["used", "unused"] {
            let definition = json(json!({"type": "object", "title": name}));
            catalog
                .register(name, definition, Registering::default())
                .unwrap();
        }
        let document = crate::catalog::TopicDocument {
            contract: Some("used".to_owned()),
            ..Default::default()
        };
        let plan = catalog.plan_topic("t", &document).unwrap();
        catalog.put_topic(&plan, None, None).unwrap();
    }
    let catalog = folder.open();
    let compiled = |name: &str| catalog.contract(name).unwrap().contract.is_compiled();
    assert!(compiled("used"), "the first publish does not wait for it");
    assert!(!compiled("unused"));
    let unused = catalog.contract("unused").unwrap();
    assert!(unused.contract.check_value("t", &json!(1)).is_err());
    assert!(compiled("unused"), "once for all who ask");
}

#[test]
fn a_version_that_cannot_be_compiled_any_more_is_told_where_it_is_used() {
    let folder = Folder::new();
    let record =
        r#"{"definition": {"schema": {"pattern": "(?=a)"}}, "created": "2026-01-02T03:04:05Z"}"#;
    folder.put(meta::tables::CONTRACTS, "old@1", record);
    let catalog = folder.open();
    let old = catalog.contract("old").unwrap();
    let problem = old.compiled().unwrap_err();
    assert_eq!(problem.code, Code::InvalidSchema);
    assert!(
        problem.detail.contains("old@1: /schema/pattern"),
        "{}",
        problem.detail
    );
    let violations = old.contract.check_value("t", &json!("a")).unwrap_err();
    assert!(
        violations.to_string().contains("cannot be used"),
        "{violations}"
    );
    let document = crate::catalog::TopicDocument {
        contract: Some("old".to_owned()),
        ..Default::default()
    };
    let refused = catalog.plan_topic("t", &document).unwrap_err();
    assert_eq!(refused.code, Code::InvalidSchema);
}
