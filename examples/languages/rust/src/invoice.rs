//! An order becomes an invoice. This module knows nothing of WebAssembly: replace it by your mapping.

use std::{collections::BTreeMap, fmt::Display};

use sandbar_sdk::Problem;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// No invoice is over a million millions (and a cent less), so that every sum fits 64 bits.
const MAX_NET: u64 = 100_000_000_000_000 - 1;

/// The step's config: `{"currency": "EUR", "prefix": "INV-", "tax": {"DE": 1900}}`.
#[derive(Debug, Deserialize)]
pub struct Config {
    currency: String,
    #[serde(default = "default_prefix")]
    prefix: String,
    tax: BTreeMap<String, Rate>,
}

fn default_prefix() -> String {
    "INV-".to_owned()
}

/// Hundredths of a percent, at most 10000.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(try_from = "u64")]
struct Rate(u64);

impl TryFrom<u64> for Rate {
    type Error = &'static str;

    fn try_from(rate: u64) -> Result<Self, Self::Error> {
        if rate > 10_000 {
            return Err("a tax rate is a whole number from 0 to 10000");
        }
        Ok(Self(rate))
    }
}

/// serde writes the fields in this order: it is alphabetical, so what comes out is canonical JSON.
#[derive(Debug, Serialize)]
pub struct Invoice<'a> {
    currency: &'a str,
    pub customer: Customer<'a>,
    pub invoice: String,
    lines: Vec<Line<'a>>,
    net: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    order: &'a str,
    paid: bool,
    tax: u64,
    tax_rate: Rate,
    total: u64,
}

#[derive(Debug, Serialize)]
pub struct Customer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    city: Option<&'a str>,
    pub country: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    name: &'a str,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    amount: u64,
    quantity: u64,
    sku: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    unit_price: u64,
}

/// What an order becomes.
#[derive(Debug)]
pub enum Mapped<'a> {
    Invoice(Invoice<'a>),
    /// Nothing, for this reason.
    Skip(&'static str),
}

/// The data of the event.
pub type Order = Map<String, Value>;

/// # Errors
/// What does not fit, with its place as a JSON Pointer.
pub fn map<'a>(order: &'a Order, config: &'a Config) -> Result<Mapped<'a>, Problem> {
    let number = text(Some(order), "", "order")?;
    let paid = match order.get("status").and_then(Value::as_str) {
        Some("cancelled") => return Ok(Mapped::Skip("cancelled")),
        Some("paid") => true,
        Some("open") => false,
        _ => return Err("/status: must be open, paid or cancelled".into()),
    };

    let customer = order.get("customer").and_then(Value::as_object);
    let name = text(customer, "/customer", "name")?;
    let email = optional_text(customer, "/customer", "email")?;
    let address = customer.and_then(|customer| customer.get("address")?.as_object());
    let country = text(address, "/customer/address", "country")?;
    let city = optional_text(address, "/customer/address", "city")?;
    let Some(&rate) = config.tax.get(country) else {
        // Nothing is wrong with the event; the config does not know its country.
        return Err(Problem::Other(format!("no tax rate for {country}")));
    };

    let Some(lines) = order.get("lines").and_then(Value::as_array) else {
        return Err("/lines: must be a list".into());
    };
    if lines.is_empty() {
        return Ok(Mapped::Skip("nothing to invoice"));
    }
    let mut net = 0;
    let mut invoiced = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        let line = map_line(line, format_args!("/lines/{index}"))?;
        net += line.amount;
        if net > MAX_NET {
            return Err(format!("/lines: the sum is over {MAX_NET} cents").into());
        }
        invoiced.push(line);
    }
    let tax = (net * rate.0 + 5_000) / 10_000; // half up

    Ok(Mapped::Invoice(Invoice {
        currency: &config.currency,
        customer: Customer {
            city,
            country,
            email,
            name,
        },
        invoice: format!("{}{number}", config.prefix),
        lines: invoiced,
        net,
        note: optional_text(Some(order), "", "note")?,
        order: number,
        paid,
        tax,
        tax_rate: rate,
        total: net + tax,
    }))
}

fn map_line(line: &Value, at: impl Display) -> Result<Line<'_>, Problem> {
    let line = line.as_object();
    let sku = text(line, &at, "sku")?;
    let title = optional_text(line, &at, "title")?;
    let field = |key| line.and_then(|line| line.get(key));
    let quantity = field("quantity").and_then(|quantity| whole(quantity, 1..=1_000_000));
    let quantity = quantity
        .ok_or_else(|| format!("{at}/quantity: must be a whole number from 1 to 1000000"))?;
    let unit_price = field("price").and_then(Value::as_str).and_then(cents);
    let unit_price =
        unit_price.ok_or_else(|| format!("{at}/price: must be an amount like 12.50"))?;
    Ok(Line {
        amount: quantity * unit_price,
        quantity,
        sku,
        title,
        unit_price,
    })
}

/// `"34.9"` is 3490. Never by way of a float: 34.95 * 100.0 is 3495.0000000000005.
fn cents(price: &str) -> Option<u64> {
    let (whole, fraction) = price.split_once('.').unwrap_or((price, "0"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !(1..=10).contains(&whole.len()) || !(1..=2).contains(&fraction.len()) {
        return None;
    }
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let hundredths: u64 = fraction.parse().ok()?;
    Some(
        whole * 100
            + if fraction.len() == 1 {
                hundredths * 10
            } else {
                hundredths
            },
    )
}

/// By value: 2.0 is 2.
fn whole(value: &Value, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
    let number = value.as_f64()?;
    (number.fract() == 0.0 && number >= 0.0)
        .then_some(number as u64)
        .filter(|number| range.contains(number))
}

fn text<'a>(parent: Option<&'a Order>, at: impl Display, key: &str) -> Result<&'a str, Problem> {
    let value = parent.and_then(|parent| parent.get(key)?.as_str());
    (value.filter(|text| !text.is_empty()))
        .ok_or_else(|| format!("{at}/{key}: must be a text, not empty").into())
}

fn optional_text<'a>(
    parent: Option<&'a Order>,
    at: impl Display,
    key: &str,
) -> Result<Option<&'a str>, Problem> {
    match parent.and_then(|parent| parent.get(key)) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{at}/{key}: must be a text").into()),
    }
}
