//! The HTTP API, version 1: extract, one call, convert. No storage calls, no decisions.
//!
//! The OpenAPI document is generated from the handlers' annotations.

mod agreements;
mod caller;
mod channels;
mod contracts;
mod dead_letters;
mod events;
mod extract;
mod idempotency;
mod jobs;
mod lineage;
mod logs;
mod plugins;
mod pull;
mod refusal;
mod registry;
mod routes;
mod server;
mod shadows;
mod subscriptions;
mod system;
mod topics;

use std::sync::Arc;

use axum::{Router, middleware};
use tower_http::{catch_panic::CatchPanicLayer, decompression::RequestDecompressionLayer};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::hub::Hub;

pub use caller::Caller;
pub use server::{Bound, bind};

/// What handlers are handed.
type Shared = axum::extract::State<Arc<Hub>>;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sandbar",
        description = "A data integration hub for microservices. Every refusal is an RFC 9457 problem document.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "http://127.0.0.1:7400", description = "The default address")),
    tags(
        (name = "topics", description = "Named streams of events"),
        (name = "events", description = "Publish, read, follow, trace"),
        (name = "contracts", description = "Versioned schemas"),
        (name = "plugins", description = "Uploaded WebAssembly"),
        (name = "routes", description = "From a topic through plugins to other topics"),
        (name = "jobs", description = "Long work: redrives and replays"),
        (name = "subscriptions", description = "Consumer groups: pull events and settle them, or have them sent"),
        (name = "registry", description = "The Schema Registry API of Confluent, over the same contracts"),
        (name = "system", description = "Probes, metrics, documents"),
    ),
    components(schemas(refusal::ProblemDocument))
)]
struct Document;

fn described() -> OpenApiRouter<Arc<Hub>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(topics::list))
        .routes(routes!(topics::put, topics::get, topics::delete))
        .routes(routes!(topics::binding))
        .routes(routes!(events::publish, events::read))
        .routes(routes!(lineage::get))
        .routes(routes!(contracts::list))
        .routes(routes!(contracts::register, contracts::versions))
        .routes(routes!(contracts::get, contracts::delete))
        .routes(routes!(contracts::check))
        .routes(routes!(contracts::lookup))
        .routes(routes!(contracts::schema))
        .routes(routes!(
            agreements::put,
            agreements::get,
            agreements::delete
        ))
        .routes(routes!(agreements::compatibility))
        .routes(routes!(agreements::infer))
        .routes(routes!(plugins::list))
        .routes(routes!(plugins::versions))
        .routes(routes!(plugins::upload, plugins::get, plugins::delete))
        .routes(routes!(plugins::try_out))
        .routes(routes!(channels::list))
        .routes(routes!(channels::put, channels::get, channels::delete))
        .routes(routes!(channels::roll_back))
        .routes(routes!(logs::get))
        .routes(routes!(routes::list))
        .routes(routes!(routes::put, routes::get, routes::delete))
        .routes(routes!(routes::gate))
        .routes(routes!(routes::roll_back))
        .routes(routes!(routes::pause))
        .routes(routes!(routes::resume))
        .routes(routes!(shadows::put, shadows::get, shadows::delete))
        .routes(routes!(shadows::promote))
        .routes(routes!(subscriptions::list))
        .routes(routes!(
            subscriptions::put,
            subscriptions::get,
            subscriptions::delete
        ))
        .routes(routes!(subscriptions::check))
        .routes(routes!(pull::events))
        .routes(routes!(pull::ack))
        .routes(routes!(subscriptions::reset, subscriptions::resets))
        .routes(routes!(subscriptions::pause))
        .routes(routes!(subscriptions::resume))
        .routes(routes!(subscriptions::enable))
        .routes(routes!(subscriptions::test))
        .routes(routes!(subscriptions::release))
        .routes(routes!(shadows::differences))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::get))
        .routes(routes!(dead_letters::redrive))
        .routes(routes!(jobs::replay_route))
        .routes(routes!(jobs::replay_topic))
        .routes(routes!(jobs::replay_subscription))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::get))
        .routes(routes!(jobs::cancel))
        .routes(routes!(system::asyncapi))
        .routes(routes!(system::status))
        .routes(routes!(system::healthz))
        .routes(routes!(system::readyz))
        .routes(routes!(system::metrics))
        .routes(routes!(system::problem_page))
        .merge(registry::described())
}

/// The OpenAPI document of all calls as JSON, as committed in `docs/openapi.json`. A running hub adds the
/// events of its topics.
#[must_use]
pub fn openapi() -> String {
    let mut text = document().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

fn document() -> utoipa::openapi::OpenApi {
    let (_, mut document) = described().split_for_parts();
    idempotency::describe(&mut document);
    document
}

/// See [`openapi`].
fn openapi_value() -> serde_json::Value {
    serde_json::to_value(document()).unwrap_or_default()
}

/// The whole API over a hub.
pub fn router(hub: Arc<Hub>) -> Router {
    let (router, _) = described().split_for_parts();
    router
        .route(
            "/openapi.json",
            axum::routing::get(system::openapi_document),
        )
        .route("/", axum::routing::get(system::index))
        .fallback(refusal::not_found)
        .method_not_allowed_fallback(refusal::method_not_allowed)
        .layer(middleware::from_fn_with_state(
            hub.clone(),
            idempotency::once,
        ))
        .layer(middleware::from_fn_with_state(
            hub.clone(),
            system::count_request,
        ))
        .layer(middleware::from_fn(caller::establish))
        .layer(RequestDecompressionLayer::new())
        .layer(middleware::map_response(refusal::dress))
        .layer(middleware::from_fn(registry::dress))
        .layer(CatchPanicLayer::custom(refusal::panicked))
        .with_state(hub)
}
