//! The type of a seed's column: the first of dbt's that fits all of its cells.
//!
//! Source: the type tester that dbt builds for agate. Its order is integer, number, date, timestamp, ISO timestamp, boolean,
//! text; its integer never accepts text, and so only a column without any cell is one.

use super::{moment, number};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whole numbers, and columns without values.
    Integer,
    Float,
    Date,
    Timestamp,
    IsoTimestamp,
    Boolean,
    Text,
}

/// The type of a column with these cells.
pub(super) fn infer<'c>(cells: impl Iterator<Item = &'c str>) -> Kind {
    const ORDER: [Kind; 5] = [Kind::Float, Kind::Date, Kind::Timestamp, Kind::IsoTimestamp, Kind::Boolean];
    let mut fits = [true; ORDER.len()];
    let mut decimals = number::Decimals::default();
    for cell in cells {
        if is_null(cell) {
            continue;
        }
        for (fits, kind) in fits.iter_mut().zip(ORDER) {
            *fits = *fits
                && match kind {
                    Kind::Float => match number::parse(cell) {
                        Some(number) => {
                            decimals.see(&number);
                            true
                        }
                        None => false,
                    },
                    kind => kind.value(cell).is_some(),
                };
        }
        if fits == [false; ORDER.len()] {
            return Kind::Text;
        }
    }
    match ORDER.into_iter().zip(fits).find(|(_, fits)| *fits) {
        Some((Kind::Float, _)) if !decimals.any() => Kind::Integer,
        Some((kind, _)) => kind,
        None => Kind::Text,
    }
}

impl Kind {
    /// The name that dbt's SQL adapters give the type.
    pub fn data_type(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Float => "float8",
            Self::Date => "date",
            Self::Timestamp | Self::IsoTimestamp => "timestamp without time zone",
            Self::Boolean => "boolean",
            Self::Text => "text",
        }
    }

    /// The cell as text that a warehouse casts to this type; `None` for NULL, and for a cell that does not fit.
    pub fn value(self, cell: &str) -> Option<String> {
        if is_null(cell) {
            return None;
        }
        match self {
            Self::Integer => number::parse(cell).map(|number| number.whole_text()),
            Self::Float => number::parse(cell).map(|number| number.text()),
            Self::Date => moment::date(cell.trim()),
            Self::Timestamp => moment::timestamp(cell.trim()),
            Self::IsoTimestamp => moment::iso_timestamp(cell.trim()),
            Self::Boolean => boolean(cell),
            Self::Text => Some(cell.to_owned()),
        }
    }
}

/// dbt gives agate two words for NULL; case and space around them do not matter.
fn is_null(cell: &str) -> bool {
    let cell = cell.trim();
    cell.is_empty() || cell.eq_ignore_ascii_case("null")
}

fn boolean(cell: &str) -> Option<String> {
    let word = cell.replace(',', "").trim().to_lowercase();
    matches!(word.as_str(), "true" | "false").then_some(word)
}
