//! Where compiled plugins are kept between two commands.
//!
//! What lies there runs as native code, so it is the user's own folder that nobody else may write
//! into, never one of a project that came from somewhere.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Files kept; the oldest go first.
const KEPT: usize = 24;

/// The folder, made where it is missing; none where there is no safe one.
pub(super) fn folder() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    // The XDG rules: what is not absolute is ignored.
    let base = base.filter(|path| path.is_absolute()).or_else(|| {
        let home = PathBuf::from(std::env::var_os("HOME")?);
        home.is_absolute().then(|| home.join(".cache"))
    })?;
    let folder = base.join("sandbar").join("plugins");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .ok()?;
    is_private(&folder).then(|| {
        prune(&folder);
        folder
    })
}

/// Whether the folder is this user's, and nobody else may write into it.
fn is_private(folder: &Path) -> bool {
    let check = || {
        let found = fs::metadata(folder)?;
        // A new file belongs to whoever runs this.
        let probe = folder.join(format!(".probe-{}", std::process::id()));
        let mine = fs::File::create(&probe)?.metadata()?.uid();
        fs::remove_file(&probe)?;
        Ok::<_, std::io::Error>(found.uid() == mine && found.permissions().mode() & 0o022 == 0)
    };
    check().unwrap_or(false)
}

fn prune(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let files = entries.flatten().filter_map(|entry| {
        let modified = entry.metadata().ok()?.modified().ok()?;
        Some((modified, entry.path()))
    });
    let mut files: Vec<_> = files.collect();
    files.sort();
    let surplus = files.len().saturating_sub(KEPT);
    for (_, path) in files.into_iter().take(surplus) {
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_others_may_write_into_is_not_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let mode = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode));
        mode(0o700).expect("set");
        assert!(is_private(folder.path()));
        mode(0o770).expect("set");
        assert!(!is_private(folder.path()));
        mode(0o707).expect("set");
        assert!(!is_private(folder.path()));
        assert!(!is_private(&folder.path().join("missing")));
    }

    #[test]
    fn the_oldest_files_go() {
        let folder = tempfile::tempdir().expect("a folder");
        for index in 0..KEPT + 3 {
            fs::write(folder.path().join(format!("{index:03}")), "x").expect("written");
        }
        prune(folder.path());
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), KEPT);
    }
}
