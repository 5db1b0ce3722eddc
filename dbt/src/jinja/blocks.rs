//! The top-level blocks of a file, found as dbt finds them: by their tags alone, before any parsing.
//!
//! The scan mirrors dbt's regular expressions, quirks included: of the next tag, comment and expression the one whose opening ends
//! first wins, and a quote inside a tag hides everything up to its pair.

use super::error::{Error, ErrorKind, Span};
use super::lexer::is_space;

/// What a block defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockKind {
    Macro,
    /// `{% test %}`
    Test,
    /// `{% data_test %}`: dbt finds the block, then fails to parse it, since its grammar has no such tag.
    DataTest,
    Materialization,
    Docs,
    Snapshot,
}

/// A block from its opening to its closing tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    pub kind: BlockKind,
    /// The word after the tag's name.
    pub name: Option<&'a str>,
    /// Of the whole block, tags included.
    pub span: Span,
    /// What stands between the tags, raw.
    pub contents: &'a str,
}

impl BlockKind {
    fn of(tag: &str) -> Option<Self> {
        Some(match tag {
            "macro" => Self::Macro,
            "test" => Self::Test,
            "data_test" => Self::DataTest,
            "materialization" => Self::Materialization,
            "docs" => Self::Docs,
            "snapshot" => Self::Snapshot,
            _ => return None,
        })
    }
}

/// All top-level blocks of the given kinds, in order.
pub fn extract<'a>(source: &'a str, kinds: &[BlockKind]) -> Result<Vec<Block<'a>>, Box<Error>> {
    let mut tags = Tags { text: source, pos: 0 };
    let mut blocks = Vec::new();
    let mut control_flow: Vec<&str> = Vec::new();
    let mut current: Option<(BlockKind, Tag<'a>)> = None;
    while let Some(tag) = tags.next_tag()? {
        let at = |message: String| failure(source, tag.start, tag.end, message);
        match tag.kind {
            "if" | "for" => control_flow.push(tag.kind),
            "endif" | "endfor" => match control_flow.pop() {
                None => {
                    let expected = &tag.kind[3..];
                    return Err(at(format!(
                        "Got an unexpected control flow end tag, got {} but never saw a preceding {expected}",
                        tag.kind
                    )));
                }
                Some(open) if open != &tag.kind[3..] => {
                    let message =
                        format!("Got an unexpected control flow end tag, got {} but expected end{open} next", tag.kind);
                    return Err(at(message));
                }
                Some(_) => {}
            },
            _ => {}
        }
        if let Some(kind) = BlockKind::of(tag.kind).filter(|kind| kinds.contains(kind)) {
            if !control_flow.is_empty() {
                return Err(at(
                    "Got a block definition inside control flow. All dbt block definitions must be at the top \
                               level"
                        .to_owned(),
                ));
            }
            if let Some((_, outer)) = &current {
                return Err(at(format!(
                    "Got {} tag inside of {} tag: nested tags are not allowed",
                    described(&tag),
                    described(outer)
                )));
            }
            current = Some((kind, tag));
        } else if let Some((kind, open)) = current.take_if(|(_, open)| tag.kind.strip_prefix("end") == Some(open.kind))
        {
            let span = span_of(source, open.start, tag.end);
            blocks.push(Block { kind, name: open.name, span, contents: &source[open.end..tag.start] });
        }
    }
    match current {
        None => Ok(blocks),
        Some((_, open)) => {
            let message = format!("Reached EOF without finding a close tag for {}", open.kind);
            Err(failure(source, open.start, open.end, message))
        }
    }
}

fn described(tag: &Tag<'_>) -> String {
    format!("{} {}", tag.kind, tag.name.unwrap_or_default()).trim_end().to_owned()
}

fn span_of(source: &str, start: usize, end: usize) -> Span {
    let before = &source[..start];
    let line_start = before.rfind(['\n', '\r']).map_or(0, |at| at + 1);
    let lines = before.matches('\n').count() + before.matches('\r').count() - before.matches("\r\n").count();
    let count = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Span {
        start: count(start),
        end: count(end),
        line: count(lines + 1),
        column: count(before[line_start..].chars().count() + 1),
    }
}

fn failure(source: &str, start: usize, end: usize, message: String) -> Box<Error> {
    let mut error = Error::new(ErrorKind::Syntax, message);
    error.span = Some(span_of(source, start, end));
    error
}

/// `{% kind name … %}`
struct Tag<'a> {
    kind: &'a str,
    name: Option<&'a str>,
    /// Spaces before a `{%-` belong to the tag.
    start: usize,
    end: usize,
}

