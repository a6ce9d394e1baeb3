//! A file system in memory that fails on demand: full disk, torn writes, lost writes, syncs that
//! fail, bits that flip. It keeps, next to what a running process sees, what a disk would still
//! hold after power loss: bytes only once their file was synced, names only once their folder was.

use std::{
    collections::BTreeMap,
    io::{self, IoSlice},
    path::{Component, Path},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::files::{Entry, File, FileSystem};

type Id = usize;

#[derive(Clone, Debug)]
enum Node {
    File {
        seen: Vec<u8>,
        durable: Vec<u8>,
    },
    Folder {
        seen: BTreeMap<String, Id>,
        durable: BTreeMap<String, Id>,
    },
}

#[derive(Debug)]
struct Inner {
    nodes: Vec<Node>,
    /// Files of an earlier life answer errors.
    life: u64,
    quota: Option<u64>,
    failing_syncs: bool,
}

/// The file system; clones share it.
#[derive(Clone, Debug)]
pub struct Faulty(Arc<Mutex<Inner>>);

impl Default for Faulty {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Debug)]
struct Handle {
    system: Faulty,
    id: Id,
    life: u64,
}

const ROOT: Id = 0;

fn folder() -> Node {
    Node::Folder {
        seen: BTreeMap::new(),
        durable: BTreeMap::new(),
    }
}

fn wrong(kind: io::ErrorKind) -> io::Error {
    kind.into()
}

impl Faulty {
    #[must_use]
    pub fn new() -> Self {
        let inner = Inner {
            nodes: vec![folder()],
            life: 0,
            quota: None,
            failing_syncs: false,
        };
        Self(Arc::new(Mutex::new(inner)))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes all files together may have; `None` for no end.
    pub fn set_quota(&self, bytes: Option<u64>) {
        self.lock().quota = bytes;
    }

    /// Bytes that all files together have.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.lock().used()
    }

    /// From now on every sync of a file fails, or none does.
    pub fn fail_syncs(&self, failing: bool) {
        self.lock().failing_syncs = failing;
    }

    /// Power loss: what was not synced is gone, and open files are dead. Of what a file had been
    /// made longer by since its last sync, `keep(bytes)` bytes are on disk all the same.
    pub fn crash(&self, mut keep: impl FnMut(usize) -> usize) {
        let mut inner = self.lock();
        inner.life += 1;
        inner.failing_syncs = false;
        for node in &mut inner.nodes {
            match node {
                Node::Folder { seen, durable } => seen.clone_from(durable),
                Node::File { seen, durable } => {
                    if let Some(fresh) = seen.get(durable.len()..).filter(|fresh| !fresh.is_empty())
                    {
                        let kept = keep(fresh.len()).min(fresh.len());
                        let kept = fresh[..kept].to_vec();
                        durable.extend_from_slice(&kept);
                    }
                    seen.clone_from(durable);
                }
            }
        }
    }

    /// Turns over one bit of a file, as rot would: nothing notices.
    ///
    /// # Errors
    /// When there is no such file or byte.
    pub fn flip(&self, path: &Path, byte: usize, bit: u8) -> io::Result<()> {
        let mut inner = self.lock();
        let id = inner.find(path)?;
        let Node::File { seen, durable } = &mut inner.nodes[id] else {
            return Err(wrong(io::ErrorKind::IsADirectory));
        };
        if byte >= seen.len() {
            return Err(wrong(io::ErrorKind::UnexpectedEof));
        }
        seen[byte] ^= 1 << (bit % 8);
        if let Some(found) = durable.get_mut(byte) {
            *found ^= 1 << (bit % 8);
        }
        Ok(())
    }
}

impl Inner {
    fn used(&self) -> u64 {
        self.reachable(ROOT)
    }

    fn reachable(&self, id: Id) -> u64 {
        match &self.nodes[id] {
            Node::File { seen, .. } => seen.len() as u64,
            Node::Folder { seen, .. } => seen.values().map(|&child| self.reachable(child)).sum(),
        }
    }

    fn find(&self, path: &Path) -> io::Result<Id> {
        let mut at = ROOT;
        for part in path.components() {
            let Component::Normal(name) = part else {
                continue;
            };
            let Node::Folder { seen, .. } = &self.nodes[at] else {
                return Err(wrong(io::ErrorKind::NotADirectory));
            };
            let child = name.to_str().and_then(|name| seen.get(name));
            at = *child.ok_or_else(|| wrong(io::ErrorKind::NotFound))?;
        }
        Ok(at)
    }

