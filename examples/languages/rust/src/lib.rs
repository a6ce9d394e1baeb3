//! The plugin: what the hub calls. [`invoice`] does the work.

pub mod invoice;

use invoice::{Config, Mapped, Order};
use sandbar_sdk::{Event, Output, Problem, Verdict};

fn transform(event: &Event<'_>, config: &Config) -> Result<Verdict, Problem> {
    let Ok(order) = event.json::<Order>() else {
        return Ok(Verdict::reject("the data is no JSON object"));
    };
    Ok(match invoice::map(&order, config)? {
        Mapped::Skip(reason) => Verdict::drop(reason),
        // What is not set is inherited from the order's event.
        Mapped::Invoice(invoice) => Verdict::emit(
            Output::json(&invoice)?
                .r#type("billing.invoice.issued")
                .subject(&invoice.invoice)
                .datacontenttype("application/json")
                .extension("country", invoice.customer.country),
        ),
    })
}

sandbar_sdk::plugin!(transform, config: Config);

#[cfg(test)]
mod tests;
