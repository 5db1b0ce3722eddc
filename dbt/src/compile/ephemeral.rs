//! Ephemeral models as CTEs in front of the SQL that uses them.

use super::ExtraCte;

/// Adds a CTE; one that is there already keeps its place and takes the new text.
pub fn add(ctes: &mut Vec<ExtraCte>, cte: ExtraCte) {
    match ctes.iter_mut().find(|known| known.id == cte.id) {
        Some(known) => known.sql = cte.sql,
        None => ctes.push(cte),
    }
}

/// Puts the CTEs in front of `sql`; where it begins with `with` (or `with recursive`), right after that.
pub fn inject(sql: &str, ctes: &[ExtraCte]) -> String {
    if ctes.is_empty() {
        return sql.to_owned();
    }
    let joined = ctes.iter().map(|cte| cte.sql.as_str()).collect::<Vec<_>>().join(", ");
    match end_of_with(sql) {
        Some(end) => format!("{} {joined},{}", &sql[..end], &sql[end..]),
        None => {
            let start = sql.len() - sql.trim_start().len();
            format!("{}with{joined} {}", &sql[..start], &sql[start..])
        }
    }
}

/// Where the leading `with` or `with recursive` ends.
fn end_of_with(sql: &str) -> Option<usize> {
    let start = skip_blank(sql, 0);
    let with = word_end(sql, start, "with")?;
    let next = with + (sql[with..].len() - sql[with..].trim_start().len());
    Some(word_end(sql, next, "recursive").unwrap_or(with))
}

/// The end of `word` at `start`, whatever its case.
fn word_end(sql: &str, start: usize, word: &str) -> Option<usize> {
    let end = start + word.len();
    let found = sql.get(start..end)?;
    let rest = sql[end..].chars().next();
    let whole = rest.is_none_or(|next| !(next.is_alphanumeric() || next == '_'));
    (whole && found.eq_ignore_ascii_case(word)).then_some(end)
}

/// Skips white space and comments.
fn skip_blank(sql: &str, mut at: usize) -> usize {
    loop {
        let rest = &sql[at..];
        let trimmed = rest.trim_start();
        at += rest.len() - trimmed.len();
        let skipped = if trimmed.starts_with("--") {
            trimmed.find('\n').map_or(trimmed.len(), |end| end + 1)
        } else if trimmed.starts_with("/*") {
            trimmed.find("*/").map_or(trimmed.len(), |end| end + 2)
        } else {
            return at;
        };
        at += skipped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cte(name: &str, sql: &str) -> ExtraCte {
        ExtraCte { id: format!("model.p.{name}").into(), sql: format!(" __dbt__cte__{name} as (\n{sql}\n)") }
    }

    #[test]
    fn a_query_without_ctes_gets_a_with() {
        let sql = inject("\nselect * from __dbt__cte__a", &[cte("a", "select 1")]);
        assert_eq!(sql, "\nwith __dbt__cte__a as (\nselect 1\n) select * from __dbt__cte__a");
    }

    #[test]
    fn ctes_join_those_of_the_query() {
        let sql =
            inject("-- with\nWITH x as (select 1) select * from x", &[cte("a", "select 1"), cte("b", "select 2")]);
        assert_eq!(
            sql,
            "-- with\nWITH  __dbt__cte__a as (\nselect 1\n),  __dbt__cte__b as (\nselect 2\n), x as (select 1) select * from x"
        );
    }

    #[test]
    fn recursive_stays_in_front() {
        let sql = inject("with  recursive x as (select 1) select 1", &[cte("a", "select 1")]);
        assert_eq!(sql, "with  recursive  __dbt__cte__a as (\nselect 1\n), x as (select 1) select 1");
    }

    #[test]
    fn a_comment_or_a_longer_word_is_no_with() {
        let sql = inject("/* with */ withdrawals", &[cte("a", "select 1")]);
        assert_eq!(sql, "with __dbt__cte__a as (\nselect 1\n) /* with */ withdrawals");
    }
}
