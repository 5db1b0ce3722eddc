//! The domain vocabulary that every part of Kontiki shares: plain data, no I/O, no clock.
//!
//! Invariant: nothing here reads the environment, the disk, the network or the time. A type defined here means the same on a
//! laptop, on a scheduler replica and on a worker; the words are those of `docs/glossary.md`.

pub mod alert;
pub mod bundle;
pub mod diagnostic;
pub mod digest;
mod encoding;
pub mod freshness;
pub mod id;
pub mod json_codec;
pub mod lineage;
pub mod manifest;
pub mod microbatch;
pub mod node_config;
pub mod relation;
pub mod run;
pub mod schedule;
pub mod session;
pub mod table;
pub mod target;
pub mod task;
pub mod telemetry;
pub mod time;
pub mod transcript;
pub mod unit_test;

pub use diagnostic::{Diagnostic, Severity};
pub use digest::ContentDigest;
pub use id::{Attempt, Epoch, NodeId, RequestId, RunId, WorkerId};
pub use manifest::Manifest;
pub use relation::{Relation, RelationType};
pub use schedule::ScheduleName;
pub use time::Timestamp;

/// Free-form structured values of a project: `meta`, `vars`, unknown config keys. Keys keep their order.
pub type Json = serde_json::Value;
/// An ordered JSON object.
pub type JsonMap = serde_json::Map<String, serde_json::Value>;
