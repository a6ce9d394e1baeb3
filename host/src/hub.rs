//! Wires the stages together; the only file that names them all.
//!
//! [`Hub::open`] brings everything up in the order of dependence, [`Hub::close`] takes it down in
//! the order of the data: no more publishes, then the jobs, the shadows and the routes, then the log.

use std::{
    fs::{self, File},
    path::Path,
    sync::Arc,
    time::Duration,
};

use fs4::fs_std::FileExt;
use sandbar_log::{Disk, Embedded, Log};
use sandbar_plugin::{Engine, EngineOptions};
use sandbar_types::{Name, PartitionId};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    catalog::{Catalog, DEAD_LETTERS},
    config::Config,
    deliver::{Outgoing, Reader, Subscriptions, Webhooks},
    idempotency::Idempotency,
    ingest::Publisher,
    jobs::Jobs,
    meta,
    metrics::Metrics,
    problem::Problem,
    process::{Checkpoints, Processor, Tables},
    room::Room,
    shadow::Shadows,
};

mod binding;
mod calls;
mod gate;
mod impact;
mod infer;
mod jobs;
mod live;
mod outbound;
mod readings;
mod services;
mod shadows;
mod stored;
mod subscriptions;
mod trace;
mod trial;
mod webhooks;

pub use binding::{Against, BindingImpact};
pub use calls::ContractCheck;
pub use gate::{Asking, GateRequest};
pub use impact::{ContractImpact, ImpactQuestion};
pub use infer::InferRequest;
pub use jobs::Begun;
pub use readings::{LaneReading, RouteStatus};
pub use shadows::{ShadowDifferences, ShadowStatus};
pub use trial::{Trial, TrialRequest};

/// How often retention looks.
const RETENTION_EVERY: Duration = Duration::from_secs(10);

/// A hub that is up.
#[derive(Debug)]
pub struct Hub {
    pub config: Config,
    pub catalog: Arc<Catalog>,
    pub publisher: Publisher,
    /// For the bodies of requests.
    pub bodies: Room,
    /// For answers with events.
    pub outgoing: Arc<Outgoing>,
    /// For what webhooks take and send.
    pub pushed: Room,
    pub processor: Arc<Processor>,
    pub shadows: Shadows,
    pub jobs: Jobs,
    pub reader: Reader,
    pub subscriptions: Arc<Subscriptions>,
    pub idempotency: Arc<Idempotency>,
    pub webhooks: Webhooks,
    pub engine: Engine,
    pub metrics: Arc<Metrics>,
    pub log: Arc<Embedded>,
    /// Cancelled when the hub begins to shut down: whoever waits on behalf of a caller stops.
    pub stopping: CancellationToken,
    pub dead_letters: PartitionId,
    /// What plugins look up.
    tables: Arc<Tables>,
    gate: gate::Gate,
    /// Milliseconds since the epoch.
    pub started: u64,
    tasks: TaskTracker,
    /// Held while a route is changed both in the catalog and at work.
    changing_routes: tokio::sync::Mutex<()>,
    /// Held while a subscription is changed both in the catalog and at work.
    changing_subscriptions: tokio::sync::Mutex<()>,
    /// Held while an upload is compiled.
    compiling: tokio::sync::Mutex<()>,
    /// Held as long as the hub lives: the data folder is ours.
    _lock: File,
}

