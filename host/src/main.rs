//! Arguments → configuration → run.

use std::process::ExitCode;

use clap::Parser;
use sandbar::cli;

fn main() -> ExitCode {
    cli::main(cli::Args::parse())
}
