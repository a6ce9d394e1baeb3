//! A route on whose live events each build is compared with what the route runs.
//!
//! Each good build is uploaded as a version of its own and set as the route's shadow, in place of the
//! one before, which is then deleted. At the end nothing of this is left in the hub.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    super::{
        super::{
            Client,
            client::{Failure, path, read, split_version},
            shadows::Follower,
        },
        project::Project,
        push::push,
    },
    versions,
};

pub(super) struct Beside<'a> {
    client: &'a Client,
    pub route: String,
    pub step: usize,
    /// The step as the route has it.
    document: Value,
    /// The first target is where an output goes that names none.
    pub targets: Vec<String>,
    /// Instead of the step's config.
    config: Option<Value>,
    /// The version that is compared.
    current: Option<String>,
    /// Versions that were made here and are still in the hub.
    made: Vec<String>,
    follower: Option<Follower>,
}

impl<'a> Beside<'a> {
    /// Looks at the route, and refuses where the session could only fail or spoil somebody's work.
    pub(super) fn find(
        client: &'a Client,
        project: &Project,
        route: &str,
        step: Option<usize>,
        config: Option<Value>,
    ) -> Result<Self, Failure> {
        let document = client.get(&path(&["routes", route])?)?;
        let steps = document["steps"].as_array().map_or(&[][..], Vec::as_slice);
        let step = find_step(steps, route, &project.manifest.plugin.name, step)?;
        let beside = Self {
            client,
            route: route.to_owned(),
            step,
            document: steps[step].clone(),
            targets: (document["to"].as_array().into_iter().flatten())
                .filter_map(|target| target.as_str().map(str::to_owned))
                .collect(),
            config,
            current: None,
            made: Vec::new(),
            follower: None,
        };
        if let Some(shadow) = beside.shadow()? {
            let plugin = shadow["plugin"].as_str().unwrap_or_default();
            // One of ours is what a session left that was killed.
            let over = matches!(
                shadow["report"]["state"].as_str(),
                Some("done" | "promoted")
            );
            if !versions::is_of(project, plugin) && !over {
                return Err(Failure::local(format!(
                    "route {route} has a shadow already, {plugin}; end it with 'sandbar shadow stop {route}'"
                )));
            }
        }
        Ok(beside)
    }

    /// What the route's step gives its plugin.
    pub(super) fn config(&self) -> Value {
        let own = || self.document["config"].clone();
        self.config.clone().unwrap_or_else(own)
    }

    /// What the route's step grants, each as `--grant` takes it.
    pub(super) fn grants(&self) -> Vec<String> {
        let grants = self.document["grants"].as_array().into_iter().flatten();
        grants
            .map(|grant| grant.as_str().map_or(grant.to_string(), str::to_owned))
            .collect()
    }

    fn address(&self) -> Result<String, Failure> {
        path(&["routes", &self.route, "shadow"])
    }

    fn shadow(&self) -> Result<Option<Value>, Failure> {
        self.client.find(&self.address()?)
    }

    /// Uploads what was built and has it compared from now on; gives the version's name.
    pub(super) fn replace(&mut self, project: &Project) -> Result<String, Failure> {
        let reference = versions::next(self.client, project)?;
        push(self.client, &reference, read(&project.output())?)?;
        self.made.push(reference.clone());
        let mut document = json!({"step": self.step, "plugin": reference});
        if let Some(config) = &self.config {
            document["config"] = config.clone();
        }
        if let Err(failure) = self.client.put(&self.address()?, &document) {
            self.clear();
            return Err(failure);
        }
        self.current = Some(reference.clone());
        self.follower = Some(Follower::new(&self.route)?);
        self.clear();
        Ok(reference)
    }

