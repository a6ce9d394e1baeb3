//! Runs the scripts of `tests/clients` in the Python that `make clients` set up.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Gives a script JSON and takes the JSON that it prints.
pub fn run(script: &str, input: &Value) -> Value {
    let python = repository().join(".build/venv/bin/python");
    let mut child = Command::new(&python)
        .arg(repository().join("tests/clients").join(script))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; run `make clients`", python.display()));
    let mut stdin = child.stdin.take().expect("it is piped");
    let text = input.to_string();
    // A script that prints before it has read everything must not wait for us.
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("the script ends");
    writer.join().expect("no panic").expect("the script reads");
    assert!(
        output.status.success(),
        "{script}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}