struct Tags<'a> {
    text: &'a str,
    pos: usize,
}

/// What opens at some place: where it begins, and where what was recognised of it ends.
struct Opening<'a> {
    start: usize,
    end: usize,
    kind: OpeningKind<'a>,
}

enum OpeningKind<'a> {
    Comment,
    Expression,
    Tag { kind: &'a str, name: Option<&'a str> },
}

impl<'a> Tags<'a> {
    fn next_tag(&mut self) -> Result<Option<Tag<'a>>, Box<Error>> {
        loop {
            let Some(opening) = self.next_opening() else { return Ok(None) };
            self.pos = opening.end;
            match opening.kind {
                OpeningKind::Comment => self.skip_past("#}")?,
                OpeningKind::Expression => self.skip_expression()?,
                OpeningKind::Tag { kind, name } => {
                    if kind == "raw" {
                        self.pos = opening.start;
                        self.skip_raw()?;
                    } else {
                        self.skip_tag()?;
                    }
                    return Ok(Some(Tag { kind, name, start: opening.start, end: self.pos }));
                }
            }
        }
    }

    /// The next tag, comment or expression whose opening ends first.
    fn next_opening(&self) -> Option<Opening<'a>> {
        let mut best: Option<Opening<'a>> = None;
        let mut from = self.pos;
        while let Some(found) = self.text[from..].find('{') {
            let at = from + found;
            from = at + 1;
            if best.as_ref().is_some_and(|best| at >= best.end) {
                break;
            }
            let rest = &self.text[at + 1..];
            let candidate = match rest.as_bytes().first() {
                Some(b'#') => Some(Opening { start: self.spaces_before(at), end: at + 2, kind: OpeningKind::Comment }),
                Some(b'{') => {
                    let inside = rest[1..].trim_start_matches(is_space);
                    let end = self.text.len() - inside.len();
                    Some(Opening { start: at, end, kind: OpeningKind::Expression })
                }
                Some(b'%') => self.tag_at(at),
                _ => None,
            };
            if let Some(candidate) = candidate
                && best.as_ref().is_none_or(|best| candidate.end < best.end)
            {
                best = Some(candidate);
            }
        }
        best
    }

    fn spaces_before(&self, at: usize) -> usize {
        self.pos + self.text[self.pos..at].trim_end_matches(is_space).len()
    }

    fn tag_at(&self, at: usize) -> Option<Opening<'a>> {
        let inside = &self.text[at + 2..];
        let (inside, start) = match inside.strip_prefix('-') {
            Some(inside) => (inside, self.spaces_before(at)),
            None => (inside, at),
        };
        let inside = inside.trim_start_matches(is_space);
        let kind = word(inside)?;
        let after = &inside[kind.len()..];
        let next = after.trim_start_matches(is_space);
        let name = if next.len() < after.len() { word(next) } else { None };
        let end = match name {
            Some(name) => self.text.len() - next.len() + name.len(),
            None => self.text.len() - after.len(),
        };
        Some(Opening { start, end, kind: OpeningKind::Tag { kind, name } })
    }

    fn unexpected_end(&self, expected: &str) -> Box<Error> {
        let rest: String = self.text[self.pos..].chars().take(40).collect();
        let message = format!("unexpected EOF, expected {expected}, got \"{rest}\"");
        failure(self.text, self.pos, self.text.len(), message)
    }

    fn skip_past(&mut self, end: &str) -> Result<(), Box<Error>> {
        match self.text[self.pos..].find(end) {
            Some(found) => {
                self.pos += found + end.len();
                Ok(())
            }
            None => Err(self.unexpected_end(end)),
        }
    }

    fn skip_expression(&mut self) -> Result<(), Box<Error>> {
        loop {
            let rest = &self.text[self.pos..];
            let Some(found) = rest.find(['}', '"', '\'']) else { return Err(self.unexpected_end("}}")) };
            self.pos += found;
            let rest = &rest[found..];
            if rest.starts_with("}}") {
                self.pos += 2;
                return Ok(());
            }
            if rest.starts_with('}') {
                self.pos += 1;
            } else {
                self.skip_string()?;
            }
        }
    }

    /// To the end of the tag, past strings.
    fn skip_tag(&mut self) -> Result<(), Box<Error>> {
        loop {
            let rest = &self.text[self.pos..];
            let Some(found) = rest.find(['%', '"', '\'']) else {
                return Err(self.unexpected_end("tag close (\"%}\")"));
            };
            let rest = &rest[found..];
            let stripped = self.text[self.pos..self.pos + found].ends_with('-');
            self.pos += found;
            if rest.starts_with("%}") {
                self.pos += 2;
                if stripped {
                    self.pos = self.text.len() - self.text[self.pos..].trim_start_matches(is_space).len();
                }
                return Ok(());
            }
            if rest.starts_with('%') {
                self.pos += 1;
            } else {
                self.skip_string()?;
            }
        }
    }

    /// A string from the quote here; without its pair, the next string that has one.
    fn skip_string(&mut self) -> Result<(), Box<Error>> {
        let bytes = self.text.as_bytes();
        let mut start = self.pos;
        while let Some(found) = self.text[start..].find(['"', '\'']) {
            start += found;
            let quote = bytes[start];
            let mut at = start + 1;
            while at < bytes.len() && bytes[at] != quote {
                at += if bytes[at] == b'\\' { 2 } else { 1 };
            }
            if at < bytes.len() {
                self.pos = at + 1;
                return Ok(());
            }
            start += 1;
        }
        Err(self.unexpected_end("string"))
    }

    fn skip_raw(&mut self) -> Result<(), Box<Error>> {
        let mut from = self.pos;
        while let Some(found) = self.text[from..].find("endraw") {
            let at = from + found;
            from = at + "endraw".len();
            let before = self.text[..at].trim_end_matches(is_space);
            if !(before.ends_with("{%") || before.ends_with("{%-")) {
                continue;
            }
            let after = self.text[from..].trim_start_matches(is_space);
            let rest = match (after.strip_prefix("%}"), after.strip_prefix("-%}")) {
                (Some(rest), _) => rest,
                (None, Some(rest)) => rest.trim_start_matches(is_space),
                (None, None) => continue,
            };
            self.pos = self.text.len() - rest.len();
            return Ok(());
        }
        Err(self.unexpected_end("{% raw %}...{% endraw %}"))
    }
}

