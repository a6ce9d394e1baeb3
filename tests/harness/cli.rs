//! The command line, run as a user does.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{Hub, binary, repository};

/// The search path, and behind it the compilers that `examples/languages/setup.sh` installed.
#[must_use]
pub fn path_with_toolchains() -> std::ffi::OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":");
    path.push(repository().join(".build/languages/venv/bin"));
    path
}

/// What a command did.
#[derive(Clone, Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Asserts success, and reads standard output as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// Runs `sandbar` with these arguments and this standard input.
    #[must_use]
    pub fn new(arguments: &[&str], input: &str) -> Self {
        Self::of(Command::new(binary()).args(arguments), input)
    }

    /// Runs `sandbar` in a folder, with what compiling Rust to WebAssembly needs here in its
    /// environment. What is built lies under the repository's target folder, whatever the project.
    #[must_use]
    pub fn building(folder: &Path, arguments: &[&str]) -> Self {
        const SCRIPT: &str = r#"cd "$1" && lines=$(scripts/wasm-target.sh 2>/dev/null) && eval "$lines" || exit 99
            if [ "${#WASM_CARGO_FLAGS[@]}" -gt 0 ]; then
                export CARGO_UNSTABLE_BUILD_STD="${WASM_CARGO_FLAGS[0]#-Zbuild-std=}"
            fi
            cd "$2" && shift 2 && exec "$@""#;
        let mut command = Command::new("bash");
        command
            .args(["-c", SCRIPT, "bash"])
            .args([&repository(), folder, &binary()])
            .args(arguments)
            .env("CARGO_TARGET_DIR", repository().join("target/templates"))
            .env("PATH", path_with_toolchains());
        Self::of(&mut command, "")
    }

    /// Runs a command to its end.
    #[must_use]
    pub fn of(command: &mut Command, input: &str) -> Self {
        let mut child = command
            .env_remove("SANDBAR_URL")
            // Compiled plugins: not into the user's folder.
            .env("XDG_CACHE_HOME", repository().join("target/cache"))
            .env_remove("SANDBAR_DATA")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sandbar can be started");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        // A command that reads nothing may have ended.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("a child can be waited for");
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Hub {
    /// Runs `sandbar` against this hub.
    #[must_use]
    pub fn sandbar(&self, arguments: &[&str]) -> Ran {
        self.sandbar_with(arguments, "")
    }

    /// The same with standard input.
    #[must_use]
    pub fn sandbar_with(&self, arguments: &[&str], input: &str) -> Ran {
        Ran::new(&[arguments, &["--url", self.url()]].concat(), input)
    }
}
