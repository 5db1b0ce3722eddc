//! How the rows of a unit test differ from those expected, as a table for people.
//!
//! Source: the tables that dbt prints are those of the program daff, whose documented format ("highlighter diffs") and whose choice of
//! rows that belong together are followed here, so that both print the same. Pure: two tables in, text out. Row 0 of each table is its
//! header; both have the same columns. Invariant: what comes out is bounded, whatever the tables.

mod alignment;
mod highlight;
mod text;

#[cfg(test)]
mod tests;

use dbt::compile::{Cell, Sides};

/// What stands above the table.
pub const HEADING: &str = "\n\nactual differs from expected:\n\n";

/// A report travels through the log of a cluster; nobody reads more than this.
const BYTES_MAX: usize = 64 << 10;

/// The difference as lines of text, from what was expected to what the model gave; `None` where there is none.
pub fn describe(sides: &Sides) -> Option<String> {
    let expected = Table::new(&sides.columns, &sides.expected);
    let actual = Table::new(&sides.columns, &sides.actual);
    let highlighted = highlight::highlight(&expected, &actual)?;
    let table = bounded(text::render(&highlighted));
    Some(format!("{HEADING}{table}\n"))
}

/// As many whole lines as a report may carry, and how many there were besides.
fn bounded(mut table: String) -> String {
    if table.len() <= BYTES_MAX {
        return table;
    }
    let end = table.as_bytes()[..BYTES_MAX].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let left_out = table[end..].lines().count();
    table.truncate(end);
    table.push_str(&format!("… and {left_out} more lines\r\n"));
    table
}

/// A header and rows.
struct Table {
    rows: Vec<Vec<Cell>>,
    width: usize,
}

impl Table {
    fn new(columns: &[String], rows: &[Vec<Cell>]) -> Self {
        let name = |name: &String| Cell { text: Some(name.clone()), spelled: name.clone() };
        let header = columns.iter().map(name).collect();
        Self { rows: std::iter::once(header).chain(rows.iter().cloned()).collect(), width: columns.len() }
    }

    fn height(&self) -> usize {
        self.rows.len()
    }
}

/// Two cells are the same if Python's `str()` is the same, and that of null is `None`.
fn is_equal(left: &Cell, right: &Cell) -> bool {
    left.text.as_deref().unwrap_or("None") == right.text.as_deref().unwrap_or("None")
}