/// An ASCII identifier at the start.
fn word(text: &str) -> Option<&str> {
    if !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return None;
    }
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    Some(&text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str) -> Vec<(BlockKind, Option<&str>, &str)> {
        let kinds = [BlockKind::Macro, BlockKind::Docs, BlockKind::Snapshot, BlockKind::Test];
        let blocks = extract(source, &kinds).expect("the source is well formed");
        blocks.into_iter().map(|block| (block.kind, block.name, block.contents)).collect()
    }

    fn message(source: &str) -> String {
        extract(source, &[BlockKind::Macro]).expect_err("the source is malformed").message
    }

    #[test]
    fn blocks_end_at_their_own_tag() {
        let source = "x {% macro a(b) %}{% if b %}1{% endif %}{% endmacro %} {%- docs d -%} {{ raw \n{%- enddocs %}";
        assert_eq!(
            found(&source.replace("{{ raw ", "raw ")),
            [(BlockKind::Macro, Some("a"), "{% if b %}1{% endif %}"), (BlockKind::Docs, Some("d"), "raw")]
        );
    }

    #[test]
    fn comments_raw_blocks_and_strings_hide_tags() {
        assert_eq!(found("{# {% macro a() %} #}{% raw %}{% macro b() %}{% endraw %}{{ '{% macro c() %}' }}"), []);
        assert_eq!(found("{% macro a(x='%}') %}1{% endmacro %}"), [(BlockKind::Macro, Some("a"), "1")]);
    }

    #[test]
    fn spans_count_from_the_start_of_the_file() {
        let source = "\r\n  {% macro a() %}1{% endmacro %}";
        let blocks = extract(source, &[BlockKind::Macro]).expect("the source is well formed");
        assert_eq!(blocks[0].span, Span { start: 4, end: source.len() as u32, line: 2, column: 3 });
    }

    #[test]
    fn misplaced_tags_are_refused() {
        assert_eq!(message("{% macro a() %}"), "Reached EOF without finding a close tag for macro");
        assert_eq!(
            message("{% macro a() %}{% macro b() %}{% endmacro %}{% endmacro %}"),
            "Got macro b tag inside of macro a tag: nested tags are not allowed"
        );
        assert_eq!(
            message("{% if x %}{% macro a() %}{% endmacro %}{% endif %}"),
            "Got a block definition inside control flow. All dbt block definitions must be at the top level"
        );
        assert_eq!(
            message("{% endif %}"),
            "Got an unexpected control flow end tag, got endif but never saw a preceding if"
        );
        assert_eq!(message("{{ 'a }}"), "unexpected EOF, expected string, got \"'a }}\"");
    }
}
