//! `sandbar plugin dev`: builds again whenever the source changes, and shows what the plugin says
//! differently of the same events.
//!
//! A build goes through [`Session::round`] into a [`Round`], which holds results as JSON; what they
//! are compared with is the last good round. With `--route` a hub compares it, too, on the events that
//! the route gets ([`Beside`]).

mod beside;
mod versions;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Args;
use sandbar_types::Event;
use serde_json::{Value, json};

use super::{
    super::{
        Client, Outcome,
        client::{Failure, read},
        output::say,
        paint::{Paint, Tone},
        shadows,
    },
    build, check,
    compare::compare,
    project::Project,
    push::push,
    runtime::{self, Runtime},
    samples, show,
    trial::SetupArgs,
    watch::Snapshot,
};
use crate::diff;
use beside::Beside;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_millis(300);

#[derive(Debug, Args)]
pub(in crate::cli) struct DevArgs {
    /// The project's folder.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Events to run it on. Default: the project's events.json, else a few of every kind.
    #[arg(long)]
    events: Option<PathBuf>,
    /// Also upload each good build, as VERSION-dev.1, VERSION-dev.2, …
    #[arg(long)]
    push: bool,
    /// Also compare each good build with what this route runs, on the events that come: as the
    /// route's shadow, of which nothing is written. Config, targets and grants are the step's, also
    /// for the sample events. At the end shadow and uploads are removed.
    #[arg(long, conflicts_with = "push")]
    route: Option<String>,
    /// Which step of the route it would replace, from 0; default: the one that runs this plugin.
    #[arg(long, requires = "route")]
    step: Option<usize>,
    #[command(flatten)]
    setup: SetupArgs,
}

pub(super) fn run(client: &Client, args: &DevArgs) -> Outcome {
    let project = Project::read(&args.folder)?;
    build::check_tools(&project)?;
    let beside = match &args.route {
        Some(route) => {
            let config = args.setup.own_config()?;
            Some(Beside::find(client, &project, route, args.step, config)?)
        }
        None => None,
    };
    let stopped = stop_signal()?;
    let mut session = Session {
        client,
        args,
        runtime: Runtime::start()?,
        project,
        last: None,
        rounds: 0,
        beside,
        away: false,
    };
    let mut seen = session.look(&Snapshot::default());
    session.round();
    while !stopped.load(Ordering::Relaxed) {
        session.pause();
        let now = session.look(&seen);
        if now.changed_since(&seen).is_empty() {
            seen = now;
            continue;
        }
        // Editors write in several steps: wait until it is quiet.
        let settled = session.settle(now, &stopped);
        let changed = settled.changed_since(&seen);
        seen = settled;
        if !changed.is_empty() && !stopped.load(Ordering::Relaxed) {
            session.round();
        }
    }
    if let Some(beside) = &mut session.beside {
        beside.end();
    }
    eprintln!("sandbar: stopped");
    Ok(())
}

/// Set by Ctrl-C and by SIGTERM. A build that runs gets Ctrl-C from the terminal as well, and is
/// waited for.
fn stop_signal() -> Result<Arc<AtomicBool>, Failure> {
    let stopped = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::local)?;
    let flag = stopped.clone();
    std::thread::spawn(move || {
        runtime.block_on(crate::serve::wait_for_signal());
        flag.store(true, Ordering::Relaxed);
    });
    Ok(stopped)
}

struct Session<'a> {
    client: &'a Client,
    args: &'a DevArgs,
    runtime: Runtime,
    project: Project,
    last: Option<Round>,
    rounds: u64,
    beside: Option<Beside<'a>>,
    /// Whether the hub did not answer when it was asked last.
    away: bool,
}

/// A good build and what it said.
struct Round {
    digest: String,
    /// One per event, as `try --json` prints them.
    results: Vec<Value>,
    /// The same as they are written.
    texts: Vec<String>,
}

