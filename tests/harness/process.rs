//! The hub as a process: started, stopped, killed, started again on the same folder.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Instant,
};

use tempfile::TempDir;

use crate::WATCHDOG;

/// What may be told to `sandbar serve`.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Further arguments.
    pub arguments: Vec<String>,
}

type Environment = Vec<(&'static str, OsString)>;

/// A hub that runs, or ran.
#[derive(Debug)]
pub struct Hub {
    child: Child,
    url: String,
    folder: PathBuf,
    /// Removed with the hub, unless the folder was given.
    temporary: Option<TempDir>,
    options: Options,
    environment: Environment,
    log: Arc<Mutex<String>>,
    pub(crate) http: reqwest::Client,
}

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("tests/ lies in the repository")
        .to_owned()
}

/// The built hub: what `SANDBAR_BIN` names, else the one beside the test that runs.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("SANDBAR_BIN") {
        let named = PathBuf::from(named);
        assert!(
            named.is_file(),
            "SANDBAR_BIN names {}, and there is no such file",
            named.display()
        );
        return named;
    }
    let test = std::env::current_exe().expect("a test knows where it is");
    let profile = test
        .ancestors()
        .nth(2)
        .expect("tests lie in target/<profile>/deps");
    let binary = profile.join("sandbar");
    assert!(
        binary.is_file(),
        "{} is missing; run `cargo build --release`",
        binary.display()
    );
    binary
}

impl Hub {
    /// On a fresh folder.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub async fn start_with(options: Options) -> Self {
        Self::start_in(options, Environment::new()).await
    }

    /// Under a wall clock that the test sets.
    #[cfg(target_os = "linux")]
    pub async fn start_under(clock: &crate::WallClock, options: Options) -> Self {
        Self::start_in(options, clock.environment()).await
    }

    async fn start_in(options: Options, environment: Environment) -> Self {
        let temporary = TempDir::new().expect("a temporary folder can be made");
        let folder = temporary.path().join("data");
        match Self::start_as(&folder, options, environment).await {
            Ok(mut hub) => {
                hub.temporary = Some(temporary);
                hub
            }
            Err(reason) => panic!("the hub did not start: {reason}"),
        }
    }

    /// On a folder that the caller keeps.
    pub async fn start_on(folder: &Path, options: Options) -> Self {
        match Self::try_start_on(folder, options).await {
            Ok(hub) => hub,
            Err(reason) => panic!("the hub did not start: {reason}"),
        }
    }

    /// # Errors
    /// What the hub wrote, when it ended instead of becoming ready.
    pub async fn try_start_on(folder: &Path, options: Options) -> Result<Self, String> {
        Self::start_as(folder, options, Environment::new()).await
    }

    async fn start_as(
        folder: &Path,
        options: Options,
        environment: Environment,
    ) -> Result<Self, String> {
        let mut spawned = spawn(folder, &options, &environment);
        let Some(url) = spawned.url() else {
            let mut child = spawned.child;
            let status = child.wait().expect("a child can be waited for");
            return Err(format!("{status}\n{}", text(&spawned.log)));
        };
        let http = reqwest::Client::builder()
            .timeout(WATCHDOG * 2)
            .build()
            .expect("an HTTP client can be made");
        let hub = Self {
            child: spawned.child,
            url,
            folder: folder.to_owned(),
            temporary: None,
            options,
            environment,
            log: spawned.log,
            http,
        };
        let ready = hub.get("/readyz").await;
        assert_eq!(
            ready.status,
            200,
            "it listens but is not ready: {ready:?}\n{}",
            hub.log()
        );
        Ok(hub)
    }

    /// `http://127.0.0.1:port`
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it wrote to standard error since it was last started.
    #[must_use]
    pub fn log(&self) -> String {
        text(&self.log)
    }

    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        // It may have ended by itself; then waiting tells.
        let _ = self.child.kill();
        self.child.wait().expect("a child can be waited for");
    }

    /// SIGTERM, without waiting.
    pub fn terminate(&self) {
        signal("-TERM", self.child.id());
    }

    /// Waits for the process to end.
    pub fn ended(&mut self) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status;
            }
            assert!(
                begin.elapsed() < WATCHDOG,
                "the hub does not end:\n{}",
                self.log()
            );
            std::thread::yield_now();
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) -> ExitStatus {
        self.terminate();
        self.ended()
    }

    /// Starts again on the same folder, after [`Hub::kill`] or [`Hub::stop`].
    pub async fn restart(&mut self) {
        if let Err(reason) = self.try_restart().await {
            panic!(
                "the hub did not start again: {reason}\nbefore:\n{}",
                self.log()
            );
        }
    }

    /// # Errors
    /// What the hub wrote, when it ended instead of becoming ready.
    pub async fn try_restart(&mut self) -> Result<(), String> {
        let mut fresh = {
            let (options, environment) = (self.options.clone(), self.environment.clone());
            Self::start_as(&self.folder, options, environment).await?
        };
        // The one that ended goes with `fresh`.
        std::mem::swap(&mut self.child, &mut fresh.child);
        self.url.clone_from(&fresh.url);
        self.log = fresh.log.clone();
        Ok(())
    }

    /// Starts on the same folder and kills after `delay`, most likely in the middle of recovery.
    pub fn start_and_kill(&mut self, delay: std::time::Duration) {
        let mut spawned = spawn(&self.folder, &self.options, &self.environment);
        std::thread::sleep(delay);
        let _ = spawned.child.kill();
        spawned.child.wait().expect("a child can be waited for");
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() && self.temporary.is_some() {
            eprintln!("--- the hub wrote:\n{}", self.log());
        }
    }
}

