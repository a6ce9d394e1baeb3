//! `sandbar plugin new`: a project that builds and passes its test at once.

mod templates;

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use super::super::{Client, Outcome, client::Failure, output::say, slip::nearest};
use templates::{LANGUAGES, Language};

/// Where a template has the project's name.
const NAME: &str = "{{name}}";
/// The longest name; registries of packages allow no more.
const LONGEST: usize = 64;

#[derive(Debug, Args)]
pub(in crate::cli) struct NewArgs {
    /// Lower-case letters, digits and hyphens.
    name: String,
    /// The language; a wrong one lists those there are.
    #[arg(long = "lang", short, value_name = "LANGUAGE")]
    language: String,
    /// The folder to make; default: one of that name, here.
    #[arg(long)]
    dir: Option<PathBuf>,
}

pub(super) fn run(client: &Client, args: &NewArgs) -> Outcome {
    check_name(&args.name)?;
    let language = find(&args.language)?;
    let folder = args.dir.clone().unwrap_or_else(|| args.name.clone().into());
    if fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) || folder.is_file() {
        return Err(Failure::local(format!(
            "{} is there and not empty; name another with --dir",
            folder.display()
        )));
    }
    for (path, content) in language.files {
        write(&folder.join(path), &named(content, &args.name))?;
    }
    let files: Vec<&str> = language.files.iter().map(|(path, _)| *path).collect();
    let report =
        json!({"folder": folder.display().to_string(), "language": language.name, "files": files});
    client.print(&report, |_| {
        let place = folder.display();
        say!(
            "made {place} ({}); {place}/README.md is a screen long",
            language.name
        );
        say!("next:");
        say!("  sandbar plugin build {place}");
        say!("  sandbar plugin try {place}");
        say!("  sandbar plugin dev {place}");
    });
    Ok(())
}

/// What Cargo, npm, Go and the hub all take.
fn check_name(name: &str) -> Outcome {
    let inside =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let good = name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && name.chars().all(inside)
        && !name.ends_with('-')
        && !name.contains("--")
        && name.len() <= LONGEST;
    if good {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "{name:?} is no name for a plugin: at most {LONGEST} lower-case letters, digits and single hyphens, beginning with a letter, as in order-invoice"
    )))
}

fn find(word: &str) -> Result<&'static Language, Failure> {
    let named = |language: &&Language| language.name == word || language.short == word;
    LANGUAGES.iter().find(named).ok_or_else(|| {
        let names: Vec<&str> = LANGUAGES.iter().map(|language| language.name).collect();
        let meant = nearest(word, names.iter().copied())
            .map(|name| format!("; did you mean {name}?"))
            .unwrap_or_default();
        Failure::Usage(format!(
            "there is no template for {word:?}; there are {}{meant}",
            names.join(", ")
        ))
    })
}

/// The content with the project's name in it. What is no text stays as it is.
fn named(content: &[u8], name: &str) -> Vec<u8> {
    match std::str::from_utf8(content) {
        Ok(text) => text.replace(NAME, name).into_bytes(),
        Err(_) => content.to_vec(),
    }
}

fn write(path: &Path, content: &[u8]) -> Outcome {
    let write = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, content)
    };
    write().map_err(|error| Failure::local(format!("cannot write {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_every_tool_takes() {
        for good in ["a", "order-invoice", "v2"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in [
            "", "Order", "2x", "-a", "a-", "a--b", "a_b", "a/b", "..", "a b", "é", "$(x)",
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        assert!(check_name(&"a".repeat(65)).is_err());
    }

    #[test]
    fn a_language_that_is_not_there_lists_those_that_are() {
        let refused = |word: &str| match find(word) {
            Err(Failure::Usage(reason)) => reason,
            _ => panic!("{word}"),
        };
        let reason = refused("cobol");
        for language in LANGUAGES {
            assert!(reason.contains(language.name), "{reason}");
        }
        assert!(refused("pyhton").ends_with("did you mean python?"));
        assert_eq!(find("js").map(|found| found.name).ok(), Some("javascript"));
    }

    #[test]
    fn every_template_is_a_whole_project() {
        for language in LANGUAGES {
            let has = |path: &str| language.files.iter().any(|(name, _)| *name == path);
            for path in [
                "sandbar-plugin.toml",
                "README.md",
                ".gitignore",
                "events.json",
                "wit/transform.wit",
            ] {
                assert!(has(path), "{} has no {path}", language.name);
            }
            let lines = language
                .files
                .iter()
                .find(|(path, _)| *path == "README.md")
                .and_then(|(_, text)| std::str::from_utf8(text).ok())
                .map_or(0, |text| text.lines().count());
            assert!(lines > 0, "{}", language.name);
            assert!(lines <= 40, "{}: README of {lines} lines", language.name);
        }
    }

    #[test]
    fn no_file_of_a_template_is_left_out() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/plugin/templates");
        let folders = fs::read_dir(&root).expect("a folder").flatten();
        let named = folders.map(|entry| entry.file_name().to_string_lossy().into_owned());
        for name in named.filter(|name| name != "shared") {
            let language = LANGUAGES.iter().find(|language| language.name == name);
            let language = language.unwrap_or_else(|| panic!("{name} is not offered"));
            let mut pending = vec![root.join(&name)];
            while let Some(path) = pending.pop() {
                if path.is_dir() {
                    let entries = fs::read_dir(&path).expect("a folder");
                    pending.extend(entries.flatten().map(|entry| entry.path()));
                    continue;
                }
                let content = fs::read(&path).expect("a file");
                assert!(
                    language
                        .files
                        .iter()
                        .any(|(_, embedded)| **embedded == content),
                    "{} is not embedded",
                    path.display()
                );
            }
        }
    }
}
