//! Work on a thread of its own that gives way to whatever serves, for what takes some time and nobody but its
//! caller waits for.

use std::{io, panic, thread};

use crate::{
    footing::{Footing, KernelThread},
    pauses::Pauses,
};

/// Does `work` and waits for it. Processes and threads that it starts stand where it stands. Where there is no
/// thread for it, it is done by the one that calls.
pub(crate) fn run<T: Send>(work: impl Fn() -> T + Sync) -> T {
    let aside = || {
        KernelThread::current().step_back(Footing::Behind);
        let pauses = Pauses::of_this_thread();
        pauses.pauses().begin();
        work()
    };
    let done = thread::scope(|scope| {
        let builder = thread::Builder::new().name("sandbar-aside".to_owned());
        Ok::<_, io::Error>(builder.spawn_scoped(scope, aside)?.join())
    });
    match done {
        Ok(Ok(done)) => done,
        Ok(Err(panicked)) => panic::resume_unwind(panicked),
        Err(error) => {
            tracing::warn!(%error, "no thread can be started for what is done aside");
            work()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_done_on_another_thread_and_the_answer_is_given() {
        let caller = thread::current().id();
        let words = ["a".to_owned()];
        let (thread, borrowed) = run(|| (thread::current(), &words[0]));
        assert_ne!(thread.id(), caller);
        assert_eq!((thread.name(), &**borrowed), (Some("sandbar-aside"), "a"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn it_stands_behind_and_its_caller_does_not() {
        // SAFETY: the call takes and gives numbers only.
        #[allow(unsafe_code)]
        let niceness = || unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
        let before = niceness();
        assert_eq!(run(niceness), 10);
        assert_eq!(niceness(), before);
    }
}
