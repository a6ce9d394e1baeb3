//! The published suite of JSON Schema (<https://github.com/json-schema-org/JSON-Schema-Test-Suite>)
//! against the hub's own contracts: all required cases of all drafts, and the formats, which the hub
//! asserts. What is refused or answered otherwise is listed, each with its reason, and the lists are
//! exact: a case that is not on them must be answered as the suite says, one that is must not.
//!
//! The suite comes with the sources of PyPI's `jsonschema`, pinned: `tests/clients/setup.sh` puts it into
//! `.build/json-schema-test-suite`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{Contract, Definition};

/// Folder of the suite, and the dialect that its schemas are written in.
const DRAFTS: [(&str, &str); 5] = [
    ("draft4", "http://json-schema.org/draft-04/schema#"),
    ("draft6", "http://json-schema.org/draft-06/schema#"),
    ("draft7", "http://json-schema.org/draft-07/schema#"),
    (
        "draft2019-09",
        "https://json-schema.org/draft/2019-09/schema",
    ),
    (
        "draft2020-12",
        "https://json-schema.org/draft/2020-12/schema",
    ),
];

fn suite() -> PathBuf {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.build/json-schema-test-suite");
    assert!(
        suite.join("tests").is_dir(),
        "the suite is not there: run tests/clients/setup.sh"
    );
    suite
}

/// The files of a folder, by name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the suite has the folder");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    files.sort();
    files
}

/// Asks the hub about each case of some files. Answers what it refused as a schema and what it answered
/// otherwise than the suite, as lines, and how many documents were asked about.
fn run(draft: &str, dialect: &str, files: &[PathBuf]) -> (BTreeSet<String>, usize) {
    let mut differences = BTreeSet::new();
    let mut asked = 0;
    for file in files {
        let name = file
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let groups = fs::read(file).expect("a file of the suite");
        let groups: Vec<Value> = serde_json::from_slice(&groups).expect("an array of groups");
        for group in groups {
            let about = group["description"].as_str().expect("a description");
            let mut schema = group["schema"].clone();
            if let Value::Object(members) = &mut schema {
                // The suite leaves it out in the older drafts; the hub takes the newest without one.
                members.entry("$schema").or_insert_with(|| json!(dialect));
            }
            let definition = Definition {
                schema,
                ..Definition::default()
            };
            let contract = match Contract::compile(&definition) {
                Ok(contract) => contract,
                Err(invalid) => {
                    let reason = reason_of(&invalid.reason);
                    differences.insert(format!("{draft}/{name}: {about} | refused: {reason}"));
                    continue;
                }
            };
            for test in group["tests"].as_array().expect("tests") {
                asked += 1;
                let data = test["data"].to_string();
                let valid = contract
                    .check("t", "application/json", data.as_bytes())
                    .is_ok();
                if Some(valid) != test["valid"].as_bool() {
                    let case = test["description"].as_str().expect("a description");
                    let says = if valid { "takes" } else { "refuses" };
                    differences.insert(format!("{draft}/{name}: {about} | {says}: {case}"));
                }
            }
        }
    }
    (differences, asked)
}

/// The kind of a refusal, without what is particular to one schema.
fn reason_of(reason: &str) -> &str {
    if reason.contains("linear time") || reason.contains("no regular expression") {
        "pattern"
    } else if reason.contains("nothing is fetched") {
        "elsewhere"
    } else if reason.contains("is not known; draft-04") {
        "dialect"
    } else if reason.contains("is not in the schema") {
        "nowhere"
    } else {
        reason
    }
}

/// Lines of a list, without comments.
fn listed(list: &str) -> BTreeSet<String> {
    list.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

fn assert_same(found: &BTreeSet<String>, listed: &BTreeSet<String>) {
    let new: Vec<_> = found.difference(listed).cloned().collect();
    let gone: Vec<_> = listed.difference(found).cloned().collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "not on the list:\n{}\non the list, and answered as the suite says:\n{}",
        new.join("\n"),
        gone.join("\n")
    );
}

#[test]
fn every_required_case_of_every_draft_is_answered_as_the_suite_says() {
    let mut found = BTreeSet::new();
    let mut asked = 0;
    for (draft, dialect) in DRAFTS {
        let folder = suite().join("tests").join(draft);
        let (differences, of_draft) = run(draft, dialect, &files(&folder));
        found.extend(differences);
        asked += of_draft;
    }
    assert_same(&found, &listed(include_str!("conformance/required.txt")));
    assert!(asked > 4_500, "only {asked} documents were asked about");
}

#[test]
fn formats_are_asserted_as_the_suite_says() {
    let mut found = BTreeSet::new();
    let mut asked = 0;
    for (draft, dialect) in DRAFTS {
        let folder = suite().join("tests").join(draft).join("optional/format");
        let (differences, of_draft) = run(draft, dialect, &files(&folder));
        found.extend(differences);
        asked += of_draft;
    }
    assert_same(&found, &listed(include_str!("conformance/formats.txt")));
    assert!(asked > 1_000, "only {asked} documents were asked about");
}
