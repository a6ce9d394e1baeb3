//! Arguments → configuration → run.

use std::process::ExitCode;

use clap::Parser;
use sandbar::cli;

/// Memory that nobody uses goes back to the system after a second (`.cargo/config.toml`).
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::main(cli::Args::parse())
}
