//! OpenLineage events: which runs and nodes began and ended, what they read and what they wrote. Specification 2-0-2,
//! <https://openlineage.io/spec/2-0-2/OpenLineage.json>.
//!
//! Invariant: ids follow from what they stand for. A run's is its own; a node's follows from (run, node), so every attempt at it, on
//! whichever worker, tells of the same.

use std::sync::OnceLock;

use serde_json::json;

use crate::telemetry::SpanId;
use crate::{Json, JsonMap, NodeId, RunId, Timestamp};

/// Who says so, in each event: a URI, as the specification wants.
pub const PRODUCER: &str = concat!("kontiki://release/", env!("CARGO_PKG_VERSION"));
const EVENT_SCHEMA: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";

/// Takes events. Must neither block nor fail: what it cannot take it drops.
pub trait Sink: Send + Sync {
    fn record(&self, event: Json);

    /// That jobs are in.
    fn namespace(&self) -> &str;
}

static SINK: OnceLock<Box<dyn Sink>> = OnceLock::new();

/// Sends events to `sink` from now on. Only the first call counts.
pub fn install(sink: Box<dyn Sink>) {
    // Whoever came first gets all.
    drop(SINK.set(sink));
}

/// Whether events are wanted: ask before collecting what goes into one.
pub fn is_on() -> bool {
    SINK.get().is_some()
}

/// What an event says of its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Start,
    Complete,
    Fail,
    Abort,
}

impl Moment {
    fn as_str(self) -> &'static str {
        match self {
            Self::Start => "START",
            Self::Complete => "COMPLETE",
            Self::Fail => "FAIL",
            Self::Abort => "ABORT",
        }
    }
}

/// An event before it is written.
#[derive(Clone, Debug)]
pub struct Event {
    moment: Moment,
    at: Timestamp,
    run: uuid::Uuid,
    job: String,
    run_facets: JsonMap,
    job_facets: JsonMap,
    inputs: Vec<Json>,
    outputs: Vec<Json>,
}

impl Event {
    /// Of a whole run; its job is the project's verb.
    pub fn of_run(moment: Moment, at: Timestamp, run: RunId, project: &str, verb: &str) -> Self {
        let event = Self::new(moment, at, run.0, job_of_run(project, verb));
        event.job_facet("jobType", job_type("DAG"))
    }

    /// Of a node in a run.
    pub fn of_node(moment: Moment, at: Timestamp, run: RunId, node: &NodeId, project: &str, verb: &str) -> Self {
        let event = Self::new(moment, at, node_run(run, node), node.to_string());
        let parent = json!({
            "run": { "runId": run.to_string() },
            "job": { "namespace": namespace(), "name": job_of_run(project, verb) },
        });
        let kind = node.resource_type().to_uppercase();
        event.run_facet("parent", facet("1-2-0/ParentRunFacet", parent)).job_facet("jobType", job_type(&kind))
    }

    fn new(moment: Moment, at: Timestamp, run: uuid::Uuid, job: String) -> Self {
        let engine = json!({ "name": "kontiki", "version": env!("CARGO_PKG_VERSION") });
        let event = Self {
            moment,
            at,
            run,
            job,
            run_facets: JsonMap::new(),
            job_facets: JsonMap::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        event.run_facet("processing_engine", facet("1-1-1/ProcessingEngineRunFacet", engine))
    }

    fn run_facet(mut self, name: &str, facet: Json) -> Self {
        self.run_facets.insert(name.to_owned(), facet);
        self
    }

    fn job_facet(mut self, name: &str, facet: Json) -> Self {
        self.job_facets.insert(name.to_owned(), facet);
        self
    }

    /// The run is of a tick of that nominal time.
    #[must_use]
    pub fn nominal(self, scheduled_at: Timestamp) -> Self {
        let times = json!({ "nominalStartTime": scheduled_at.to_iso() });
        self.run_facet("nominalTime", facet("1-0-1/NominalTimeRunFacet", times))
    }

    /// Why it failed.
    #[must_use]
    pub fn error(self, message: &str) -> Self {
        let error = json!({ "message": message, "programmingLanguage": "SQL" });
        self.run_facet("errorMessage", facet("1-0-1/ErrorMessageRunFacet", error))
    }

    /// What it runs.
    #[must_use]
    pub fn sql(self, query: &str) -> Self {
        self.job_facet("sql", facet("1-1-0/SQLJobFacet", json!({ "query": query })))
    }

    #[must_use]
    pub fn inputs(mut self, datasets: impl IntoIterator<Item = Dataset>) -> Self {
        self.inputs.extend(datasets.into_iter().map(|dataset| dataset.to_json(None)));
        self
    }

    /// With how many rows were written, where that is known.
    #[must_use]
    pub fn output(mut self, dataset: &Dataset, rows: Option<i64>) -> Self {
        self.outputs.push(dataset.to_json(rows));
        self
    }

    fn to_json(&self) -> Json {
        json!({
            "eventType": self.moment.as_str(),
            "eventTime": self.at.to_iso(),
            "run": { "runId": self.run.to_string(), "facets": self.run_facets },
            "job": { "namespace": namespace(), "name": self.job, "facets": self.job_facets },
            "inputs": self.inputs,
            "outputs": self.outputs,
            "producer": PRODUCER,
            "schemaURL": EVENT_SCHEMA,
        })
    }

    pub fn record(&self) {
        if let Some(sink) = SINK.get() {
            sink.record(self.to_json());
        }
    }
}

/// A relation, as OpenLineage names datasets.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// `postgres://host:port`, `duckdb://path`.
    pub namespace: String,
    /// `database.schema.table`
    pub name: String,
    /// With its type, where it is declared, and its description.
    pub columns: Vec<(String, Option<String>, String)>,
}

