//! How the hub is to run: composed of what each stage wants to know.

use std::{net::SocketAddr, path::PathBuf};

use sandbar_plugin::Compiler;

use crate::dial::Targets;

/// Everything that `sandbar serve` can be told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where everything is kept. Made when it is not there.
    pub data: PathBuf,
    pub listen: SocketAddr,
    /// Listen on an address that other machines reach, though callers are not authenticated.
    pub allow_open: bool,
    pub api: Api,
    /// Size at which a segment of the log is closed, in bytes.
    pub segment_bytes: u64,
    /// The most keys of a topic that plugins look into.
    pub lookup_keys: usize,
    /// Threads that run plugins.
    pub worker_threads: usize,
    /// How plugins are compiled; `None`: in this process, without limits.
    pub compiler: Option<Compiler>,
    /// Which addresses webhooks may have.
    pub private_targets: Targets,
    /// What the activation gate looks at.
    pub gate: Gate,
    /// Whether the plugins that the binary carries are there.
    pub bundled_plugins: bool,
}

/// What the activation gate looks at before something goes live. With none of both there is no gate.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    /// Inputs that are made from the contract of a route's source.
    pub generated: usize,
    /// The last events of a route's source.
    pub real: usize,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            generated: 200,
            real: 100,
        }
    }
}

/// What the API wants to know.
#[derive(Clone, Copy, Debug)]
pub struct Api {
    /// The largest request body, after decompression, in bytes.
    pub max_body_bytes: usize,
    /// The largest plugin, in bytes.
    pub max_plugin_bytes: usize,
    /// The bodies of all requests that are in the hub at once, in bytes.
    pub max_inflight_bytes: usize,
    /// Events on their way out at once, in bytes: half for clients, half for webhooks.
    pub max_outgoing_bytes: usize,
}

/// The least for events on their way out. One that is larger than there is room goes alone.
const LEAST_OUTGOING: usize = 1024 * 1024;

impl Default for Api {
    fn default() -> Self {
        Self {
            max_body_bytes: 32 * 1024 * 1024,
            max_plugin_bytes: 64 * 1024 * 1024,
            max_inflight_bytes: 256 * 1024 * 1024,
            max_outgoing_bytes: 256 * 1024 * 1024,
        }
    }
}

impl Config {
    /// The places inside the data folder.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.data.join("LOCK")
    }

    #[must_use]
    pub fn log_folder(&self) -> PathBuf {
        self.data.join("log")
    }

    #[must_use]
    pub fn meta_folder(&self) -> PathBuf {
        self.data.join("meta")
    }

    #[must_use]
    pub fn plugin_folder(&self) -> PathBuf {
        self.data.join("plugins")
    }

    /// # Errors
    /// When the address is reachable from other machines and that was not allowed, or a limit could
    /// never be kept.
    pub fn check(&self) -> Result<(), String> {
        for (option, one) in [
            ("--max-body-bytes", self.api.max_body_bytes),
            ("--max-plugin-bytes", self.api.max_plugin_bytes),
        ] {
            if self.api.max_inflight_bytes < one {
                return Err(format!(
                    "--max-inflight-bytes {} has no room for a single body of {one} bytes, which {option} allows; raise the \
                     one or lower the other",
                    self.api.max_inflight_bytes
                ));
            }
        }
        if self.api.max_outgoing_bytes < LEAST_OUTGOING {
            return Err(format!(
                "--max-outgoing-bytes {} is too little to send events; give at least {LEAST_OUTGOING}",
                self.api.max_outgoing_bytes
            ));
        }
        if self.listen.ip().is_loopback() || self.allow_open {
            return Ok(());
        }
        Err(format!(
            "{} can be reached from other machines, and callers are not authenticated: anybody there could read and \
             change everything. Listen on 127.0.0.1, or pass --allow-open if the network is trusted.",
            self.listen
        ))
    }
}
