//! Takes instances apart that have much memory.
//!
//! While memory goes back to the system, the kernel keeps others from changing the hub's address space, and so,
//! soon, from touching what is new in it. It takes some milliseconds for tens of megabytes; a thread that stands
//! [last](Footing::Last) may be kept from its core in the midst of that, for a second if need be. So it is done by a
//! thread that is always given a part of a core, in portions. Who stands last cannot start
//! one: it would stand there, too.

use std::{io, sync::mpsc, thread};

use wasmtime::Store;

use crate::{
    footing::{Footing, KernelThread},
    memory,
    pauses::Pauses,
    state::State,
};

/// What an instance leaves to the next one in its place, in bytes; the rest goes back to the system.
pub(crate) const KEPT: usize = 1 << 20;

pub(crate) struct Reaper(mpsc::Sender<Remains>);

struct Remains {
    store: Store<State>,
    done: mpsc::SyncSender<()>,
}

impl Reaper {
    /// Its thread ends with it.
    pub(crate) fn start() -> io::Result<Self> {
        let (sender, remains) = mpsc::channel();
        thread::Builder::new()
            .name("sandbar-reaper".to_owned())
            .spawn(move || work(&remains))?;
        Ok(Self(sender))
    }

    /// Takes the instance of a store apart, and waits until its place is free. It is not called again.
    pub(crate) fn take_apart(&self, store: Store<State>) {
        if store.data().memory_bytes <= KEPT + memory::PORTION {
            return drop(store);
        }
        let (done, wait) = mpsc::sync_channel(1);
        let remains = Remains { store, done };
        // Where there is no reaper any more, what was sent comes back, and is dropped here.
        if self.0.send(remains).is_ok() {
            let _ = wait.recv();
        }
    }
}

fn work(remains: &mpsc::Receiver<Remains>) {
    KernelThread::current().step_back(Footing::Behind);
    let owned = Pauses::of_this_thread();
    for Remains { store, done } in remains {
        owned.pauses().begin();
        let state = store.data();
        if let Some(memory) = state.memory {
            memory.give_back(KEPT..state.memory_bytes);
        }
        drop(store);
        owned.pauses().stop();
        // Nobody waiting any more is fine.
        let _ = done.send(());
    }
}
