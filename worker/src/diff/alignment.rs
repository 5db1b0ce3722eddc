//! Which rows of two tables belong together.
//!
//! Rows are the same if, by some choice of columns, no other row of either table looks like them. Choices of few columns come first;
//! those that many rows share are left out. What is then left over goes with its neighbours if it equals theirs in all columns.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::Table;

/// Choices are made of so many columns: those with the most different values.
const COLUMNS_MAX: usize = 5;
/// A choice of columns is of use if less than this part of the rows share their values.
const SHARED_MAX: f64 = 0.1;

/// A row of the old table, one of the new table, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    pub old: Option<usize>,
    pub new: Option<usize>,
}

pub struct Alignment {
    /// In the order of the new table, with rows of the old one where they stood. The headers are the first.
    pub units: Vec<Unit>,
    /// Columns that were looked at to find out.
    pub index_columns: BTreeSet<usize>,
}

pub fn align(old: &Table, new: &Table) -> Alignment {
    let mut search = Search::new(old, new);
    let whole = search.by_choices();
    if let Some(whole) = whole {
        search.by_neighbours(&whole);
    }
    Alignment { units: search.units(), index_columns: search.index_columns }
}

/// Which table is gone along.
#[derive(Clone, Copy)]
enum Side {
    Old,
    New,
}

impl Side {
    /// What belongs to the old table and to the new one, this side's first; or the reverse, from this side's first.
    fn order<T>(self, (old, new): (T, T)) -> (T, T) {
        match self {
            Self::Old => (old, new),
            Self::New => (new, old),
        }
    }
}

struct Search<'t> {
    old: &'t Table,
    new: &'t Table,
    /// Rows found so far, in both directions.
    new_of: HashMap<usize, usize>,
    old_of: HashMap<usize, usize>,
    index_columns: BTreeSet<usize>,
}

/// Rows of both tables by the text of some columns.
struct Index {
    keys: [Vec<String>; 2],
    rows: [HashMap<String, Vec<usize>>; 2],
}

impl Index {
    fn new(tables: [&Table; 2], columns: &[usize]) -> Self {
        let keys = tables.map(|table| (0..table.height()).map(|row| key(table, row, columns)).collect::<Vec<_>>());
        let rows = [0, 1].map(|side| {
            let mut rows: HashMap<String, Vec<usize>> = HashMap::new();
            for (row, key) in keys[side].iter().enumerate() {
                rows.entry(key.clone()).or_default().push(row);
            }
            rows
        });
        Self { keys, rows }
    }

    /// The new row that looks like the old one, where only one of each does.
    fn only(&self, old: usize) -> Option<usize> {
        let key = &self.keys[0][old];
        match (self.rows[0].get(key)?.as_slice(), self.rows[1].get(key)?.as_slice()) {
            ([_], [new]) if !key.is_empty() => Some(*new),
            _ => None,
        }
    }

    /// How many rows of one table look the same at most.
    fn most_shared(&self) -> usize {
        self.rows.iter().flat_map(HashMap::values).map(Vec::len).max().unwrap_or(0)
    }

    fn look_alike(&self, old: usize, new: usize) -> bool {
        self.keys[0][old] == self.keys[1][new]
    }
}

/// The columns' text; a header looks like no row.
fn key(table: &Table, row: usize, columns: &[usize]) -> String {
    let cells = columns.iter().map(|column| match table.rows[row][*column].text.as_deref() {
        None | Some("null" | "undefined") => "",
        Some(text) => text,
    });
    let joined = cells.collect::<Vec<_>>().join(" // ");
    if row == 0 { format!("_{joined}") } else { joined }
}

impl<'t> Search<'t> {
    fn new(old: &'t Table, new: &'t Table) -> Self {
        Self { old, new, new_of: HashMap::new(), old_of: HashMap::new(), index_columns: BTreeSet::new() }
    }

    fn link(&mut self, old: usize, new: usize) {
        self.new_of.insert(old, new);
        self.old_of.insert(new, old);
    }

