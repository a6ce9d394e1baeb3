//! `sandbar contract …` and `sandbar apply` with Avro, Protobuf and references.

use std::path::Path;

use sandbar_tests::{Hub, Ran};
use serde_json::{Value, json};

use super::{avro, id_field};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> String {
        let file = self.0.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap_or(Path::new(""))).unwrap();
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }
}

const MONEY: &str = "syntax = \"proto3\";\npackage acme;\nmessage Money {\n  int64 cents = 1;\n}\n";

fn bill(field: &str) -> String {
    format!(
        "syntax = \"proto3\";\npackage acme;\nimport \"acme/money.proto\";\n\nmessage Bill {{\n  Money total = 1;\n  {field}\n}}\n"
    )
}

#[tokio::test]
async fn schemas_of_each_format_are_pushed_and_shown() {
    let hub = Hub::start().await;
    let folder = Folder::new();
    let order = folder.write("order.avsc", &avro(&id_field()));
    let pushed = hub
        .sandbar(&["contract", "push", "order", &order, "--json"])
        .json();
    assert_eq!(
        (&pushed["id"], &pushed["format"]),
        (&json!(1), &json!("avro")),
        "{pushed}"
    );
    let money = folder.write("acme/money.proto", MONEY);
    let _ = hub
        .sandbar(&["contract", "push", "money", &money, "--json"])
        .json();
    let text = folder.write("bill.txt", &bill("string note = 2;"));
    let bare = hub.sandbar(&["contract", "push", "bill", &text, "--format", "protobuf"]);
    assert_eq!(bare.code, 1, "{bare:?}");
    assert!(
        bare.stderr.contains("3:") && bare.stderr.contains("acme/money.proto"),
        "{bare:?}"
    );
    let pushed = hub.sandbar(&[
        "contract",
        "push",
        "bill",
        &text,
        "--format",
        "protobuf",
        "--reference",
        "acme/money.proto=money@1",
        "--json",
    ]);
    assert_eq!(pushed.json()["references"][0]["contract"], "money");
    let _ = hub
        .put("/v1/contracts/order", json!({"deprecated": true}))
        .await
        .expect(200);
    let list = hub.sandbar(&["contract", "list"]);
    let row = |name: &str| {
        list.stdout
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap()
            .to_owned()
    };
    assert!(
        row("order").contains("avro") && row("order").contains("deprecated"),
        "{list:?}"
    );
    assert!(
        row("bill").contains("protobuf") && !row("bill").contains("deprecated"),
        "{list:?}"
    );
    let shown = hub.sandbar(&["contract", "show", "bill"]);
    for part in [
        "bill@1  id 3  protobuf",
        "refers to money@1 as acme/money.proto",
        "message Bill {",
    ] {
        assert!(shown.stdout.contains(part), "{part}: {shown:?}");
    }
    let shown = hub.sandbar(&["contract", "show", "order@1"]);
    assert!(
        shown.stdout.contains("deprecated") && shown.stdout.contains("\"namespace\": \"com.acme\""),
        "{shown:?}"
    );
    let wrong = hub.sandbar(&["contract", "push", "x", &text, "--format", "xml"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    let wrong = hub.sandbar(&["contract", "push", "x", &text, "--reference", "money@1"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    let broken = folder.write("broken.avsc", "{\"type\":");
    let wrong = hub.sandbar(&["contract", "push", "x", &broken]);
    assert!(
        wrong.code == 1 && wrong.stderr.contains("broken.avsc"),
        "{wrong:?}"
    );
}

#[tokio::test]
async fn versions_of_each_format_are_compared_with_and_without_a_hub() {
    let hub = Hub::start().await;
    let folder = Folder::new();
    let more = json!([{"name": "id", "type": "string"}, {"name": "n", "type": "int"}]);
    let old = folder.write("order/v1.avsc", &avro(&id_field()));
    let new = folder.write("order-v2.avsc", &avro(&more));
    let earlier = Path::new(&old).parent().unwrap().to_str().unwrap();
    let alone = |arguments: &[&str]| {
        let mut all = vec!["--url", "http://127.0.0.1:9", "contract"];
        all.extend(arguments);
        Ran::new(&all, "")
    };
    let told = alone(&["check", &new, "--folder", earlier]);
    assert_eq!(told.code, 1, "{told:?}");
    assert!(
        told.stdout.contains("READER_FIELD_MISSING_DEFAULT_VALUE"),
        "{told:?}"
    );
    assert!(told.stdout.contains("at /fields/1"), "{told:?}");
    assert_eq!(
        alone(&["check", &new, "--folder", earlier, "--rule", "forward"]).code,
        0
    );
    let pushed = hub.sandbar(&["contract", "push", "order", &old]);
    assert_eq!(pushed.code, 0, "{pushed:?}");
    let asked = hub.sandbar(&[
        "contract",
        "check",
        &new,
        "--against",
        "order",
        "--rule",
        "backward",
        "--json",
    ]);
    assert_eq!(asked.code, 1, "{asked:?}");
    let answer: Value = serde_json::from_str(&asked.stdout).unwrap();
    let finding = &answer["against"][0]["backward"]["findings"][0];
    assert_eq!(finding["instance"], "/fields/1", "{answer}");
    assert!(finding.get("counterexample").is_none(), "{answer}");
    // Protobuf, with an import that lies in a file.
    let money = folder.write("acme/money.proto", MONEY);
    let one = folder.write("bill/v1.proto", &bill("string note = 2;"));
    let two = folder.write("bill-v2.proto", &bill("int32 note = 2;"));
    let reference = format!("acme/money.proto={money}");
    let diff = alone(&["diff", &one, &two, "--reference", &reference]);
    assert_eq!(diff.code, 1, "{diff:?}");
    for part in [
        "-   string note = 2;",
        "+   int32 note = 2;",
        "FIELD_SCALAR_KIND_CHANGED",
        "at Bill.note",
    ] {
        assert!(diff.stdout.contains(part), "{part}: {diff:?}");
    }
    assert!(!diff.stdout.contains("Money total"), "{diff:?}");
    let same = alone(&["diff", &one, &one, "--reference", &reference, "--json"]);
    assert_eq!((same.code, &same.json()["lines"]), (0, &json!([])));
    let earlier = Path::new(&one).parent().unwrap().to_str().unwrap();
    let told = alone(&[
        "check",
        &two,
        "--folder",
        earlier,
        "--reference",
        &reference,
    ]);
    assert_eq!(told.code, 1, "{told:?}");
    let missing = alone(&["check", &two, "--folder", earlier]);
    assert!(
        missing.code == 2 && missing.stderr.contains("acme/money.proto"),
        "{missing:?}"
    );
    let other = alone(&["diff", &old, &one, "--reference", &reference]);
    assert!(
        other.code == 1 && other.stdout.contains("schema-format-changed"),
        "{other:?}"
    );
    // What a hub holds, with what it refers to.
    let _ = hub
        .sandbar(&["contract", "push", "money", &money, "--json"])
        .json();
    let push = [
        "contract",
        "push",
        "bill",
        &one,
        "--reference",
        "acme/money.proto=money@1",
        "--json",
    ];
    let _ = hub.sandbar(&push).json();
    let diff = hub.sandbar(&[
        "contract",
        "diff",
        "bill@1",
        &two,
        "--reference",
        &reference,
    ]);
    assert!(
        diff.code == 1 && diff.stdout.contains("at Bill.note"),
        "{diff:?}"
    );
}

#[tokio::test]
async fn a_file_brings_contracts_that_refer_to_each_other() {
    let hub = Hub::start().await;
    let folder = Folder::new();
    folder.write("money.proto", MONEY);
    folder.write("bill.proto", &bill("string note = 2;"));
    folder.write("order.avsc", &avro(&id_field()));
    // The order of the names is not that of the references.
    let wanted = |bill: &str| {
        format!(
            "contracts:\n  a-bill: {{schema: {bill}, references: {{acme/money.proto: money}}}}\n  money: {{schema: money.proto}}\n  order: {{schema: order.avsc, format: avro}}\ntopics:\n  bills: {{contract: a-bill}}\n"
        )
    };
    let file = folder.write("sandbar.yaml", &wanted("bill.proto"));
    let dry = hub
        .sandbar(&["apply", "-f", &file, "--dry-run", "--json"])
        .json();
    assert_eq!(dry["plan"][0]["name"], "money", "{dry}");
    let _ = hub.sandbar(&["apply", "-f", &file, "--json"]).json();
    let topic = hub.get("/v1/topics/bills").await.expect(200);
    assert_eq!(topic["contract"], "a-bill@1", "{topic}");
    let again = hub.sandbar(&["apply", "-f", &file]);
    assert!(
        again.code == 0 && again.stdout.contains("nothing to do"),
        "{again:?}"
    );
    // Another version of what is referred to makes another of what refers.
    folder.write(
        "money.proto",
        &MONEY.replace("}", "  string currency = 2;\n}"),
    );
    let _ = hub.sandbar(&["apply", "-f", &file, "--json"]).json();
    let bill = hub.get("/v1/contracts/a-bill/versions/2").await.expect(200);
    assert_eq!(bill["references"][0]["version"], 2, "{bill}");
    let circle = "contracts:\n  a: {schema: order.avsc, references: {b: b}}\n  b: {schema: order.avsc, references: {a: a}}\n";
    let file = folder.write("circle.yaml", circle);
    let refused = hub.sandbar(&["apply", "-f", &file]);
    assert!(
        refused.code == 1 && refused.stderr.contains("circle.yaml:2"),
        "{refused:?}"
    );
    let missing = "contracts:\n  a: {schema: order.avsc, references: {b: gone@1}}\n";
    let file = folder.write("missing.yaml", missing);
    let refused = hub.sandbar(&["apply", "-f", &file]);
    assert!(
        refused.code == 1
            && refused
                .stderr
                .contains("neither in the file nor on the hub"),
        "{refused:?}"
    );
}