impl Hub {
    /// Opens the data folder and starts all routes. Blocks on the disk; call it on a blocking thread
    /// of a tokio runtime.
    ///
    /// # Errors
    /// In words for the person at the terminal.
    pub fn open(config: Config) -> Result<Arc<Self>, String> {
        config.check()?;
        fs::create_dir_all(&config.data).map_err(|error| {
            format!(
                "cannot make the data folder {}: {error}",
                config.data.display()
            )
        })?;
        let lock = lock(&config.lock_file(), &config.data)?;
        let store: Arc<dyn meta::Store> =
            Arc::new(meta::Sled::open(&config.meta_folder()).map_err(|error| error.to_string())?);
        let options = sandbar_log::Options {
            segment_bytes: config.segment_bytes,
            clock: Arc::new(crate::clock::now),
            ..Default::default()
        };
        let log = Embedded::open(&config.log_folder(), options, Arc::new(Disk))
            .map_err(|error| format!("cannot open the log: {error}"))?;
        let log = Arc::new(log);
        let shared_log: Arc<dyn Log> = log.clone();
        let idempotency = Idempotency::open(store.clone(), crate::clock::now())?;
        let engine = Engine::new(EngineOptions {
            artifacts: Some(config.plugin_folder().join("compiled")),
            worker_threads: config.worker_threads,
            compiler: config.compiler.clone(),
            ..EngineOptions::default()
        })
        .map_err(|error| format!("cannot start the plugin engine: {error}"))?;
        let tables = Arc::new(Tables::new(shared_log.clone(), config.lookup_keys));
        let services = services::Granted::new(tables.clone())?;
        let catalog = Catalog::open(
            &store,
            shared_log.clone(),
            engine.clone(),
            config.plugin_folder(),
            config.bundled_plugins,
            Arc::new(services),
        )?;
        let catalog = Arc::new(catalog);
        let publisher = Publisher::new(shared_log.clone());
        for topic in catalog.topics() {
            if let Err(error) = publisher.load(&topic) {
                // A damaged partition refuses writes; the others go on.
                tracing::error!(topic = %topic.name, error, "repeats may not be recognised in a partition");
            }
        }
        let metrics = Arc::new(Metrics::default());
        let name = Name::new(DEAD_LETTERS).map_err(|error| error.to_string())?;
        let dead_letters = PartitionId::new(name, 0);
        let names = catalog.subscriptions().into_keys();
        let subscriptions = Subscriptions::open(&shared_log, &store, dead_letters.clone(), names)?;
        let subscriptions = Arc::new(subscriptions);
        let processor = Processor::new(
            shared_log.clone(),
            engine.clone(),
            catalog.clone(),
            Checkpoints::new(store.clone()),
            dead_letters.clone(),
            metrics.clone(),
            tables.clone(),
        );
        let processor = Arc::new(processor);
        // Each shadow says so once, and waits until it is heard.
        let (ripe, ripened) = tokio::sync::mpsc::channel(16);
        let (gone, told) = tokio::sync::mpsc::channel(256);
        let targets = Arc::new(config.private_targets.clone());
        let stopping = CancellationToken::new();
        // What hangs on one side does not hold up the other.
        let pushed = Room::new(config.api.max_outgoing_bytes / 2);
        let webhooks = Webhooks::new(
            targets,
            metrics.clone(),
            pushed.clone(),
            gone,
            &store,
            stopping.clone(),
        );
        let shadows = Shadows::new(
            shared_log.clone(),
            engine.clone(),
            catalog.clone(),
            tables.clone(),
            processor.guest_logs().clone(),
            processor.places().clone(),
            ripe,
        );
        for (name, route) in catalog.routes() {
            let resolved = catalog
                .resolve(&name, &route.document)
                .map_err(|problem| format!("route {name}: {problem}"))?;
            processor.apply(&Arc::new(resolved), route.paused)?;
        }
        let jobs = Jobs::open(
            shared_log.clone(),
            store,
            catalog.clone(),
            processor.clone(),
            subscriptions.clone(),
            dead_letters.clone(),
        )?;
        let hub = Arc::new(Self {
            reader: Reader::new(shared_log),
            bodies: Room::new(config.api.max_inflight_bytes),
            pushed,
            outgoing: Arc::new(Outgoing::new(config.api.max_outgoing_bytes / 2)),
            idempotency: Arc::new(idempotency),
            stopping,
            started: crate::clock::now(),
            tasks: TaskTracker::new(),
            changing_routes: tokio::sync::Mutex::default(),
            changing_subscriptions: tokio::sync::Mutex::default(),
            compiling: tokio::sync::Mutex::default(),
            _lock: lock,
            config,
            catalog,
            publisher,
            processor,
            shadows,
            jobs,
            subscriptions,
            webhooks,
            engine,
            metrics,
            log,
            dead_letters,
            tables,
            gate: gate::Gate::default(),
        });
        for (name, record) in hub.catalog.shadows() {
            hub.run_shadow(&name, record)?;
        }
        for (name, record) in hub.catalog.subscriptions() {
            hub.run_subscription(&name, record)
                .map_err(|problem| format!("subscription {name}: {problem}"))?;
        }
        let saving = (hub.subscriptions.clone()).keep_saving(hub.stopping.clone());
        hub.tasks.spawn(saving);
        hub.jobs.resume();
        hub.tasks.spawn(retention(hub.clone()));
        hub.tasks.spawn(shadows::promote_ripe(hub.clone(), ripened));
        hub.tasks.spawn(webhooks::disable_gone(hub.clone(), told));
        Ok(hub)
    }

    /// Stops in the order of the data. Everything acknowledged is on disk, every route has a durable
    /// checkpoint.
    pub async fn close(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.jobs.stop().await;
        self.shadows.stop_all().await;
        self.processor.stop().await;
        self.webhooks.stop().await;
        let subscriptions = self.subscriptions.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || subscriptions.save_all()).await {
            tracing::error!(%error, "saving the subscriptions failed");
        }
        let log = self.log.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || log.close()).await {
            tracing::error!(%error, "closing failed");
        }
    }

    /// Runs something that blocks on the disk for a caller.
    ///
    /// # Errors
    /// What `work` says.
    pub async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let hub = self.clone();
        tokio::task::spawn_blocking(move || work(&hub))
            .await
            .map_err(Problem::internal)?
    }
}

pub(crate) fn lock(path: &Path, data: &Path) -> Result<File, String> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
        .map_err(|error| format!("cannot open {}: {error}", path.display()))?;
    match file.try_lock_exclusive() {
        Ok(true) => Ok(file),
        Ok(false) => Err(format!(
            "the data folder {} is in use by another hub; stop that one, or choose another folder with --data",
            data.display()
        )),
        Err(error) => Err(format!("cannot lock {}: {error}", path.display())),
    }
}

/// Deletes what topics no longer want, and neither a route nor a subscription needs.
async fn retention(hub: Arc<Hub>) {
    loop {
        tokio::select! {
            () = hub.stopping.cancelled() => return,
            () = tokio::time::sleep(RETENTION_EVERY) => {}
        }
        let done = hub
            .blocking(|hub| {
                for topic in hub.catalog.topics() {
                    let retention = topic.retention();
                    if retention == sandbar_log::Retention::default() {
                        continue;
                    }
                    for partition in topic.partition_ids() {
                        let needs = [
                            hub.processor.needs(&partition),
                            hub.subscriptions.needs(&partition),
                            hub.jobs.needs(&partition),
                        ];
                        let keep_from = needs.into_iter().flatten().min().unwrap_or(u64::MAX);
                        if let Err(error) =
                            hub.log
                                .trim(&partition, retention, keep_from, crate::clock::now())
                        {
                            tracing::warn!(%partition, %error, "retention could not delete");
                        }
                    }
                }
                hub.subscriptions.trim_journal();
                Ok(())
            })
            .await;
        if let Err(problem) = done {
            tracing::warn!(%problem, "retention failed");
        }
    }
}
