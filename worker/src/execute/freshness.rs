//! How old a source is: its latest row, or what its own query says, against what the project allows.

use common::Timestamp;
use common::diagnostic::Code;
use common::freshness::{Age, Thresholds};
use common::manifest::{Node, ResourceType, Source};
use common::table::{Datum, Table};
use common::task::{Assignment, FailureKind, NodeStatus, TaskReport};
use dbt::compile::{Session, values};

use super::publish::unexpected;
use super::{Attempt, Until, now};
use crate::adapter::Adapter;
use crate::failure::{Failure, Heading, Result};
use crate::run::Run;
use crate::trace::Scope;

/// Macros whose work is done natively here.
const NATIVE: [&str; 2] = ["collect_freshness", "collect_freshness_custom_sql"];

/// Looks at one source.
pub(super) fn execute(
    assignment: &Assignment,
    run: &Run,
    source: &Source,
    adapter: &Adapter,
    thread: &str,
) -> TaskReport {
    let mut scope = Scope::attempt(assignment);
    let node = stand_in(source);
    let mut attempt = Attempt::new(assignment, run, &node, adapter, thread, Until::End);
    let outcome = attempt.perform(adapter, |attempt| attempt.freshness(source));
    let report = attempt.report(outcome);
    scope.ended(&report);
    report
}

/// A node in the place of the source, which templates know as `this`.
fn stand_in(source: &Source) -> Node {
    let mut node = Node::new(source.unique_id.clone(), source.name.as_str(), ResourceType::Source);
    node.package_name.clone_from(&source.package_name);
    node.path.clone_from(&source.path);
    node.original_file_path.clone_from(&source.original_file_path);
    node.fqn.clone_from(&source.fqn);
    node.database = source.database.clone().unwrap_or_default();
    node.schema.clone_from(&source.schema);
    node.alias.clone_from(&source.identifier);
    node.config.quoting = source.quoting;
    node.relation_name = Some(source.relation_name.clone());
    node
}

impl Attempt<'_> {
    fn freshness(&mut self, source: &Source) -> Result<()> {
        let Some(thresholds) = Thresholds::of(source) else {
            return Err(Failure::user(Code::InvalidConfig, format!("nothing is expected of {}", source.relation_name)));
        };
        let mut session = self.run.compiler.session_for(self.node.clone(), self.shared_adapter());
        if let Some(own) = NATIVE.into_iter().find(|own| session.overridden(own)) {
            return Err(Failure::unsupported(format_args!("a project's own macro '{own}'")));
        }
        let sql = query(&mut session, source, thresholds.filter.as_deref())?;
        self.result.compile_completed_at = now();
        self.result.execute_started_at = self.result.compile_completed_at;
        self.result.compiled_code = Some(sql.clone());
        let (response, table) = self.adapter.query(&sql)?;
        let age = read(&table, source)?;
        self.result.response = response;
        self.result.message = Some(age.to_string());
        self.result.status = thresholds.judge(age);
        if self.result.status != NodeStatus::Fail {
            return Ok(());
        }
        Err(Failure {
            kind: FailureKind::TestFailed,
            code: Code::SourceStale,
            heading: Heading::Runtime,
            message: age.to_string(),
            sql: None,
            position: None,
        })
    }
}

/// dbt's queries, with its names.
fn query(session: &mut Session<'_>, source: &Source, filter: Option<&str>) -> Result<String> {
    let now = values::text(&session.call_macro("current_timestamp", Vec::new())?);
    let (own, field) = (source.loaded_at_query.as_deref(), source.loaded_at_field.as_deref());
    match (own, field) {
        (Some(own), _) => {
            let own = session.render(own)?;
            Ok(format!(
                "with source_query as (\n{own}\n)\nselect\n  (select * from source_query) as max_loaded_at,\n  {now} as \
                 snapshotted_at"
            ))
        }
        (None, Some(field)) => {
            let filter = filter.map(|filter| format!("\nwhere {filter}")).unwrap_or_default();
            let relation = &source.relation_name;
            Ok(format!("select\n  max({field}) as max_loaded_at,\n  {now} as snapshotted_at\nfrom {relation}{filter}"))
        }
        (None, None) => {
            let message = format!(
                "source '{}.{}' has neither 'loaded_at_field' nor 'loaded_at_query', and the warehouse does not know when a table \
                 was loaded",
                source.source_name, source.name
            );
            Err(Failure::user(Code::InvalidConfig, message))
        }
    }
}

fn read(table: &Table, source: &Source) -> Result<Age> {
    let row = match table.rows.as_slice() {
        [row] if row.len() == 2 => row,
        _ => return Err(unexpected(format!("the query of a source's age answered {} rows", table.rows.len()))),
    };
    let kind = |place: usize| table.columns.get(place).map(|column| column.data_type.clone()).unwrap_or_default();
    let moment = |place: usize| match &row[place] {
        Datum::Timestamp(text) => {
            let found = Timestamp::parse_iso(text);
            found.map(Some).ok_or_else(|| unexpected(format!("'{text}' is no time that Kontiki understands")))
        }
        Datum::Null => Ok(None),
        _ => {
            let field = source.loaded_at_field.as_deref().unwrap_or("max_loaded_at");
            let message = format!(
                "Expected a timestamp value when querying field '{field}' of table {} but received value of type '{}' instead",
                source.relation_name,
                kind(place).to_lowercase()
            );
            Err(Failure::user(Code::InvalidConfig, message))
        }
    };
    let seen_at = moment(1)?.ok_or_else(|| unexpected("the warehouse does not say what time it is"))?;
    Ok(Age { loaded_at: moment(0)?, seen_at })
}
