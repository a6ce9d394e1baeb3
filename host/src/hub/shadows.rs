//! Shadows: begun, told of, ended, and what they lead to.

use std::{sync::Arc, time::Duration};

use sandbar_types::Name;
use serde::Serialize;
use tokio::sync::mpsc;
use utoipa::ToSchema;

use super::{Asking, Hub};
use crate::{
    catalog::{Because, Put, ShadowDocument, ShadowRecord},
    clock,
    problem::{Code, Problem},
    shadow::{Example, Promotion, ShadowReport, ShadowState},
};

/// A shadow and what it found.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShadowStatus {
    #[serde(flatten)]
    pub document: ShadowDocument,
    pub report: ShadowReport,
}

/// What a shadow found since it had compared so many events.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShadowDifferences {
    /// The candidate; another one has counts of its own.
    pub plugin: String,
    pub state: ShadowState,
    /// What stalls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Events that both have seen, in all: the `after` of the next call.
    pub compared: u64,
    pub same: u64,
    pub differing: u64,
    /// The events that differ, oldest first: of the latest 100 those that were compared since. Where
    /// `differing` grew by more, the others were forgotten.
    pub differences: Vec<Example>,
}

impl Hub {
    /// Sets a candidate beside a route, in place of an earlier one.
    ///
    /// # Errors
    /// Whatever speaks against it.
    pub async fn start_shadow(
        self: &Arc<Self>,
        route: String,
        document: ShadowDocument,
    ) -> Result<(ShadowStatus, Put), Problem> {
        self.prepare(vec![document.plugin.clone()]).await?;
        let _changing = self.changing_routes.lock().await;
        let hub = self.clone();
        let stored = self
            .engine
            .run(move || hub.catalog.put_shadow(&route, document))
            .await;
        let (name, record, put) = stored.map_err(Problem::internal)??;
        self.shadows.stop(&name).await;
        let hub = self.clone();
        let starting = name.clone();
        self.blocking(move |_| hub.run_shadow(&starting, record).map_err(Problem::internal))
            .await?;
        Ok((self.shadow(name.as_str())?, put))
    }

    /// Blocks on the disk.
    pub(super) fn run_shadow(&self, name: &Name, record: ShadowRecord) -> Result<(), String> {
        let route = self.processor.follow(name);
        let route = route.ok_or_else(|| format!("route {name} does not run"))?;
        self.shadows.start(name, record, route)
    }

    /// # Errors
    /// `unknown-route`, `unknown-shadow`.
    pub fn shadow(&self, route: &str) -> Result<ShadowStatus, Problem> {
        let record = self.catalog.shadow(route)?;
        let (name, _) = self.catalog.route(route)?;
        Ok(ShadowStatus {
            document: record.document,
            report: self.shadows.report(&name).unwrap_or_default(),
        })
    }

    /// What a shadow found since it had compared `after` events; waits up to `wait` for something to
    /// tell: events compared, or another state.
    ///
    /// # Errors
    /// `unknown-route`, `unknown-shadow`, also when it is stopped or replaced meanwhile; `stopping`.
    pub async fn shadow_differences(
        &self,
        route: &str,
        after: u64,
        wait: Duration,
    ) -> Result<ShadowDifferences, Problem> {
        let plugin = self.catalog.shadow(route)?.document.plugin;
        let (name, _) = self.catalog.route(route)?;
        let gone = || {
            let detail = format!("the shadow of {name} was stopped, or another took its place");
            Problem::new(Code::UnknownShadow, detail)
        };
        let mut follower = self.shadows.follow(&name).ok_or_else(gone)?;
        let deadline = tokio::time::Instant::now() + wait;
        let mut first = None;
        let mut ended = false;
        loop {
            let (report, mut differences) = follower.read(after);
            if report.compared < after {
                // It counts anew.
                differences = follower.read(0).1;
            }
            let state = report.state;
            let told = report.compared != after || *first.get_or_insert(state) != state;
            if told || ended || state.is_over() || tokio::time::Instant::now() >= deadline {
                return Ok(ShadowDifferences {
                    plugin,
                    state,
                    detail: report.detail,
                    compared: report.compared,
                    same: report.same,
                    differing: report.differing,
                    differences,
                });
            }
            tokio::select! {
                changed = follower.changed() => ended = !changed,
                () = tokio::time::sleep_until(deadline) => {}
                () = self.stopping.cancelled() => {
                    let detail = "the hub shuts down while waiting for events";
                    return Err(Problem::new(Code::Stopping, detail).retry_after(2));
                }
            }
            if follower.is_gone() {
                return Err(gone());
            }
        }
    }

