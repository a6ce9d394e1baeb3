//! Which files of a project changed.
//!
//! By looking at them a few times a second, not by the system's notices: those are missing on network
//! folders and in many containers, and a project has few files. A file counts as changed when its
//! content did, so that a build which writes the same into a watched folder again starts no other.

use std::{
    collections::BTreeMap,
    fs,
    hash::Hasher,
    path::{Path, PathBuf},
    time::SystemTime,
};

use xxhash_rust::xxh3::Xxh3Default;

use super::project::{FILE, Project};

/// Folders that hold no source, wherever they are.
const SKIPPED: [&str; 6] = [
    ".git",
    ".venv",
    "__pycache__",
    "build",
    "node_modules",
    "target",
];

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    modified: Option<SystemTime>,
    length: u64,
    content: u64,
}

/// The watched files at a moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot(BTreeMap<PathBuf, Seen>);

impl Snapshot {
    /// Looks at the project's watched files, its manifest, and `more`. Reads only what looks another
    /// than in `last`.
    pub(super) fn take(project: &Project, more: &[PathBuf], last: &Self) -> Self {
        let mut files = Vec::new();
        for watched in &project.manifest.dev.watch {
            collect(&project.folder.join(watched), &mut files);
        }
        files.push(project.folder.join(FILE));
        files.extend_from_slice(more);
        let seen = files.into_iter().filter_map(|path| {
            let metadata = fs::metadata(&path).ok()?;
            let (modified, length) = (metadata.modified().ok(), metadata.len());
            let known = last.0.get(&path).filter(|seen| {
                modified.is_some() && seen.modified == modified && seen.length == length
            });
            let content = match known {
                Some(known) => known.content,
                None => content(&path)?,
            };
            let seen = Seen {
                modified,
                length,
                content,
            };
            Some((path, seen))
        });
        Self(seen.collect())
    }

    /// The files that came, went, or have another content.
    pub(super) fn changed_since(&self, before: &Self) -> Vec<PathBuf> {
        let content =
            |snapshot: &Self, path: &PathBuf| snapshot.0.get(path).map(|seen| seen.content);
        let mut paths: Vec<&PathBuf> = self.0.keys().chain(before.0.keys()).collect();
        paths.sort_unstable();
        paths.dedup();
        let changed = paths
            .into_iter()
            .filter(|path| content(self, path) != content(before, path));
        changed.cloned().collect()
    }
}

fn content(path: &Path) -> Option<u64> {
    let mut hasher = Xxh3Default::new();
    hasher.write(&fs::read(path).ok()?);
    Some(hasher.finish())
}

/// All files at and under a path. Links to folders are not followed: they may lead in circles.
fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_file() {
        files.push(path.to_owned());
        return;
    }
    let Ok(entries) = fs::read_dir(path) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let skipped = SKIPPED.iter().any(|skipped| name == *skipped);
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            if !skipped {
                collect(&entry.path(), files);
            }
        } else if entry.path().is_file() {
            files.push(entry.path());
        }
    }
}

/// A watched file that was written after `built` was.
pub(super) fn newer_than(project: &Project, built: &Path) -> Option<PathBuf> {
    let modified = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
    let built = modified(built)?;
    let mut files = Vec::new();
    for watched in &project.manifest.dev.watch {
        collect(&project.folder.join(watched), &mut files);
    }
    files
        .into_iter()
        .find(|path| modified(path).is_some_and(|modified| modified > built))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(folder: &Path) -> Project {
        let text = "[plugin]\nname='a'\nversion='1'\n[build]\ncommand='true'\noutput='x'\n";
        fs::write(folder.join(FILE), text).expect("written");
        fs::create_dir_all(folder.join("src/node_modules")).expect("made");
        Project::read(folder).unwrap_or_else(|failure| panic!("{failure:?}"))
    }

    #[test]
    fn only_another_content_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let project = project(folder.path());
        let file = folder.path().join("src/a.rs");
        fs::write(&file, "one").expect("written");
        let first = Snapshot::take(&project, &[], &Snapshot::default());
        fs::write(&file, "one").expect("written");
        fs::write(folder.path().join("src/node_modules/x"), "x").expect("written");
        let same = Snapshot::take(&project, &[], &first);
        assert!(same.changed_since(&first).is_empty());
        fs::write(&file, "two").expect("written");
        fs::write(folder.path().join("src/b.rs"), "b").expect("written");
        let other = Snapshot::take(&project, &[], &same);
        assert_eq!(
            other.changed_since(&same),
            [file.clone(), folder.path().join("src/b.rs")]
        );
        fs::remove_file(&file).expect("removed");
        let gone = Snapshot::take(&project, &[], &other);
        assert_eq!(gone.changed_since(&other), [file]);
    }
}
