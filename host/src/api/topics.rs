//! Topics over HTTP.

use axum::{
    Json as Answer,
    extract::{Path, State},
    http::StatusCode,
};
use sandbar_log::Log;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Caller, Shared,
    extract::{Json, Params},
    refusal::ProblemDocument,
    routes::ActivationQuery,
};
use crate::{
    catalog::{Put, Topic, TopicDocument, WentLive},
    hub::Hub,
    problem::Problem,
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

/// Makes a topic, or changes what can be changed of one. Where another contract version is bound, the
/// activation gate looks at the routes that write to it.
#[utoipa::path(put, path = "/v1/topics/{topic}", tag = "topics", operation_id = "put_topic",
    params(("topic" = String, Path, description = "1 to 128 of a-z A-Z 0-9 . _ -"), ActivationQuery),
    request_body = TopicDocument,
    responses(
        (status = 201, description = "Made", body = TopicAnswer),
        (status = 200, description = "Was there; now as asked", body = TopicAnswer),
        (status = 409, description = "partitions-fixed, activation-refused", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "invalid-document, invalid-name", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn put(
    State(hub): Shared,
    caller: Caller,
    Path(topic): Path<String>,
    Params(query): Params<ActivationQuery>,
    Json(document): Json<TopicDocument>,
) -> Result<(StatusCode, Answer<TopicAnswer>), Problem> {
    let asking = query.asked_by(caller);
    let (topic, put) = hub.put_topic(topic, document, asking).await?;
    Ok((status(put), Answer(answer(&hub, &topic))))
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
