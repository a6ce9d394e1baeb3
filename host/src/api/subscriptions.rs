//! Subscriptions over HTTP: their documents, and how they stand.

use axum::{
    Json as Answer,
    extract::{Path, State},
    http::StatusCode,
};
use sandbar_types::{Name, Offset, PartitionId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    Caller, Shared,
    extract::{Json, JsonOrNothing},
    refusal::ProblemDocument,
    topics::status,
};
use crate::{
    catalog::{Disabled, PlannedSubscription, SubscriptionDocument, SubscriptionRecord},
    clock,
    deliver::{PushStatus, PushTest, Reset, ResetTarget, ResetTo, SubscriptionStatus},
    hub::Hub,
    problem::{Code, Problem},
};

/// A subscription and how it is doing.
#[derive(Serialize, ToSchema)]
pub(super) struct SubscriptionAnswer {
    name: String,
    #[serde(flatten)]
    document: SubscriptionDocument,
    paused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled: Option<Disabled>,
    /// RFC 3339.
    made: String,
    status: SubscriptionStatus,
    /// How the webhook is doing, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<PushStatus>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct SubscriptionList {
    subscriptions: Vec<SubscriptionAnswer>,
}

/// Blocks on the disk.
fn answer(
    hub: &Hub,
    name: &Name,
    record: SubscriptionRecord,
) -> Result<SubscriptionAnswer, Problem> {
    Ok(SubscriptionAnswer {
        name: name.to_string(),
        status: hub.subscription(name.as_str())?.status(),
        webhook: hub.webhook_status(name),
        document: record.document.masked(),
        paused: record.paused,
        disabled: record.disabled,
        made: clock::to_text(record.made),
    })
}

async fn answer_of(hub: &std::sync::Arc<Hub>, name: Name) -> Result<SubscriptionAnswer, Problem> {
    hub.blocking(move |hub| {
        let (name, record) = hub.catalog.subscription(name.as_str())?;
        answer(hub, &name, record)
    })
    .await
}

/// All subscriptions.
#[utoipa::path(get, path = "/v1/subscriptions", tag = "subscriptions", operation_id = "list_subscriptions",
    responses((status = 200, body = SubscriptionList)))]
pub(super) async fn list(State(hub): Shared) -> Result<Answer<SubscriptionList>, Problem> {
    hub.blocking(|hub| {
        let all = hub.catalog.subscriptions().into_iter();
        let answers = all.filter_map(|(name, record)| answer(hub, &name, record).ok());
        Ok(Answer(SubscriptionList {
            subscriptions: answers.collect(),
        }))
    })
    .await
}