impl Session<'_> {
    fn look(&self, last: &Snapshot) -> Snapshot {
        Snapshot::take(
            &self.project,
            &self.events_file().into_iter().collect::<Vec<_>>(),
            last,
        )
    }

    fn settle(&self, mut now: Snapshot, stopped: &AtomicBool) -> Snapshot {
        while !stopped.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK / 3);
            let next = self.look(&now);
            if next.changed_since(&now).is_empty() {
                return next;
            }
            now = next;
        }
        now
    }

    fn events_file(&self) -> Option<PathBuf> {
        self.args.events.clone().or_else(|| self.project.events())
    }

    fn events(&self) -> Result<Vec<Event>, Failure> {
        match self.events_file() {
            Some(path) => samples::read_events(&path),
            None => samples::built_in(),
        }
    }

    /// Passes the time until the next look, and tells what the hub finds meanwhile.
    fn pause(&mut self) {
        let begun = Instant::now();
        match self.beside.as_mut().and_then(|beside| beside.news(LOOK)) {
            Some(Ok(news)) => {
                self.away = false;
                if let Some(news) = news {
                    let paint = Paint::for_stdout();
                    (self.client).print(&json!({ "shadow": news }), |told| {
                        shadows::show_news(paint, &told["shadow"]);
                    });
                }
            }
            // Once is enough to tell; it is asked again all the time.
            Some(Err(failure)) if !self.away => {
                self.away = failure.may_pass();
                let _ = failure.report();
            }
            _ => {}
        }
        std::thread::sleep(LOOK.saturating_sub(begun.elapsed()));
    }

    /// Builds, runs, shows. What fails is shown too; the watch goes on.
    fn round(&mut self) {
        match self.attempt() {
            Ok(round) => {
                self.rounds += 1;
                let pushed = self.push();
                self.show(&round, &pushed);
                self.last = Some(round);
            }
            Err(failure) => {
                if self.client.json {
                    say!("{}", json!({"failed": failure.to_string()}));
                }
                let _ = failure.report();
                eprintln!("sandbar: waiting for a change");
            }
        }
    }

    fn attempt(&mut self) -> Result<Round, Failure> {
        self.project = Project::read(&self.project.folder)?;
        let setup = match &self.beside {
            Some(beside) => {
                let given = (beside.config(), &beside.targets[..], beside.grants());
                self.args.setup.setup_beside(given)?
            }
            None => self.args.setup.setup()?,
        };
        let events = self.events()?;
        build::build(&self.project)?;
        let plugin = self.runtime.plugin(&self.project.output())?;
        let mut runner = runtime::start(&plugin, &setup)
            .map_err(|error| Failure::Local(runtime::reason(&error, &setup)))?;
        let ran = runtime::run_singly(&mut runner, &events, &setup);
        let texts = ran.iter().map(serde_json::to_string);
        let texts: Vec<String> = texts.collect::<Result<_, _>>().map_err(Failure::local)?;
        Ok(Round {
            digest: plugin.digest().to_owned(),
            results: texts
                .iter()
                .map(|text| diff::read(text.as_bytes()))
                .collect(),
            texts,
        })
    }

    /// Uploads under the next free `-dev` version; gives its name.
    fn push(&mut self) -> Option<String> {
        let pushed = match &mut self.beside {
            Some(beside) => beside.replace(&self.project),
            None if !self.args.push => return None,
            None => versions::next(self.client, &self.project).and_then(|reference| {
                push(self.client, &reference, read(&self.project.output())?)?;
                Ok(reference)
            }),
        };
        pushed
            .inspect_err(|failure| {
                let _ = failure.report();
            })
            .ok()
    }

    fn show(&self, round: &Round, pushed: &Option<String>) {
        let differences = self
            .last
            .as_ref()
            .map(|last| json!(compare(&last.results, &round.results)));
        if self.client.json {
            let line = json!({
                "build": self.rounds,
                "digest": round.digest,
                "pushed": pushed,
                "results": round.results,
                "differences": differences,
            });
            say!("{line}");
            return;
        }
        let paint = Paint::for_stdout();
        let title = format!("build {} of {}", self.rounds, self.project.reference());
        let name = match (pushed, &self.beside) {
            (None, _) => String::new(),
            (Some(name), None) => format!(", pushed as {name}"),
            (Some(name), Some(beside)) => {
                format!(
                    ", as {name} beside step {} of {}",
                    beside.step, beside.route
                )
            }
        };
        say!("{}{name}", paint.text(Tone::Strong, title));
        match differences.as_ref().and_then(Value::as_array) {
            None => {
                for (result, text) in round.results.iter().zip(&round.texts) {
                    // It was written by this very command.
                    let _ = show::result(paint, result, text);
                }
            }
            Some(differences) if differences.is_empty() => {
                let count = round.results.len();
                say!("  the same verdicts and outputs for all {count} events");
            }
            Some(differences) => {
                check::show_differences(paint, differences);
                let same = round.results.len().saturating_sub(differences.len());
                say!(
                    "  {}",
                    paint.text(Tone::Quiet, format!("{same} events as before"))
                );
            }
        }
    }
}
