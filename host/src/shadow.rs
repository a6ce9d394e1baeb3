//! Shadows: a candidate runs beside what a route runs, on the same events, and is compared with it.
//! Nothing that it gives out is written.
//!
//! A shadow reads the route's source by itself and asks both, the plugins of the route and the
//! candidate: plugins are deterministic, so what the route did need not be remembered, and the route
//! never waits for its shadow. It knows the log and the pipelines of `process`, and no HTTP.

mod compare;
mod recent;
mod report;
mod task;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sandbar_log::Log;
use sandbar_plugin::{Engine, Standing};
use sandbar_types::{Name, PartitionId};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    catalog::{Catalog, Runs, ShadowDocument, ShadowRecord, ShadowStart},
    process::{Control, GuestLogs, Places, Tables},
};

pub use report::{Example, Promotion, ShadowReport, ShadowState};

use report::Progress;
use task::Task;

/// What all shadows share.
#[derive(Debug)]
struct Shared {
    log: Arc<dyn Log>,
    engine: Engine,
    catalog: Arc<Catalog>,
    tables: Arc<Tables>,
    guest_logs: Arc<GuestLogs>,
    places: Arc<Places>,
    /// Told of routes whose candidate is to take over.
    ripe: mpsc::Sender<Name>,
}

/// All shadows at work.
#[derive(Debug)]
pub struct Shadows {
    shared: Arc<Shared>,
    running: Mutex<BTreeMap<Name, Running>>,
}

