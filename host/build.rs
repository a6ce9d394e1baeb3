//! Gathers the plugins that ship with the hub into its binary: each package in `plugins/` whose
//! Cargo.toml says `bundled = true` under `[package.metadata.sandbar]`, as `scripts/guests.sh` built it.
//!
//! A module that is not there is left out with a warning: the hub then works without it.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=SANDBAR_GUESTS");
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("..");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let guests = match env::var_os("SANDBAR_GUESTS") {
        Some(folder) => PathBuf::from(folder),
        None => root.join("target/guests"),
    };
    let plugins = root.join("plugins");
    println!("cargo::rerun-if-changed={}", plugins.display());
    let mut manifests: Vec<PathBuf> = fs::read_dir(&plugins)?
        .map(|entry| entry.map(|entry| entry.path().join("Cargo.toml")))
        .collect::<Result<_, _>>()?;
    manifests.retain(|manifest| manifest.is_file());
    manifests.sort();

    let mut entries = String::new();
    let mut missing = Vec::new();
    for path in manifests {
        let manifest = fs::read_to_string(&path)?;
        if value(&manifest, "package.metadata.sandbar", "bundled") != Some("true") {
            continue;
        }
        let text = |section: &str, key: &str| {
            let found = value(&manifest, section, key).map(|value| value.trim_matches('"'));
            found.ok_or_else(|| format!("{}: [{section}] has no {key}", path.display()))
        };
        let name = text("package", "name")?;
        let version = text("package", "version")?;
        let released = text("package.metadata.sandbar", "released")?;
        let module = guests.join(format!("{name}.wasm"));
        if !module.is_file() {
            missing.push(name.to_owned());
            continue;
        }
        println!("cargo::rerun-if-changed={}", module.display());
        // A copy, so that what is embedded is what was looked at.
        let copy = out.join(format!("{name}.wasm"));
        fs::copy(&module, &copy)?;
        entries.push_str(&format!(
            "    Bundled {{ name: {name:?}, version: {version:?}, released: {released:?}, bytes: include_bytes!({copy:?}) }},\n"
        ));
    }
    if !missing.is_empty() {
        println!(
            "cargo::warning=the hub is built without the plugins {}: run scripts/guests.sh --bundled, then build again",
            missing.join(", ")
        );
        // Made here, so that its change can be seen; a folder that is not there would count as
        // changed at every build.
        fs::create_dir_all(&guests)?;
        println!("cargo::rerun-if-changed={}", guests.display());
    }
    fs::write(
        out.join("bundled.rs"),
        format!("static ALL: &[Bundled] = &[\n{entries}];\n"),
    )?;
    Ok(())
}

/// The value of a key in a section of a manifest, as it is written. Enough for the flat keys above.
fn value<'a>(manifest: &'a str, section: &str, key: &str) -> Option<&'a str> {
    let mut lines = manifest.lines().map(str::trim);
    lines.find(|line| *line == format!("[{section}]"))?;
    lines
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
        .find(|(found, _)| found.trim() == key)
        .map(|(_, value)| value.trim())
}
