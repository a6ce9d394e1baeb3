//! Confluent's own clients: serializers and deserializers, references, evolution, and the calls beside them.

use std::process::Command;

use sandbar_tests::{Hub, repository};
use serde_json::{Value, json};

/// Runs a client script and gives what it printed.
fn run(program: &str, script: &str, hub: &Hub) -> Value {
    const MISSING: &str = "run `make clients`, or `make test`";
    let output = Command::new(program)
        .current_dir(repository().join("tests/clients"))
        .args([script, hub.url()])
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; {MISSING}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{script}: {stderr}\n(when a module is missing: {MISSING})\n{}",
        hub.log()
    );
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}

#[tokio::test]
async fn python() {
    let hub = Hub::start().await;
    let python = repository().join(".build/venv/bin/python");
    let shown = run(python.to_str().unwrap(), "registry_python.py", &hub);
    let avro = &shown["avro"];
    assert_eq!(avro["frame"], json!([0, 0, 0, 0, 1]), "{shown}");
    let evolved = json!([{"id": "ä", "note": null}, {"id": "x", "note": "y"}]);
    assert_eq!(avro["evolved"], evolved);
    assert_eq!(
        avro["as_written"],
        json!([{"id": "ä"}, {"id": "x", "note": "y"}])
    );
    assert_eq!(avro["referring"], json!({"total": {"cents": 5}}));
    assert_eq!(
        (&avro["compatible"], &avro["incompatible"], &avro["all"]),
        (&json!(true), &json!(false), &json!(false))
    );
    assert_eq!(
        (&avro["refused"]["status"], &avro["refused"]["code"]),
        (&json!(409), &json!(409))
    );
    assert_eq!(avro["in_use"]["code"], 42206);
    let json_schema = &shown["json"];
    assert_eq!(json_schema["read"], json!({"items": [{"sku": "a"}]}));
    assert_eq!(
        (&json_schema["wrong"], &json_schema["text"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(json_schema["references"], json!([["item.json", "item", 1]]));
    let protobuf = &shown["protobuf"];
    assert_eq!(
        (&protobuf["read"], &protobuf["same"]),
        (&json!([7, 5, "t"]), &json!(true))
    );
    let reference = json!([["acme/money.proto", "acme/money.proto", 1]]);
    assert_eq!(protobuf["references"], reference);
    assert!(
        protobuf["text"]
            .as_str()
            .unwrap()
            .contains("message Invoice"),
        "{protobuf}"
    );
    assert_eq!(protobuf["subjects"], json!(["acme/money.proto"]));
    let rest = &shown["rest"];
    assert_eq!(rest["same_id"], true);
    assert_eq!(
        (&rest["found"][1], &rest["found"][2]),
        (&json!(1), &json!("s"))
    );
    assert_eq!(
        (&rest["level"], &rest["global"]),
        (&json!("FULL"), &json!("NONE"))
    );
    assert_eq!(
        (&rest["versions"], &rest["soft"], &rest["hard"]),
        (&json!([1]), &json!(1), &json!([1]))
    );
    assert_eq!(
        (&rest["gone"]["status"], &rest["gone"]["code"]),
        (&json!(404), &json!(40401))
    );
    assert_eq!(rest["by_id"], "\"string\"");
    assert_eq!(rest["unknown"]["code"], 40401);
    assert_eq!(rest["invalid"]["code"], 42201);
    assert_eq!(
        (&rest["mode"], &rest["contexts"]),
        (&json!("READWRITE"), &json!(["."]))
    );
    assert_eq!(rest["types"].as_array().unwrap().len(), 3);
    // All of it is in the hub's own API.
    let contract = hub
        .get("/v1/contracts/orders-value/versions/2")
        .await
        .expect(200);
    assert_eq!(
        (&contract["format"], &contract["schema"]["name"]),
        (&json!("avro"), &json!("Order"))
    );
    let document = hub.get("/v1/contracts/orders-value").await.expect(200);
    assert_eq!(document["compatibility"], "backward-transitive");
}

#[tokio::test]
async fn javascript() {
    let hub = Hub::start().await;
    let shown = run("node", "registry.mjs", &hub);
    let avro = &shown["avro"];
    assert_eq!(
        (&avro["frame"], &avro["id"]),
        (&json!([0, 0, 0, 0, 1]), &json!(2)),
        "{shown}"
    );
    assert_eq!(avro["evolved"], json!({"id": "ä", "note": null}));
    assert_eq!(avro["referring"], json!({"total": {"cents": 5}}));
    assert_eq!(
        (&avro["compatible"], &avro["incompatible"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(
        (&avro["refused"]["status"], &avro["refused"]["code"]),
        (&json!(409), &json!(409))
    );
    assert_eq!(
        shown["json"],
        json!({"read": {"items": [{"sku": "a"}]}, "wrong": true})
    );
    let protobuf = &shown["protobuf"];
    assert_eq!(
        (&protobuf["cents"], &protobuf["note"]),
        (&json!("7"), &json!("ä"))
    );
    assert_eq!(
        protobuf["references"],
        json!([{"name": "acme/money.proto", "subject": "acme/money.proto", "version": 1}])
    );
    assert!(
        protobuf["text"]
            .as_str()
            .unwrap()
            .contains("message Invoice"),
        "{protobuf}"
    );
    let rest = &shown["rest"];
    let ids = rest["ids"].as_array().unwrap();
    assert!(ids[0] == ids[1] && ids[1] == ids[2], "{rest}");
    assert_eq!(
        (&rest["versions"], &rest["soft"], &rest["hard"]),
        (&json!([1]), &json!([1]), &json!([1]))
    );
    assert_eq!(rest["level"], json!(["BACKWARD", "BACKWARD"]));
    assert_eq!(
        (&rest["unknown"]["status"], &rest["unknown"]["code"]),
        (&json!(404), &json!(40401))
    );
    assert!(!rest["subjects"].as_array().unwrap().contains(&json!("s")));
}
