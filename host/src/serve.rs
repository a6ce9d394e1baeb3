//! `sandbar serve`: from the configuration to a hub that serves until it is told to stop.

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::{EnvFilter, fmt};

use crate::{api, config::Config, hub::Hub};

/// How the hub writes its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Serves. Errors are printed to standard error; the exit code tells of them.
#[must_use]
pub fn run(config: Config, format: LogFormat, level: &str) -> ExitCode {
    start_logging(format, level);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start the runtime: {error}")),
    };
    match runtime.block_on(serve(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(detail) => fail(&detail),
    }
}

fn fail(detail: &str) -> ExitCode {
    eprintln!("sandbar: {detail}");
    ExitCode::FAILURE
}

fn start_logging(format: LogFormat, level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let builder = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}

async fn serve(config: Config) -> Result<(), String> {
    config.check()?;
    // The port first: it is quick to tell, and nothing is opened that would have to be closed.
    let bound = api::bind(config.listen).await?;
    let address = bound.address;
    let hub = tokio::task::spawn_blocking(move || Hub::open(config))
        .await
        .map_err(|error| error.to_string())??;
    // For scripts: the address with the port that was given.
    println!("sandbar listening on http://{address}");
    let _ = std::io::stdout().flush();
    tracing::info!(%address, data = %hub.config.data.display(), "serving");
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "other machines can reach this hub and callers are not authenticated");
    }
    let stopping = hub.stopping.clone();
    tokio::spawn(async move {
        wait_for_signal().await;
        stopping.cancel();
        tracing::info!("stopping: requests under way are answered, routes end their batch");
    });
    let served = bound.serve(hub.clone()).await;
    hub.close().await;
    tracing::info!("stopped");
    served
}

/// Waits for SIGTERM or Ctrl-C.
pub(crate) async fn wait_for_signal() {
    let (terminate, interrupt) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    );
    match (terminate, interrupt) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        _ => drop(tokio::signal::ctrl_c().await),
    }
}
