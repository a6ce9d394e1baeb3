//! Stacks that are deep enough. Validators call themselves for each schema that leads to another, when they
//! are built, asked and dropped; a stack that overflows takes the whole process with it.

use std::{
    panic::resume_unwind,
    thread::{self, Builder},
};

/// Runs on a thread with a stack of so many bytes; `None` where there is none to be had. Only what is used of
/// it takes memory.
pub(crate) fn on_a_stack<T: Send>(bytes: u64, run: impl FnOnce() -> T + Send) -> Option<T> {
    let bytes = usize::try_from(bytes).ok()?;
    thread::scope(|scope| {
        let builder = Builder::new().name("validator".to_owned());
        let thread = builder.stack_size(bytes).spawn_scoped(scope, run).ok()?;
        match thread.join() {
            Ok(done) => Some(done),
            Err(panic) => resume_unwind(panic),
        }
    })
}