    fn names(&mut self, path: &Path) -> io::Result<(&mut BTreeMap<String, Id>, String)> {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
            .to_owned();
        let id = self.find(path.parent().unwrap_or(Path::new("/")))?;
        match &mut self.nodes[id] {
            Node::Folder { seen, .. } => Ok((seen, name)),
            Node::File { .. } => Err(wrong(io::ErrorKind::NotADirectory)),
        }
    }

    fn add(&mut self, path: &Path, node: Node) -> io::Result<Id> {
        let id = self.nodes.len();
        let (names, name) = self.names(path)?;
        names.insert(name, id);
        self.nodes.push(node);
        Ok(id)
    }
}

impl Handle {
    fn with<T>(
        &self,
        act: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut inner = self.system.lock();
        if inner.life != self.life {
            return Err(io::Error::other("the machine has crashed since"));
        }
        match &mut inner.nodes[self.id] {
            Node::File { seen, durable } => act(seen, durable),
            Node::Folder { .. } => Err(wrong(io::ErrorKind::IsADirectory)),
        }
    }
}

impl File for Handle {
    fn write_at(&self, parts: &mut [IoSlice<'_>], at: u64) -> io::Result<()> {
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let room = {
            let inner = self.system.lock();
            inner
                .quota
                .map(|quota| quota.saturating_sub(inner.used()) as usize)
        };
        self.with(|seen, _| {
            let at = at as usize;
            let grows = (at + bytes.len()).saturating_sub(seen.len());
            // As a disk does: what fits is written before the error.
            let fits = bytes.len() - grows.saturating_sub(room.unwrap_or(usize::MAX));
            let end = at + fits;
            if seen.len() < end {
                seen.resize(end, 0);
            }
            seen[at..end].copy_from_slice(&bytes[..fits]);
            if fits < bytes.len() {
                Err(wrong(io::ErrorKind::StorageFull))
            } else {
                Ok(())
            }
        })
    }

    fn read_at(&self, out: &mut Vec<u8>, at: u64, length: usize) -> io::Result<()> {
        self.with(|seen, _| {
            let start = (at as usize).min(seen.len());
            out.extend_from_slice(&seen[start..seen.len().min(start + length)]);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.system.lock().failing_syncs {
            return Err(io::Error::other("the sync failed, as told"));
        }
        self.with(|seen, durable| {
            durable.clone_from(seen);
            Ok(())
        })
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.with(|seen, _| {
            seen.resize(length as usize, 0);
            Ok(())
        })
    }

    fn length(&self) -> io::Result<u64> {
        self.with(|seen, _| Ok(seen.len() as u64))
    }
}

impl FileSystem for Faulty {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let inner = self.lock();
        let (id, life) = (inner.find(path)?, inner.life);
        Ok(Arc::new(Handle {
            system: self.clone(),
            id,
            life,
        }))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut inner = self.lock();
        if inner.quota.is_some_and(|quota| inner.used() >= quota) {
            return Err(wrong(io::ErrorKind::StorageFull));
        }
        let id = match inner.find(path) {
            Ok(id) => {
                if let Node::File { seen, .. } = &mut inner.nodes[id] {
                    seen.clear();
                }
                id
            }
            Err(_) => inner.add(
                path,
                Node::File {
                    seen: Vec::new(),
                    durable: Vec::new(),
                },
            )?,
        };
        Ok(Arc::new(Handle {
            system: self.clone(),
            id,
            life: inner.life,
        }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        let above: Vec<&Path> = path.ancestors().collect();
        for one in above.into_iter().rev() {
            if inner.find(one).is_err() {
                inner.add(one, folder())?;
            }
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let inner = self.lock();
        match &inner.nodes[inner.find(path)?] {
            Node::Folder { seen, .. } => Ok(seen
                .iter()
                .map(|(name, &id)| Entry {
                    name: name.clone(),
                    directory: matches!(inner.nodes[id], Node::Folder { .. }),
                })
                .collect()),
            Node::File { .. } => Err(wrong(io::ErrorKind::NotADirectory)),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        let (names, name) = inner.names(from)?;
        let id = names
            .remove(&name)
            .ok_or_else(|| wrong(io::ErrorKind::NotFound))?;
        let (names, name) = inner.names(to)?;
        names.insert(name, id);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        let (names, name) = inner.names(path)?;
        names
            .remove(&name)
            .map(drop)
            .ok_or_else(|| wrong(io::ErrorKind::NotFound))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        if !self.list(path)?.is_empty() {
            return Err(wrong(io::ErrorKind::DirectoryNotEmpty));
        }
        self.remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        let id = inner.find(path)?;
        if let Node::Folder { seen, durable } = &mut inner.nodes[id] {
            durable.clone_from(seen);
        }
        Ok(())
    }
}
