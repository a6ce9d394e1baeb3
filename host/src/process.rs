//! Routes at work: read a topic, pass each event through plugins, write what they give out.
//!
//! `step` decides (pure), `driver` acts. It meets ingest and deliver only through the log, and knows
//! no HTTP. Each partition of a route's source is a lane of its own.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use sandbar_log::Log;
use sandbar_plugin::{Engine, Standing};
use sandbar_types::{Name, Offset, PartitionId};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

use crate::{
    catalog::{Catalog, Resolved, RouteDocument},
    clock::Steady,
    metrics::Metrics,
};

mod again;
mod checkpoint;
mod dead_letter;
mod doubt;
mod driver;
mod guest_logs;
mod lane;
mod lookup;
mod mark;
mod pipeline;
mod places;
mod rerun;
mod step;
mod view;
mod work;

pub use again::{NotTaken, PutBack, Taken, Ticket};
pub use checkpoint::Checkpoints;
pub use driver::Control;
pub use guest_logs::{GuestLines, GuestLogs, Wanted as WantedLines};
pub use lane::Counts;
pub use lookup::{GrantedTables, Tables};
pub use mark::{Mark, REPLAY};
pub use pipeline::{Pipeline, cause_of};
pub use places::{Held, Places};
pub use rerun::{RerunOf, RerunPoint, Reruns, Stepped};
pub use step::{Cause, Failure, Parked, Processed, Verdict};
pub use view::{Snapshot, State};

use again::Again;
use driver::Driver;
use view::View;

/// What all lanes share.
#[derive(Debug)]
struct Shared {
    log: Arc<dyn Log>,
    engine: Engine,
    catalog: Arc<Catalog>,
    checkpoints: Checkpoints,
    dead_letters: PartitionId,
    metrics: Arc<Metrics>,
    guest_logs: Arc<GuestLogs>,
    tables: Arc<Tables>,
    places: Arc<Places>,
    /// By which waits are counted.
    clock: Steady,
}

impl Shared {
    fn resolve(&self, name: &Name, document: &RouteDocument) -> Result<Arc<Resolved>, String> {
        self.catalog
            .resolve(name, document)
            .map(Arc::new)
            .map_err(|problem| problem.detail)
    }
}

/// All routes at work.
#[derive(Debug)]
pub struct Processor {
    shared: Arc<Shared>,
    running: Mutex<BTreeMap<Name, Running>>,
}

#[derive(Debug)]
struct Running {
    control: watch::Sender<Control>,
    lanes: Vec<Lane>,
}

#[derive(Debug)]
struct Lane {
    source: PartitionId,
    view: Arc<View>,
    again: mpsc::Sender<Again>,
    task: JoinHandle<()>,
}

/// One lane of a route, as others see it.
#[derive(Clone, Debug)]
pub struct LaneStatus {
    pub source: PartitionId,
    pub snapshot: Snapshot,
    /// The source partition's tail.
    pub tail: Offset,
}

