//! Splits a script into its statements, as DuckDB and PostgreSQL would: semicolons inside strings, quoted names, comments and
//! dollar quotes separate nothing.

/// One statement of a script and where it begins, in bytes. Never blank, never only comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    pub start: usize,
    pub sql: &'a str,
}

pub(crate) fn split(script: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut has_code = false;
    let mut at = 0;
    let bytes = script.as_bytes();
    while at < bytes.len() {
        let rest = &bytes[at..];
        match rest[0] {
            b';' => {
                if has_code {
                    pieces.push(Piece { start, sql: &script[start..at] });
                }
                at += 1;
                start = at;
                has_code = false;
                continue;
            }
            b'-' if rest.starts_with(b"--") => at += line_comment(rest),
            b'/' if rest.starts_with(b"/*") => at += block_comment(rest),
            b'\'' => {
                let escapes = at > 0 && matches!(bytes[at - 1], b'e' | b'E') && !(at > 1 && is_name(bytes[at - 2]));
                at += quoted(rest, b'\'', escapes);
                has_code = true;
            }
            b'"' => {
                at += quoted(rest, b'"', false);
                has_code = true;
            }
            b'$' if at == 0 || !is_name(bytes[at - 1]) => {
                at += dollar_quoted(rest);
                has_code = true;
            }
            byte => {
                has_code |= !byte.is_ascii_whitespace();
                at += 1;
            }
        }
    }
    if has_code {
        pieces.push(Piece { start, sql: &script[start..] });
    }
    pieces
}

/// The first word of a statement in lower case, past white space and comments.
pub(crate) fn first_word(sql: &str) -> String {
    let bytes = sql.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        if rest.starts_with(b"--") {
            at += line_comment(rest);
        } else if rest.starts_with(b"/*") {
            at += block_comment(rest);
        } else if rest[0].is_ascii_whitespace() || rest[0] == b'(' {
            at += 1;
        } else {
            break;
        }
    }
    sql[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>().to_lowercase()
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn line_comment(rest: &[u8]) -> usize {
    rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len())
}

/// Block comments nest.
fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// A doubled quote ends the text and begins the next at once, so it needs no case of its own.
fn quoted(rest: &[u8], quote: u8, escapes: bool) -> usize {
    let mut at = 1;
    while at < rest.len() {
        if escapes && rest[at] == b'\\' {
            at += 2;
        } else if rest[at] == quote {
            return at + 1;
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// `$$ … $$` or `$tag$ … $tag$`; a lone `$` (as in the parameter `$1`) is one byte of code.
fn dollar_quoted(rest: &[u8]) -> usize {
    let Some(end) = rest[1..].iter().position(|&byte| !is_name(byte)).map(|at| at + 1) else { return 1 };
    if rest[end] != b'$' || rest[1].is_ascii_digit() {
        return 1;
    }
    let tag = &rest[..=end];
    let body = &rest[tag.len()..];
    body.windows(tag.len()).position(|window| window == tag).map_or(rest.len(), |at| at + 2 * tag.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(script: &str) -> Vec<&str> {
        split(script).into_iter().map(|piece| piece.sql.trim()).collect()
    }

    #[test]
    fn splits_at_semicolons_of_code_only() {
        assert_eq!(
            pieces("select ';' || \"a;b\"; -- c;d\n/* e; /* f; */ ; */ select $$g;h$$, $t$i;$$j$t$, $1;;\n"),
            ["select ';' || \"a;b\"", "-- c;d\n/* e; /* f; */ ; */ select $$g;h$$, $t$i;$$j$t$, $1"]
        );
        assert_eq!(
            pieces("select 'it''s;'; select E'\\';'; select 2"),
            ["select 'it''s;'", "select E'\\';'", "select 2"]
        );
        assert_eq!(pieces(" ; -- only a comment\n ;"), Vec::<&str>::new());
        assert_eq!(pieces("select 'open; and no end"), ["select 'open; and no end"]);
    }

    #[test]
    fn knows_where_pieces_begin() {
        let script = "select 1; select 2";
        assert_eq!(split(script)[1].start, script.find(" select 2").unwrap());
    }

    #[test]
    fn first_words() {
        assert_eq!(first_word("/* {\"app\": \"dbt\"} */ -- x\n  BEGIN;"), "begin");
        assert_eq!(first_word("(select 1)"), "select");
        assert_eq!(first_word(""), "");
    }
}
