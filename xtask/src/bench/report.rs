//! The figures of a run as a table, on the terminal and in `docs/benchmarks.md`.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

/// Where a document keeps the figures of one benchmark.
pub enum Section {
    Dbt,
    Cluster,
}

impl Section {
    /// What stands before and after them.
    fn markers(&self) -> (&'static str, &'static str) {
        match self {
            Self::Dbt => ("<!-- figures: begin -->", "<!-- figures: end -->"),
            Self::Cluster => ("<!-- cluster figures: begin -->", "<!-- cluster figures: end -->"),
        }
    }
}

/// One line: what was measured, on which side, and how it stands to its target.
struct Row {
    what: String,
    side: String,
    figure: String,
    ratio: String,
    target: String,
    met: Option<bool>,
}

#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
    notes: Vec<String>,
}

impl Report {
    /// A figure that has no target: another engine, a floor.
    pub fn figure(&mut self, what: &str, side: &str, figure: String) {
        self.push(Row {
            what: what.to_owned(),
            side: side.to_owned(),
            figure,
            ratio: String::new(),
            target: String::new(),
            met: None,
        });
    }

    /// A figure that must stay below another.
    pub fn at_most(&mut self, what: &str, figure: String, value: f64, limit: f64, target: &str) {
        self.push(Row {
            what: what.to_owned(),
            side: "Kontiki".to_owned(),
            figure,
            ratio: String::new(),
            target: target.to_owned(),
            met: Some(value <= limit),
        });
    }

    /// How one side stands to another, and where the ratio must lie.
    pub fn ratio(&mut self, what: &str, against: &str, ratio: f64, bound: Bound) {
        let (met, target) = match bound {
            Bound::AtMost(limit) => (ratio <= limit, format!("≤ {limit}×")),
            Bound::AtLeast(limit) => (ratio >= limit, format!("≥ {limit}×")),
        };
        self.push(Row {
            what: what.to_owned(),
            side: against.to_owned(),
            figure: String::new(),
            ratio: format!("{ratio:.2}×"),
            target,
            met: Some(met),
        });
    }

    pub fn note(&mut self, note: String) {
        println!("{note}");
        self.notes.push(note);
    }

    fn push(&mut self, row: Row) {
        println!(
            "{:<48} {:<34} {:>10} {:>9}  {:<10} {}",
            row.what,
            row.side,
            row.figure,
            row.ratio,
            row.target,
            verdict(row.met)
        );
        self.rows.push(row);
    }

    fn markdown(&self) -> String {
        let mut text = String::new();
        for note in &self.notes {
            let _ = writeln!(text, "- {note}");
        }
        text.push_str("\n| what | side | figure | ratio | target | |\n| --- | --- | --- | --- | --- | --- |\n");
        for row in &self.rows {
            let Row { what, side, figure, ratio, target, met } = row;
            let _ = writeln!(text, "| {what} | {side} | {figure} | {ratio} | {target} | {} |", verdict(*met));
        }
        text
    }

    /// A figure that another program took and judged.
    pub fn judged(&mut self, what: &str, figure: String, target: Option<&str>, met: Option<bool>) {
        self.push(Row {
            what: what.to_owned(),
            side: "Kontiki".to_owned(),
            figure,
            ratio: String::new(),
            target: target.unwrap_or_default().to_owned(),
            met,
        });
    }

    /// Replaces what stands between the section's markers in a document.
    pub fn write(&self, document: &Path, section: &Section) -> Result<()> {
        let text = std::fs::read_to_string(document).with_context(|| format!("cannot read {}", document.display()))?;
        let text = between(&text, &self.markdown(), section).context("the document lacks its markers")?;
        std::fs::write(document, text)?;
        Ok(())
    }
}

pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

fn verdict(met: Option<bool>) -> &'static str {
    match met {
        None => "",
        Some(true) => "met",
        Some(false) => "missed",
    }
}

fn between(text: &str, figures: &str, section: &Section) -> Option<String> {
    let (begin, end) = section.markers();
    let (before, rest) = text.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}\n{figures}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_only_the_figures_of_its_section() {
        let (begin, end) = Section::Cluster.markers();
        let (other, other_end) = Section::Dbt.markers();
        let text = |figures: &str| format!("{other}\nkept\n{other_end}\n{begin}\n{figures}{end}\nbelow\n");
        assert_eq!(between(&text("old\n"), "new\n", &Section::Cluster), Some(text("new\n")));
        assert_eq!(between("no markers", "new", &Section::Cluster), None);
    }
}