impl Dataset {
    fn to_json(&self, rows: Option<i64>) -> Json {
        let mut facets = JsonMap::new();
        if !self.columns.is_empty() {
            let fields = self.columns.iter().map(|(name, data_type, description)| {
                let mut field = JsonMap::new();
                field.insert("name".to_owned(), json!(name));
                field.extend(data_type.as_ref().map(|data_type| ("type".to_owned(), json!(data_type))));
                if !description.is_empty() {
                    field.insert("description".to_owned(), json!(description));
                }
                Json::Object(field)
            });
            let fields = json!({ "fields": fields.collect::<Vec<_>>() });
            facets.insert("schema".to_owned(), facet("1-2-0/SchemaDatasetFacet", fields));
        }
        let mut dataset = json!({ "namespace": self.namespace, "name": self.name, "facets": facets });
        if let Some(rows) = rows.filter(|rows| *rows >= 0) {
            let statistics = facet("1-0-2/OutputStatisticsOutputDatasetFacet", json!({ "rowCount": rows }));
            dataset["outputFacets"] = json!({ "outputStatistics": statistics });
        }
        dataset
    }
}

fn namespace() -> &'static str {
    SINK.get().map_or("default", |sink| sink.namespace())
}

fn job_of_run(project: &str, verb: &str) -> String {
    format!("{project}.{verb}")
}

fn job_type(kind: &str) -> Json {
    let kind = json!({ "processingType": "BATCH", "integration": "DBT", "jobType": kind });
    facet("2-0-4/JobTypeJobFacet", kind)
}

/// `schema` is the facet's version and name.
fn facet(schema: &str, mut content: Json) -> Json {
    let name = schema.rsplit('/').next().unwrap_or(schema);
    content["_producer"] = json!(PRODUCER);
    content["_schemaURL"] = json!(format!("https://openlineage.io/spec/facets/{schema}.json#/$defs/{name}"));
    content
}

/// The id of a node's part in a run.
fn node_run(run: RunId, node: &NodeId) -> uuid::Uuid {
    let root = SpanId::of_run(run);
    let half = |number| root.child(node.as_str(), number).0.to_be_bytes();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&half(0));
    bytes[8..].copy_from_slice(&half(1));
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn an_event_has_what_the_specification_wants() {
        let run = RunId(uuid::Uuid::from_u128(7));
        let node = NodeId::from("model.shop.orders");
        let columns = vec![("id".to_owned(), Some("integer".to_owned()), "The key".to_owned())];
        let dataset = Dataset { namespace: "duckdb://w".to_owned(), name: "w.main.orders".to_owned(), columns };
        let event = Event::of_node(Moment::Fail, Timestamp(0), run, &node, "shop", "build")
            .error("no such column")
            .sql("select 1")
            .output(&dataset, Some(3))
            .to_json();
        assert_eq!(
            (event["eventType"].as_str(), event["eventTime"].as_str()),
            (Some("FAIL"), Some("1970-01-01T00:00:00.000000Z"))
        );
        assert_eq!(event["run"]["facets"]["parent"]["job"]["name"], "shop.build");
        assert_eq!(event["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"], 3);
        assert_eq!(
            event["job"]["facets"]["sql"]["_schemaURL"],
            "https://openlineage.io/spec/facets/1-1-0/SQLJobFacet.json#/$defs/SQLJobFacet"
        );
        let again = Event::of_node(Moment::Start, Timestamp(5), run, &node, "shop", "build").to_json();
        assert_eq!(event["run"]["runId"], again["run"]["runId"]);
        assert_ne!(event["run"]["runId"].as_str(), Some(run.to_string().as_str()));
    }
}
