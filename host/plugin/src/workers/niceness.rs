//! How far a thread stands back behind others, in the kernel's terms. Only Linux has a niceness for each
//! thread; elsewhere nothing is set, and jobs that run for long share the cores evenly with others.

use rustix::process::Pid;

/// A thread as the kernel knows it; by default none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KernelThread(Option<Pid>);

impl KernelThread {
    /// The one that calls.
    pub(super) fn current() -> Self {
        // "<process>/task/<thread>"; `gettid` would want another feature of rustix, and wasmtime, which has
        // it too, would be compiled anew.
        let link = std::fs::read_link("/proc/thread-self").ok();
        let number = link
            .as_deref()
            .and_then(|link| link.file_name()?.to_str()?.parse().ok());
        Self(number.and_then(Pid::from_raw))
    }

    /// Sets the niceness, from 0 to 19. It can be raised only: lowering it takes a privilege.
    pub(super) fn step_back(self, niceness: i32) {
        if cfg!(target_os = "linux") && self.0.is_some() {
            // It still works where this is not allowed.
            let _ = rustix::process::setpriority_process(self.0, niceness);
        }
    }
}
