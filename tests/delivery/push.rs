//! Events are sent to webhooks: what a receiver gets, and what its answers do.

use sandbar_tests::{Hub, Options, Receiver, Reply, assert_problem, event, json_event};
use serde_json::{Value, json};

mod answers;
mod breaker;
mod connections;
mod documents;
mod handshake;
mod requests;
mod signatures;
mod stop;
mod targets;
mod trial;

/// A hub that may send to this machine.
async fn hub() -> Hub {
    Hub::start_with(options(&["--allow-private-targets"])).await
}

fn options(arguments: &[&str]) -> Options {
    Options {
        arguments: arguments.iter().map(|&one| one.to_owned()).collect(),
    }
}

/// Short waits, so that nothing is waited for in vain.
fn document(push: Value) -> Value {
    json!({
        "topics": ["t"],
        "retry": {"initial_ms": 1, "max_ms": 50},
        "push": push,
    })
}

async fn subscribe(hub: &Hub, document: Value) {
    let _ = hub.put("/v1/subscriptions/s", document).await.expect(201);
}

/// A topic `t`, and a subscription `s` that is sent to the receiver; `more` goes into `push`.
async fn pushed(hub: &Hub, receiver: &Receiver, more: Value) {
    hub.topic("t", json!({})).await;
    subscribe(hub, document(push_to(receiver, more))).await;
}

fn push_to(receiver: &Receiver, more: Value) -> Value {
    let mut push = json!({"url": receiver.url()});
    let members = more.as_object().expect("an object").clone();
    push.as_object_mut().expect("an object").extend(members);
    push
}

/// Waits until the webhook of `s` is as wanted; gives how it is doing.
async fn webhook_until(hub: &Hub, otherwise: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    hub.until("/v1/subscriptions/s", "webhook", otherwise, wanted)
        .await
}

/// Waits until everything is settled; gives the status of `s`.
async fn settled(hub: &Hub) -> Value {
    hub.until("/v1/subscriptions/s", "status", "s is behind", |status| {
        status["lag"] == 0 && status["waiting"] == 0
    })
    .await
}
