//! The mapping that the order guests of both worlds share with the native side of the benchmark:
//! an order of some 256 bytes of JSON becomes a parcel. It knows nothing of WebAssembly.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Order<'a> {
    number: u64,
    #[serde(borrow)]
    customer: Customer<'a>,
    #[serde(borrow)]
    lines: Vec<Line<'a>>,
    #[serde(borrow)]
    note: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Customer<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    city: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    article: Cow<'a, str>,
    pieces: u32,
    cents: u64,
}

#[derive(Serialize)]
struct Parcel<'a> {
    order: u64,
    to: &'a str,
    city: &'a str,
    pieces: u32,
    value_cents: u64,
    articles: Vec<&'a str>,
    note: Option<&'a str>,
}

/// What an order becomes.
pub enum Mapped {
    /// The parcel's name and the parcel as JSON.
    Parcel { parcel: String, data: Vec<u8> },
    /// The order has no pieces.
    Nothing,
}

/// Maps one order.
///
/// # Errors
/// What serde says of data that is no order.
pub fn map(data: &[u8]) -> Result<Mapped, String> {
    let order: Order<'_> = serde_json::from_slice(data).map_err(|error| error.to_string())?;
    let pieces = order.lines.iter().map(|line| line.pieces).sum();
    if pieces == 0 {
        return Ok(Mapped::Nothing);
    }
    let parcel = Parcel {
        order: order.number,
        to: &order.customer.name,
        city: &order.customer.city,
        pieces,
        value_cents: order
            .lines
            .iter()
            .map(|line| u64::from(line.pieces) * line.cents)
            .sum(),
        articles: order
            .lines
            .iter()
            .map(|line| line.article.as_ref())
            .collect(),
        note: order.note.as_deref(),
    };
    let mut data = Vec::with_capacity(256);
    serde_json::to_writer(&mut data, &parcel).map_err(|error| error.to_string())?;
    Ok(Mapped::Parcel {
        parcel: format!("parcel-{}", order.number),
        data,
    })
}

/// An order of about 256 bytes.
#[must_use]
pub fn sample(number: u64) -> Vec<u8> {
    format!(
        r#"{{"number":{number},"customer":{{"name":"Imke Petersen","city":"Husum","since":"2019-04-02"}},"lines":[{{"article":"lantern, brass","pieces":2,"cents":3495}},{{"article":"rope 20 m","pieces":{},"cents":1850}}],"note":"leave it at the lock","paid":true,"currency":"EUR"}}"#,
        number % 4
    )
    .into_bytes()
}
