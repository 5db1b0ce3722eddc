//! What a worker must know of a run.

use common::run::{RunOptions, Verb};
use common::target::{AdapterType, Target};
use common::{ContentDigest, JsonMap, NodeId, Timestamp};

use crate::invalid::Invalid;
use crate::microbatch;
use crate::scalar::{of_json, timestamp, to_json, to_timestamp};
use crate::v1;

/// A run, without its tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    pub project: String,
    pub bundle: ContentDigest,
    pub manifest_digest: String,
    /// Without what only those know who have the credentials.
    pub target: Target,
    pub options: RunOptions,
    pub selected: Vec<NodeId>,
    pub submitted_at: Timestamp,
}

pub fn verb(verb: Verb) -> v1::Verb {
    match verb {
        Verb::Build => v1::Verb::Build,
        Verb::Run => v1::Verb::Run,
        Verb::Test => v1::Verb::Test,
        Verb::Seed => v1::Verb::Seed,
        Verb::Snapshot => v1::Verb::Snapshot,
        Verb::Compile | Verb::Show => v1::Verb::Compile,
        Verb::Freshness => v1::Verb::Freshness,
    }
}

pub fn to_verb(verb: v1::Verb) -> Result<Verb, Invalid> {
    Ok(match verb {
        v1::Verb::Build => Verb::Build,
        v1::Verb::Run => Verb::Run,
        v1::Verb::Test => Verb::Test,
        v1::Verb::Seed => Verb::Seed,
        v1::Verb::Snapshot => Verb::Snapshot,
        v1::Verb::Compile => Verb::Compile,
        v1::Verb::Freshness => Verb::Freshness,
        v1::Verb::Unspecified => return Err(Invalid::missing("verb")),
    })
}

pub fn target(target: &Target) -> v1::Target {
    v1::Target {
        name: target.name.clone(),
        profile: target.profile_name.clone(),
        adapter_type: target.adapter_type.as_str().to_owned(),
        database: target.database.clone(),
        schema: target.schema.clone(),
        threads: target.threads,
    }
}

pub fn to_target(target: v1::Target) -> Result<Target, Invalid> {
    let adapter_type = match target.adapter_type.as_str() {
        "duckdb" => AdapterType::Duckdb,
        "postgres" => AdapterType::Postgres,
        other => return Err(Invalid::new("target.adapter_type", format!("is '{other}', not duckdb or postgres"))),
    };
    for (field, text) in
        [("target.name", &target.name), ("target.profile", &target.profile), ("target.schema", &target.schema)]
    {
        if text.is_empty() {
            return Err(Invalid::missing(field));
        }
    }
    Ok(Target {
        profile_name: target.profile,
        name: target.name,
        adapter_type,
        database: target.database,
        schema: target.schema,
        threads: target.threads.max(1),
        extra: JsonMap::new(),
    })
}

/// `run` is the id as text.
pub fn description(run: String, described: Described) -> v1::DescribeRunResponse {
    let options = described.options;
    v1::DescribeRunResponse {
        run_id: run,
        project: described.project,
        bundle_digest: described.bundle.0.to_vec().into(),
        manifest_digest: described.manifest_digest,
        target: Some(target(&described.target)),
        verb: verb(options.verb).into(),
        vars: Some(of_json(&options.vars)),
        full_refresh: options.full_refresh,
        fail_fast: options.fail_fast,
        store_failures: options.store_failures,
        empty: options.empty,
        selected: described.selected.iter().map(ToString::to_string).collect(),
        submitted_at: Some(timestamp(described.submitted_at)),
        event_time: microbatch::event_time(options.event_time),
    }
}

pub fn to_description(answer: v1::DescribeRunResponse) -> Result<Described, Invalid> {
    let verb = to_verb(answer.verb())?;
    let bundle = ContentDigest::try_from(&answer.bundle_digest[..]);
    Ok(Described {
        project: answer.project,
        bundle: bundle.map_err(|error| Invalid::new("bundle_digest", format!("cannot be used: {error}")))?,
        manifest_digest: answer.manifest_digest,
        target: to_target(answer.target.ok_or_else(|| Invalid::missing("target"))?)?,
        options: RunOptions {
            verb,
            full_refresh: answer.full_refresh,
            fail_fast: answer.fail_fast,
            store_failures: answer.store_failures,
            empty: answer.empty,
            vars: to_json(answer.vars.unwrap_or_default()),
            event_time: microbatch::to_event_time(answer.event_time)?,
        },
        selected: answer.selected.into_iter().map(NodeId::from).collect(),
        submitted_at: to_timestamp(answer.submitted_at),
    })
}