    /// What the comparison found since it was asked last.
    pub(super) fn news(&mut self, wait: Duration) -> Option<Result<Option<Value>, Failure>> {
        let follower = self.follower.as_mut()?;
        let news = follower.next(self.client, wait);
        if news.as_ref().is_err_and(Failure::is_not_found) {
            // Somebody ended it; the next build begins another.
            self.follower = None;
        }
        if let Ok(Some(found)) = &news
            && found["plugin"].as_str() != self.current.as_deref()
        {
            self.follower = None;
            let route = &self.route;
            return Some(Err(Failure::local(format!(
                "the shadow of {route} is {} now; the next build takes its place",
                found["plugin"]
            ))));
        }
        Some(news)
    }

    /// Deletes the versions that were made here, but the one that is compared. What cannot be deleted
    /// is tried again the next time.
    fn clear(&mut self) -> Vec<(String, Failure)> {
        let mut left = Vec::new();
        for reference in std::mem::take(&mut self.made) {
            if self.current.as_ref() == Some(&reference) {
                self.made.push(reference);
                continue;
            }
            match self.delete(&reference) {
                Ok(()) => {}
                Err(failure) if failure.is_not_found() => {}
                Err(failure) => {
                    self.made.push(reference.clone());
                    left.push((reference, failure));
                }
            }
        }
        left
    }

    fn delete(&self, reference: &str) -> Result<(), Failure> {
        let (name, version) = split_version(reference)?;
        let address = path(&["plugins", name, "versions", version])?;
        self.client.delete(&address).map(drop)
    }

    /// Ends the shadow, if it is still ours, and deletes the versions that were made here.
    pub(super) fn end(&mut self) {
        let ended = self.shadow().and_then(|shadow| {
            let ours = |shadow: &Value| shadow["plugin"].as_str() == self.current.as_deref();
            match shadow.filter(ours) {
                Some(_) => self.client.delete(&self.address()?).map(drop),
                None => Ok(()),
            }
        });
        if let Err(failure) = ended {
            let route = &self.route;
            eprintln!("sandbar: the shadow of {route} could not be ended: {failure}");
        }
        self.current = None;
        for (reference, failure) in self.clear() {
            eprintln!("sandbar: {reference} stays in the hub: {failure}");
        }
    }
}

/// The step that is asked for, or the one that runs this plugin, or the only one.
fn find_step(
    steps: &[Value],
    route: &str,
    name: &str,
    asked: Option<usize>,
) -> Result<usize, Failure> {
    let count = steps.len();
    if let Some(step) = asked {
        if step < count {
            return Ok(step);
        }
        return Err(Failure::Usage(format!(
            "--step {step}: route {route} has {count} steps, counted from 0"
        )));
    }
    let runs_it = |step: &Value| {
        let plugin = step["plugin"].as_str().unwrap_or_default();
        plugin.split('@').next() == Some(name)
    };
    let mut running = (0..count).filter(|step| runs_it(&steps[*step]));
    match (running.next(), running.next(), count) {
        (Some(step), None, _) => Ok(step),
        (None, _, 1) => Ok(0),
        (None, _, 0) => Err(Failure::Usage(format!(
            "route {route} has no steps; there is nothing to stand beside"
        ))),
        _ => Err(Failure::Usage(format!(
            "route {route} has {count} steps; which one would {name} replace? --step N, counted from 0"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(names: &[&str], name: &str, asked: Option<usize>) -> Result<usize, String> {
        let steps: Vec<Value> = names.iter().map(|name| json!({"plugin": name})).collect();
        find_step(&steps, "r", name, asked).map_err(|failure| failure.to_string())
    }

    #[test]
    fn the_step_is_found_where_there_is_no_doubt() {
        assert_eq!(step(&["a@1"], "b", None), Ok(0));
        assert_eq!(step(&["a@1", "b@stable"], "b", None), Ok(1));
        assert_eq!(step(&["a@1", "b@1"], "c", Some(1)), Ok(1));
        for (names, name, asked) in [
            (&["a@1", "b@1"][..], "c", None),
            (&["b@1", "b@2"], "b", None),
            (&[], "b", None),
            (&["b@1"], "b", Some(1)),
        ] {
            assert!(step(names, name, asked).is_err(), "{names:?}");
        }
    }
}
