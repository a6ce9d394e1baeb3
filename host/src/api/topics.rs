//! Topics over HTTP.

use axum::{
    Json as Answer,
    extract::{Path, State},
    http::StatusCode,
};
use sandbar_log::Log;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Caller, Shared,
    agreements::last_events,
    extract::{Json, Params},
    refusal::ProblemDocument,
};
use crate::{
    catalog::{Binding, Put, Topic, TopicDocument, WentLive},
    contract::{ContractReference, Definition, Format},
    hub::{Against, Asking, BindingImpact, Hub},
    problem::{Code, Problem},
};

/// A topic and how it stands.
#[derive(Serialize, ToSchema)]
pub(super) struct TopicAnswer {
    name: String,
    #[serde(flatten)]
    document: TopicDocument,
    /// When, by whom and why its contract was bound while routes wrote to it, and what the activation gate
    /// said of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    activation: Option<WentLive>,
    /// When, by whom and why its contract was bound while there were events, and how many of the last of
    /// those it refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    binding: Option<Binding>,
    state: TopicState,
}

#[derive(Serialize, ToSchema)]
pub(super) struct TopicState {
    partitions: Vec<PartitionState>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct PartitionState {
    partition: u32,
    /// The first offset still there.
    earliest: u64,
    /// The next offset to be written.
    tail: u64,
    /// On disk.
    bytes: u64,
    /// `ok`, or what keeps the partition from being written.
    status: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct TopicList {
    topics: Vec<TopicAnswer>,
}

fn answer(hub: &Hub, topic: &Topic) -> TopicAnswer {
    let state = |partition: &sandbar_types::PartitionId| {
        let bounds = hub.log.bounds(partition).unwrap_or_default();
        PartitionState {
            partition: partition.partition,
            earliest: bounds.earliest,
            tail: bounds.tail,
            bytes: bounds.bytes,
            status: hub.partition_status(partition),
        }
    };
    TopicAnswer {
        name: topic.name.to_string(),
        document: topic.document(),
        activation: topic.activation(),
        binding: topic.binding(),
        state: TopicState {
            partitions: topic.partition_ids().iter().map(state).collect(),
        },
    }
}

/// All topics, the hub's own included.
#[utoipa::path(get, path = "/v1/topics", tag = "topics", operation_id = "list_topics",
    responses((status = 200, body = TopicList)))]
pub(super) async fn list(State(hub): Shared) -> Answer<TopicList> {
    let topics = hub.catalog.topics();
    Answer(TopicList {
        topics: topics.iter().map(|topic| answer(&hub, topic)).collect(),
    })
}

/// Whether to bind a contract against what is stored and against the activation gate, and why.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BindingQuery {
    /// Bind the contract also where it refuses stored events, or the activation gate refuses it; recorded.
    #[serde(default)]
    force: bool,
    /// Kept with what was found.
    #[serde(default)]
    reason: String,
    /// How many of the last events are held against another contract; 100,000 at most.
    #[serde(default = "last_events")]
    events: u32,
}

/// Makes a topic, or changes what can be changed of one. Where another contract version is bound, the last
/// events are held against it, and the activation gate looks at the routes that write to it.
#[utoipa::path(put, path = "/v1/topics/{topic}", tag = "topics", operation_id = "put_topic",
    params(("topic" = String, Path, description = "1 to 128 of a-z A-Z 0-9 . _ -"), BindingQuery),
    request_body = TopicDocument,
    responses(
        (status = 201, description = "Made", body = TopicAnswer),
        (status = 200, description = "Was there; now as asked", body = TopicAnswer),
        (status = 409, description = "partitions-fixed, stored-events-refused, activation-refused", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "invalid-document, invalid-name", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn put(
    State(hub): Shared,
    caller: Caller,
    Path(topic): Path<String>,
    Params(query): Params<BindingQuery>,
    Json(document): Json<TopicDocument>,
) -> Result<(StatusCode, Answer<TopicAnswer>), Problem> {
    let asking = Asking {
        because: caller.because(query.reason),
        force: query.force,
    };
    let (topic, put) = hub.put_topic(topic, document, asking, query.events).await?;
    Ok((status(put), Answer(answer(&hub, &topic))))
}

/// What a topic may be bound to: a contract that is registered, or a definition that is not.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BindingRequest {
    /// `name@version`, or `name` for the latest. Either this or `schema`.
    contract: Option<String>,
    /// See registering a contract.
    #[serde(default)]
    format: Format,
    /// See registering a contract.
    schema: Option<serde_json::Value>,
    /// See registering a contract.
    #[serde(default)]
    references: Vec<ContractReference>,
    /// See registering a contract.
    types: Option<BTreeMap<String, String>>,
    /// How many of the last events are held against it; 100,000 at most.
    #[serde(default = "last_events")]
    events: u32,
}

/// Says what binding a topic to a contract would mean, without doing it: how many of its last events the
/// contract would refuse, and what writes to the topic and reads from it.
#[utoipa::path(post, path = "/v1/topics/{topic}/binding", tag = "topics", operation_id = "check_binding",
    params(("topic" = String, Path)),
    request_body = BindingRequest,
    responses(
        (status = 200, body = BindingImpact),
        (status = 404, description = "unknown-topic, unknown-contract", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "invalid-schema, invalid-document", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn binding(
    State(hub): Shared,
    Path(topic): Path<String>,
    Json(request): Json<BindingRequest>,
) -> Result<Answer<BindingImpact>, Problem> {
    let against = match (request.contract, request.schema) {
        (Some(contract), None) => Against::Contract(contract),
        (None, Some(schema)) => Against::Definition(Box::new(Definition {
            format: request.format,
            schema,
            references: request.references,
            types: request.types,
            ..Definition::default()
        })),
        _ => {
            let detail = "give either /contract or /schema";
            return Err(Problem::new(Code::InvalidDocument, detail));
        }
    };
    let impact = hub.blocking(move |hub| hub.binding_impact(&topic, against, request.events));
    impact.await.map(Answer)
}

/// One topic.
#[utoipa::path(get, path = "/v1/topics/{topic}", tag = "topics", operation_id = "get_topic",
    params(("topic" = String, Path)),
    responses(
        (status = 200, body = TopicAnswer),
        (status = 404, description = "unknown-topic", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn get(
    State(hub): Shared,
    Path(topic): Path<String>,
) -> Result<Answer<TopicAnswer>, Problem> {
    let topic = hub.catalog.topic(&topic)?;
    Ok(Answer(answer(&hub, &topic)))
}

/// Deletes a topic and all its events.
#[utoipa::path(delete, path = "/v1/topics/{topic}", tag = "topics", operation_id = "delete_topic",
    params(("topic" = String, Path)),
    responses(
        (status = 204, description = "Gone"),
        (status = 404, description = "unknown-topic", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "topic-in-use", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn delete(
    State(hub): Shared,
    Path(topic): Path<String>,
) -> Result<StatusCode, Problem> {
    hub.delete_topic(topic).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// 201 for what was made, 200 for what was there.
pub(super) fn status(put: Put) -> StatusCode {
    match put {
        Put::Made => StatusCode::CREATED,
        Put::Kept => StatusCode::OK,
    }
}
