//! Work on a thread of its own that gives way to whatever serves, for what takes some time and nobody but its
//! caller waits for.

use std::thread;

use crate::{
    footing::{Footing, KernelThread},
    pauses::Pauses,
};

/// Does `work` and waits for it. Processes and threads that it starts stand where it stands. Where there is no
/// thread for it, it is done by the one that calls.
pub(crate) fn run<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let (mut work, mut done) = (Some(work), None);
    let started = thread::scope(|scope| {
        let (work, done) = (&mut work, &mut done);
        let aside = move || {
            KernelThread::current().step_back(Footing::Behind);
            let pauses = Pauses::of_this_thread();
            pauses.pauses().begin();
            *done = work.take().map(|work| work());
        };
        let builder = thread::Builder::new().name("sandbar-aside".to_owned());
        builder.spawn_scoped(scope, aside).map(drop)
    });
    if let Err(error) = started {
        tracing::warn!(%error, "no thread can be started for what is done aside");
    }
    match (done, work) {
        (Some(done), _) => done,
        (None, Some(work)) => work(),
        (None, None) => unreachable!("work that is taken is done, or panics here"),
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
