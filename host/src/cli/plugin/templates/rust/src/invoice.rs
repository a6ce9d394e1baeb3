//! An order becomes an invoice.

use serde::{Deserialize, Serialize};

/// The step's config: `{"currency": "DKK"}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    currency: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            currency: "EUR".to_owned(),
        }
    }
}

#[derive(Deserialize)]
struct Order {
    number: Option<String>,
    #[serde(default)]
    customer: String,
    #[serde(default)]
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    pieces: u64,
    cents: u64,
}

#[derive(Serialize)]
struct Invoice<'a> {
    order: &'a str,
    customer: &'a str,
    currency: &'a str,
    total_cents: u64,
}

#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// The invoice, as JSON.
    Invoice(Vec<u8>),
    Nothing(&'static str),
    Invalid(String),
}

pub fn invoice(data: &[u8], config: &Config) -> Outcome {
    let order: Order = match serde_json::from_slice(data) {
        Ok(order) => order,
        Err(error) => return Outcome::Invalid(format!("not an order: {error}")),
    };
    let Some(number) = &order.number else {
        return Outcome::Invalid("the order has no number".to_owned());
    };
    if order.lines.is_empty() {
        return Outcome::Nothing("nothing to invoice");
    }
    let invoice = Invoice {
        order: number,
        customer: &order.customer,
        currency: &config.currency,
        total_cents: order.lines.iter().map(|line| line.pieces * line.cents).sum(),
    };
    match serde_json::to_vec(&invoice) {
        Ok(data) => Outcome::Invoice(data),
        Err(error) => Outcome::Invalid(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn vectors() {
        let vectors: Vec<Value> = serde_json::from_str(include_str!("../vectors.json")).unwrap();
        for vector in vectors {
            let data = serde_json::to_vec(&vector["order"]).unwrap();
            match invoice(&data, &Config::default()) {
                Outcome::Invoice(data) => {
                    let invoice: Value = serde_json::from_slice(&data).unwrap();
                    assert_eq!(invoice, vector["invoice"], "{}", vector["name"]);
                }
                Outcome::Nothing(reason) => assert_eq!(reason, vector["drop"]),
                Outcome::Invalid(reason) => assert_eq!(reason, vector["reject"]),
            }
        }
    }

    #[test]
    fn what_is_no_order_is_invalid() {
        let outcome = invoice(b"nonsense", &Config::default());
        assert!(matches!(outcome, Outcome::Invalid(_)), "{outcome:?}");
    }
}
