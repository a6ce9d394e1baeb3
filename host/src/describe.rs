//! The documents of a hub: what is defined, told as AsyncAPI and as event schemas in OpenAPI.
//!
//! Pure over a picture of the catalog: no HTTP, no log, nothing is read. Schemas are embedded so that
//! every reference in them leads somewhere in the document that they stand in (`embed`).

mod asyncapi;
mod avro;
mod embed;
mod events;
mod messages;
mod protobuf;

use std::{collections::BTreeMap, sync::Arc};

use sandbar_types::Name;

use crate::{
    catalog::{
        BoundContract, Catalog, ContractDocument, RouteDocument, SubscriptionDocument, Topic,
        TopicDocument,
    },
    contract::Rule,
};

pub use asyncapi::asyncapi;
pub use events::with_events;

/// What is defined in a hub, at one time.
#[derive(Debug)]
pub struct Defined {
    /// Where the hub is reached: host and port.
    pub host: String,
    topics: Vec<DefinedTopic>,
    contracts: BTreeMap<Name, DefinedContract>,
    routes: BTreeMap<Name, DefinedRoute>,
    subscriptions: BTreeMap<Name, SubscriptionDocument>,
}

#[derive(Debug)]
struct DefinedTopic {
    name: Name,
    document: TopicDocument,
    contract: Option<Arc<BoundContract>>,
}

impl DefinedTopic {
    fn of(topic: &Topic) -> Self {
        Self {
            name: topic.name.clone(),
            document: topic.document(),
            contract: topic.contract(),
        }
    }

    /// Where its events are published and read.
    fn address(&self) -> String {
        // Names have nothing that must be encoded in a path.
        format!("/v1/topics/{}/events", self.name)
    }
}

#[derive(Debug, Default)]
struct DefinedContract {
    document: ContractDocument,
    /// What new versions keep.
    rule: Rule,
    versions: BTreeMap<u32, Arc<BoundContract>>,
}

#[derive(Debug)]
struct DefinedRoute {
    document: RouteDocument,
    paused: bool,
}

impl Defined {
    /// What a catalog holds. `host` is where callers reach the hub.
    #[must_use]
    pub fn of(catalog: &Catalog, host: String) -> Self {
        let mut contracts: BTreeMap<Name, DefinedContract> = BTreeMap::new();
        for bound in catalog.contracts() {
            let contract = contracts.entry(bound.name.clone()).or_default();
            contract.versions.insert(bound.version, bound);
        }
        for (name, contract) in &mut contracts {
            if let Ok((document, _)) = catalog.agreement(name.as_str()) {
                contract.rule = catalog.rule(&document);
                contract.document = document;
            }
        }
        let routes = (catalog.routes().into_iter()).map(|(name, route)| {
            let route = DefinedRoute {
                document: route.document,
                paused: route.paused,
            };
            (name, route)
        });
        let subscriptions = (catalog.subscriptions().into_iter())
            .map(|(name, record)| (name, record.document.masked()));
        Self {
            host,
            topics: catalog
                .topics()
                .iter()
                .map(|one| DefinedTopic::of(one))
                .collect(),
            contracts,
            routes: routes.collect(),
            subscriptions: subscriptions.collect(),
        }
    }
}
