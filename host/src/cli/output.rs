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

/// JSON on several lines, with everything else as it is written.
pub(in crate::cli) fn pretty(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0;
    let mut in_text = false;
    let mut escaped = false;
    let mut open = false;
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    for one in json.chars() {
        if in_text {
            out.push(one);
            in_text = escaped || one != '"';
            escaped = !escaped && one == '\\';
            continue;
        }
        if one.is_ascii_whitespace() {
            continue;
        }
        let closes = matches!(one, '}' | ']');
        if closes {
            depth -= 1_usize.min(depth);
        }
        // Empty ones stay on their line.
        if open != closes {
            line(&mut out, depth);
        }
        open = matches!(one, '{' | '[');
        depth += usize::from(open);
        in_text = one == '"';
        out.push(one);
        match one {
            ',' => line(&mut out, depth),
            ':' => out.push(' '),
            _ => {}
        }
    }
    out
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
    fn json_on_several_lines_is_what_it_was() {
        let written = r#"{"z":1.10,"a":[],"b":{"c":"x, {y}: \"z\"\\","d":[1,{}]}}"#;
        assert_eq!(
            pretty(written),
            "{\n  \"z\": 1.10,\n  \"a\": [],\n  \"b\": {\n    \"c\": \"x, {y}: \\\"z\\\"\\\\\",\n    \"d\": [\n      1,\n      {}\n    ]\n  }\n}"
        );
    }

    #[test]
    fn only_a_reader_that_has_gone_is_forgiven() {
        let gone = try_write(&mut Failing(ErrorKind::BrokenPipe), format_args!("x"));
        assert!(!gone.expect("forgiven"));
        let full = try_write(&mut Failing(ErrorKind::StorageFull), format_args!("x"));
        assert_eq!(full.expect_err("told").kind(), ErrorKind::StorageFull);
    }
}
