//! Every way in which the hub refuses, classed by what the caller must do. Each has a code, an HTTP
//! status, and a page (`/problems/<code>`) for the person who meets it.

use serde::Serialize;

use crate::gate::GateReport;

/// One place of several that are wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Place {
    /// The event's place in the batch, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// A JSON Pointer (RFC 6901) into the event or document.
    pub pointer: String,
    pub reason: String,
    /// What makes a version of a contract incompatible, with data that shows it.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub incompatibility: Option<Box<Incompatibility>>,
}

/// Why a version of a contract may not follow another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Incompatibility {
    /// A stable name, such as `type-narrowed`; docs/contracts.md lists them.
    pub rule: String,
    /// `backward` or `forward`.
    pub direction: String,
    /// The earlier version.
    pub version: u32,
    /// The event type, where the contract has types.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// A JSON Pointer into the earlier version's schema.
    pub old: String,
    /// A JSON Pointer into the new schema.
    pub new: String,
    /// Avro and Protobuf: the path of the field.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// JSON Schema: data that one version takes and the other refuses; missing where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub counterexample: Option<serde_json::Value>,
}

/// A refusal: what is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub code: Code,
    pub detail: String,
    /// Overrides the code's own advice.
    pub help: Option<String>,
    pub errors: Vec<Place>,
    /// What the activation gate found.
    pub gate: Vec<GateReport>,
    /// Seconds after which to try again.
    pub retry_after: Option<u32>,
}

impl Problem {
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            help: None,
            errors: Vec::new(),
            gate: Vec::new(),
            retry_after: None,
        }
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    #[must_use]
    pub fn errors(mut self, errors: Vec<Place>) -> Self {
        self.errors = errors;
        self
    }

    #[must_use]
    pub fn gate(mut self, gate: Vec<GateReport>) -> Self {
        self.gate = gate;
        self
    }

    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Something inside the hub that the caller can do nothing about.
    #[must_use]
    pub fn internal(detail: impl std::fmt::Display) -> Self {
        Self::new(Code::Internal, detail.to_string())
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.title(), self.detail)
    }
}

impl std::error::Error for Problem {}

macro_rules! codes {
    ($($variant:ident $code:literal $status:literal $title:literal $help:literal;)+) => {
        /// What kind of refusal.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($variant),+ }

        impl Code {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// As in `/problems/<code>`.
            #[must_use]
            pub fn as_str(self) -> &'static str { match self { $(Self::$variant => $code),+ } }

            /// The HTTP status.
            #[must_use]
            pub fn status(self) -> u16 { match self { $(Self::$variant => $status),+ } }

            /// A short summary, the same for each occurrence.
            #[must_use]
            pub fn title(self) -> &'static str { match self { $(Self::$variant => $title),+ } }

            /// What to do.
            #[must_use]
            pub fn advice(self) -> &'static str { match self { $(Self::$variant => $help),+ } }
        }
    };
}

