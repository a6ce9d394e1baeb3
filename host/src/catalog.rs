//! What there is: topics, contracts, plugins, channels and routes, and the rules between them.
//!
//! The catalog checks a definition against all others, keeps it in meta, and hands out what the
//! stages run with. It knows no HTTP and runs no events. Calls that change something block on the
//! disk; they are taken one at a time.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use sandbar_log::Log;
use sandbar_plugin::{Engine, Grants};
use sandbar_types::Name;

use crate::{
    meta,
    problem::{Code, Problem},
};

mod agreements;
mod binding;
mod bundled;
mod channels;
mod contracts;
mod data;
mod documents;
mod grants;
mod live;
mod plugins;
mod push;
mod registry;
mod resolved;
mod routes;
mod schema_ids;
mod shadows;
mod subjects;
mod subscriptions;
mod topics;

pub use agreements::{ContractDocument, Held};
pub use binding::Binding;
pub use channels::{Activation, Because, Channel, Moved, PlannedMove};
pub use contracts::{BoundContract, Registering, check};
pub use data::{CONFLUENT_AVRO, CONFLUENT_PROTOBUF, Encoded, TopicData};
pub use documents::{
    Decode, Dedupe, Durability, Quota, Retention, RetryPolicy, RouteDocument, Runs, Start,
    StepDocument, StepLimits, TopicDocument,
};
pub use grants::{Grant, HttpGrant, LookupGrant, Services, looked_up};
pub use live::{Affected, Basis, Forced, GateOutcome, Gated, GatedFailure, WentLive};
pub use plugins::{PluginRecord, RegisteredPlugin};
pub use push::{
    MASK, PRIVATE_TARGETS_HELP, PushBatch, PushDocument, PushMode, PushTimeouts, SECRET_PREFIX,
    Secret, roots,
};
pub use registry::{Import, Mode, Which};
pub use resolved::{Resolved, ResolvedStep};
pub use routes::{PlannedRoute, Route, RouteChange, code_of_start};
pub use shadows::{PromotePolicy, ShadowDocument, ShadowRecord, ShadowStart};
pub use subscriptions::{
    Change, Disabled, OnFailure, PlannedSubscription, SubscriptionDocument, SubscriptionRecord,
    SubscriptionRetry, SubscriptionStart, check_partition,
};
pub use topics::{PlannedTopic, Topic};

/// The topic of dead letters.
pub const DEAD_LETTERS: &str = "sandbar.dead-letters";

/// Whether a definition was made by the call or was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    Made,
    Kept,
}

/// All definitions.
#[derive(Debug)]
pub struct Catalog {
    log: Arc<dyn Log>,
    engine: Engine,
    /// Where the bytes of plugins are kept, by digest.
    plugin_folder: PathBuf,
    tables: Tables,
    state: Arc<RwLock<State>>,
    writers: data::Writers,
    /// Held over every change.
    changing: Mutex<()>,
}

#[derive(Debug)]
struct Tables {
    topics: meta::Table<topics::Record>,
    contracts: meta::Table<contracts::Record>,
    schema_ids: meta::Table<schema_ids::Record>,
    contract_numbers: meta::Table<contracts::Numbers>,
    registry: meta::Table<registry::Settings>,
    agreements: meta::Table<ContractDocument>,
    plugins: meta::Table<PluginRecord>,
    channels: meta::Table<Channel>,
    routes: meta::Table<routes::Record>,
    shadows: meta::Table<ShadowRecord>,
    subscriptions: meta::Table<SubscriptionRecord>,
}

#[derive(Clone, Debug)]
struct State {
    /// What stands behind grants; handed on to every step.
    services: Arc<dyn Services>,
    topics: BTreeMap<Name, Arc<Topic>>,
    contracts: BTreeMap<Name, BTreeMap<u32, Arc<BoundContract>>>,
    /// Versions that are deleted softly: found by id, and nowhere else.
    withdrawn: BTreeMap<Name, BTreeMap<u32, Arc<BoundContract>>>,
    schema_ids: schema_ids::SchemaIds,
    /// The highest numbers of contracts of which versions were deleted.
    contract_numbers: BTreeMap<Name, u32>,
    /// By contract; `*` for all.
    settings: BTreeMap<String, registry::Settings>,
    agreements: BTreeMap<Name, ContractDocument>,
    plugins: BTreeMap<Name, BTreeMap<String, RegisteredPlugin>>,
    /// By `plugin@channel`.
    channels: BTreeMap<String, Channel>,
    routes: BTreeMap<Name, Route>,
    /// By route.
    shadows: BTreeMap<Name, ShadowRecord>,
    subscriptions: BTreeMap<Name, SubscriptionRecord>,
}

