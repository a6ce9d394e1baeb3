//! Printing for readers that may go away: `sandbar … | head` is no failure.

use std::{
    fmt,
    io::{self, ErrorKind, Write},
    sync::atomic::{AtomicBool, Ordering},
};

/// Whether anything was printed.
static SPOKEN: AtomicBool = AtomicBool::new(false);

/// Whether standard output has an answer, or a part of one.
pub(in crate::cli) fn has_spoken() -> bool {
    SPOKEN.load(Ordering::Relaxed)
}

/// Prints a line to standard output, as `println!` does, but does not panic.
macro_rules! say {
    ($($words:tt)*) => {
        $crate::cli::output::write(format_args!("{}\n", format_args!($($words)*)))
    };
}
pub(in crate::cli) use say;

/// Prints. A reader that has gone is not told of; a disk that is full ends the command with 1.
pub(in crate::cli) fn write(text: fmt::Arguments<'_>) {
    if let Err(error) = try_write(&mut io::stdout().lock(), text) {
        eprintln!("sandbar: cannot write the answer: {error}");
        std::process::exit(1);
    }
}

/// Whether the reader is still there.
pub(in crate::cli) fn try_write(
    out: &mut impl Write,
    text: fmt::Arguments<'_>,
) -> io::Result<bool> {
    SPOKEN.store(true, Ordering::Relaxed);
    match out.write_fmt(text).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_a_reader_that_has_gone_is_forgiven() {
        let gone = try_write(&mut Failing(ErrorKind::BrokenPipe), format_args!("x"));
        assert!(!gone.expect("forgiven"));
        let full = try_write(&mut Failing(ErrorKind::StorageFull), format_args!("x"));
        assert_eq!(full.expect_err("told").kind(), ErrorKind::StorageFull);
    }
}
