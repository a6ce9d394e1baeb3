//! `sandbar plugin build`: are the tools there, does the build succeed, is what it made a plugin?

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap::Args;
use sandbar_plugin::Plugin;
use serde_json::{Value, json};

use super::{
    super::{Client, Outcome, client::Failure, output::say, table::cell},
    project::{Project, Tool},
    runtime::Runtime,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct BuildArgs {
    /// The project's folder.
    #[arg(default_value = ".")]
    folder: PathBuf,
}

pub(super) fn run(client: &Client, args: &BuildArgs) -> Outcome {
    let project = Project::read(&args.folder)?;
    check_tools(&project)?;
    build(&project)?;
    let plugin = Runtime::start()?.plugin(&project.output())?;
    client.print(&report(&project, &plugin), show);
    Ok(())
}

/// Runs the check of each tool.
pub(super) fn check_tools(project: &Project) -> Outcome {
    let missing: Vec<&Tool> = (project.manifest.tools.iter())
        .filter(|tool| !is_there(project, tool))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let lines = missing.iter().map(|tool| {
        let Tool {
            name,
            check,
            install,
        } = tool;
        format!("\n  {name} ('{check}' fails): {install}")
    });
    Err(Failure::ToolMissing(format!(
        "the build of {} needs what is not here:{}",
        project.reference(),
        lines.collect::<String>()
    )))
}

fn is_there(project: &Project, tool: &Tool) -> bool {
    let checked = shell(project, &tool.check)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    checked.is_ok_and(|status| status.success())
}

/// Runs the build's command. What it prints goes to standard error: standard output has results only.
pub(super) fn build(project: &Project) -> Outcome {
    let command = &project.manifest.build.command;
    eprintln!("sandbar: {command}");
    let status = shell(project, command)
        .stdout(std::io::stderr())
        .status()
        .map_err(|error| Failure::local(format!("sh cannot be run: {error}")))?;
    if !status.success() {
        return Err(Failure::local(format!(
            "the build of {} failed ({status})",
            project.reference()
        )));
    }
    let output = project.output();
    if !output.is_file() {
        return Err(Failure::local(format!(
            "the build succeeded and there is no {}; build.output and build.command do not agree",
            output.display()
        )));
    }
    Ok(())
}

fn shell(project: &Project, command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        .current_dir(&project.folder)
        .stdin(Stdio::null());
    shell
}

/// What was built.
pub(super) fn report(project: &Project, plugin: &Plugin) -> Value {
    let mut report = describe(&project.output(), plugin);
    report["name"] = json!(project.manifest.plugin.name);
    report["version"] = json!(project.manifest.plugin.version);
    report
}

/// What a compiled plugin tells of itself.
pub(super) fn describe(path: &Path, plugin: &Plugin) -> Value {
    let imports: Vec<&str> = (plugin.capabilities().iter())
        .map(|capability| capability.as_str())
        .collect();
    json!({
        "path": path.display().to_string(),
        "size": plugin.size(),
        "digest": plugin.digest(),
        "form": plugin.form().as_str(),
        "world": plugin.world().as_str(),
        "imports": imports,
    })
}

/// One fact a line.
pub(super) fn show(report: &Value) {
    for name in ["path", "size", "digest", "form", "world", "imports"] {
        say!("{name:<13} {}", words(name, report));
    }
}

fn words(name: &str, report: &Value) -> String {
    match name {
        "size" => format!("{} bytes", report[name]),
        "imports" if report[name].as_array().is_some_and(Vec::is_empty) => "nothing".to_owned(),
        _ => cell(&report[name]),
    }
}
