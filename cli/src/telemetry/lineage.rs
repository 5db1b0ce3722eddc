//! Sends OpenLineage events where the environment says: over HTTP, or as lines of a file. The variables are those of OpenLineage's
//! own clients.
//!
//! Invariant: nothing waits for whoever receives. Events go into a queue of bounded length, and what does not fit is dropped; the end of
//! the program waits for the last of them, but not for long.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use common::Json;
use common::alert::Reference;
use common::lineage::{self, Sink};
use scheduler::alerts::Client;

use super::EXIT_MAX;

/// Events that may wait.
const QUEUE_MAX: usize = 10_000;
/// A receiver that says nothing for so long has not got it.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// The lineage of this process, while it runs.
pub struct Lineage(Option<SyncSender<Item>>);

enum Item {
    Event(Box<Json>),
    /// Everything before this is sent; then somebody is told.
    Flush(SyncSender<()>),
}

/// Why the environment's wishes cannot be met. The program works without.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("OPENLINEAGE__TRANSPORT__TYPE is '{0}'; it may be http, file or console")]
    Transport(String),
    #[error("OPENLINEAGE_URL is '{0}', which is no http:// or https:// URL")]
    Url(String),
    #[error("OPENLINEAGE__TRANSPORT__TYPE is 'file', and OPENLINEAGE__TRANSPORT__LOG_FILE_PATH does not say which")]
    NoFile,
    #[error("the file of lineage {0} cannot be written: {1}")]
    File(PathBuf, #[source] std::io::Error),
    #[error("lineage cannot be sent: {0}")]
    Thread(#[source] std::io::Error),
}

/// Where events go.
enum Transport {
    Http { url: Reference, headers: BTreeMap<String, Reference> },
    File(File),
    Console,
}

impl Lineage {
    pub fn off() -> Self {
        Self(None)
    }

    /// Starts sending, unless the environment names nobody who wants it or says not to.
    pub fn start(env: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let env = |name: &str| env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let is_disabled = env("OPENLINEAGE_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if is_disabled {
            return Ok(Self::off());
        }
        let Some(transport) = transport(env)? else { return Ok(Self::off()) };
        let namespace = env("OPENLINEAGE_NAMESPACE").unwrap_or_else(|| "default".to_owned());
        let (queue, items) = sync_channel(QUEUE_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Thread)?;
        let send = move || send(&items, transport, &runtime);
        std::thread::Builder::new().name("lineage".to_owned()).spawn(send).map_err(Error::Thread)?;
        lineage::install(Box::new(Queue { queue: queue.clone(), namespace }));
        Ok(Self(Some(queue)))
    }

    /// Sends what is left, as far as it is taken in time.
    pub fn finish(self) {
        let Some(queue) = self.0 else { return };
        let (told, all_sent) = sync_channel(1);
        // Late or not at all: lineage is not worth more of the user's time, and nothing is lost but events.
        if queue.try_send(Item::Flush(told)).is_ok() {
            let _ = all_sent.recv_timeout(EXIT_MAX);
        }
    }
}

fn transport(env: impl Fn(&str) -> Option<String>) -> Result<Option<Transport>, Error> {
    let url = env("OPENLINEAGE_URL").or_else(|| env("OPENLINEAGE__TRANSPORT__URL"));
    let named = env("OPENLINEAGE__TRANSPORT__TYPE");
    match (named.as_deref(), url) {
        (None, None) => Ok(None),
        (None | Some("http"), Some(url)) => {
            if !(url.starts_with("http://") || url.starts_with("https://")) {
                return Err(Error::Url(url));
            }
            let endpoint = env("OPENLINEAGE_ENDPOINT").unwrap_or_else(|| "api/v1/lineage".to_owned());
            let url = Reference::Plain(format!("{}/{}", url.trim_end_matches('/'), endpoint.trim_start_matches('/')));
            let key = env("OPENLINEAGE_API_KEY");
            let header = key.map(|key| ("authorization".to_owned(), Reference::Plain(format!("Bearer {key}"))));
            Ok(Some(Transport::Http { url, headers: header.into_iter().collect() }))
        }
        (Some("http"), None) => Err(Error::Url(String::new())),
        (Some("file"), _) => {
            let path: PathBuf = env("OPENLINEAGE__TRANSPORT__LOG_FILE_PATH").ok_or(Error::NoFile)?.into();
            let opened = File::options().create(true).append(true).open(&path);
            opened.map(|file| Some(Transport::File(file))).map_err(|error| Error::File(path, error))
        }
        (Some("console"), _) => Ok(Some(Transport::Console)),
        (Some(other), _) => Err(Error::Transport(other.to_owned())),
    }
}

struct Queue {
    queue: SyncSender<Item>,
    namespace: String,
}

impl Sink for Queue {
    fn record(&self, event: Json) {
        // A full queue means that nobody takes events as fast as they come.
        drop(self.queue.try_send(Item::Event(Box::new(event))));
    }

    fn namespace(&self) -> &str {
        &self.namespace
    }
}

fn send(items: &Receiver<Item>, mut transport: Transport, runtime: &tokio::runtime::Runtime) {
    let client = Client::default();
    let mut has_failed = false;
    for item in items {
        let event = match item {
            Item::Event(event) => event,
            Item::Flush(told) => {
                // Who asked may have stopped waiting.
                let _ = told.send(());
                continue;
            }
        };
        let sent = match &mut transport {
            Transport::Http { url, headers } => runtime.block_on(async {
                let posted = client.post(url, headers, event.to_string());
                tokio::time::timeout(ANSWER_MAX, posted).await.unwrap_or_else(|_| Err("no answer".to_owned()))
            }),
            Transport::File(file) => writeln!(file, "{event}").map_err(|error| error.to_string()),
            Transport::Console => writeln!(std::io::stderr(), "{event}").map_err(|error| error.to_string()),
        };
        // Once is enough to know.
        if let Err(error) = sent.inspect(|()| has_failed = false)
            && !std::mem::replace(&mut has_failed, true)
        {
            tracing::warn!(error, "events of lineage are lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transport_of(settings: &[(&str, &str)]) -> Result<Option<Transport>, Error> {
        transport(|name| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn variables_are_those_of_openlineage() {
        assert!(matches!(transport_of(&[]), Ok(None)));
        let http = transport_of(&[("OPENLINEAGE_URL", "http://marquez:5000/"), ("OPENLINEAGE_API_KEY", "k")]);
        let Ok(Some(Transport::Http { url, headers })) = http else { panic!("it is over HTTP") };
        assert_eq!(url, Reference::Plain("http://marquez:5000/api/v1/lineage".to_owned()));
        assert_eq!(headers["authorization"], Reference::Plain("Bearer k".to_owned()));
        assert!(matches!(transport_of(&[("OPENLINEAGE_URL", "marquez:5000")]), Err(Error::Url(_))));
        assert!(matches!(transport_of(&[("OPENLINEAGE__TRANSPORT__TYPE", "file")]), Err(Error::NoFile)));
        assert!(matches!(transport_of(&[("OPENLINEAGE__TRANSPORT__TYPE", "kafka")]), Err(Error::Transport(_))));
    }
}
