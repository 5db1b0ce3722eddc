//! A call's way to its cluster, and how the cluster's errors are told.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use common::Diagnostic;
use common::diagnostic::Code;
use proto::client::{Channel, Credentials, Replicas};
use proto::tls::Tls;
use tokio::runtime::Runtime;
use tonic::Status;
use tonic_types::StatusExt;

use super::context::{self, Context};
use super::tls;
use crate::project::{Call, Refused};

/// How long a call looks for a replica that answers: longer than an election takes.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// The cluster of this call, and the runtime that talks to it.
pub struct Connected<'a> {
    pub call: &'a Call,
    pub replicas: Replicas,
    runtime: Runtime,
}

impl<'a> Connected<'a> {
    /// Refuses where the call names no cluster and none is in use.
    pub fn new(call: &'a Call) -> Result<Self, Refused> {
        match context::destination(&call.global).map_err(|diagnostic| call.refuse(diagnostic))? {
            Some(cluster) => Self::to(call, &cluster),
            None => Err(call.refuse(
                Diagnostic::error(Code::Usage, "no cluster was named")
                    .hint("give --server HOST:PORT, or choose one with 'kontiki context use NAME'"),
            )),
        }
    }

    pub fn to(call: &'a Call, cluster: &Context) -> Result<Self, Refused> {
        let tls = match &cluster.tls {
            Some(files) => {
                let tls = Tls::load(files.clone());
                Some(tls.map_err(|error| call.refuse_with(Code::ConfigInvalid, &error))?)
            }
            None => tls::of_call(call)?,
        };
        let credentials = credentials(cluster).map_err(|diagnostic| call.refuse(diagnostic))?;
        let replicas = Replicas::new(cluster.servers.iter().map(String::as_str), PATIENCE, tls)
            .and_then(|replicas| replicas.called_by(credentials))
            .map_err(|error| call.refuse_with(Code::Usage, &error))?;
        let runtime = runtime(1).map_err(|error| call.refuse_with(Code::Io, &error))?;
        Ok(Self { call, replicas, runtime })
    }

    /// Makes a call that may be repeated.
    pub fn ask<T, F, Answer>(&self, request: F) -> Result<T, Refused>
    where
        F: FnMut(Channel) -> Answer,
        Answer: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        self.try_ask(request).map_err(|status| self.refuse(&status))
    }

    pub fn try_ask<T, F, Answer>(&self, request: F) -> Result<T, Status>
    where
        F: FnMut(Channel) -> Answer,
        Answer: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        self.runtime.block_on(self.replicas.call(request)).map(tonic::Response::into_inner)
    }

    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    pub fn handle(&self) -> tokio::runtime::Handle {
        self.runtime.handle().clone()
    }

    pub fn refuse(&self, status: &Status) -> Refused {
        self.call.refuse(diagnostic(status))
    }
}

/// The token that a cluster is told: that of its context; where that says nothing of who calls, that of the environment.
fn credentials(cluster: &Context) -> Result<Credentials, Diagnostic> {
    if let Some(file) = &cluster.token_file {
        return Ok(Credentials::TokenFile(file.as_path().into()));
    }
    if cluster.tls.is_some() {
        return Ok(Credentials::Certificate);
    }
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    match (set("KONTIKI_TOKEN"), set("KONTIKI_TOKEN_FILE")) {
        (None, None) => Ok(Credentials::Certificate),
        (None, Some(file)) => Ok(Credentials::TokenFile(Path::new(&file).into())),
        (Some(token), None) => token
            .into_string()
            .map(|token| Credentials::Token(token.into()))
            .map_err(|_| Diagnostic::error(Code::ConfigInvalid, "KONTIKI_TOKEN has characters that no token has")),
        (Some(_), Some(_)) => {
            Err(Diagnostic::error(Code::ConfigInvalid, "KONTIKI_TOKEN and KONTIKI_TOKEN_FILE are both set")
                .hint("a call tells one token: unset one of them"))
        }
    }
}

/// A runtime of a few threads.
pub fn runtime(threads: usize) -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).thread_name("kontiki").enable_all().build()
}

/// What a replica said, as a finding.
pub fn diagnostic(status: &Status) -> Diagnostic {
    use tonic::Code as Grpc;
    let message = match status.message() {
        "" => format!("the replica answered '{}'", status.code().description()),
        message => message.to_owned(),
    };
    // A replica names Kontiki's own code where there is one.
    let named = status.get_details_error_info().and_then(|info| {
        let code = info.metadata.get("code")?;
        Code::ALL.iter().copied().find(|known| known.as_str() == code)
    });
    let code = named.unwrap_or(match status.code() {
        Grpc::Unavailable | Grpc::DeadlineExceeded | Grpc::Cancelled | Grpc::Unknown | Grpc::Aborted => {
            Code::ClusterUnavailable
        }
        Grpc::NotFound => Code::ClusterNotFound,
        Grpc::Internal | Grpc::DataLoss => Code::Internal,
        _ => Code::ClusterRefused,
    });
    let finding = Diagnostic::error(code, message);
    if code == Code::ClusterUnavailable {
        return finding.hint("is the cluster running, and are these the addresses of its replicas?");
    }
    finding
}
