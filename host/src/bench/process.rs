//! The hub under test: this same binary in a process of its own, so that its CPU time and memory are
//! its own. `SANDBAR_BIN` names another build, to be compared with this one.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A running hub.
#[derive(Debug)]
pub struct Hub {
    child: Child,
    pub url: String,
}

impl Hub {
    /// Starts one on a fresh folder and a free port.
    pub fn start(data: &Path) -> Result<Self, String> {
        Self::start_with(data, &[])
    }

    /// The same, with further arguments.
    pub fn start_with(data: &Path, arguments: &[&str]) -> Result<Self, String> {
        let binary = match std::env::var_os("SANDBAR_BIN") {
            Some(named) => named.into(),
            None => std::env::current_exe().map_err(|error| error.to_string())?,
        };
        let mut child = Command::new(binary)
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--log-level",
                "warn",
                "--data",
            ])
            .arg(data)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start the hub: {error}"))?;
        let stdout = child.stdout.take().ok_or("the hub has no output")?;
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .map_err(|error| error.to_string())?;
        match line.trim().strip_prefix("sandbar listening on ") {
            Some(url) => Ok(Self {
                url: url.to_owned(),
                child,
            }),
            None => {
                let _ = child.kill();
                Err(format!("the hub did not start: {line:?}"))
            }
        }
    }

    /// CPU time so far, user and system, in seconds (`/proc/<pid>/stat`, fields 14 and 15).
    pub fn cpu_seconds(&self) -> f64 {
        const TICKS_PER_SECOND: f64 = 100.0;
        let text =
            std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let after_name = text.rsplit(") ").next().unwrap_or_default();
        let ticks = after_name.split(' ').skip(11).take(2);
        ticks
            .filter_map(|field| field.parse::<f64>().ok())
            .sum::<f64>()
            / TICKS_PER_SECOND
    }

    /// Waits until it has used less than `most` seconds of CPU within `time`.
    pub fn comes_to_rest(&self, time: Duration, most: f64) -> Result<(), String> {
        /// A hub at work for longer than this without being asked for anything is not well.
        const PATIENCE: Duration = Duration::from_secs(120);
        const LOOK_EVERY: Duration = Duration::from_millis(50);
        let started = Instant::now();
        let (mut since, mut before) = (started, self.cpu_seconds());
        while since.elapsed() < time {
            if started.elapsed() > PATIENCE {
                let patience = PATIENCE.as_secs();
                return Err(format!("the hub has not come to rest within {patience} s"));
            }
            std::thread::sleep(LOOK_EVERY);
            let now = self.cpu_seconds();
            // Half a tick of the kernel's counter is no difference.
            if now - before >= most - 0.005 {
                (since, before) = (Instant::now(), now);
            }
        }
        Ok(())
    }

    /// The largest resident memory so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    /// Resident memory, in bytes.
    pub fn memory(&self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    /// A line of `/proc/<pid>/status` that counts KiB.
    fn status_bytes(&self, line: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .unwrap_or_default();
        let rest = text.lines().find_map(|one| one.strip_prefix(line));
        let kib = rest.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    }

    /// Ends it.
    pub fn stop(&mut self) -> Result<(), String> {
        self.child
            .kill()
            .and_then(|()| self.child.wait())
            .map(drop)
            .map_err(|error| error.to_string())
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}
