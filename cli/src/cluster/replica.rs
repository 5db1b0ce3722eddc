//! A replica as a part of this process: it listens, takes part, and hands over when it ends.

use std::sync::Arc;
use std::time::Duration;

use common::Diagnostic;
use common::diagnostic::Code;
use scheduler::access::Access;
use scheduler::{api, replica};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long calls under way may take to end once the replica has handed over. Workers and watchers go to another at once.
const FAREWELL: Duration = Duration::from_millis(500);

pub struct Replica {
    pub handle: replica::Handle,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
    stop: oneshot::Sender<()>,
}

impl Replica {
    /// `access` says who may do what; it counts under TLS only.
    pub async fn start(
        config: replica::Config,
        access: Option<Arc<Access>>,
        listener: TcpListener,
    ) -> Result<Self, Diagnostic> {
        let limits = api::Config { lease: config.policy.lease, access, ..api::Config::default() };
        let (name, address) = (config.name.clone(), config.advertise.clone());
        let handle = replica::start(config).await.map_err(|error| refused(&error))?;
        let (stop, stopped) = oneshot::channel();
        let stopped = async move {
            // Dropping the sender means the same as sending.
            let _ = stopped.await;
        };
        let server = tokio::spawn(api::serve(handle.clone(), listener, limits, stopped));
        tracing::info!(name, address, "the replica starts");
        Ok(Self { handle, server, stop })
    }

    /// Resolves when the replica has ended by itself, with the reason.
    pub async fn failed(&mut self) -> Diagnostic {
        tokio::select! {
            error = self.handle.stopped() => refused(&error),
            served = &mut self.server => match served {
                Ok(Ok(())) => setup(&"it stopped listening"),
                Ok(Err(error)) => setup(&error),
                Err(error) => Diagnostic::error(Code::Internal, error.to_string()),
            },
        }
    }

    /// Hands leadership over and ends, within `grace`.
    pub async fn end(self, grace: Duration) {
        if tokio::time::timeout(grace, self.handle.shutdown()).await.is_err() {
            tracing::warn!(?grace, "the replica did not hand over in time");
        }
        // The server may have ended by itself.
        let _ = self.stop.send(());
        let abort = self.server.abort_handle();
        // What has ended was told by `failed`, and cannot be waited for twice.
        if !self.server.is_finished() && tokio::time::timeout(FAREWELL, self.server).await.is_err() {
            abort.abort();
        }
        tracing::info!("the replica ends");
    }
}

pub async fn listen(address: &str) -> Result<TcpListener, Diagnostic> {
    TcpListener::bind(address).await.map_err(|error| setup(&format_args!("cannot listen at {address}: {error}")))
}

/// A replica knows the code of what keeps it from taking part.
fn refused(error: &replica::Error) -> Diagnostic {
    Diagnostic::error(error.code(), error.to_string())
}

fn setup(error: &dyn std::fmt::Display) -> Diagnostic {
    Diagnostic::error(Code::ServerSetup, error.to_string())
}
