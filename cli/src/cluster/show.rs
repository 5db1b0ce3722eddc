//! Lists of things, as a table, as JSON or YAML, or as bare names.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::args::{Output, Shown};
use super::yaml::yaml;
use crate::exit::Exit;
use crate::project::{Call, Refused};

/// How often `--watch` asks again.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// A column's heading; wide ones are shown with `-o wide` only.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub heading: &'static str,
    pub is_wide: bool,
}

pub const fn column(heading: &'static str) -> Column {
    Column { heading, is_wide: false }
}

pub const fn wide(heading: &'static str) -> Column {
    Column { heading, is_wide: true }
}

/// A thing in its forms.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: String,
    /// One for each column.
    pub cells: Vec<String>,
    pub json: Json,
}

/// What is shown at once: one thing, or a list.
#[derive(Clone, Debug)]
pub struct Listing {
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
    /// In the singular the one row's JSON is not put into a list.
    pub is_list: bool,
    /// More of it, below the table only.
    pub below: Vec<Listing>,
}

impl Listing {
    pub fn list(columns: &[Column], rows: Vec<Row>) -> Self {
        Self { columns: columns.to_vec(), rows, is_list: true, below: Vec::new() }
    }

    pub fn one(columns: &[Column], row: Row) -> Self {
        Self { columns: columns.to_vec(), rows: vec![row], is_list: false, below: Vec::new() }
    }

    pub fn render(&self, output: Output) -> String {
        match output {
            Output::Table => self.table(false),
            Output::Wide => self.table(true),
            Output::Json => serde_json::to_string_pretty(&self.json()).unwrap_or_default(),
            Output::Yaml => yaml(&self.json()),
            Output::Name => self.rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>().join("\n"),
        }
    }

    fn json(&self) -> Json {
        match self.rows.first() {
            Some(row) if !self.is_list => row.json.clone(),
            _ => json!(self.rows.iter().map(|row| &row.json).collect::<Vec<_>>()),
        }
    }

    fn table(&self, is_wide: bool) -> String {
        let shown: Vec<usize> = (0..self.columns.len()).filter(|&at| is_wide || !self.columns[at].is_wide).collect();
        let heading = |at: usize| self.columns[at].heading.to_owned();
        let cell = |row: &Row, at: usize| match row.cells.get(at) {
            Some(cell) if !cell.is_empty() => cell.clone(),
            _ => "-".to_owned(),
        };
        let mut lines = vec![shown.iter().map(|&at| heading(at)).collect::<Vec<_>>()];
        lines.extend(self.rows.iter().map(|row| shown.iter().map(|&at| cell(row, at)).collect()));
        let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..shown.len()).map(width).collect();
        let line = |cells: &Vec<String>| {
            let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}", width = *width));
            padded.collect::<Vec<_>>().join("   ").trim_end().to_owned()
        };
        let mut text = lines.iter().map(line).collect::<Vec<_>>().join("\n");
        for listing in self.below.iter().filter(|listing| !listing.rows.is_empty()) {
            text.push_str(&format!("\n\n{}", listing.table(is_wide)));
        }
        text
    }
}

/// Prints what `ask` finds; with `--watch`, again whenever it looks different, for ever.
pub fn show(call: &Call, shown: Shown, ask: impl Fn() -> Result<Listing, Refused>) -> Result<Exit, Refused> {
    let mut last = ask()?.render(shown.output);
    call.console.output(&last);
    if !shown.watch {
        return Ok(Exit::Success);
    }
    loop {
        std::thread::sleep(WATCH_INTERVAL);
        let next = ask()?.render(shown.output);
        if next != last {
            call.console.output(&next);
            last = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing() -> Listing {
        let row = |name: &str, size: &str| Row {
            name: name.to_owned(),
            cells: vec![name.to_owned(), "x".to_owned(), size.to_owned()],
            json: json!({ "name": name }),
        };
        Listing::list(&[column("NAME"), wide("HOST"), column("SIZE")], vec![row("a", "10"), row("longer", "")])
    }

    #[test]
    fn tables_line_up_and_leave_wide_columns_out() {
        assert_eq!(listing().render(Output::Table), "NAME     SIZE\na        10\nlonger   -");
        assert_eq!(listing().render(Output::Wide), "NAME     HOST   SIZE\na        x      10\nlonger   x      -");
        assert_eq!(listing().render(Output::Name), "a\nlonger");
    }

    #[test]
    fn one_thing_is_no_list() {
        let all = listing();
        assert_eq!(all.render(Output::Yaml), "- name: a\n- name: longer");
        let one = Listing::one(&all.columns, all.rows[0].clone());
        assert_eq!(one.render(Output::Yaml), "name: a");
    }
}
