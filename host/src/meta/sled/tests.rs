//! What only the store on disk promises: opening again, damage, syncs.
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
            .commit(vec![put("a", b"1".to_vec()), put("large", large.clone())])
            .unwrap();
        store.commit(vec![put("small", b"2".to_vec())]).unwrap();
    }
    let store = Sled::open(folder.path()).unwrap();
    assert_eq!(store.get("topics", "a").unwrap(), Some(b"1".to_vec()));
    assert_eq!(store.get("topics", "small").unwrap(), Some(b"2".to_vec()));
    assert_eq!(store.get("topics", "large").unwrap(), Some(large));
}

#[test]
fn what_was_synced_is_in_the_files_while_the_store_is_still_open() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sled::open(folder.path()).unwrap();
    store.commit(vec![put("a", vec![5; 1 << 20])]).unwrap();
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

/// A store of 200 records, and those records.
fn filled() -> (tempfile::TempDir, Vec<(String, Vec<u8>)>) {
    let folder = tempfile::tempdir().unwrap();
    let store = Sled::open(folder.path()).unwrap();
    for number in 0..200_u8 {
        let value = vec![number; 100 * usize::from(number)];
        store.commit(vec![put(&number.to_string(), value)]).unwrap();
    }
    let records = store.scan("topics", "").unwrap();
    drop(store);
    (folder, records)
}

#[test]
fn damage_anywhere_is_an_error_that_names_the_folder_or_does_no_harm() {
    let (folder, records) = filled();
    let file = folder.path().join("db");
    let whole = fs::read(&file).unwrap();
    let mut refused = 0;
    let pieces = 64;
    let piece = whole.len() / pieces;
    for (start, length) in (0..pieces).flat_map(|nth| [(nth * piece, piece), (nth * piece + 10, 7)])
    {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), copy.path());
        let mut bytes = whole.clone();
        bytes[start..start + length].fill(0xff);
        fs::write(copy.path().join("db"), bytes).unwrap();
        match Sled::open(copy.path()) {
            Ok(store) => {
                let found = store.scan("topics", "").unwrap();
                assert!(
                    found == records,
                    "{length} bytes at {start} changed records"
                );
            }
            Err(error) => {
                refused += 1;
                let named = copy.path().display().to_string();
                assert!(error.to_string().contains(&named), "{error}");
            }
        }
    }
    assert!(refused > 0, "no damage was found at all");
}

#[test]
fn an_older_state_of_the_files_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sled::open(folder.path()).unwrap();
    store.commit(vec![put("a", b"1".to_vec())]).unwrap();
    drop(store);
    let older = fs::read(folder.path().join("db")).unwrap();
    let store = Sled::open(folder.path()).unwrap();
    store.commit(vec![put("a", b"2".to_vec())]).unwrap();
    drop(store);
    fs::write(folder.path().join("db"), older).unwrap();
    let error = Sled::open(folder.path()).unwrap_err();
    assert!(
        matches!(&error, Error::Damaged { reason, .. } if reason.contains("change 2 was synced")),
        "{error}"
    );
}

#[test]
fn a_record_that_was_changed_behind_the_store_is_damage() {
    let (folder, _) = filled();
    {
        let database = ::sled::open(folder.path()).unwrap();
        database.insert(place("topics", "7"), b"other").unwrap();
        database.flush().unwrap();
    }
    let error = Sled::open(folder.path()).unwrap_err();
    assert!(matches!(&error, Error::Damaged { .. }), "{error}");
}

#[test]
fn a_start_that_was_cut_off_before_the_mark_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    drop(Sled::open(folder.path()).unwrap());
    fs::write(folder.path().join(Mark::FILE), "").unwrap();
    let store = Sled::open(folder.path()).unwrap();
    store.commit(vec![put("a", b"1".to_vec())]).unwrap();
    drop(store);
    fs::remove_file(folder.path().join(Mark::FILE)).unwrap();
    let error = Sled::open(folder.path()).unwrap_err();
    assert!(
        matches!(&error, Error::Damaged { reason, .. } if reason.contains("is missing")),
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
    let error = store.commit(vec![put("a", b"1".to_vec())]).unwrap_err();
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
                Ok(0)
            })
        });
        wait.recv().unwrap();
        let others: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| syncer.sync(|| Ok(0))))
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
