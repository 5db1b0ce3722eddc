//! What the server says of a statement. The protocol crate keeps only the row count of a command tag, so the words are made from the
//! statement.

use common::table::Response;

use crate::warehouse::script;

/// `SELECT 100`, `INSERT 0 5`, `CREATE VIEW`, as dbt-postgres shows them.
pub(super) fn response(sql: &str, rows: u64) -> Response {
    let words = words(sql);
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let counted = |code: &str| {
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let message = if code == "INSERT" { format!("INSERT 0 {rows}") } else { format!("{code} {rows}") };
        Response { message, code: Some(code.to_owned()), rows_affected: Some(rows) }
    };
    // A tag without a count has a row count of -1 in Python's driver.
    let plain = |code: String| Response { message: code.clone(), code: Some(code), rows_affected: Some(-1) };
    match word(0) {
        "select" | "values" | "table" => counted("SELECT"),
        "insert" | "update" | "delete" | "merge" | "copy" | "fetch" => counted(&word(0).to_uppercase()),
        "with" => {
            // The data-modifying word at the top level decides; reading is the usual case.
            let found = main_word(sql);
            counted(if found.is_empty() { "SELECT" } else { &found })
        }
        "create" => {
            let object = object(&words[1..]);
            // `create table … as` and materialized views answer like the query that fills them.
            let fills = matches!(object.as_str(), "TABLE" | "MATERIALIZED VIEW")
                && words.iter().any(|word| word == "as")
                && !words.windows(3).any(|w| w[0] == "with" && w[1] == "no" && w[2] == "data");
            if fills { counted("SELECT") } else { plain(format!("CREATE {object}")) }
        }
        "drop" | "alter" | "refresh" => plain(format!("{} {}", word(0).to_uppercase(), object(&words[1..]))),
        "truncate" => plain("TRUNCATE TABLE".to_owned()),
        "lock" => plain("LOCK TABLE".to_owned()),
        "start" => plain("START TRANSACTION".to_owned()),
        "end" => plain("COMMIT".to_owned()),
        "abort" => plain("ROLLBACK".to_owned()),
        "" => Response { message: String::new(), code: Some(String::new()), rows_affected: Some(-1) },
        other => plain(other.to_uppercase()),
    }
}

/// How many words at the front are looked at: object kinds, names and `as` come early.
const WORDS_MAX: usize = 24;

/// The first words in lower case; quoted names count as one word, punctuation separates.
fn words(sql: &str) -> Vec<String> {
    let first = script::first_word(sql);
    let lower = sql.to_lowercase();
    let Some(start) = lower.find(&first).filter(|_| !first.is_empty()) else { return vec![] };
    let mut words = Vec::new();
    let mut chars = lower[start..].chars().peekable();
    while let Some(c) = chars.next() {
        if words.len() == WORDS_MAX {
            break;
        }
        if c == '"' {
            while chars.next().is_some_and(|c| c != '"') {}
            words.push("\"\"".to_owned());
        } else if c.is_alphanumeric() || c == '_' {
            let mut word = String::from(c);
            while let Some(next) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                word.push(next);
            }
            words.push(word);
        }
    }
    words
}

/// The kind of object after `create`, `drop` or `alter`, past the words that qualify it.
fn object(words: &[String]) -> String {
    let mut rest = words.iter().map(String::as_str).skip_while(|word| {
        matches!(
            *word,
            "or" | "replace" | "temp" | "temporary" | "unlogged" | "global" | "local" | "unique" | "recursive"
        )
    });
    match rest.next().unwrap_or_default() {
        kind @ ("materialized" | "foreign" | "event" | "default" | "text") => {
            format!("{kind} {}", rest.next().unwrap_or_default()).to_uppercase()
        }
        kind => kind.to_uppercase(),
    }
}

/// The word after the common table expressions that modifies data, if any.
fn main_word(sql: &str) -> String {
    let mut depth = 0;
    let mut word = String::new();
    for c in sql.chars().chain(" ".chars()) {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 && c.is_ascii_alphabetic() {
            word.push(c.to_ascii_uppercase());
        } else {
            if matches!(word.as_str(), "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "SELECT") {
                return word;
            }
            word.clear();
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_the_server_would() {
        let message = |sql: &str| response(sql, 3).message;
        assert_eq!(message("/* {\"app\": \"dbt\"} */\n create  table \"a\".\"b\" as (select 1)"), "SELECT 3");
        assert_eq!(message("create table t (a int)"), "CREATE TABLE");
        assert_eq!(message("create or replace view v as select 1"), "CREATE VIEW");
        assert_eq!(message("create materialized view v as select 1"), "SELECT 3");
        assert_eq!(message("insert into t select 1"), "INSERT 0 3");
        assert_eq!(message("with a as (select 1) insert into t select * from a"), "INSERT 0 3");
        assert_eq!(message("with a as (insert into t values (1) returning 1) select 1"), "SELECT 3");
        assert_eq!(message("create unique index i on t (a)"), "CREATE INDEX");
        assert_eq!(message("drop materialized view if exists m"), "DROP MATERIALIZED VIEW");
        assert_eq!(message("comment on table t is 'x'"), "COMMENT");
        assert_eq!(response("insert into t select 1", 3).code.as_deref(), Some("INSERT"));
        assert_eq!(response("create view v as select 1", 0).rows_affected, Some(-1));
    }
}
