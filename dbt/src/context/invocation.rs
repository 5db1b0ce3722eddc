//! One call of a verb, as templates see it: variables, environment, flags, identity and time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use common::table::Response;
use common::{JsonMap, NodeId, Timestamp};

/// Everything about the invocation that a template can observe. Cheap to clone.
#[derive(Clone)]
pub struct Invocation {
    /// `--vars`
    pub vars: Arc<JsonMap>,
    /// The environment that `env_var` reads. Secrets (`DBT_ENV_SECRET_…`) are refused outside of profiles and packages.
    pub env: Arc<BTreeMap<String, String>>,
    /// The verb: `run`, `build`, `parse`, …
    pub verb: String,
    pub full_refresh: bool,
    /// `--empty`: `ref` and `source` give relations limited to no rows.
    pub empty: bool,
    pub store_failures: bool,
    /// Further flags, by the lower-case name dbt gives them; `flags.NAME` and `invocation_args_dict` show them.
    pub flags: Arc<JsonMap>,
    pub invocation_id: String,
    pub run_started_at: Timestamp,
    pub selected_resources: Arc<Vec<NodeId>>,
    /// Templates stop soon after this becomes true.
    pub cancel: Option<Arc<AtomicBool>>,
    /// Receives what templates print, log and warn.
    pub output: Arc<dyn Output>,
}

impl Default for Invocation {
    fn default() -> Self {
        Self {
            vars: Arc::default(),
            env: Arc::default(),
            verb: "parse".to_owned(),
            full_refresh: false,
            empty: false,
            store_failures: false,
            flags: Arc::default(),
            invocation_id: String::new(),
            run_started_at: Timestamp::default(),
            selected_resources: Arc::default(),
            cancel: None,
            output: Arc::new(Silent),
        }
    }
}

/// Where `print`, `log` and `exceptions.warn` go.
pub trait Output: Send + Sync {
    /// `print(…)`: shown even with `--quiet`.
    fn print(&self, text: &str);

    /// `log(…)`; `info` asks for the console, otherwise only the log file gets it.
    fn log(&self, text: &str, info: bool);

    /// `exceptions.warn(…)`
    fn warn(&self, text: &str);

    /// A batch of a microbatch model came a step on.
    fn batch(&self, _event: &BatchEvent<'_>) {}
}

/// What happens to a batch of a microbatch model.
#[derive(Clone, Debug)]
pub struct BatchEvent<'a> {
    /// Counted from 1, of those that this attempt builds.
    pub number: usize,
    pub total: usize,
    /// `2024-01-01`
    pub name: String,
    /// The model's relation, as console lines name it.
    pub relation: String,
    pub step: BatchStep<'a>,
    pub took: Duration,
}

#[derive(Clone, Copy, Debug)]
pub enum BatchStep<'a> {
    Started,
    Built(&'a Response),
    Failed(&'a str),
    /// The batches before it failed.
    Skipped,
}

/// Drops everything.
pub struct Silent;

impl Output for Silent {
    fn print(&self, _text: &str) {}
    fn log(&self, _text: &str, _info: bool) {}
    fn warn(&self, _text: &str) {}
}