/// Makes a subscription, or changes one; it goes on where it was.
#[utoipa::path(put, path = "/v1/subscriptions/{subscription}", tag = "subscriptions", operation_id = "put_subscription",
    params(("subscription" = String, Path)),
    request_body = SubscriptionDocument,
    responses(
        (status = 201, description = "Made", body = SubscriptionAnswer),
        (status = 200, description = "Was there; now as asked", body = SubscriptionAnswer),
        (status = 416, description = "offset-past-tail", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "invalid-document, invalid-name", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn put(
    State(hub): Shared,
    Path(subscription): Path<String>,
    Json(document): Json<SubscriptionDocument>,
) -> Result<(StatusCode, Answer<SubscriptionAnswer>), Problem> {
    let (name, put) = hub.put_subscription(subscription, document).await?;
    Ok((status(put), Answer(answer_of(&hub, name).await?)))
}

/// What putting this document would do; nothing is changed. Secrets and values of headers are compared
/// with what is there, and not told.
#[utoipa::path(post, path = "/v1/subscriptions/{subscription}/check", tag = "subscriptions", operation_id = "check_subscription",
    params(("subscription" = String, Path)),
    request_body = SubscriptionDocument,
    responses(
        (status = 200, body = PlannedSubscription),
        (status = 416, description = "offset-past-tail", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "invalid-document, invalid-name", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn check(
    State(hub): Shared,
    Path(subscription): Path<String>,
    Json(document): Json<SubscriptionDocument>,
) -> Result<Answer<PlannedSubscription>, Problem> {
    let planned = hub.plan_subscription(subscription, document).await?;
    Ok(Answer(planned))
}

/// One subscription.
#[utoipa::path(get, path = "/v1/subscriptions/{subscription}", tag = "subscriptions", operation_id = "get_subscription",
    params(("subscription" = String, Path)),
    responses(
        (status = 200, body = SubscriptionAnswer),
        (status = 404, description = "unknown-subscription", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn get(
    State(hub): Shared,
    Path(subscription): Path<String>,
) -> Result<Answer<SubscriptionAnswer>, Problem> {
    let (name, _) = hub.catalog.subscription(&subscription)?;
    answer_of(&hub, name).await.map(Answer)
}

/// Deletes a subscription and forgets how far it came. The events stay.
#[utoipa::path(delete, path = "/v1/subscriptions/{subscription}", tag = "subscriptions", operation_id = "delete_subscription",
    params(("subscription" = String, Path)),
    responses(
        (status = 204, description = "Gone"),
        (status = 404, description = "unknown-subscription", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn delete(
    State(hub): Shared,
    Path(subscription): Path<String>,
) -> Result<StatusCode, Problem> {
    hub.delete_subscription(subscription).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Hands out nothing until it is resumed; what clients have can be settled meanwhile.
#[utoipa::path(post, path = "/v1/subscriptions/{subscription}/pause", tag = "subscriptions", operation_id = "pause_subscription",
    params(("subscription" = String, Path)),
    responses(
        (status = 200, body = SubscriptionAnswer),
        (status = 404, description = "unknown-subscription", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn pause(
    State(hub): Shared,
    Path(subscription): Path<String>,
) -> Result<Answer<SubscriptionAnswer>, Problem> {
    let change = move |catalog: &crate::catalog::Catalog| {
        catalog.set_subscription_paused(&subscription, true)
    };
    let (name, _) = hub.change_subscription(change).await?;
    answer_of(&hub, name).await.map(Answer)
}

/// Lets a paused subscription go on.
#[utoipa::path(post, path = "/v1/subscriptions/{subscription}/resume", tag = "subscriptions", operation_id = "resume_subscription",
    params(("subscription" = String, Path)),
    responses(
        (status = 200, body = SubscriptionAnswer),
        (status = 404, description = "unknown-subscription", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn resume(
    State(hub): Shared,
    Path(subscription): Path<String>,
) -> Result<Answer<SubscriptionAnswer>, Problem> {
    let change = move |catalog: &crate::catalog::Catalog| {
        catalog.set_subscription_paused(&subscription, false)
    };
    let (name, _) = hub.change_subscription(change).await?;
    answer_of(&hub, name).await.map(Answer)
}

/// Lets a subscription go on whose webhook asked not to be called any more, or is left alone because it
/// failed: what waits is sent at once.
#[utoipa::path(post, path = "/v1/subscriptions/{subscription}/enable", tag = "subscriptions", operation_id = "enable_subscription",
    params(("subscription" = String, Path)),
    responses(
        (status = 200, body = SubscriptionAnswer),
        (status = 404, description = "unknown-subscription", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn enable(
    State(hub): Shared,
    Path(subscription): Path<String>,
) -> Result<Answer<SubscriptionAnswer>, Problem> {
    let name = hub.enable_subscription(subscription).await?;
    answer_of(&hub, name).await.map(Answer)
}

/// What is sent in a test.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TestRequest {
    /// An event in the CloudEvents JSON format; absent: one of the type `sandbar.test`.
    #[schema(value_type = Option<Object>)]
    event: Option<Box<RawValue>>,
}

/// Sends an event to the webhook, once, and shows the whole exchange. Nothing is settled by it, and
/// it works while the subscription is paused or disabled. The body may be left out.
#[utoipa::path(post, path = "/v1/subscriptions/{subscription}/test", tag = "subscriptions", operation_id = "test_subscription",
    params(("subscription" = String, Path)),
    request_body = TestRequest,
    responses(
        (status = 200, description = "What was sent and what came back, also when it was no success", body = PushTest),
        (status = 404, description = "unknown-subscription", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "no-webhook", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "invalid-event", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn test(
    State(hub): Shared,
    Path(subscription): Path<String>,
    JsonOrNothing(request): JsonOrNothing<TestRequest>,
) -> Result<Answer<PushTest>, Problem> {
    let test = hub.test_webhook(&subscription, request.event).await?;
    Ok(Answer(test))
}

/// Where a subscription is to go on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResetRequest {
    /// `"earliest"`, `"latest"`, `{"time": "…"}`, `{"offsets": {"orders/0": 17}}`, `{"shift": -100}`
    /// or `{"skip_gap": true}`.
    to: ResetTo,
    /// Only say what would come of it.
    #[serde(default)]
    dry_run: bool,
    /// Remembered with the reset.
    #[serde(default)]
    reason: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ResetList {
    /// The last one first.
    resets: Vec<Reset>,
}

/// Sets a subscription to another place. What is out with clients is delivered again where the place
/// is before it; what was handed out before cannot be acknowledged after.
#[utoipa::path(post, path = "/v1/subscriptions/{subscription}/offsets", tag = "subscriptions", operation_id = "reset_subscription",
    params(("subscription" = String, Path)),
    request_body = ResetRequest,
    responses(
        (status = 200, body = ResetTarget),
        (status = 404, description = "unknown-subscription", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 416, description = "offset-past-tail", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "invalid-document", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn reset(
    State(hub): Shared,
    caller: Caller,
    Path(subscription): Path<String>,
    Json(request): Json<ResetRequest>,
) -> Result<Answer<ResetTarget>, Problem> {
    let subscription = hub.subscription(&subscription)?;
    let because = caller.because(request.reason);
    subscription
        .reset(request.to, request.dry_run, because.by, because.reason)
        .await
        .map(Answer)
}

/// Who set the subscription to another place, when, from where, to where and why.
#[utoipa::path(get, path = "/v1/subscriptions/{subscription}/offsets", tag = "subscriptions", operation_id = "list_resets",
    params(("subscription" = String, Path)),
    responses(
        (status = 200, body = ResetList),
        (status = 404, description = "unknown-subscription", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn resets(
    State(hub): Shared,
    Path(subscription): Path<String>,
) -> Result<Answer<ResetList>, Problem> {
    let subscription = hub.subscription(&subscription)?;
    let resets = hub.blocking(move |_| subscription.resets()).await?;
    Ok(Answer(ResetList { resets }))
}

/// Which held events are given up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReleaseRequest {
    /// Absent: all that are held.
    #[serde(default)]
    events: Option<Vec<HeldEvent>>,
}

/// An event that holds its key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HeldEvent {
    /// `topic/partition`.
    partition: String,
    offset: Offset,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Released {
    released: usize,
}

/// Gives up events that hold their keys (`on_failure: hold-key`): the later events of each key are
/// delivered. The dead letters stay.
#[utoipa::path(post, path = "/v1/subscriptions/{subscription}/release", tag = "subscriptions", operation_id = "release_held",
    params(("subscription" = String, Path)),
    request_body = ReleaseRequest,
    responses(
        (status = 200, body = Released),
        (status = 404, description = "unknown-subscription", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "invalid-document", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn release(
    State(hub): Shared,
    Path(subscription): Path<String>,
    Json(request): Json<ReleaseRequest>,
) -> Result<Answer<Released>, Problem> {
    let subscription = hub.subscription(&subscription)?;
    let only = match request.events {
        None => None,
        Some(events) => {
            let each = events.iter().enumerate().map(|(index, event)| {
                let parsed = partition(&event.partition).ok_or_else(|| {
                    let detail = format!(
                        "/events/{index}/partition: {:?} is not of the form topic/partition",
                        event.partition
                    );
                    Problem::new(Code::InvalidDocument, detail)
                })?;
                Ok((parsed, event.offset))
            });
            Some(each.collect::<Result<Vec<_>, Problem>>()?)
        }
    };
    let released = subscription.release(only).await?;
    Ok(Answer(Released { released }))
}

/// `topic/partition`.
fn partition(text: &str) -> Option<PartitionId> {
    let (topic, partition) = text.rsplit_once('/')?;
    Some(PartitionId::new(
        Name::new(topic).ok()?,
        partition.parse().ok()?,
    ))
}
