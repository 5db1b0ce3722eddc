//! The compiler's view of the slot's connection: `run_query`, `statement` and `adapter.*` in templates end here.
//!
//! Invariant: no statement starts once the attempt is canceled.

use std::borrow::Cow;
use std::cell::{RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use common::diagnostic::Code;
use common::relation::{Relation, RelationType, quote_identifier};
use common::table::{Column, Response, Table};
use common::target::AdapterType;
use common::task::FailureKind;
use common::transcript::Level;

use crate::cancellation::Cancellation;
use crate::comment::Comment;
use crate::trace::{self, Scope};
use crate::transcript;
use crate::warehouse::{Canceller, Connection, Error, Publication};

/// One connection, shared by the executor and the templates it renders. Cheap to clone; stays on its thread.
#[derive(Clone)]
pub struct Adapter {
    adapter_type: AdapterType,
    connection: Rc<RefCell<Box<dyn Connection>>>,
    cancellation: Cancellation,
    comment: Option<Rc<Comment>>,
}

impl Adapter {
    pub fn new(adapter_type: AdapterType, connection: Box<dyn Connection>) -> Self {
        let connection = Rc::new(RefCell::new(connection));
        Self { adapter_type, connection, cancellation: Cancellation::default(), comment: None }
    }

    /// The same connection, for an attempt that `cancellation` may stop.
    pub fn for_attempt(&self, cancellation: Cancellation) -> Self {
        Self { cancellation, ..self.clone() }
    }

    /// The same connection, with a comment at each statement.
    pub(crate) fn with_comment(&self, comment: Option<Comment>) -> Self {
        Self { comment: comment.map(Rc::new), ..self.clone() }
    }

    /// The statement as it is sent.
    pub(crate) fn commented<'s>(&self, sql: &'s str) -> Cow<'s, str> {
        match &self.comment {
            Some(comment) => Cow::Owned(comment.add_to(sql)),
            None => Cow::Borrowed(sql),
        }
    }

    pub fn canceller(&self) -> Arc<dyn Canceller> {
        self.connection.borrow().canceller()
    }

    pub fn kind(&self) -> AdapterType {
        self.adapter_type
    }

    /// The connection, for one call: it must not be held while a template renders.
    pub(crate) fn connection(&self) -> Result<RefMut<'_, Box<dyn Connection>>, Error> {
        if self.cancellation.is_canceled() {
            return Err(Error {
                kind: FailureKind::Canceled,
                code: Code::Canceled,
                message: "the run was canceled".to_owned(),
                native_code: None,
                sql: None,
                position: None,
            });
        }
        Ok(self.connection.borrow_mut())
    }

    pub(crate) fn run(&self, sql: &str) -> Result<Response, Error> {
        self.traced(sql, |connection, sql| connection.execute(sql), |response| response)
    }

    pub(crate) fn query(&self, sql: &str) -> Result<(Response, Table), Error> {
        self.traced(sql, |connection, sql| connection.query(sql), |(response, _)| response)
    }

    fn traced<T>(
        &self,
        sql: &str,
        call: impl FnOnce(&mut dyn Connection, &str) -> Result<T, Error>,
        response: impl Fn(&T) -> &Response,
    ) -> Result<T, Error> {
        let mut scope = Scope::statement(self.adapter_type, sql);
        let began = Instant::now();
        let answer = self.connection().and_then(|mut connection| call(connection.as_mut(), &self.commented(sql)));
        scope.answered(answer.as_ref().map(&response));
        transcript::note(Level::Debug, || {
            let (summary, took) = (trace::summary(sql), transcript::seconds(began.elapsed()));
            match answer.as_ref().map(&response) {
                Ok(response) if response.message.is_empty() => format!("{summary} in {took}"),
                Ok(response) => format!("{summary}: {} in {took}", response.message),
                Err(error) => format!("{summary}: failed after {took} ({})", error.code.as_str()),
            }
        });
        answer
    }

    /// Publishes for several attempts at once: no single one's cancellation stops it.
    pub(crate) fn publish_group(&self, publications: &[&Publication]) -> Result<Vec<Response>, Error> {
        self.connection.borrow_mut().publish_group(publications)
    }

    /// Clears a transaction that a template or a failure left open, canceled or not.
    pub(crate) fn rollback(&self) -> Result<(), Error> {
        self.connection.borrow_mut().rollback()
    }

    /// Ends what the attempt held of the session.
    pub(crate) fn release(&self) {
        self.connection.borrow_mut().release();
    }

    /// Runs clean-up whose failure changes nothing for the node; also after a cancellation.
    pub(crate) fn run_quietly(&self, statements: &[String]) {
        let mut connection = self.connection.borrow_mut();
        for sql in statements {
            // What cannot be dropped now is found by its name later.
            drop(connection.execute(sql));
        }
    }
}

impl dbt::adapter::Adapter for Adapter {
    fn adapter_type(&self) -> AdapterType {
        self.adapter_type
    }

    fn execute(&self, sql: &str, fetch: bool) -> Result<(Response, Table), Error> {
        if fetch { self.query(sql) } else { Ok((self.run(sql)?, Table::default())) }
    }

    fn get_relation(&self, database: &str, schema: &str, identifier: &str) -> Result<Option<Relation>, Error> {
        self.connection()?.get_relation(database, schema, identifier)
    }

    fn list_relations(&self, database: &str, schema: &str) -> Result<Vec<Relation>, Error> {
        self.connection()?.list_relations(database, schema)
    }

    fn get_columns_in_relation(&self, relation: &Relation) -> Result<Vec<Column>, Error> {
        self.connection()?.columns(relation)
    }

    fn list_schemas(&self, database: &str) -> Result<Vec<String>, Error> {
        self.connection()?.list_schemas(database)
    }

    fn create_schema(&self, database: &str, schema: &str) -> Result<(), Error> {
        self.connection()?.create_schema(database, schema)
    }

    fn drop_schema(&self, database: &str, schema: &str) -> Result<(), Error> {
        let name = match self.adapter_type {
            AdapterType::Duckdb => format!("{}.{}", quote_identifier(database), quote_identifier(schema)),
            AdapterType::Postgres => quote_identifier(schema),
        };
        self.run(&format!("drop schema if exists {name} cascade")).map(drop)
    }

    fn drop_relation(&self, relation: &Relation) -> Result<(), Error> {
        self.run(&format!("drop {} if exists {relation} cascade", kind(relation))).map(drop)
    }

    fn truncate_relation(&self, relation: &Relation) -> Result<(), Error> {
        self.run(&format!("truncate table {relation}")).map(drop)
    }

    fn rename_relation(&self, from: &Relation, to: &Relation) -> Result<(), Error> {
        let name = to.identifier.as_deref().unwrap_or_default();
        let name = if to.quoting.identifier { quote_identifier(name) } else { name.to_owned() };
        self.run(&format!("alter {} {from} rename to {name}", kind(to))).map(drop)
    }
}

fn kind(relation: &Relation) -> &'static str {
    match relation.relation_type {
        Some(RelationType::View) => "view",
        Some(RelationType::MaterializedView) => "materialized view",
        Some(RelationType::Table | RelationType::Cte | RelationType::External) | None => "table",
    }
}
