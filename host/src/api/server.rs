//! Listening, and stopping without cutting anybody off.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::TcpListener;

use super::link::{Came, Door};
use crate::hub::Hub;

/// How long requests under way may take to end once the hub stops.
const GRACE: Duration = Duration::from_secs(20);

/// A port that is ours.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    /// The address with the port that was given, where 0 was asked for.
    pub address: SocketAddr,
}

/// Takes the port, before anything else is done.
///
/// # Errors
/// In words for the person at the terminal.
pub async fn bind(address: SocketAddr) -> Result<Bound, String> {
    let listener = TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("the port {address} is in use; stop what listens there, or choose another with --listen")
        }
        _ => format!("cannot listen on {address}: {error}"),
    })?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    Ok(Bound { listener, address })
}

impl Bound {
    /// Serves until `hub.stopping`, then lets requests under way end.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(self, hub: Arc<Hub>) -> Result<(), String> {
        let stopping = hub.stopping.clone();
        let door = Door {
            listener: self.listener,
            outgoing: hub.outgoing.clone(),
        };
        let signal = stopping.clone();
        let service = super::router(hub).into_make_service_with_connect_info::<Came>();
        let serving = axum::serve(door, service)
            .with_graceful_shutdown(async move { signal.cancelled().await });
        let out_of_time = async move {
            stopping.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            served = serving => served.map_err(|error| error.to_string()),
            () = out_of_time => {
                tracing::warn!("some requests did not end in time and are cut off");
                Ok(())
            }
        }
    }
}
