#![allow(clippy::unwrap_used)]

use sandbar_sdk::{Problem, Verdict, test::Sample};
use serde_json::{Value, json};

use crate::{invoice::Config, transform};

fn run(changes: Value) -> Verdict {
    let mut order = json!({
        "order": "A-1",
        "status": "open",
        "customer": {"name": "Zoë", "address": {"country": "DE"}},
        "lines": [{"sku": "LAN-7", "quantity": 3, "price": "0.50"}],
    });
    (order.as_object_mut().unwrap()).extend(changes.as_object().unwrap().clone());
    run_data(&order.to_string())
}

fn run_data(data: &str) -> Verdict {
    let config: Config =
        serde_json::from_str(r#"{"currency": "EUR", "tax": {"DE": 1900}}"#).unwrap();
    (Sample::new("shop.order.placed").data(data)).run_with(&config, transform)
}

#[test]
fn an_order_becomes_an_invoice_taxed_half_up() {
    let verdict = run(json!({"note": "soon"}));
    let invoice = &verdict.outputs()[0];
    assert_eq!(invoice.attribute("subject"), Some("INV-A-1"));
    assert_eq!(invoice.attribute("country"), Some("DE"));
    assert_eq!(
        std::str::from_utf8(invoice.data_bytes().unwrap()).unwrap(),
        r#"{"currency":"EUR","customer":{"country":"DE","name":"Zoë"},"invoice":"INV-A-1","lines":[{"amount":150,"quantity":3,"sku":"LAN-7","unit_price":50}],"net":150,"note":"soon","order":"A-1","paid":false,"tax":29,"tax_rate":1900,"total":179}"#,
    );
}

#[test]
fn what_is_not_to_be_invoiced_is_dropped() {
    assert_eq!(
        run(json!({"status": "cancelled"})).dropped(),
        Some("cancelled")
    );
    assert_eq!(
        run(json!({"lines": []})).dropped(),
        Some("nothing to invoice")
    );
}

#[test]
fn what_does_not_fit_is_refused_with_the_place() {
    let invalid = |reason: &str| Problem::InvalidEvent(reason.to_owned());
    let comma = json!([{"sku": "a", "quantity": 1, "price": "1,50"}]);
    let france = json!({"name": "A", "address": {"country": "FR"}});
    for (verdict, problem) in [
        (run_data("[]"), invalid("the data is no JSON object")),
        (
            run(json!({"order": ""})),
            invalid("/order: must be a text, not empty"),
        ),
        (
            run(json!({"lines": comma})),
            invalid("/lines/0/price: must be an amount like 12.50"),
        ),
        (
            run(json!({"customer": france})),
            Problem::Other("no tax rate for FR".to_owned()),
        ),
    ] {
        assert_eq!(verdict.rejected(), Some(&problem));
    }
    let config = r#"{"currency": "EUR", "tax": {"DE": 19.5}}"#;
    assert!(serde_json::from_str::<Config>(config).is_err());
}