#[derive(Debug)]
struct Running {
    progress: Arc<Mutex<Progress>>,
    /// Closed once nothing more is compared.
    told: watch::Receiver<()>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Shadows {
    /// `ripe` is told of each route whose candidate is to take over by its policy.
    #[must_use]
    pub fn new(
        log: Arc<dyn Log>,
        engine: Engine,
        catalog: Arc<Catalog>,
        tables: Arc<Tables>,
        guest_logs: Arc<GuestLogs>,
        places: Arc<Places>,
        ripe: mpsc::Sender<Name>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                log,
                engine,
                catalog,
                tables,
                guest_logs,
                places,
                ripe,
            }),
            running: Mutex::default(),
        }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<Name, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a shadow, or goes on where it was. `route` tells what the route runs with.
    ///
    /// # Errors
    /// When the source cannot be read, or what meta has of it cannot.
    pub fn start(
        &self,
        name: &Name,
        record: ShadowRecord,
        route: watch::Receiver<Control>,
    ) -> Result<(), String> {
        let progress = match record.progress {
            serde_json::Value::Null => self.begin(name, &record.document, &route)?,
            known => serde_json::from_value(known)
                .map_err(|error| format!("the shadow of route {name}: {error}"))?,
        };
        let over = progress.report.state.is_over();
        let progress = Arc::new(Mutex::new(progress));
        let stop = CancellationToken::new();
        let (tell, told) = watch::channel(());
        let task = Task {
            shared: self.shared.clone(),
            name: name.clone(),
            document: record.document,
            route,
            progress: progress.clone(),
            stop: stop.clone(),
            told: tell,
            standing: Standing::default(),
        };
        let task = if over {
            tokio::spawn(async {})
        } else {
            tokio::spawn(task.run())
        };
        let running = Running {
            progress,
            told,
            stop,
            task,
        };
        self.running().insert(name.clone(), running);
        Ok(())
    }

    /// Where a new shadow begins; durable when it returns.
    fn begin(
        &self,
        name: &Name,
        document: &ShadowDocument,
        route: &watch::Receiver<Control>,
    ) -> Result<Progress, String> {
        let from = route.borrow().route.document.from.clone();
        let topic = self.shared.catalog.topic(from.as_str());
        let mut progress = Progress::default();
        for partition in topic.map_err(|problem| problem.detail)?.partition_ids() {
            let bounds = self.shared.log.bounds(&partition);
            let bounds = bounds.map_err(|error| error.to_string())?;
            let next = match document.start {
                ShadowStart::Latest => bounds.tail,
                ShadowStart::Earliest => bounds.earliest,
            };
            progress.next.insert(partition.partition, next);
        }
        self.shared
            .catalog
            .save_shadow(name, serde_json::json!(progress))?;
        Ok(progress)
    }

    /// How a shadow is doing.
    #[must_use]
    pub fn report(&self, name: &Name) -> Option<ShadowReport> {
        let running = self.running();
        let progress = running.get(name)?.progress.lock();
        Some(
            progress
                .unwrap_or_else(PoisonError::into_inner)
                .report
                .clone(),
        )
    }

    /// Whether what was compared is what a route runs; so, too, where nothing was compared.
    #[must_use]
    pub fn is_compared_with(&self, name: &Name, against: &Runs) -> bool {
        self.running().get(name).is_none_or(|running| {
            let progress = running.progress.lock();
            let progress = progress.unwrap_or_else(PoisonError::into_inner);
            progress.report.compared == 0
                || progress.against.as_ref().is_none_or(|one| one == against)
        })
    }

    /// What follows a shadow from now on.
    #[must_use]
    pub fn follow(&self, name: &Name) -> Option<Follower> {
        let running = self.running();
        let running = running.get(name)?;
        Some(Follower {
            progress: running.progress.clone(),
            told: running.told.clone(),
            stop: running.stop.clone(),
        })
    }

    /// Stops a shadow after the events that it is at.
    pub async fn stop(&self, name: &Name) {
        let running = self.running().remove(name);
        if let Some(running) = running {
            running.end(name).await;
        }
    }

    /// Stops a shadow because its candidate has taken over, and keeps that with its report.
    ///
    /// # Errors
    /// When meta cannot be written, in words.
    pub async fn promoted(&self, name: &Name, promotion: Promotion) -> Result<(), String> {
        let running = self.running().remove(name);
        let Some(running) = running else {
            return Ok(());
        };
        let progress = running.progress.clone();
        running.end(name).await;
        let saved = {
            let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
            progress.report.state = ShadowState::Promoted;
            progress.report.promotion = Some(promotion);
            serde_json::json!(*progress)
        };
        let (shared, route) = (self.shared.clone(), name.clone());
        let kept = tokio::task::spawn_blocking(move || shared.catalog.save_shadow(&route, saved));
        kept.await.map_err(|error| error.to_string())??;
        let ended = Running {
            progress,
            told: watch::channel(()).1,
            stop: CancellationToken::new(),
            task: tokio::spawn(async {}),
        };
        self.running().insert(name.clone(), ended);
        Ok(())
    }

    /// Notes why a candidate did not take over though its time had come.
    pub fn refused(&self, name: &Name, reason: String) {
        let running = self.running();
        if let Some(running) = running.get(name) {
            let progress = running.progress.lock();
            let mut progress = progress.unwrap_or_else(PoisonError::into_inner);
            progress.report.detail = Some(format!("it does not take over: {reason}"));
        }
    }

    /// Stops all; how far each came is kept.
    pub async fn stop_all(&self) {
        let all = std::mem::take(&mut *self.running());
        for (name, running) in all {
            running.end(&name).await;
        }
    }
}

/// Reads what one shadow finds as it finds it.
#[derive(Debug)]
pub struct Follower {
    progress: Arc<Mutex<Progress>>,
    told: watch::Receiver<()>,
    stop: CancellationToken,
}

impl Follower {
    /// The report, and the latest events that differ of those compared after the first `compared`.
    #[must_use]
    pub fn read(&mut self, compared: u64) -> (ShadowReport, Vec<Example>) {
        self.told.mark_unchanged();
        let progress = self.progress.lock();
        let progress = progress.unwrap_or_else(PoisonError::into_inner);
        (progress.report.clone(), progress.recent.since(compared))
    }

    /// Waits until the report has changed since it was read; false when it will not any more.
    pub async fn changed(&mut self) -> bool {
        self.told.changed().await.is_ok()
    }

    /// Whether the shadow was stopped, or another has taken its place.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.stop.is_cancelled()
    }
}

impl Running {
    async fn end(self, name: &Name) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(route = %name, %error, "a shadow ended badly");
        }
    }
}

/// The partitions of a route's source.
fn sources(shared: &Shared, from: &Name) -> Result<Vec<PartitionId>, String> {
    let topic = shared.catalog.topic(from.as_str());
    Ok(topic.map_err(|problem| problem.detail)?.partition_ids())
}
