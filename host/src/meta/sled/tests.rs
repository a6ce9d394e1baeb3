#![allow(clippy::unwrap_used)]

use std::fs;

use super::*;

fn put(key: &str, value: Vec<u8>) -> Change {
    Change::Put {
        table: "topics",
        key: key.into(),
        value,
    }
}

#[test]
fn all_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let large = vec![9; 2 << 20];
    {
        let store = Sled::open(folder.path()).unwrap();
        store
            .commit(
                vec![put("a", b"1".to_vec()), put("large", large.clone())],
                Durability::Sync,
            )
            .unwrap();
        store
            .commit(vec![put("lazy", b"2".to_vec())], Durability::Lazy)
            .unwrap();
        store.flush().unwrap();
    }
    let store = Sled::open(folder.path()).unwrap();
    assert_eq!(store.get("topics", "a").unwrap(), Some(b"1".to_vec()));
    assert_eq!(store.get("topics", "lazy").unwrap(), Some(b"2".to_vec()));
    assert_eq!(store.get("topics", "large").unwrap(), Some(large));
}

#[test]
fn what_was_synced_is_in_the_files_while_the_store_is_still_open() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sled::open(folder.path()).unwrap();
    store
        .commit(vec![put("a", vec![5; 1 << 20])], Durability::Sync)
        .unwrap();
    // What a kill leaves behind: the files as they are now.
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), copy.path());
    let again = Sled::open(copy.path()).unwrap();
    assert_eq!(again.get("topics", "a").unwrap(), Some(vec![5; 1 << 20]));
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_second_opening_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _store = Sled::open(folder.path()).unwrap();
    let error = Sled::open(folder.path()).unwrap_err();
    assert_eq!(
        error,
        Error::InUse {
            path: folder.path().to_owned()
        }
    );
}

#[test]
fn damage_is_an_error_that_names_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = Sled::open(folder.path()).unwrap();
        for number in 0..200 {
            store
                .commit(
                    vec![put(&number.to_string(), vec![number as u8; 10_000])],
                    Durability::Lazy,
                )
                .unwrap();
        }
        store.flush().unwrap();
    }
    let file = folder.path().join("db");
    let mut bytes = fs::read(&file).unwrap();
    let (start, end) = (bytes.len() / 4, bytes.len() / 2);
    bytes[start..end].fill(0xff);
    fs::write(&file, bytes).unwrap();
    let error = Sled::open(folder.path()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&folder.path().display().to_string()),
        "{error}"
    );
}

#[test]
fn a_folder_of_another_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    {
        let database = ::sled::open(folder.path()).unwrap();
        database.insert(FORMAT_KEY, "99").unwrap();
        database.flush().unwrap();
    }
    let error = Sled::open(folder.path()).unwrap_err();
    assert!(
        matches!(&error, Error::Format { found, .. } if found == "99"),
        "{error}"
    );
}

#[test]
fn a_failed_sync_stops_all_further_commits() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sled::open(folder.path()).unwrap();
    store
        .syncer
        .sync(|| Err("no more disk".into()))
        .unwrap_err();
    let error = store
        .commit(vec![put("a", b"1".to_vec())], Durability::Lazy)
        .unwrap_err();
    assert!(
        matches!(&error, Error::Unsynced { reason, .. } if reason == "no more disk"),
        "{error}"
    );
    assert_eq!(store.get("topics", "a").unwrap(), None);
}

#[test]
fn callers_that_wait_share_one_sync() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sled::open(folder.path()).unwrap();
    let before = store.syncer.syncs();
    let (entered, wait) = std::sync::mpsc::channel();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Mutex::new(held);
    std::thread::scope(|scope| {
        let syncer = &store.syncer;
        let first = scope.spawn(move || {
            syncer.sync(|| {
                entered.send(()).unwrap();
                held.lock().unwrap().recv().unwrap();
                Ok(())
            })
        });
        wait.recv().unwrap();
        let others: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| syncer.sync(|| Ok(()))))
            .collect();
        while syncer.demanded() < before + 9 {
            std::thread::yield_now();
        }
        release.send(()).unwrap();
        first.join().unwrap().unwrap();
        others
            .into_iter()
            .for_each(|other| other.join().unwrap().unwrap());
    });
    assert_eq!(
        store.syncer.syncs(),
        before + 2,
        "one for the first, one for all others"
    );
}
