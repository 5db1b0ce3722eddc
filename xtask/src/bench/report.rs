//! The figures of a run as a table, on the terminal and in `docs/benchmarks.md`.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

const BEGIN: &str = "<!-- figures: begin -->";
const END: &str = "<!-- figures: end -->";

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

    /// Replaces what stands between the markers of a document.
    pub fn write(&self, document: &Path) -> Result<()> {
        let text = std::fs::read_to_string(document).with_context(|| format!("cannot read {}", document.display()))?;
        std::fs::write(document, between(&text, &self.markdown()).context("the document lacks its markers")?)?;
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

fn between(text: &str, figures: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{figures}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_only_the_figures() {
        let text = format!("above\n{BEGIN}\nold\n{END}\nbelow\n");
        assert_eq!(between(&text, "new\n"), Some(format!("above\n{BEGIN}\nnew\n{END}\nbelow\n")));
        assert_eq!(between("no markers", "new"), None);
    }
}