    /// # Errors
    /// `unknown-route`, `unknown-shadow`.
    pub async fn stop_shadow(self: &Arc<Self>, route: String) -> Result<(), Problem> {
        let _changing = self.changing_routes.lock().await;
        let name = self
            .blocking(move |hub| hub.catalog.delete_shadow(&route))
            .await?;
        self.shadows.stop(&name).await;
        Ok(())
    }

    /// Has the candidate take over: a channel that the step names is moved, unless the shadow has a config
    /// of its own; else the step is changed, and names the candidate's version.
    /// The shadow ends and keeps its report.
    ///
    /// # Errors
    /// `unknown-route`, `unknown-shadow`, `shadow-over`, `activation-refused`, and whatever else speaks
    /// against the change; nothing has changed then.
    pub async fn promote_shadow(
        self: &Arc<Self>,
        route: String,
        asking: Asking,
    ) -> Result<ShadowStatus, Problem> {
        let shadow = self.shadow(&route)?;
        if shadow.report.promotion.is_some() {
            let detail = format!("{} has taken over already", shadow.document.plugin);
            return Err(Problem::new(Code::ShadowOver, detail));
        }
        let (name, known) = self.catalog.route(&route)?;
        let running = self.processor.follow(&name);
        let running = running.map(|control| control.borrow().route.document.runs());
        if let Some(running) = running
            && !self.shadows.is_compared_with(&name, &running)
        {
            let detail = format!(
                "route {name} runs something else now than what {} was compared with: start the shadow anew",
                shadow.document.plugin
            );
            return Err(Problem::new(Code::ShadowOver, detail));
        }
        let document = shadow.document;
        let in_use = (known.document.steps.get(document.step)).map(|step| step.plugin.clone());
        let channel = in_use
            .as_deref()
            .and_then(|reference| reference.split_once('@'))
            .and_then(|(plugin, channel)| self.catalog.channel(plugin, channel).ok());
        let candidate = document.plugin.split_once('@');
        match (channel, candidate) {
            (Some(channel), Some((plugin, version)))
                if plugin == channel.plugin && document.config.is_none() =>
            {
                self.move_channel(
                    channel.plugin,
                    channel.channel,
                    Some(version.to_owned()),
                    asking.clone(),
                )
                .await?;
            }
            (channel, _) => {
                let mut changed = document.applied_to(&known.document).ok_or_else(|| {
                    let detail = format!("route {name} has no step {} any more", document.step);
                    Problem::new(Code::ShadowOver, detail)
                })?;
                // A config is this route's alone. The channel stays where it leads to the candidate.
                if let (Some(channel), Some(in_use)) = (channel, in_use)
                    && document.plugin == format!("{}@{}", channel.plugin, channel.version)
                    && let Some(step) = changed.steps.get_mut(document.step)
                {
                    step.plugin = in_use;
                }
                self.put_route(name.to_string(), changed, asking.clone())
                    .await?;
            }
        }
        let promotion = Promotion {
            at: clock::to_text(clock::now()),
            by: asking.because.by,
            reason: asking.because.reason,
        };
        self.shadows
            .promoted(&name, promotion)
            .await
            .map_err(Problem::internal)?;
        self.shadow(name.as_str())
    }
}

/// Promotes the candidates whose time has come.
pub(super) async fn promote_ripe(hub: Arc<Hub>, mut ripe: mpsc::Receiver<Name>) {
    loop {
        let name = tokio::select! {
            () = hub.stopping.cancelled() => return,
            name = ripe.recv() => name,
        };
        let Some(name) = name else { return };
        // It may have been replaced or stopped meanwhile.
        let Ok(ShadowStatus { document, report }) = hub.shadow(name.as_str()) else {
            continue;
        };
        if !report.is_ripe(&document) {
            continue;
        }
        let because = Because {
            by: "sandbar".to_owned(),
            reason: format!(
                "by the shadow's policy: {} of {} events differ",
                report.differing, report.compared
            ),
        };
        let asking = Asking {
            because,
            force: false,
        };
        if let Err(problem) = hub.promote_shadow(name.to_string(), asking).await {
            tracing::warn!(route = %name, %problem, "the candidate could not take over");
            hub.shadows.refused(&name, problem.detail);
        }
    }
}
