//! A parsed template.

use std::ops::Range;
use std::sync::Arc;

use super::ast::{Body, Frame};
use super::error::Error;
use super::parser;

/// A template, or one block of a file, ready to be rendered any number of times on any thread.
#[derive(Debug)]
pub struct Template {
    /// Shown in errors: a `unique_id` or a path.
    pub name: Arc<str>,
    /// The whole file, even where only a block of it was parsed: spans are offsets into it.
    pub source: Arc<str>,
    pub body: Body,
    pub frame: Frame,
}

impl Template {
    pub fn parse(name: Arc<str>, source: Arc<str>) -> Result<Arc<Self>, Box<Error>> {
        let range = 0..source.len();
        Self::parse_range(name, source, range)
    }

    /// Parses a part of a file as a template of its own, with spans that count from the start of the file.
    pub fn parse_range(name: Arc<str>, source: Arc<str>, range: Range<usize>) -> Result<Arc<Self>, Box<Error>> {
        match parser::parse(&source, range) {
            Ok((body, frame)) => Ok(Arc::new(Self { name, source, body, frame })),
            Err(mut error) => {
                error.template = Some(name);
                Err(error)
            }
        }
    }
}
