//! From source to syntax tree: jinja2's grammar with dbt's extensions (`do`, `break`, `continue`, `materialization`, `test`,
//! `docs`, typed macro parameters).
//!
//! Invariant: nesting is bounded, so that neither parsing nor dropping a tree can exhaust the stack.

mod expressions;
mod statements;

use std::ops::Range;

use super::ast::{Body, Frame};
use super::binding::{self, Defect};
use super::error::{Error, ErrorKind, Span};
use super::lexer::{self, Kind, Token};

/// A template after parsing.
#[derive(Debug)]
pub struct Parsed {
    pub body: Body,
    pub frame: Frame,
    /// What jinja2 refuses when it compiles the tree: dbt sees it only when the template is used.
    pub defect: Option<Defect>,
}

/// Parses the range of the source as one template.
pub fn parse(source: &str, range: Range<usize>) -> Result<Parsed, Box<Error>> {
    let tokens = lexer::tokenize(source, range);
    let mut parser = Parser { tokens, at: 0, nesting: 0, long_chains: 0, tags: Vec::new(), awaited: Vec::new() };
    let mut body = parser.body(&[])?;
    let (frame, defect) = binding::bind(&mut body);
    Ok(Parsed { body, frame, defect })
}

/// Nesting that Python's recursion limit would allow at about the same place.
const NESTING_MAX: u32 = 200;
/// What one level of expressions or statements counts.
const NESTING_WEIGHT: u32 = 3;
/// Operands of one chain of operators, attributes or filters; Python's own parser stops at 200 parentheses.
const CHAIN_MAX: u32 = 200;
/// Chains below this length are free.
const CHAIN_SHORT: u32 = 30;
/// Operands of all long chains in one tag, which bounds the depth of the tree.
const CHAINS_TOTAL_MAX: u32 = 1000;

type Parse<T> = Result<T, Box<Error>>;

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    nesting: u32,
    long_chains: u32,
    /// Open tags, for messages.
    tags: Vec<&'a str>,
    /// The tags that would end each open body.
    awaited: Vec<&'static [&'static str]>,
}

/// Counts the links of one chain.
#[derive(Default)]
struct Chain(u32);

impl<'a> Parser<'a> {
    fn kind(&self) -> &Kind<'a> {
        &self.tokens[self.at].kind
    }

    fn span(&self) -> Span {
        self.tokens[self.at].span
    }

    /// From the start of `first` to the end of the token before this one.
    fn since(&self, first: Span) -> Span {
        let end = self.tokens[self.at.saturating_sub(1)].span.end;
        Span { end: end.max(first.start), ..first }
    }

    /// Moves on; stays at the last token, which is `End` or `Failure`.
    fn skip(&mut self) {
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
    }

    fn name(&self) -> Option<&'a str> {
        match self.kind() {
            Kind::Name(name) => Some(name),
            _ => None,
        }
    }

    fn at_name(&self, word: &str) -> bool {
        self.name() == Some(word)
    }

    fn at_operator(&self, operator: &str) -> bool {
        matches!(self.kind(), Kind::Operator(found) if *found == operator)
    }

    fn next_is_operator(&self, operator: &str) -> bool {
        matches!(self.tokens.get(self.at + 1).map(|token| &token.kind), Some(Kind::Operator(found)) if *found == operator)
    }

    fn next_is_name(&self, word: &str) -> bool {
        matches!(self.tokens.get(self.at + 1).map(|token| &token.kind), Some(Kind::Name(found)) if *found == word)
    }

    fn skip_name(&mut self, word: &str) -> bool {
        let found = self.at_name(word);
        if found {
            self.skip();
        }
        found
    }

    fn skip_operator(&mut self, operator: &str) -> bool {
        let found = self.at_operator(operator);
        if found {
            self.skip();
        }
        found
    }

    fn expect_operator(&mut self, operator: &str) -> Parse<()> {
        if self.skip_operator(operator) { Ok(()) } else { Err(self.expected(operator)) }
    }

    fn expect_name(&mut self) -> Parse<(&'a str, Span)> {
        let span = self.span();
        match self.name() {
            Some(name) => {
                self.skip();
                Ok((name, span))
            }
            None => Err(self.expected("name")),
        }
    }

    fn expect_word(&mut self, word: &str) -> Parse<()> {
        if self.skip_name(word) { Ok(()) } else { Err(self.expected(word)) }
    }

    fn expect_block_end(&mut self) -> Parse<()> {
        if matches!(self.kind(), Kind::BlockEnd) {
            self.skip();
            Ok(())
        } else {
            Err(self.expected("end of statement block"))
        }
    }

    fn expect_variable_end(&mut self) -> Parse<()> {
        if matches!(self.kind(), Kind::VariableEnd) {
            self.skip();
            Ok(())
        } else {
            Err(self.expected("end of print statement"))
        }
    }

    fn expected(&mut self, what: &str) -> Box<Error> {
        match self.kind() {
            Kind::Failure(_) => self.fail(""),
            Kind::End => self.fail(format!("unexpected end of template, expected '{what}'.")),
            _ => {
                let got = self.describe();
                self.fail(format!("expected token '{what}', got '{got}'"))
            }
        }
    }

    /// How jinja2 names the current token.
    fn describe(&self) -> String {
        match self.kind() {
            Kind::Data(_) => "template data / text".into(),
            Kind::VariableBegin => "begin of print statement".into(),
            Kind::VariableEnd => "end of print statement".into(),
            Kind::BlockBegin => "begin of statement block".into(),
            Kind::BlockEnd => "end of statement block".into(),
            Kind::Name(name) => (*name).into(),
            Kind::Str(_) => "string".into(),
            Kind::Int(_) | Kind::BigInt(_) => "integer".into(),
            Kind::Float(_) => "float".into(),
            Kind::Operator(operator) => (*operator).into(),
            Kind::End | Kind::Failure(_) => "end of template".into(),
        }
    }

    /// A syntax error at the current token; the lexer's own, where it stopped here.
    fn fail(&mut self, message: impl Into<String>) -> Box<Error> {
        let span = self.span();
        self.fail_at(span, message)
    }

    fn fail_at(&mut self, span: Span, message: impl Into<String>) -> Box<Error> {
        let here = self.span();
        if let Kind::Failure(error) = &mut self.tokens[self.at].kind {
            let mut error = std::mem::replace(error, Error::new(ErrorKind::Syntax, ""));
            error.span = Some(here);
            return error;
        }
        let mut error = Error::new(ErrorKind::Syntax, message);
        error.span = Some(span);
        error
    }

    /// Runs `parse` one level deeper.
    fn nested<T>(&mut self, weight: u32, parse: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        self.nesting += weight;
        if self.nesting > NESTING_MAX {
            return Err(self.fail("the template is nested too deeply"));
        }
        let result = parse(self);
        self.nesting -= weight;
        result
    }

    /// Counts one more link of a chain, whose tree is as deep as the chain is long.
    fn link(&mut self, chain: &mut Chain) -> Parse<()> {
        chain.0 += 1;
        if chain.0 == CHAIN_SHORT {
            self.long_chains += CHAIN_SHORT;
        } else if chain.0 > CHAIN_SHORT {
            self.long_chains += 1;
        }
        if chain.0 > CHAIN_MAX || self.long_chains > CHAINS_TOTAL_MAX {
            return Err(self.fail("the expression chains too many operators"));
        }
        Ok(())
    }
}