struct Spawned {
    child: Child,
    first_line: mpsc::Receiver<Option<String>>,
    log: Arc<Mutex<String>>,
}

impl Spawned {
    /// The address it tells; none when it ends before.
    fn url(&mut self) -> Option<String> {
        let Ok(line) = self.first_line.recv_timeout(WATCHDOG) else {
            let _ = self.child.kill();
            panic!("the hub says nothing:\n{}", text(&self.log));
        };
        let line = line?;
        let Some(url) = line.strip_prefix("sandbar listening on ") else {
            let _ = self.child.kill();
            panic!("unexpected first line {line:?}");
        };
        Some(url.trim().to_owned())
    }
}

fn spawn(folder: &Path, options: &Options, environment: &Environment) -> Spawned {
    let mut command = Command::new(binary());
    command
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log-format",
            "json",
            "--data",
        ])
        .arg(folder)
        .args(&options.arguments)
        .env_remove("SANDBAR_DATA")
        .env_remove("SANDBAR_LISTEN")
        .env_remove("RUST_LOG")
        .envs(environment.iter().cloned())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the hub can be started");
    let (sender, first_line) = mpsc::channel();
    let stdout = child.stdout.take().expect("stdout is piped");
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stdout).lines();
        let _ = sender.send(lines.next().and_then(Result::ok));
        lines.for_each(drop);
    });
    let log = Arc::new(Mutex::new(String::new()));
    let kept = log.clone();
    let stderr = child.stderr.take().expect("stderr is piped");
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push_str(&line);
            kept.push('\n');
        }
    });
    Spawned {
        child,
        first_line,
        log,
    }
}

fn text(log: &Mutex<String>) -> String {
    log.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn signal(name: &str, process: u32) {
    let sent = Command::new("kill")
        .args([name, &process.to_string()])
        .status();
    assert!(
        sent.expect("`kill` runs").success(),
        "the signal reaches process {process}"
    );
}

/// Runs `sandbar` with arguments with which it must not stay up; answers with what it wrote to
/// standard error.
#[must_use]
pub fn run_to_failure(arguments: &[&str]) -> String {
    let mut child = Command::new(binary())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the hub can be started");
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break status;
        }
        if begin.elapsed() > WATCHDOG {
            let _ = child.kill();
            panic!("sandbar {arguments:?} goes on, where it must refuse");
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    let mut written = String::new();
    let mut stderr = child.stderr.take().expect("stderr is piped");
    stderr.read_to_string(&mut written).expect("stderr is text");
    assert!(
        !status.success(),
        "sandbar {arguments:?} ended with success: {written}"
    );
    assert_eq!(status.code(), Some(1), "a refusal, no crash: {written}");
    written
}
