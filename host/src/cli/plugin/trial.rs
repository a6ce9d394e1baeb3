//! `sandbar plugin try`: a plugin on events, in a hub or here; nothing is stored.

use std::path::{Path, PathBuf};

use clap::Args;
use reqwest::Method;
use sandbar_plugin::Capability;
use sandbar_types::Name;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::{
    super::{
        Client, Outcome,
        client::{Failure, parsed, raw_events, read_json},
        output::say,
        paint::Paint,
        table,
    },
    path,
    project::Project,
    runtime::{self, Runtime, Setup},
    samples, show,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct TryArgs {
    /// NAME@VERSION in a hub; or, with no hub, a file or a project's folder.
    plugin: String,
    /// A CloudEvent in JSON, an array of them, or one a line; - is standard input. Default: the
    /// project's events.json.
    #[arg(long)]
    events: Option<PathBuf>,
    #[command(flatten)]
    setup: SetupArgs,
}

/// How the plugin is started.
#[derive(Debug, Args)]
pub(super) struct SetupArgs {
    /// The step's config: JSON, or @FILE; default: null.
    #[arg(long)]
    config: Option<String>,
    /// A target that the plugin may name; may be given several times.
    #[arg(long = "target", value_name = "TARGET")]
    targets: Vec<String>,
    /// A capability that the plugin may use: clock, random, or with what belongs to it, as in
    /// '{"lookup": {"topics": ["customers"]}}'. May be given several times.
    #[arg(long = "grant", value_name = "CAPABILITY")]
    grants: Vec<String>,
    /// Without a hub: what look-ups into a topic find, as events like those of --events. May be given
    /// several times. (Requests to other services are never made here.)
    #[arg(long = "lookup", value_name = "TOPIC=FILE")]
    lookups: Vec<String>,
}

impl SetupArgs {
    /// The config, if one is given.
    pub(super) fn own_config(&self) -> Result<Option<Value>, Failure> {
        let Some(given) = &self.config else {
            return Ok(None);
        };
        let config = match given.strip_prefix('@') {
            Some(file) => read_json(Path::new(file)),
            None => serde_json::from_str(given)
                .map_err(|error| Failure::Usage(format!("--config is not JSON: {error}"))),
        };
        config.map(Some)
    }

    fn config(&self) -> Result<Value, Failure> {
        self.own_config().map(Option::unwrap_or_default)
    }

    pub(super) fn setup(&self) -> Result<Setup, Failure> {
        let output = ["output".to_owned()];
        self.setup_beside((Value::Null, &output, Vec::new()))
    }

    /// With the config, the targets and the grants of a step where none are given.
    pub(super) fn setup_beside(
        &self,
        (config, targets, grants): (Value, &[String], Vec<String>),
    ) -> Result<Setup, Failure> {
        let targets = if self.targets.is_empty() {
            targets
        } else {
            &self.targets
        };
        let grants = if self.grants.is_empty() {
            &grants
        } else {
            &self.grants
        };
        let targets = targets.iter().map(|name| {
            Name::new(name).map_err(|error| Failure::Usage(format!("--target: {error}")))
        });
        let grants = grants.iter().map(|text| {
            let capability = name_of(&grant(text)?).parse::<Capability>();
            capability.map_err(|error| Failure::Usage(format!("--grant: {error}")))
        });
        let mut grants: Vec<Capability> = grants.collect::<Result<_, _>>()?;
        let lookups = self.lookups.iter().map(|text| {
            let (topic, file) = text.split_once('=').ok_or_else(|| {
                Failure::Usage(format!("--lookup: {text:?} is not of the form TOPIC=FILE"))
            })?;
            Ok((topic.to_owned(), samples::read_events(Path::new(file))?))
        });
        let tables: Vec<_> = lookups.collect::<Result<_, Failure>>()?;
        if !tables.is_empty() {
            grants.push(Capability::Lookup);
        }
        Ok(Setup {
            config: self.own_config()?.unwrap_or(config).to_string(),
            targets: targets.collect::<Result<_, _>>()?,
            grants,
            tables,
        })
    }
}

/// A grant as documents have it: a name, or an object.
fn grant(text: &str) -> Result<Value, Failure> {
    if !text.trim_start().starts_with('{') {
        return Ok(Value::from(text));
    }
    serde_json::from_str(text)
        .map_err(|error| Failure::Usage(format!("--grant: {text} is not JSON: {error}")))
}

/// The capability that a grant names.
fn name_of(grant: &Value) -> String {
    let key = grant.as_object().and_then(|grant| grant.keys().next());
    key.cloned().unwrap_or_else(|| table::cell(grant))
}

/// Whether a text names something here rather than in a hub.
fn is_local(plugin: &str) -> bool {
    plugin.contains('/') || plugin.ends_with(".wasm") || Path::new(plugin).exists()
}

pub(super) fn run(client: &Client, args: &TryArgs) -> Outcome {
    if is_local(&args.plugin) {
        here(client, Path::new(&args.plugin), args)
    } else {
        in_hub(client, args)
    }
}

fn in_hub(client: &Client, args: &TryArgs) -> Outcome {
    let events = args
        .events
        .as_ref()
        .ok_or_else(|| Failure::Usage("name the events with --events FILE".to_owned()))?;
    if !args.setup.lookups.is_empty() {
        let said = "--lookup: a hub looks into its own topics; name them with --grant '{\"lookup\": {\"topics\": [\"TOPIC\"]}}'";
        return Err(Failure::Usage(said.to_owned()));
    }
    let grants = args.setup.grants.iter().map(|text| grant(text));
    let request = TryRequest {
        events: raw_events(events)?,
        config: args.setup.config()?,
        targets: &args.setup.targets,
        grants: grants.collect::<Result<Vec<_>, _>>()?,
    };
    let path = format!("{}/try", path(&args.plugin)?);
    let answer = client.text(client.request(Method::POST, &path).json(&request))?;
    show_results(client, &answer, |answer| {
        show::logs(Paint::for_stdout(), answer);
        say!("{}", show::cost(answer));
    })
}

/// What a hub is asked. Events are sent as they are written.
#[derive(Debug, Serialize)]
struct TryRequest<'a> {
    events: Vec<Box<RawValue>>,
    config: Value,
    targets: &'a [String],
    grants: Vec<Value>,
}

