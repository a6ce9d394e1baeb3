//! The Schema Registry API of Confluent under `/registry`, over the same contracts: a subject is a
//! contract. Extract, one call, convert, in the words, codes and media types that its clients expect.
//! The rules are the catalog's.

mod compatibility;
mod config;
mod document;
mod error;
mod modes;
mod schemas;
mod server;
mod subjects;
mod versions;

use std::sync::Arc;

use axum::{
    extract::Request,
    http::{HeaderValue, header},
    middleware::Next,
    response::Response,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::hub::Hub;

/// The media type of the API.
pub(super) const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// All calls.
pub(super) fn described() -> OpenApiRouter<Arc<Hub>> {
    OpenApiRouter::new()
        .routes(routes!(server::root))
        .routes(routes!(server::metadata_id))
        .routes(routes!(server::metadata_version))
        .routes(routes!(server::contexts))
        .routes(routes!(subjects::list))
        .routes(routes!(subjects::look_up, subjects::delete))
        .routes(routes!(versions::list, versions::register))
        .routes(routes!(versions::get, versions::delete))
        .routes(routes!(versions::schema))
        .routes(routes!(versions::referenced_by))
        .routes(routes!(schemas::list))
        .routes(routes!(schemas::types))
        .routes(routes!(schemas::by_id))
        .routes(routes!(schemas::text_by_id))
        .routes(routes!(schemas::subjects))
        .routes(routes!(schemas::versions))
        .routes(routes!(
            config::get_all,
            config::put_all,
            config::delete_all
        ))
        .routes(routes!(config::get, config::put, config::delete))
        .routes(routes!(modes::get_all, modes::put_all, modes::delete_all))
        .routes(routes!(modes::get, modes::put, modes::delete))
        .routes(routes!(compatibility::check_all))
        .routes(routes!(compatibility::check))
}

/// What lies under `/registry` answers in the registry's words where the framework refuses, too, and as
/// plain JSON to clients that take nothing else.
pub(super) async fn dress(request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with("/registry") {
        return next.run(request).await;
    }
    let path = request.uri().path().to_owned();
    let accept = request.headers().get(header::ACCEPT).cloned();
    let mut response = error::dress(next.run(request).await, &path).await;
    let plain = accept.is_some_and(|accept| {
        let accept = String::from_utf8_lossy(accept.as_bytes());
        accept.contains("application/json")
            && !accept.contains("schemaregistry")
            && !accept.contains("*/*")
    });
    let headers = response.headers_mut();
    if plain
        && headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| value == MEDIA_TYPE)
    {
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
    }
    response
}
