//! The difference as a table: a column that says what happened to each row, the changed rows, and a little of what is around them.

use dbt::compile::Cell;

use super::alignment::{Unit, align};
use super::{Table, is_equal};

/// A row that is shown.
pub struct Row {
    pub mark: Mark,
    pub cells: Vec<Shown>,
}

/// What happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Header,
    Unchanged,
    /// Only the new table has it.
    Added,
    /// Only the old table has it.
    Removed,
    Changed,
    /// Rows that are left out.
    Gap,
}

/// A cell of the table that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    Value(Cell),
    Changed {
        old: String,
        new: String,
    },
    /// `...`
    Gap,
}

/// Whether a row or column is shown, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activity {
    None,
    Active,
    /// Next to one that is active.
    Near,
    /// The first that is left out.
    Edge,
}

/// The rows that are shown, the header first; `None` where the tables do not differ.
pub fn highlight(old: &Table, new: &Table) -> Option<Vec<Row>> {
    let alignment = align(old, new);
    let marks: Vec<Mark> = alignment.units.iter().map(|unit| mark(*unit, old, new)).collect();
    let is_change = |mark: &Mark| matches!(mark, Mark::Added | Mark::Removed | Mark::Changed);
    if !marks.iter().any(is_change) {
        return None;
    }
    let active = |is_active| if is_active { Activity::Active } else { Activity::None };
    let mut rows: Vec<Activity> = marks.iter().map(|mark| active(is_change(mark))).collect();
    let is_active = |column: usize| {
        alignment.index_columns.contains(&column)
            || alignment.units.iter().zip(&marks).any(|(unit, mark)| match (mark, unit.old, unit.new) {
                (Mark::Added, ..) => true,
                (_, Some(left), Some(right)) => !is_equal(&old.rows[left][column], &new.rows[right][column]),
                _ => false,
            })
    };
    let mut columns: Vec<Activity> = (0..old.width).map(|column| active(is_active(column))).collect();
    spread(&mut rows);
    spread(&mut columns);
    let columns = columns_shown(&columns);

    let names =
        columns.iter().map(|column| column.map_or(Shown::Gap, |column| Shown::Value(new.rows[0][column].clone())));
    let mut shown = vec![Row { mark: Mark::Header, cells: names.collect() }];
    let mut in_gap = false;
    for ((unit, mark), activity) in alignment.units.iter().zip(marks).zip(rows) {
        let is_gap = activity == Activity::Edge;
        if mark == Mark::Header || activity == Activity::None || (is_gap && in_gap) {
            continue;
        }
        in_gap = is_gap;
        let cell = |column: &Option<usize>| match column {
            Some(column) if !is_gap => changed_cell(*unit, *column, old, new),
            _ => Shown::Gap,
        };
        let mark = if is_gap { Mark::Gap } else { mark };
        shown.push(Row { mark, cells: columns.iter().map(cell).collect() });
    }
    Some(shown)
}

fn mark(unit: Unit, old: &Table, new: &Table) -> Mark {
    match (unit.old, unit.new) {
        (Some(0), Some(0)) => Mark::Header,
        (None, _) => Mark::Added,
        (_, None) => Mark::Removed,
        (Some(left), Some(right)) => {
            let is_same = old.rows[left].iter().zip(&new.rows[right]).all(|(left, right)| is_equal(left, right));
            if is_same { Mark::Unchanged } else { Mark::Changed }
        }
    }
}

/// What is next to something active is shown, what is next to that is an edge.
fn spread(activities: &mut [Activity]) {
    for forwards in [true, false] {
        let mut distance: Option<usize> = None;
        for step in 0..activities.len() {
            let at = if forwards { step } else { activities.len() - 1 - step };
            distance = distance.map(|distance| distance + 1);
            match (activities[at], distance) {
                (Activity::Active, _) => distance = Some(0),
                (Activity::None | Activity::Edge, Some(1)) => activities[at] = Activity::Near,
                (Activity::None, Some(2)) => activities[at] = Activity::Edge,
                _ => {}
            }
        }
    }
}

/// The columns that are shown; `None` is one that stands for those that are left out side by side.
fn columns_shown(activities: &[Activity]) -> Vec<Option<usize>> {
    let mut shown = Vec::new();
    for (column, activity) in activities.iter().enumerate() {
        match activity {
            Activity::Active | Activity::Near => shown.push(Some(column)),
            Activity::None | Activity::Edge if shown.last() == Some(&None) => {}
            Activity::None | Activity::Edge => shown.push(None),
        }
    }
    shown
}

fn changed_cell(unit: Unit, column: usize, old: &Table, new: &Table) -> Shown {
    let left = unit.old.map(|row| &old.rows[row][column]);
    let right = unit.new.map(|row| &new.rows[row][column]);
    match (left, right) {
        (Some(left), Some(right)) if !is_equal(left, right) => Shown::Changed { old: quoted(left), new: quoted(right) },
        (Some(cell), _) | (None, Some(cell)) => Shown::Value(cell.clone()),
        (None, None) => Shown::Gap,
    }
}

/// Null is `NULL`; a text that looks like it gets a `_` in front.
fn quoted(cell: &Cell) -> String {
    match cell.text.as_deref() {
        None | Some("None") => "NULL".to_owned(),
        Some(text) if text.trim_start_matches('_') == "NULL" => format!("_{text}"),
        Some(text) => text.to_owned(),
    }
}
