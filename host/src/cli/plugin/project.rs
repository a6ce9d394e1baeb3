//! `sandbar-plugin.toml`: what a plugin's project is called and how it is built, tested and watched.

use std::path::{Path, PathBuf};

use sandbar_types::Name;
use serde::Deserialize;

use super::super::{client::Failure, slip::meant};

/// The file's name.
pub(super) const FILE: &str = "sandbar-plugin.toml";
/// The events that `try`, `check` and `dev` take when none are named.
pub(super) const EVENTS: &str = "events.json";

/// A folder with a `sandbar-plugin.toml`.
#[derive(Debug)]
pub(super) struct Project {
    pub folder: PathBuf,
    pub manifest: Manifest,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub plugin: Plugin,
    pub build: Build,
    #[serde(default)]
    pub tools: Vec<Tool>,
    #[serde(default)]
    #[expect(
        dead_code,
        reason = "for people and for CI; the command line runs no tests"
    )]
    pub test: Option<Test>,
    #[serde(default)]
    pub dev: Dev,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plugin {
    pub name: String,
    pub version: String,
    #[serde(default)]
    #[expect(dead_code, reason = "for people")]
    pub language: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Build {
    /// For `sh -c`, in the project's folder.
    pub command: String,
    /// What the command makes, relative to the folder.
    pub output: PathBuf,
}

/// What the build needs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tool {
    pub name: String,
    /// Succeeds where the tool is there.
    pub check: String,
    /// What to do where it is not.
    pub install: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Test {
    #[expect(
        dead_code,
        reason = "for people and for CI; the command line runs no tests"
    )]
    pub command: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dev {
    /// Files and folders whose change means a new build.
    #[serde(default = "sources")]
    pub watch: Vec<PathBuf>,
}

impl Default for Dev {
    fn default() -> Self {
        Self { watch: sources() }
    }
}

fn sources() -> Vec<PathBuf> {
    vec!["src".into()]
}

impl Project {
    /// Reads the project in a folder.
    pub(super) fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Failure::local(format!(
                "cannot read {}: {error}; 'sandbar plugin new NAME --lang L' makes a project",
                path.display()
            ))
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            manifest: parse(&path, &text)?,
        })
    }

    /// Where the built plugin lies.
    pub(super) fn output(&self) -> PathBuf {
        self.folder.join(&self.manifest.build.output)
    }

    /// Where the project's sample events lie, if it has any.
    pub(super) fn events(&self) -> Option<PathBuf> {
        Some(self.folder.join(EVENTS)).filter(|path| path.is_file())
    }

    /// `name@version`.
    pub(super) fn reference(&self) -> String {
        let plugin = &self.manifest.plugin;
        format!("{}@{}", plugin.name, plugin.version)
    }
}

fn parse(path: &Path, text: &str) -> Result<Manifest, Failure> {
    let manifest: Manifest = toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .map(|span| {
                let before = text.get(..span.start).unwrap_or_default();
                format!(":{}", before.matches('\n').count() + 1)
            })
            .unwrap_or_default();
        let meant = meant(error.message())
            .map(|word| format!("; did you mean `{word}`?"))
            .unwrap_or_default();
        let message = error.message();
        Failure::local(format!("{}{line}: {message}{meant}", path.display()))
    })?;
    let plugin = &manifest.plugin;
    for (what, word) in [("name", &plugin.name), ("version", &plugin.version)] {
        Name::new(word).map_err(|error| {
            Failure::local(format!("{}: plugin.{what}: {error}", path.display()))
        })?;
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"[plugin]
name = "order-invoice"
version = "0.1.0"
language = "javascript"
[build]
command = "npm run build"
output = "build/plugin.wasm"
[[tools]]
name = "npm"
check = "npm --version"
install = "install Node.js"
[test]
command = "npm test"
[dev]
watch = ["src", "lib"]
"#;

    fn read(text: &str) -> Result<Manifest, String> {
        parse(Path::new("p.toml"), text).map_err(|failure| match failure {
            Failure::Local(reason) => reason,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn a_whole_file_is_read() {
        let manifest = read(WHOLE).expect("read");
        assert_eq!(manifest.plugin.name, "order-invoice");
        assert_eq!(manifest.build.output, Path::new("build/plugin.wasm"));
        assert_eq!(manifest.tools[0].check, "npm --version");
        assert_eq!(manifest.dev.watch.len(), 2);
    }

    #[test]
    fn what_is_left_out_has_defaults() {
        let least = "[plugin]\nname='a'\nversion='1'\n[build]\ncommand='true'\noutput='x.wasm'\n";
        let manifest = read(least).expect("read");
        assert!(manifest.tools.is_empty());
        assert_eq!(manifest.dev.watch, [Path::new("src")]);
        let manifest = read(&format!("{least}[dev]\n")).expect("read");
        assert_eq!(manifest.dev.watch, [Path::new("src")]);
    }

    #[test]
    fn a_slip_is_told_with_line_and_suggestion() {
        let reason = read(&WHOLE.replace("output =", "outptu =")).expect_err("refused");
        assert!(
            reason.starts_with("p.toml:7: unknown field `outptu`")
                && reason.ends_with("did you mean `output`?"),
            "{reason}"
        );
        let reason = read(&WHOLE.replace("[dev]", "[develop]")).expect_err("refused");
        assert!(reason.starts_with("p.toml:14: unknown field"), "{reason}");
        let reason = read(&WHOLE.replace("check =", "chek =")).expect_err("refused");
        assert!(
            reason.starts_with("p.toml:10:") && reason.ends_with("did you mean `check`?"),
            "{reason}"
        );
    }

    #[test]
    fn what_is_missing_or_no_toml_is_told_with_its_line() {
        let reason =
            read(&WHOLE.replace("command = \"npm run build\"\n", "")).expect_err("refused");
        assert!(
            reason.starts_with("p.toml:5: missing field `command`"),
            "{reason}"
        );
        let reason = read("[plugin\n").expect_err("refused");
        assert!(reason.starts_with("p.toml:1: "), "{reason}");
    }

    #[test]
    fn names_are_those_that_a_hub_takes() {
        let reason = read(&WHOLE.replace("order-invoice", "order invoice")).expect_err("refused");
        assert!(reason.contains("plugin.name"), "{reason}");
        let reason = read(&WHOLE.replace("0.1.0", "0.1.0+x")).expect_err("refused");
        assert!(reason.contains("plugin.version"), "{reason}");
    }
}
