//! The highlighted difference as lines, its columns below one another.

use super::highlight::{Mark, Row, Shown};

/// Wider tables are not aligned.
const WIDTH_MAX: usize = 130;

/// How a cell is measured, and how it is printed.
struct Text {
    measured: String,
    printed: String,
}

pub fn render(rows: &[Row]) -> String {
    let rows: Vec<Vec<Text>> = rows.iter().map(texts).collect();
    let sizes = sizes(&rows);
    let mut out = String::new();
    for row in rows {
        let (mut target, mut at) = (0, 0);
        for (column, text) in row.iter().enumerate() {
            if let Some(sizes) = &sizes {
                out.extend(std::iter::repeat_n(' ', target.max(at) - at));
                at = at.max(target) + chars(&text.measured);
                target += sizes[column];
            }
            if column > 0 {
                out.push(',');
            }
            out.push_str(&text.printed);
        }
        out.push_str("\r\n");
    }
    out
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

fn texts(row: &Row) -> Vec<Text> {
    let mark = match row.mark {
        Mark::Header => "@@",
        Mark::Unchanged => "",
        Mark::Added => "+++",
        Mark::Removed => "---",
        Mark::Changed => "→",
        Mark::Gap => "...",
    };
    let mark = Text { measured: mark.to_owned(), printed: mark.to_owned() };
    std::iter::once(mark).chain(row.cells.iter().map(|cell| text(row.mark, cell))).collect()
}

fn text(mark: Mark, cell: &Shown) -> Text {
    match cell {
        Shown::Gap => Text { measured: "...".to_owned(), printed: "...".to_owned() },
        Shown::Changed { old, new } => {
            let old = with_visible_spaces(old, new);
            let text = format!("{old}→{}", with_visible_spaces(new, &old));
            Text { measured: csv(&text, true), printed: csv(&text, false) }
        }
        Shown::Value(cell) => {
            let measured = cell.text.as_deref().map_or_else(|| "NULL".to_owned(), |text| csv(text, true));
            // Rows that only one side has are spelled out.
            let is_spelled = matches!(mark, Mark::Header | Mark::Added | Mark::Removed);
            let printed = if is_spelled { csv(&cell.spelled, false) } else { measured.clone() };
            Text { measured, printed }
        }
    }
}

/// Quoted as in a CSV where that is needed; spaces at the ends may be a reason.
fn csv(text: &str, mind_spaces: bool) -> String {
    let is_special = |character| matches!(character, '"' | '\r' | '\n' | '\t' | ',');
    let is_padded = mind_spaces && (text.starts_with(' ') || text.ends_with(' '));
    if !text.contains(is_special) && !is_padded {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// Where only spaces tell two texts apart, those that the other lacks are shown.
fn with_visible_spaces(text: &str, other: &str) -> String {
    if text == other || text.replace(' ', "") != other.replace(' ', "") {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut others = other.chars().peekable();
    for character in text.chars() {
        while character != ' ' && others.next_if_eq(&' ').is_some() {}
        match others.next_if_eq(&character) {
            Some(_) => out.push(character),
            None => out.push('␣'),
        }
    }
    out
}

/// Wide enough for most cells of each column, and for its name; `None` where the table is too wide for that.
fn sizes(rows: &[Vec<Text>]) -> Option<Vec<usize>> {
    let width = rows.first().map_or(0, Vec::len);
    let sizes: Vec<usize> = (0..width)
        .map(|column| {
            let lengths: Vec<usize> = rows.iter().map(|row| chars(&row[column].measured)).collect();
            let most = most(&lengths);
            let name = lengths.first().copied().unwrap_or(0);
            lengths.into_iter().filter(|length| *length <= most).max().unwrap_or(0).max(name)
        })
        .collect();
    let total = (width + sizes.iter().sum::<usize>()).saturating_sub(1);
    (total <= WIDTH_MAX).then_some(sizes)
}

/// Two standard deviations above the mean: longer cells stick out.
fn most(lengths: &[usize]) -> usize {
    let count = lengths.len() as f64;
    let mean = lengths.iter().sum::<usize>() as f64 / count;
    let variance = lengths.iter().map(|length| length * length).sum::<usize>() as f64 / count - mean * mean;
    (mean + variance.max(0.0).sqrt() * 2.0 + 0.5) as usize
}
