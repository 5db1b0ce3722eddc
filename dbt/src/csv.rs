//! CSV as Python's `csv` module reads it: quotes inside an unquoted field are plain, text after a closing quote is kept, a blank
//! line is a row without values.

/// Rows of text in one buffer.
#[derive(Debug, Default)]
pub struct Records {
    buffer: String,
    /// End of each cell in `buffer`, over all rows.
    cells: Vec<usize>,
    /// Number of cells up to the end of each row.
    rows: Vec<usize>,
    /// Line of the file, from 1, at which each row begins.
    lines: Vec<usize>,
}

enum State {
    FieldStart,
    Unquoted,
    Quoted,
    /// After a quote inside of a quoted field: the end of it, or the first of two.
    Closing,
}

impl Records {
    /// The header, where there is any line at all, and the rows after it.
    pub fn parse(text: &str, delimiter: char) -> (Option<Vec<String>>, Self) {
        let mut records = Self::default();
        records.read(text, delimiter);
        if records.rows.is_empty() {
            return (None, records);
        }
        let width = records.rows.remove(0);
        records.lines.remove(0);
        let header = (0..width).map(|index| records.slice(index).to_owned()).collect();
        // Cells are addressed from the start of the buffer: the header stays in front of it.
        records.rows.insert(0, width);
        (Some(header), records)
    }

    pub fn row_count(&self) -> usize {
        self.rows.len().saturating_sub(1)
    }

    /// The first row with more than `width` cells: its number (from 0), line and width.
    pub fn too_wide(&self, width: usize) -> Option<(usize, usize, usize)> {
        (0..self.row_count()).map(|row| (row, self.lines[row], self.width(row))).find(|(_, _, found)| *found > width)
    }

    /// `None` where the row is too short.
    pub fn cell(&self, row: usize, column: usize) -> Option<&str> {
        (column < self.width(row)).then(|| self.slice(self.rows[row] + column))
    }

    pub fn column(&self, column: usize) -> impl Iterator<Item = &str> {
        (0..self.row_count()).filter_map(move |row| self.cell(row, column))
    }

    fn width(&self, row: usize) -> usize {
        self.rows[row + 1] - self.rows[row]
    }

    fn slice(&self, cell: usize) -> &str {
        let start = if cell == 0 { 0 } else { self.cells[cell - 1] };
        &self.buffer[start..self.cells[cell]]
    }

    fn read(&mut self, text: &str, delimiter: char) {
        let mut state = State::FieldStart;
        let mut line = 1;
        let mut row_line = 1;
        let mut started = false;
        let mut characters = text.chars().peekable();
        while let Some(mut character) = characters.next() {
            // Python opens the file with universal newlines, also inside of quotes.
            if character == '\r' {
                characters.next_if_eq(&'\n');
                character = '\n';
            }
            if character == '\n' {
                line += 1;
            }
            match (&state, character) {
                (State::Quoted, '"') => state = State::Closing,
                (State::Quoted, character) => self.buffer.push(character),
                (State::Closing, '"') => {
                    self.buffer.push('"');
                    state = State::Quoted;
                }
                (_, '\n') => {
                    if started {
                        self.cells.push(self.buffer.len());
                    }
                    self.end_row(row_line);
                    (state, started, row_line) = (State::FieldStart, false, line);
                }
                (_, character) if character == delimiter => {
                    self.cells.push(self.buffer.len());
                    (state, started) = (State::FieldStart, true);
                }
                (State::FieldStart, '"') => (state, started) = (State::Quoted, true),
                (_, character) => {
                    self.buffer.push(character);
                    (state, started) = (State::Unquoted, true);
                }
            }
        }
        if started {
            self.cells.push(self.buffer.len());
            self.end_row(row_line);
        }
    }

    fn end_row(&mut self, line: usize) {
        self.rows.push(self.cells.len());
        self.lines.push(line);
    }
}
