//! Receivers of alerts and lineage that others wrote, as a process.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;
use testing::Process;

/// What signs webhooks.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Servers for webhooks, mails and lineage; they end with the value.
pub struct Sink {
    process: Process,
    received: PathBuf,
}

impl Sink {
    pub fn start(folder: &Path) -> Self {
        let [python, schemas] = ["KONTIKI_RECEIVERS_PYTHON", "KONTIKI_OPENLINEAGE_SCHEMAS"]
            .map(|name| std::env::var(name).expect("cargo xtask test sets it"));
        let received = folder.join("received.jsonl");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/receivers/sink.py");
        let mut command = Command::new(python);
        command.arg(script).arg(&received).arg(SECRET).arg(schemas);
        Self { process: Process::start("sink", folder, command), received }
    }

    pub fn lines(&self) -> Vec<Json> {
        let text = std::fs::read_to_string(&self.received).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Ports for HTTP and SMTP.
    fn ports(&self) -> Option<(u64, u64)> {
        let first = self.lines().into_iter().next()?;
        Some((first["http"].as_u64()?, first["smtp"].as_u64()?))
    }

    /// Waits until they can be reached.
    pub fn ready(&self) -> (u64, u64) {
        testing::obtain("those who receive", || self.ports().ok_or("not yet"), || self.process.lines())
    }

    /// Kinds of the alerts that were posted to this path.
    pub fn kinds(&self, path: &str) -> Vec<String> {
        let lines = self.lines();
        let posted = lines.iter().filter(|line| line["path"] == path);
        posted.map(|line| line["body"]["data"]["kind"].as_str().unwrap_or_default().to_owned()).collect()
    }
}
