//! The log in a folder of this machine: opens it, and hands each call to the writer or to a
//! partition.
//!
//! # Layout
//! ```text
//! <folder>/<topic>/<partition>/<base, 20 digits>.seg   a segment, see `segment`
//!                              <base, 20 digits>.idx   its index, see `index`; made again if lost
//! <folder>/<topic>/.new-<partition>/                   being made; removed at open
//! <folder>/<topic>/.deleted-<partition>/               being deleted; removed at open
//! ```
//! A partition appears and goes by one rename. Names of topics never start with a dot.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread::JoinHandle,
};

use sandbar_types::{Name, Offset, PartitionId};
use tokio::sync::watch;

use crate::{
    Append, Bounds, Done, Durability, Error, FileSystem, Frame, FrameHead, Log, Options, Result,
    Retention,
    frame::{LARGEST, Prepared},
    partition::{Shared, io_error, is_full},
    partitions::Partitions,
    recovery,
    segment::{self, Header},
    writer::{Call, Queue, Waiting, Writer},
};

const NEW: &str = ".new-";
const DELETED: &str = ".deleted-";

/// How a partition is.
#[derive(Clone, Debug)]
pub enum Status {
    Ok,
    /// Takes no appends; reads before the damage go on. Holds an [`Error::Damaged`].
    Damaged(Error),
}

/// The embedded log. Only one may be open on a folder at a time; whoever opens it sees to that.
pub struct Embedded {
    folder: PathBuf,
    shared: Shared,
    partitions: Arc<Partitions>,
    queue: Arc<Queue>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Held while partitions are made or deleted.
    structure: Mutex<()>,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Embedded {
    /// Opens the log in `folder`, which is made if it is missing. Torn writes are cut off, with a
    /// warning; a damaged partition is opened for reading only.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be read or changed.
    pub fn open(folder: &Path, options: Options, files: Arc<dyn FileSystem>) -> Result<Self> {
        let partitions = Arc::new(Partitions::default());
        let shared = Shared {
            files,
            options: Arc::new(options),
            poison: Arc::new(OnceLock::new()),
        };
        open_all(folder, &shared, &partitions).map_err(|error| {
            io_error(
                format!("cannot open the log in {}", folder.display()),
                error,
            )
        })?;
        let queue = Arc::new(Queue::new(
            shared.options.queue_frames,
            shared.options.queue_bytes,
        ));
        let writer = Writer {
            queue: queue.clone(),
            partitions: partitions.clone(),
            poison: shared.poison.clone(),
            clock: shared.options.clock.clone(),
            segment_bytes: shared.options.segment_bytes,
        };
        let thread = std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| io_error("cannot start the log's writer".to_owned(), error))?;
        Ok(Self {
            folder: folder.to_owned(),
            shared,
            partitions,
            queue,
            writer: Mutex::new(Some(thread)),
            structure: Mutex::new(()),
        })
    }

    /// Whether a partition can be written.
    ///
    /// # Errors
    /// [`Error::NoSuchPartition`].
    pub fn status(&self, partition: &PartitionId) -> Result<Status> {
        Ok(self
            .partitions
            .get(partition)?
            .damage()
            .map_or(Status::Ok, Status::Damaged))
    }

    /// Why the writer stopped, if a sync has failed.
    #[must_use]
    pub fn poisoned(&self) -> Option<String> {
        self.shared.poison.get().cloned()
    }

    fn topic_folder(&self, id: &PartitionId) -> PathBuf {
        self.folder.join(id.topic.as_str())
    }

    fn make(&self, id: &PartitionId) -> io::Result<PathBuf> {
        let files = &*self.shared.files;
        let topic = self.topic_folder(id);
        let new = topic.join(format!("{NEW}{}", id.partition));
        let folder = topic.join(id.partition.to_string());
        files.create_dir(&topic)?;
        remove_partition(files, &new)?;
        files.create_dir(&new)?;
        segment::create(
            files,
            &new,
            Header {
                base: 0,
                follows: 0,
                time: 0,
            },
        )?;
        files.rename(&new, &folder)?;
        files.sync_dir(&topic)?;
        files.sync_dir(&self.folder)?;
        Ok(folder)
    }

    fn bury(&self, id: &PartitionId) -> io::Result<()> {
        let files = &*self.shared.files;
        let topic = self.topic_folder(id);
        let buried = topic.join(format!("{DELETED}{}", id.partition));
        remove_partition(files, &buried)?;
        files.rename(&topic.join(id.partition.to_string()), &buried)?;
        files.sync_dir(&topic)
    }
}

/// Removes a folder of files, if it is there.
fn remove_partition(files: &dyn FileSystem, folder: &Path) -> io::Result<()> {
    let entries = match files.list(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        listed => listed?,
    };
    for entry in entries {
        files.remove_file(&folder.join(entry.name))?;
    }
    files.remove_dir(folder)
}

/// Makes the log's folder; its name and those above it that were missing are on disk afterwards.
fn make_durably(files: &dyn FileSystem, folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|one| files.list(one).is_err())
        .collect();
    files.create_dir(folder)?;
    for parent in missing.iter().filter_map(|one| one.parent()) {
        // The parent of a relative path of one part is the empty path.
        let here = parent.as_os_str().is_empty();
        files.sync_dir(if here { Path::new(".") } else { parent })?;
    }
    Ok(())
}