impl Catalog {
    /// Loads all definitions. With `bundled` the plugins that the binary carries are there, too.
    ///
    /// # Errors
    /// When meta cannot be read, or holds what this version cannot use, in words.
    pub fn open(
        store: &Arc<dyn meta::Store>,
        log: Arc<dyn Log>,
        engine: Engine,
        plugin_folder: PathBuf,
        bundled: bool,
        services: Arc<dyn Services>,
    ) -> Result<Self, String> {
        let tables = Tables {
            topics: meta::Table::new(store.clone(), meta::tables::TOPICS),
            contracts: meta::Table::new(store.clone(), meta::tables::CONTRACTS),
            schema_ids: meta::Table::new(store.clone(), meta::tables::SCHEMA_IDS),
            contract_numbers: meta::Table::new(store.clone(), meta::tables::CONTRACT_NUMBERS),
            registry: meta::Table::new(store.clone(), meta::tables::REGISTRY),
            agreements: meta::Table::new(store.clone(), meta::tables::AGREEMENTS),
            plugins: meta::Table::new(store.clone(), meta::tables::PLUGINS),
            channels: meta::Table::new(store.clone(), meta::tables::CHANNELS),
            routes: meta::Table::new(store.clone(), meta::tables::ROUTES),
            shadows: meta::Table::new(store.clone(), meta::tables::SHADOWS),
            subscriptions: meta::Table::new(store.clone(), meta::tables::SUBSCRIPTIONS),
        };
        let state = Arc::new(RwLock::new(State {
            services,
            topics: BTreeMap::new(),
            contracts: BTreeMap::new(),
            withdrawn: BTreeMap::new(),
            schema_ids: schema_ids::SchemaIds::default(),
            contract_numbers: BTreeMap::new(),
            settings: BTreeMap::new(),
            agreements: BTreeMap::new(),
            plugins: BTreeMap::new(),
            channels: BTreeMap::new(),
            routes: BTreeMap::new(),
            shadows: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
        }));
        let catalog = Self {
            log,
            engine,
            plugin_folder,
            tables,
            writers: data::Writers::new(&state),
            state,
            changing: Mutex::new(()),
        };
        catalog.load_contracts()?;
        catalog.load_agreements()?;
        catalog.load_settings()?;
        catalog.load_topics()?;
        if bundled {
            catalog.load_bundled()?;
        }
        catalog.load_plugins()?;
        catalog.load_channels()?;
        catalog.load_routes()?;
        catalog.load_shadows()?;
        catalog.load_subscriptions()?;
        Ok(catalog)
    }

    fn state(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What these grants come to, for a trial; `pointer` is their place in the request.
    pub fn resolve_grants(&self, pointer: &str, grants: &[Grant]) -> Result<Grants, Problem> {
        grants::resolve(&self.state(), pointer, grants)
    }

    /// The route's plugins and targets, looked up.
    pub fn resolve(&self, name: &Name, document: &RouteDocument) -> Result<Resolved, Problem> {
        routes::resolve(&self.state(), &self.engine, name, document)
    }
}

impl State {
    /// The routes, and the shadows of routes, whose documents name this plugin version or channel.
    fn users_of(&self, reference: &str) -> Vec<String> {
        let routes = (self.routes.iter())
            .filter(|(_, route)| route.document.names(reference))
            .map(|(name, _)| name.to_string());
        let shadows = (self.shadows.iter())
            .filter(|(_, shadow)| shadow.document.plugin == reference)
            .map(|(name, _)| format!("the shadow of {name}"));
        routes.chain(shadows).collect()
    }
}

/// What a caller is told of an error of meta.
pub(crate) fn storage(error: meta::Error) -> Problem {
    match error {
        meta::Error::Full { .. } => {
            Problem::new(Code::StorageFull, error.to_string()).retry_after(5)
        }
        other => Problem::internal(other),
    }
}

fn user_name(text: &str) -> Result<Name, Problem> {
    let name =
        Name::new(text).map_err(|error| Problem::new(Code::InvalidName, error.to_string()))?;
    if name.is_reserved() {
        let detail = format!(
            "{name} starts with {:?}",
            sandbar_types::name::RESERVED_PREFIX
        );
        return Err(Problem::new(Code::ReservedName, detail));
    }
    Ok(name)
}

fn invalid(pointer: &str, reason: impl std::fmt::Display) -> Problem {
    Problem::new(Code::InvalidDocument, format!("{pointer}: {reason}"))
}

/// `name@version`, or `name` alone.
fn split_reference(reference: &str) -> (&str, Option<&str>) {
    match reference.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (reference, None),
    }
}

/// `; did you mean …?` where a known name is near.
fn nearest(name: &str, known: &[&str]) -> String {
    let scored = known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate));
    match scored.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((score, candidate)) if score > 0.8 => format!("; did you mean {candidate:?}?"),
        _ => String::new(),
    }
}