/// Prints an answer with `results`, and what else a hub says of all of them. A fault is a failure, wherever
/// it was tried.
fn show_results(client: &Client, answer: &str, more: impl FnOnce(&Value)) -> Outcome {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        results: Vec<&'a RawValue>,
    }
    let results = serde_json::from_str::<Answer<'_>>(answer)
        .map_err(Failure::local)?
        .results;
    let mut broken = 0;
    let paint = Paint::for_stdout();
    for result in &results {
        let value = parsed(result.get())?;
        broken += usize::from(value["verdict"] == "fault");
        if !client.json {
            show::result(paint, &value, result.get())?;
        }
    }
    if client.json {
        say!("{answer}");
    } else {
        more(&parsed(answer)?);
    }
    if broken > 0 {
        let count = results.len();
        return Err(Failure::local(format!(
            "the plugin broke on {broken} of {count} events"
        )));
    }
    Ok(())
}

fn here(client: &Client, named: &Path, args: &TryArgs) -> Outcome {
    let setup = args.setup.setup()?;
    let subject = Subject::find(named)?;
    let events = match args.events.clone().or_else(|| subject.events.clone()) {
        Some(path) => samples::read_events(&path)?,
        None => {
            return Err(Failure::Usage(
                "name the events with --events FILE".to_owned(),
            ));
        }
    };
    let plugin = Runtime::start()?.plugin(&subject.file)?;
    let mut runner = runtime::start(&plugin, &setup)
        .map_err(|error| Failure::Local(runtime::reason(&error, &setup)))?;
    let ran = runtime::run_singly(&mut runner, &events, &setup);
    let results = serde_json::to_string(&ran).map_err(Failure::local)?;
    show_results(client, &format!("{{\"results\":{results}}}"), |_| {})
}

/// The plugin that a path names: a file, or what a project has built.
#[derive(Debug)]
pub(super) struct Subject {
    pub file: PathBuf,
    /// The project's sample events.
    pub events: Option<PathBuf>,
}

impl Subject {
    pub(super) fn find(named: &Path) -> Result<Self, Failure> {
        if !named.is_dir() {
            return Ok(Self {
                file: named.to_owned(),
                events: None,
            });
        }
        let project = Project::read(named)?;
        let file = project.output();
        if !file.is_file() {
            return Err(Failure::local(format!(
                "{} is not built yet; run 'sandbar plugin build {}'",
                file.display(),
                named.display()
            )));
        }
        if let Some(source) = super::watch::newer_than(&project, &file) {
            eprintln!(
                "sandbar: {} is newer than {}; 'sandbar plugin build' brings it in",
                source.display(),
                file.display()
            );
        }
        Ok(Self {
            file,
            events: project.events(),
        })
    }
}
