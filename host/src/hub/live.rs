//! What goes live: planned, looked at by the activation gate, and made where what was looked at is still so.

use std::{collections::BTreeMap, sync::Arc};

use sandbar_types::Name;

use super::{
    Hub,
    gate::{Asking, Candidate},
};
use crate::{
    catalog::{Channel, Put, RouteDocument, Topic, TopicDocument},
    problem::Problem,
};

impl Hub {
    /// Makes or changes a topic. Where another contract version is bound, the last `events` of the topic are
    /// held against it, and the gate looks at the routes that write to it.
    ///
    /// # Errors
    /// Whatever is wrong with the document; `stored-events-refused`, `activation-refused`.
    pub async fn put_topic(
        self: &Arc<Self>,
        name: String,
        document: TopicDocument,
        asking: Asking,
        events: u32,
    ) -> Result<(Arc<Topic>, Put), Problem> {
        loop {
            let (named, wanted) = (name.clone(), document.clone());
            let plan = self
                .blocking(move |hub| hub.catalog.plan_topic(&named, &wanted))
                .await?;
            let binding = self.hold_binding(&name, &plan, &asking, events).await?;
            let candidates = plan.routes.iter().map(|affected| {
                let contracts = plan.contract.iter();
                let contracts = contracts.filter_map(|bound| {
                    let topic = Name::new(&name).ok()?;
                    Some((topic, bound.clone()))
                });
                Candidate {
                    route: affected.route.clone(),
                    contracts: contracts.collect(),
                    again: (plan.contract.iter())
                        .map(|bound| format!(" --contract {name}={}", bound.reference()))
                        .collect(),
                }
            });
            let gated = self.pass_gate(candidates.collect(), asking.force).await?;
            let live = gated.map(|gated| Self::went_live(&asking.because, gated));
            let put = self
                .blocking(move |hub| hub.catalog.put_topic(&plan, live, binding))
                .await?;
            if let Some(put) = put {
                return Ok(put);
            }
        }
    }

    /// Makes or changes a route and has it run. Where steps or targets are new, the gate looks at it.
    ///
    /// # Errors
    /// Whatever is wrong with the document; `activation-refused`.
    pub async fn put_route(
        self: &Arc<Self>,
        name: String,
        document: RouteDocument,
        asking: Asking,
    ) -> Result<(Name, Put), Problem> {
        let used = document.steps.iter().map(|step| step.plugin.clone());
        self.prepare(used.collect()).await?;
        loop {
            let (hub, named, wanted) = (self.clone(), name.clone(), document.clone());
            let plan = self
                .engine
                .run(move || hub.catalog.plan_route(&named, &wanted))
                .await;
            let plan = plan.map_err(Problem::internal)??;
            let live = if plan.is_new {
                let candidate = Candidate {
                    route: plan.affected.route.clone(),
                    contracts: BTreeMap::new(),
                    again: " --file ROUTE.json".to_owned(),
                };
                let gated = self.pass_gate(vec![candidate], asking.force).await?;
                gated.map(|gated| Self::went_live(&asking.because, gated))
            } else {
                None
            };
            let _changing = self.changing_routes.lock().await;
            let (wanted, because) = (document.clone(), asking.because.clone());
            let stored = self
                .blocking(move |hub| hub.catalog.put_route(wanted, &plan, live, because))
                .await?;
            let Some((name, resolved, put)) = stored else {
                continue;
            };
            let (_, route) = self.catalog.route(name.as_str())?;
            self.processor
                .apply(&resolved, route.paused)
                .map_err(Problem::internal)?;
            return Ok((name, put));
        }
    }

    /// Has a route run what it ran before its last change. Done twice, it leads back again.
    ///
    /// # Errors
    /// `unknown-route`, `nothing-to-roll-back`, and as putting it.
    pub async fn roll_back_route(
        self: &Arc<Self>,
        name: String,
        asking: Asking,
    ) -> Result<(Name, Put), Problem> {
        let before = self.catalog.route_before(&name)?;
        self.put_route(name, before, asking).await
    }

    /// Points a channel at a version; with none, back at the one before. The routes that run with it
    /// take it over between two batches, once the gate has looked at each.
    ///
    /// # Errors
    /// Whatever speaks against it; nothing has changed then.
    pub async fn move_channel(
        self: &Arc<Self>,
        plugin: String,
        channel: String,
        version: Option<String>,
        asking: Asking,
    ) -> Result<(Channel, Put), Problem> {
        if let Some(version) = &version {
            self.prepare(vec![format!("{plugin}@{version}")]).await?;
        }
        loop {
            let hub = self.clone();
            let (of, named, wanted) = (plugin.clone(), channel.clone(), version.clone());
            let plan = self
                .engine
                .run(move || hub.catalog.plan_move(&of, &named, wanted.as_deref()))
                .await;
            let plan = plan.map_err(Problem::internal)??;
            let candidates = plan.routes.iter().map(|affected| Candidate {
                route: affected.route.clone(),
                contracts: BTreeMap::new(),
                again: format!(" --plugin {plugin}@{}", plan.version),
            });
            let gated = self.pass_gate(candidates.collect(), asking.force).await?;
            let _changing = self.changing_routes.lock().await;
            let (of, named) = (plugin.clone(), channel.clone());
            let because = asking.because.clone();
            let moved = self
                .blocking(move |hub| hub.catalog.activate(&of, &named, &plan, because, gated))
                .await?;
            let Some(moved) = moved else { continue };
            for (route, paused) in &moved.routes {
                self.processor
                    .apply(route, *paused)
                    .map_err(Problem::internal)?;
            }
            return Ok((moved.channel, moved.put));
        }
    }
}
