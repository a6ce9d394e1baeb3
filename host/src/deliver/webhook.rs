//! Push: the events of a subscription are sent to a webhook.
//!
//! A webhook is but another client of the subscription: it takes what is due, sends it, and settles
//! what came of it. Order per key, waiting, attempts and dead letters are the group's business. It
//! knows no plugins and no API.

mod breaker;
mod client;
mod connector;
mod handshake;
mod outcome;
mod pace;
mod request;
mod retry_after;
mod signature;
mod trust;