codes! {
    MalformedBody "malformed-body" 400 "The body cannot be read" "Send what the Content-Type says, complete and in UTF-8; the detail names the place.";
    MalformedRequest "malformed-request" 400 "The request cannot be read" "Correct the path, the query or the headers as the detail says; /openapi.json describes every call.";
    InvalidName "invalid-name" 422 "The name is not allowed" "Use 1 to 128 of a-z A-Z 0-9 . _ - and start with a letter or digit.";
    ReservedName "reserved-name" 403 "The name belongs to the hub" "Names that start with 'sandbar.' are the hub's own; choose another.";
    InvalidDocument "invalid-document" 422 "The document is not valid" "Correct the field that the detail names; unknown fields are refused so that a slip is not lost.";
    NotFound "not-found" 404 "There is nothing at this address" "See /openapi.json for all addresses.";
    MethodNotAllowed "method-not-allowed" 405 "The address does not take this method" "See /openapi.json for the methods of each address.";
    UnknownTopic "unknown-topic" 404 "The topic does not exist" "Create it with PUT /v1/topics/{topic}; GET /v1/topics lists what there is.";
    UnknownContract "unknown-contract" 404 "The contract does not exist" "Register it with POST /v1/contracts/{name}/versions; GET /v1/contracts lists what there is.";
    UnknownPlugin "unknown-plugin" 404 "The plugin does not exist" "Upload it with PUT /v1/plugins/{name}/versions/{version}; GET /v1/plugins lists what there is.";
    UnknownChannel "unknown-channel" 404 "The channel does not exist" "Make it with PUT /v1/plugins/{name}/channels/{channel}.";
    UnknownRoute "unknown-route" 404 "The route does not exist" "Create it with PUT /v1/routes/{route}; GET /v1/routes lists what there is.";
    UnknownShadow "unknown-shadow" 404 "The route has no shadow" "Set a candidate beside it with PUT /v1/routes/{route}/shadow.";
    UnknownDeadLetter "unknown-dead-letter" 404 "The dead letter does not exist" "GET /v1/dead-letters lists what there is, each with its id and its offset.";
    UnknownJob "unknown-job" 404 "The job does not exist" "GET /v1/jobs lists what there is; the last 1000 that are over are remembered.";
    UnknownSubscription "unknown-subscription" 404 "The subscription does not exist" "Create it with PUT /v1/subscriptions/{name}; GET /v1/subscriptions lists what there is.";
    UnknownEvent "unknown-event" 404 "There is no such event" "Check topic, partition and offset; GET /v1/topics/{topic} tells the ends of each partition.";
    UnsupportedMediaType "unsupported-media-type" 415 "The content type is not supported here" "Use one of the content types that the detail lists.";
    InvalidEvent "invalid-event" 422 "The event breaks the CloudEvents rules" "Correct the attributes listed in 'errors' (CloudEvents 1.0, Context Attributes).";
    ContractViolation "contract-violation" 422 "The event does not fit the topic's contract" "Correct the places listed in 'errors', or register a version of the contract that allows them.";
    IdConflict "id-conflict" 409 "An event with this source and id has other data" "Ids must be unique per source: give the new event an id of its own. The stored event is unchanged.";
    BodyTooLarge "body-too-large" 413 "The body is too large" "Send smaller batches, or start the hub with a higher --max-body-bytes.";
    EventTooLarge "event-too-large" 413 "An event is too large for its topic" "Send smaller events, or raise max_event_bytes of the topic.";
    ReadOnlyTopic "read-only-topic" 403 "The topic is written by the hub alone" "Publish to a topic of your own.";
    StorageFull "storage-full" 507 "The disk is full" "Nothing was stored. Make room on the disk of the data folder, then send again; reading goes on meanwhile.";
    LogStopped "log-stopped" 503 "The partition cannot be written" "Nothing was stored. See the detail; 'sandbar log verify' and 'sandbar log repair' handle damage, a restart handles a failed sync.";
    Stopping "stopping" 503 "The hub is shutting down" "Nothing was stored. Send again when it is back.";
    Busy "busy" 503 "The hub has too much to do" "Nothing was stored. Send again after the time in Retry-After.";
    QuotaExceeded "quota-exceeded" 429 "The topic takes no more for now" "Nothing was stored. Send again after the time in Retry-After, or raise the topic's 'quota'.";
    IdempotencyKeyMalformed "idempotency-key-malformed" 400 "The Idempotency-Key cannot be read" "Send one key: 1 to 255 visible ASCII characters, in double quotes or without.";
    IdempotencyKeyReused "idempotency-key-reused" 422 "The Idempotency-Key belongs to another request" "Nothing was done. Give each request a key of its own; send it again only with the very same request.";
    IdempotencyKeyInUse "idempotency-key-in-use" 409 "The first request with this Idempotency-Key is at work" "Send it again after the time in Retry-After; the answer will be that of the first.";
    IdempotencyOutcomeUnknown "idempotency-outcome-unknown" 409 "It is not known whether this was done" "See whether what you asked for is there. If it is not, ask again with another key.";
    PartitionsFixed "partitions-fixed" 409 "The number of partitions cannot be changed" "Order per key depends on it. Make another topic with the number you want and a route that copies into it.";
    TopicInUse "topic-in-use" 409 "The topic is in use" "Delete the routes and subscriptions that the detail names first, or take the topic out of them.";
    IncompatibleContract "incompatible-contract" 409 "The version is not compatible with an earlier one" "Change the places listed in 'errors', register it under another name, or change the rule with PUT /v1/contracts/{name}. What is only unknown may be accepted with ?accept_unknown=true.";
    StoredEventsRefused "stored-events-refused" 409 "The contract refuses events that are stored" "Nothing has changed. The detail counts them, and 'errors' has the first. Bind a version that takes them, or write what is to fit into a new topic. With ?force=true (--force) the topic is bound all the same, which is recorded; what is stored stays, and routes and subscriptions go on reading it.";
    ActivationRefused "activation-refused" 409 "The activation gate refuses it" "Nothing has changed. Correct the plugin or the contract: 'gate' has the smallest input found for each failure, and the command that asks again. With ?force=true (--force) it goes live all the same, which is recorded.";
    ContractInUse "contract-in-use" 409 "The contract version is in use" "Bind the topics that the detail names to another version first, and delete the contract versions that refer to it.";
    ContractMode "contract-mode" 409 "The contract's mode does not allow it" "See the mode with GET /registry/mode/{subject}, and set it with PUT.";
    SchemaIdTaken "schema-id-taken" 409 "The id belongs to another schema" "Import the schema under an id that is free, or under the one that it has.";
    PluginInUse "plugin-in-use" 409 "The plugin version is in use" "Move the routes and channels that the detail names to another version first.";
    ChannelInUse "channel-in-use" 409 "The channel is in use" "Move the routes that the detail names to a version or to another channel first.";
    NameTaken "name-taken" 409 "The name is taken" "The versions and the channels of a plugin share their names: choose another.";
    NothingToRollBack "nothing-to-roll-back" 409 "There is nothing to go back to" "Name what is to run: a version of the channel, or the route's document.";
    ShadowOver "shadow-over" 409 "The shadow is over" "Set another candidate with PUT /v1/routes/{route}/shadow.";
    JobOver "job-over" 409 "The job is over" "Nothing is left to be cancelled; GET /v1/jobs/{id} tells what it did.";
    TooManyJobs "too-many-jobs" 409 "Too many jobs are waiting" "Wait until some are over, or cancel some: GET /v1/jobs lists them.";
    PluginBundled "plugin-bundled" 409 "The plugin version ships with the hub" "It takes no room in the data folder and cannot be deleted; upload another version, or leave it unused.";
    InvalidSchema "invalid-schema" 422 "The schema is not valid" "Correct the place that the detail names. Nothing is fetched from the network: put what is referred to into the same document, or register it as a contract and list it in 'references'.";
    NothingToInfer "nothing-to-infer" 422 "There is nothing to draft a contract from" "Publish JSON events first, or name another range or other types; the detail says what was looked at.";
    VersionTaken "version-taken" 409 "This version has other bytes" "Versions never change: upload under a new version.";
    InvalidPlugin "invalid-plugin" 422 "The plugin cannot be used" "Build it to the world 'transformer' or 'column-transformer' of wit/transform.wit; the detail names what does not fit.";
    PluginConfigRefused "plugin-config-refused" 422 "The plugin refuses its configuration" "Correct the step's config as the plugin says in the detail.";
    GrantMissing "grant-missing" 422 "The plugin needs what the route does not grant" "Add the capability to the step's 'grants' if the plugin may have it.";
    RouteCircle "route-circle" 422 "The route would lead events in a circle" "Send the outputs to a topic from which no route leads back; the detail shows the circle.";
    RouteSourceFixed "route-source-fixed" 409 "The source of a route cannot be changed" "A route's position belongs to its source. Delete the route, or make another one.";
    OffsetTrimmed "offset-trimmed" 410 "The events there were deleted by retention" "Go on at the earliest offset, which the detail names.";
    PushedSubscription "pushed-subscription" 409 "The hub sends the events of this subscription" "Its events go to its webhook. Take 'push' out of the document to pull, or make another subscription.";
    NoWebhook "no-webhook" 409 "The subscription has no webhook" "Add 'push' to its document to have its events sent; pull them with GET /v1/subscriptions/{name}/events.";
    OffsetPastTail "offset-past-tail" 416 "The offset is past the end of the partition" "Read from an offset up to the tail, which the detail names.";
    Damaged "damaged" 500 "The partition is damaged there" "Stop the hub and run 'sandbar log verify', then 'sandbar log repair', which spells out the loss. Other partitions go on.";
    Internal "internal" 500 "Something failed inside the hub" "See the hub's log; if it stays, report it with the detail.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_complete() {
        let mut seen = std::collections::HashSet::new();
        for code in Code::ALL {
            assert!(
                seen.insert(code.as_str()),
                "{} is there twice",
                code.as_str()
            );
            assert!(
                code.as_str()
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
            );
            assert!((400..600).contains(&code.status()), "{}", code.as_str());
            assert!(
                code.advice().ends_with('.') && !code.title().ends_with('.'),
                "{}",
                code.as_str()
            );
        }
    }
}
