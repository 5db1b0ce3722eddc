//! From source to syntax tree.

use std::ops::Range;

use super::ast::{Body, Frame};
use super::error::{Error, ErrorKind};

/// Parses the range of the source as one template.
pub fn parse(_source: &str, _range: Range<usize>) -> Result<(Body, Frame), Box<Error>> {
    Err(Error::new(ErrorKind::Syntax, "not yet"))
}