fn open_all(folder: &Path, shared: &Shared, partitions: &Partitions) -> io::Result<()> {
    let files = &*shared.files;
    let budget = recovery::budget(shared);
    make_durably(files, folder)?;
    files.sync_dir(folder)?;
    for (topic, name) in topics(files, folder)? {
        // A process before this one may have ended between a rename and its sync.
        files.sync_dir(&topic)?;
        for entry in files
            .list(&topic)?
            .into_iter()
            .filter(|entry| entry.directory)
        {
            let path = topic.join(&entry.name);
            if entry.name.starts_with(NEW) || entry.name.starts_with(DELETED) {
                remove_partition(files, &path)?;
            } else if let Some(number) = partition_number(&entry.name) {
                let id = PartitionId::new(name.clone(), number);
                partitions.insert(recovery::open(id, path, shared, &budget)?);
            }
        }
    }
    Ok(())
}

/// The folders of topics, with their names. What has no name of a topic is none of the log's.
pub(crate) fn topics(files: &dyn FileSystem, folder: &Path) -> io::Result<Vec<(PathBuf, Name)>> {
    let entries = files
        .list(folder)?
        .into_iter()
        .filter(|entry| entry.directory);
    Ok(entries
        .filter_map(|entry| Some((folder.join(&entry.name), Name::new(&entry.name).ok()?)))
        .collect())
}

/// The number that a folder's name says, written as the log writes it.
pub(crate) fn partition_number(name: &str) -> Option<u32> {
    name.parse()
        .ok()
        .filter(|number: &u32| number.to_string() == name)
}

impl Log for Embedded {
    fn create(&self, id: &PartitionId) -> Result<()> {
        let _one_at_a_time = self
            .structure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if self.partitions.get(id).is_ok() {
            return Ok(());
        }
        let opened = self.make(id).and_then(|folder| {
            let budget = recovery::budget(&self.shared);
            recovery::open(id.clone(), folder, &self.shared, &budget)
        });
        match opened {
            Ok(partition) => {
                self.partitions.insert(partition);
                Ok(())
            }
            Err(error) if is_full(&error) => Err(Error::Full {
                partition: id.clone(),
            }),
            Err(error) => Err(io_error(format!("cannot make partition {id}"), error)),
        }
    }

    fn delete(&self, id: &PartitionId) -> Result<()> {
        let _one_at_a_time = self
            .structure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let partition = self.partitions.get(id)?;
        let mut write = partition.lock_write();
        self.bury(id)
            .map_err(|error| io_error(format!("cannot delete partition {id}"), error))?;
        write.deleted = true;
        self.partitions.remove(id);
        drop(write);
        let files = &*self.shared.files;
        let topic = self.topic_folder(id);
        // The partition is gone; what is left of its bytes goes now or at the next open.
        if let Err(error) =
            remove_partition(files, &topic.join(format!("{DELETED}{}", id.partition)))
        {
            tracing::warn!(partition = %id, %error, "the bytes of a deleted partition stay until the next start");
        } else if files.list(&topic).is_ok_and(|left| left.is_empty()) {
            let _ = files.remove_dir(&topic);
        }
        Ok(())
    }

    fn partitions(&self) -> Vec<PartitionId> {
        self.partitions
            .all()
            .iter()
            .map(|partition| partition.id.clone())
            .collect()
    }

    fn submit(&self, frames: Vec<Append>, done: Done) {
        let mut waiting = Vec::with_capacity(frames.len());
        for append in frames {
            let Append {
                partition,
                count,
                body,
                provenance,
                durability,
            } = append;
            if count == 0 {
                let source = io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "a frame must hold at least 1 record",
                );
                return done(Err(io_error(
                    format!("cannot append to {partition}"),
                    source,
                )));
            }
            let too_large = |size| Error::TooLarge {
                size,
                limit: LARGEST,
            };
            if body.len() >= LARGEST {
                return done(Err(too_large(body.len())));
            }
            let frame = Prepared::new(count, body, provenance.as_ref(), self.shared.options.codec);
            if frame.size() > LARGEST {
                return done(Err(too_large(frame.size())));
            }
            waiting.push(Waiting {
                partition,
                frame,
                sync: durability == Durability::Sync,
            });
        }
        if let Err(call) = self.queue.push(Call {
            frames: waiting,
            done,
        }) {
            (call.done)(Err(Error::Closed));
        }
    }

    fn read(&self, partition: &PartitionId, from: Offset, max_bytes: usize) -> Result<Vec<Frame>> {
        self.partitions.get(partition)?.read(from, max_bytes)
    }

    fn heads(
        &self,
        partition: &PartitionId,
        from: Offset,
        max_frames: usize,
    ) -> Result<Vec<FrameHead>> {
        self.partitions.get(partition)?.heads(from, max_frames)
    }

    fn find_time(&self, partition: &PartitionId, time: u64) -> Result<Offset> {
        self.partitions.get(partition)?.find_time(time)
    }

    fn bounds(&self, partition: &PartitionId) -> Result<Bounds> {
        Ok(self.partitions.get(partition)?.bounds())
    }

    fn watch(&self, partition: &PartitionId) -> Result<watch::Receiver<Offset>> {
        Ok(self.partitions.get(partition)?.subscribe())
    }

    fn trim(
        &self,
        partition: &PartitionId,
        retention: Retention,
        keep_from: Offset,
        now: u64,
    ) -> Result<Offset> {
        self.partitions
            .get(partition)?
            .trim(retention, keep_from, now)
    }

    fn close(&self) {
        self.queue.close();
        let thread = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the log's writer ended with a panic");
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.close();
    }
}