    /// Tries choice after choice; gives the index of all columns if that was reached.
    fn by_choices(&mut self) -> Option<Index> {
        let columns = self.columns();
        let choices = 1_usize << columns.len();
        let mut pending: BTreeSet<usize> = (0..self.old.height()).collect();
        let (mut whole, mut is_first) = (None, true);
        for choice in 1..choices {
            if pending.is_empty() {
                break;
            }
            let chosen: Vec<usize> = columns
                .iter()
                .enumerate()
                .filter(|(place, _)| choice >> place & 1 == 1)
                .map(|(_, column)| *column)
                .collect();
            self.index_columns.extend(&chosen);
            let index = Index::new([self.old, self.new], &chosen);
            let is_whole = choice == choices - 1;
            let height = self.old.height().max(self.new.height());
            let shared = index.most_shared() as f64 / (height + 20) as f64;
            if shared < SHARED_MAX || (is_first && is_whole) {
                is_first = false;
                for row in pending.clone() {
                    if let Some(found) = index.only(row).filter(|found| !self.old_of.contains_key(found)) {
                        self.link(row, found);
                        pending.remove(&row);
                    }
                }
            }
            if is_whole {
                whole = Some(index);
            }
        }
        whole
    }

    /// All columns, or those with the most different values.
    fn columns(&self) -> Vec<usize> {
        let width = self.old.width;
        if width <= COLUMNS_MAX {
            return (0..width).collect();
        }
        let text = |table: &'t Table, row: usize, column: usize| table.rows[row][column].text.as_deref().unwrap_or("");
        let values = |table: &'t Table, column: usize| {
            (0..table.height()).map(|row| text(table, row, column)).collect::<HashSet<_>>().len()
        };
        let mut columns: Vec<usize> = (0..width).collect();
        columns.sort_by_key(|column| std::cmp::Reverse(values(self.old, *column) + values(self.new, *column)));
        columns.truncate(COLUMNS_MAX);
        columns
    }

    /// Goes down and up both tables from rows that were found, as long as the rows next to them look alike.
    fn by_neighbours(&mut self, index: &Index) {
        for side in [Side::Old, Side::New] {
            for upwards in [false, true] {
                self.walk(index, side, upwards);
            }
        }
    }

    /// Along one table, with the row of the other that comes next there.
    fn walk(&mut self, index: &Index, side: Side, upwards: bool) {
        let heights = (self.old.height(), self.new.height());
        let (here, there) = side.order(heights);
        let mut next: Option<usize> = upwards.then(|| there - 1);
        for row in in_direction(here, upwards) {
            let (partners, taken) = side.order((&self.new_of, &self.old_of));
            let reached = match (partners.get(&row), next) {
                (Some(found), _) => *found,
                (None, Some(at)) => {
                    let (old, new) = side.order((row, at));
                    if !index.look_alike(old, new) || taken.contains_key(&at) {
                        continue;
                    }
                    self.link(old, new);
                    at
                }
                (None, None) => continue,
            };
            next = step(reached, there, upwards);
            if next.is_none() {
                break;
            }
        }
    }

    /// Rows of the new table in their order; a row that only the old table has comes before the first that stood behind it there.
    fn units(&self) -> Vec<Unit> {
        let mut units = vec![Unit { old: Some(0), new: Some(0) }];
        let mut only_old = (1..self.old.height()).filter(|row| !self.new_of.contains_key(row)).peekable();
        for new in 1..self.new.height() {
            let old = self.old_of.get(&new).copied();
            while let Some(row) = only_old.next_if(|row| old.is_some_and(|old| old > *row)) {
                units.push(Unit { old: Some(row), new: None });
            }
            units.push(Unit { old, new: Some(new) });
        }
        units.extend(only_old.map(|row| Unit { old: Some(row), new: None }));
        units
    }
}

fn in_direction(height: usize, upwards: bool) -> Box<dyn Iterator<Item = usize>> {
    if upwards { Box::new((0..height).rev()) } else { Box::new(0..height) }
}

fn step(row: usize, height: usize, upwards: bool) -> Option<usize> {
    if upwards { row.checked_sub(1) } else { Some(row + 1).filter(|next| *next < height) }
}
