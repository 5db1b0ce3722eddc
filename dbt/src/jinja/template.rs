//! A parsed template.

use std::ops::Range;
use std::sync::Arc;

use super::ast::{Body, Frame};
use super::binding::Defect;
use super::error::{Error, ErrorKind};
use super::parser::{self, Parsed};

/// A template, or one block of a file, ready to be rendered any number of times on any thread.
#[derive(Debug)]
pub struct Template {
    /// Shown in errors: a `unique_id` or a path.
    pub name: Arc<str>,
    /// The whole file, even where only a block of it was parsed: spans are offsets into it.
    pub source: Arc<str>,
    pub body: Body,
    pub frame: Frame,
    /// What jinja2 refuses only when the template is used, such as an unknown filter.
    pub defect: Option<Defect>,
}

impl Template {
    pub fn parse(name: Arc<str>, source: Arc<str>) -> Result<Arc<Self>, Box<Error>> {
        let range = 0..source.len();
        Self::parse_range(name, source, range)
    }

    /// Parses a part of a file as a template of its own, with spans that count from the start of the file.
    pub fn parse_range(name: Arc<str>, source: Arc<str>, range: Range<usize>) -> Result<Arc<Self>, Box<Error>> {
        match parser::parse(&source, range) {
            Ok(Parsed { body, frame, defect }) => Ok(Arc::new(Self { name, source, body, frame, defect })),
            Err(mut error) => {
                error.template = Some(name);
                Err(error)
            }
        }
    }

    /// The error of using a template that has a defect.
    pub fn check(&self) -> Result<(), Box<Error>> {
        let Some(defect) = &self.defect else { return Ok(()) };
        let mut error = Error::new(ErrorKind::Syntax, defect.message.clone());
        error.span = Some(defect.span);
        error.template = Some(self.name.clone());
        Err(error)
    }
}
