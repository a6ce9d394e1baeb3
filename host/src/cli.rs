//! The command line. All but `serve`, `log` and `bench` are clients of the HTTP API and know nothing
//! of the hub's insides; `plugin` also runs plugins here, with the runtime that the hub has.

mod apply;
mod bench;
mod changes;
mod channels;
mod check;
mod client;
mod compatibility;
mod contracts;
mod dead_letters;
mod failure;
mod gate;
mod impact;
mod infer;
mod jobs;
mod local;
mod logs;
mod output;
mod paint;
mod plugin;
mod publish;
mod replay;
mod routes;
mod schema_file;
mod shadows;
mod slip;
mod status;
mod subscriptions;
mod table;
mod tail;
mod topics;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use client::{Client, Failure};

/// What commands answer with.
type Outcome = Result<(), Failure>;

const EXIT_CODES: &str = "Exit codes:\n  0  done\n  1  refused, or failed\n  2  wrong usage; contract check, contract diff: a schema or a file of events cannot be read\n  3  the hub cannot be reached\n  4  there is no such thing; contract check, contract diff: nor such a file\n  5  apply --dry-run --exit-code: there are changes\n  6  plugin check: the plugin is not deterministic\n  7  plugin build, plugin dev: a tool is missing\n  8  contract check, contract diff: neither proven to be compatible nor shown not to be";

/// A data integration hub for microservices.
#[derive(Debug, Parser)]
#[command(name = "sandbar", version, about, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    /// The hub to talk to.
    #[arg(
        long,
        global = true,
        env = "SANDBAR_URL",
        default_value = "http://127.0.0.1:7400"
    )]
    url: String,
    /// Print JSON, as the API answers it.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a hub.
    Serve(local::ServeArgs),
    /// Bring a hub to what a sandbar.yaml says.
    Apply(apply::ApplyArgs),
    /// Publish events.
    Publish(publish::PublishArgs),
    /// Read a topic, and follow it.
    Tail(tail::TailArgs),
    /// Topics.
    #[command(subcommand)]
    Topic(topics::TopicCommand),
    /// Contracts.
    #[command(subcommand)]
    Contract(contracts::ContractCommand),
    /// Plugins.
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Channels: the versions of plugins in use.
    #[command(subcommand)]
    Channel(channels::ChannelCommand),
    /// What a plugin version logged, with the events that the lines belong to.
    Logs(logs::LogsArgs),
    /// Routes.
    #[command(subcommand)]
    Route(routes::RouteCommand),
    /// Candidates beside what routes run.
    #[command(subcommand)]
    Shadow(shadows::ShadowCommand),
    /// Consumer groups: what they read, how far they are, and pulling their events.
    #[command(subcommand)]
    Subscription(subscriptions::SubscriptionCommand),
    /// Events that could not be processed or delivered.
    #[command(subcommand)]
    DeadLetter(dead_letters::DeadLetterCommand),
    /// What is stored once more: through a route, into another topic, to a subscription.
    #[command(subcommand)]
    Replay(replay::ReplayCommand),
    /// Redrives and replays at work.
    #[command(subcommand)]
    Job(jobs::JobCommand),
    /// Where an event came from and what became of it.
    Lineage(status::LineageArgs),
    /// The hub at a glance.
    Status,
    /// Check or repair the log of a hub that does not run.
    #[command(subcommand)]
    Log(local::LogCommand),
    /// Measure the whole way of events against a floor on this machine.
    Bench(bench::BenchArgs),
    /// Print the OpenAPI document of the HTTP API. A running hub's /openapi.json has its events, too.
    Openapi,
    /// Print the AsyncAPI document of a hub: topics, contracts, routes and subscriptions.
    Asyncapi {
        /// Write it to a file instead.
        #[arg(long, value_name = "FILE")]
        out: Option<std::path::PathBuf>,
    },
    /// Compile a plugin from standard input to standard output: what a hub starts for each upload.
    #[command(name = local::COMPILE, hide = true)]
    CompilePlugin { limits: Vec<String> },
    /// Print completions for a shell.
    Completions { shell: clap_complete::Shell },
}

/// Runs a command; errors are printed.
#[must_use]
pub fn main(args: Args) -> ExitCode {
    let json = args.json;
    let client = Client::new(&args.url, json);
    let outcome = match args.command {
        Command::Serve(serve) => return local::serve(serve),
        Command::CompilePlugin { limits } => return sandbar_plugin::compiler_process(&limits),
        Command::Log(log) => local::log(&log, json),
        Command::Bench(bench) => bench::bench(&bench, json),
        Command::Apply(apply) => apply::run(&client, &apply),
        Command::Publish(publish) => publish::run(&client, &publish),
        Command::Tail(tail) => tail::run(&client, &tail),
        Command::Topic(topic) => topics::run(&client, &topic),
        Command::Contract(contract) => contracts::run(&client, &contract),
        Command::Plugin(plugin) => plugin::run(&client, &plugin),
        Command::Channel(channel) => channels::run(&client, &channel),
        Command::Logs(logs) => logs::run(&client, &logs),
        Command::Route(route) => routes::run(&client, &route),
        Command::Shadow(shadow) => shadows::run(&client, &shadow),
        Command::Subscription(subscription) => subscriptions::run(&client, &subscription),
        Command::DeadLetter(letter) => dead_letters::run(&client, &letter),
        Command::Replay(replay) => replay::run(&client, &replay),
        Command::Job(job) => jobs::run(&client, &job),
        Command::Lineage(lineage) => status::lineage(&client, &lineage),
        Command::Status => status::status(&client),
        Command::Openapi => {
            output::write(format_args!("{}", crate::api::openapi()));
            Ok(())
        }
        Command::Asyncapi { out } => asyncapi(&client, out.as_deref()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "sandbar", &mut script);
            output::write(format_args!("{}", String::from_utf8_lossy(&script)));
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}

/// Key by key as the hub writes it: it is JSON with `--json` and without.
fn asyncapi(client: &Client, out: Option<&std::path::Path>) -> Outcome {
    let document = client.get("/asyncapi.json")?;
    let Some(file) = out else {
        output::write(format_args!("{document:#}\n"));
        return Ok(());
    };
    std::fs::write(file, format!("{document:#}\n"))
        .map_err(|error| Failure::local(format!("cannot write {}: {error}", file.display())))
}
