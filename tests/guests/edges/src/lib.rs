//! Makes an invoice of an order, with one of the mistakes that are easily made: only data at an edge
//! shows it. The step's config says which; without one there is none.

use sandbar_sdk::{Event, Output, Problem, Verdict};
use serde::Deserialize;
use serde_json::{Value, json};

/// The step's config.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    mistake: Mistake,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mistake {
    /// Without a discount the total is a text.
    OptionalMember,
    /// A name is cut in the middle of a character.
    Letters,
    /// Lines without an end are waited for.
    Endless,
    /// An order of nothing has more outputs than a batch may have.
    Many,
    /// Orders with a note are refused.
    Notes,
}

#[derive(Deserialize)]
struct Order {
    id: String,
    price: f64,
    discount: Option<f64>,
    #[serde(default)]
    customer: String,
    #[serde(default)]
    lines: Vec<Value>,
    note: Option<Value>,
}

fn transform(event: &Event<'_>, config: &Option<Config>) -> Result<Verdict, Problem> {
    let order: Order = event.json()?;
    let mistake = config.as_ref().map(|config| config.mistake);
    let made = |wrong: Mistake| mistake == Some(wrong);
    let mut total = json!(order.price - order.discount.unwrap_or(0.0));
    if order.discount.is_none() && made(Mistake::OptionalMember) {
        total = json!("as ordered");
    }
    let mut initial: String = order.customer.chars().take(1).collect();
    if made(Mistake::Letters) && !order.customer.is_empty() {
        initial = order.customer[..1].to_owned();
    }
    while made(Mistake::Endless) && order.lines.len() > 1 {
        std::hint::black_box(&order.id);
    }
    if made(Mistake::Notes) && order.note.is_some() {
        return Ok(Verdict::reject("there is a note"));
    }
    let invoice = json!({"order": order.id, "total": total, "initial": initial});
    let copies = match made(Mistake::Many) && order.price == 0.0 {
        true => 2_000,
        false => 1,
    };
    let output = || Ok(Output::json(&invoice)?.r#type("shop.invoice"));
    let outputs: Result<Vec<Output>, Problem> = (0..copies).map(|_| output()).collect();
    Ok(Verdict::emit_all(outputs?))
}

sandbar_sdk::plugin!(transform, config: Option<Config>);
