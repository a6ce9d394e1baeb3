//! Delivery to the outside: events sent to webhooks.
#![allow(clippy::unwrap_used)]

mod push;
mod push_outage;