impl Processor {
    /// A processor that runs nothing yet.
    #[must_use]
    pub fn new(
        log: Arc<dyn Log>,
        engine: Engine,
        catalog: Arc<Catalog>,
        checkpoints: Checkpoints,
        dead_letters: PartitionId,
        metrics: Arc<Metrics>,
        tables: Arc<Tables>,
    ) -> Self {
        let shared = Shared {
            log,
            places: Places::of(engine.places()),
            engine,
            catalog,
            checkpoints,
            dead_letters,
            metrics,
            guest_logs: Arc::default(),
            tables,
            clock: Steady::default(),
        };
        Self {
            shared: Arc::new(shared),
            running: Mutex::default(),
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<Name, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a route, or hands a running one its new document, which takes effect between two
    /// batches.
    ///
    /// # Errors
    /// When the source topic is gone.
    pub fn apply(&self, route: &Arc<Resolved>, paused: bool) -> Result<(), String> {
        let mut running = self.running();
        let control = Control {
            route: route.clone(),
            paused,
            stop: false,
        };
        if let Some(known) = running.get(&route.name) {
            known.control.send_replace(control);
            return Ok(());
        }
        let source = self
            .shared
            .catalog
            .topic(route.document.from.as_str())
            .map_err(|problem| problem.detail)?;
        let (sender, receiver) = watch::channel(control);
        let start = |source: PartitionId| {
            let view = Arc::new(View::default());
            let (again, asked) = mpsc::channel(1);
            let driver = Driver {
                shared: self.shared.clone(),
                name: route.name.clone(),
                source: source.clone(),
                control: receiver.clone(),
                view: view.clone(),
                again: asked,
                asked: None,
                failing: false,
                standing: Standing::default(),
            };
            Lane {
                source,
                view,
                again,
                task: tokio::spawn(driver.run()),
            }
        };
        let lanes = source.partition_ids().into_iter().map(start).collect();
        running.insert(
            route.name.clone(),
            Running {
                control: sender,
                lanes,
            },
        );
        Ok(())
    }

    /// What a running route runs with, now and from now on.
    #[must_use]
    pub fn follow(&self, name: &Name) -> Option<watch::Receiver<Control>> {
        let running = self.running();
        running.get(name).map(|route| route.control.subscribe())
    }

    /// Has source events that were settled worked once more: each goes back into the line of its key,
    /// in the order of the offsets, and later events of that key stay behind it. Durable when it
    /// returns. The same request may be made again when it is not known what became of it.
    ///
    /// # Errors
    /// When the lane does not take them; nothing has changed then.
    pub async fn work_again(
        &self,
        route: &Name,
        source: &PartitionId,
        ticket: Ticket,
        events: Vec<PutBack>,
    ) -> Result<Taken, NotTaken> {
        let lane = {
            let running = self.running();
            let lanes = running.get(route).into_iter().flat_map(|one| &one.lanes);
            let mut lanes = lanes.filter(|lane| lane.source == *source);
            lanes.next().map(|lane| lane.again.clone())
        };
        let lane = lane.ok_or(NotTaken::NoLane)?;
        let (answer, answered) = oneshot::channel();
        let again = Again {
            ticket,
            events,
            answer,
        };
        lane.send(again).await.map_err(|_| NotTaken::Stopping)?;
        drop(lane);
        answered.await.unwrap_or(Err(NotTaken::Stopping))
    }

    /// What the steps of a route make of events; nothing is written.
    ///
    /// # Errors
    /// When a plugin cannot be instantiated, or a topic that is looked into cannot be read, in words.
    pub async fn try_out(
        &self,
        route: Arc<Resolved>,
        batch: sandbar_types::Batch,
    ) -> Result<Processed, String> {
        let tables = self.shared.tables.clone();
        let ran = self.shared.engine.run(move || {
            while !tables.catch_up(route.looks_into(), driver::LOOKUPS_READ_FOR)? {}
            Ok(Pipeline::new(route)?.run(&batch))
        });
        ran.await.map_err(|error| error.to_string())?
    }

    /// Where a rerun that reads from `next` on begins. Blocks on the disk for a moment.
    ///
    /// # Errors
    /// When a target cannot be read, in words.
    pub fn begin_rerun(&self, of: &RerunOf, next: Offset) -> Result<RerunPoint, String> {
        of.begin(&self.shared, next)
    }

    /// Goes on with a rerun. Blocks on the disk.
    ///
    /// # Errors
    /// When the log cannot be read, in words.
    pub fn rerun(&self, of: RerunOf, point: RerunPoint) -> Result<Reruns, String> {
        Reruns::open(self.shared.clone(), of, point)
    }

    /// Pauses or resumes a running route.
    pub fn set_paused(&self, name: &Name, paused: bool) {
        if let Some(route) = self.running().get(name) {
            route.control.send_modify(|control| control.paused = paused);
        }
    }

    /// Stops a route after the batch it is at, and forgets how far it came.
    ///
    /// # Errors
    /// When meta cannot be written.
    pub async fn remove(&self, name: &Name) -> Result<(), String> {
        let route = self.running().remove(name);
        let Some(route) = route else { return Ok(()) };
        let sources: Vec<PartitionId> =
            route.lanes.iter().map(|lane| lane.source.clone()).collect();
        stop(route).await;
        let (shared, name) = (self.shared.clone(), name.clone());
        let deleted =
            tokio::task::spawn_blocking(move || shared.checkpoints.delete(&name, &sources));
        deleted.await.map_err(|error| error.to_string())?
    }

    /// Stops all routes; each has a durable checkpoint then.
    pub async fn stop(&self) {
        let all = std::mem::take(&mut *self.running());
        for route in all.values() {
            route.control.send_modify(|control| control.stop = true);
        }
        for route in all.into_values() {
            stop(route).await;
        }
    }

    /// What the plugins logged on routes.
    #[must_use]
    pub fn guest_logs(&self) -> &Arc<GuestLogs> {
        &self.shared.guest_logs
    }

    /// Where plugin instances are to be had.
    #[must_use]
    pub fn places(&self) -> &Arc<Places> {
        &self.shared.places
    }

    /// How the lanes of a route are doing.
    #[must_use]
    pub fn lanes(&self, name: &Name) -> Vec<LaneStatus> {
        let running = self.running();
        let lanes = running.get(name).into_iter().flat_map(|route| &route.lanes);
        lanes.map(|lane| self.status_of(lane)).collect()
    }

    fn status_of(&self, lane: &Lane) -> LaneStatus {
        let bounds = self.shared.log.bounds(&lane.source).unwrap_or_default();
        LaneStatus {
            source: lane.source.clone(),
            snapshot: lane.view.snapshot(),
            tail: bounds.tail,
        }
    }

    /// The plugins that routes run with now, though their documents may name others already.
    #[must_use]
    pub fn running_plugins(&self) -> Vec<(String, Name)> {
        let running = self.running();
        let lanes = running
            .iter()
            .flat_map(|(name, route)| route.lanes.iter().map(move |lane| (name, lane)));
        lanes
            .flat_map(|(name, lane)| {
                let active = lane.view.snapshot().active;
                let steps = active.iter().flat_map(|route| route.steps.iter());
                steps
                    .map(|step| (step.reference.clone(), name.clone()))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// The first offset of `partition` that some route still needs, which retention must not reach.
    #[must_use]
    pub fn needs(&self, partition: &PartitionId) -> Option<Offset> {
        let running = self.running();
        let lanes = running.values().flat_map(|route| {
            let route_now = route.control.borrow().route.clone();
            let touches = route_now.document.from == partition.topic
                || route_now
                    .targets
                    .iter()
                    .any(|topic| topic.name == partition.topic)
                || *partition == self.shared.dead_letters;
            route.lanes.iter().filter(move |_| touches)
        });
        lanes
            .filter_map(|lane| lane.view.needs(&lane.source, partition))
            .min()
    }
}

/// Why a route dropped an event: plugins are deterministic, so they are asked again. `None` when they
/// now say something else (the route's plugin may be newer than the drop). Blocking: it runs plugins.
#[must_use]
pub fn reason_for_drop(route: &Arc<Resolved>, event: &sandbar_types::Batch) -> Option<String> {
    if route.calls_out() {
        // Whoever was asked then is not asked again for curiosity.
        return None;
    }
    let processed = Pipeline::new(route.clone()).ok()?.run(event);
    match processed.verdicts.into_iter().next() {
        Some(step::Verdict::Drop(reason)) => Some(reason),
        _ => None,
    }
}

async fn stop(route: Running) {
    route.control.send_modify(|control| control.stop = true);
    for lane in route.lanes {
        if let Err(error) = lane.task.await {
            tracing::error!(source = %lane.source, %error, "a lane ended badly");
        }
    }
}
