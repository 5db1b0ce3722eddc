//! Texts that PyYAML reads and a strict YAML 1.2 parser refuses: flow collections and quoted text that go on further left than
//! they began, and a tab behind `:` or `-`.
//!
//! Only texts that were refused come here. Lines inside brackets and quotes are indented further, where white space means
//! nothing; what was added is remembered, so that places are still those of the file.

/// A text that means the same and may be read after all.
pub struct Relaxed {
    pub text: String,
    /// How many columns were added to the front of each line.
    pub added: Vec<u32>,
}

/// What a line begins inside of.
#[derive(Clone, Copy, Default)]
struct State {
    brackets: usize,
    quote: Option<char>,
}

/// `None` where nothing can be changed.
pub fn relax(text: &str) -> Option<Relaxed> {
    let mut relaxed = Relaxed { text: String::with_capacity(text.len() * 2), added: Vec::new() };
    let mut state = State::default();
    let mut opened_at = 0;
    let mut block_indent: Option<usize> = None;
    let mut changed = false;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches(' ').len();
        // Inside `|` and `>` every character counts.
        if block_indent.is_some_and(|parent| line.trim().is_empty() || indent > parent) {
            relaxed.text.push_str(line);
            relaxed.added.push(0);
            continue;
        }
        block_indent = None;
        let is_inside = state.brackets > 0 || state.quote.is_some();
        let added = if is_inside { opened_at } else { 0 };
        if is_inside {
            relaxed.text.extend(std::iter::repeat_n(' ', added));
            changed = true;
        } else {
            opened_at = line.trim_end().chars().count();
        }
        relaxed.added.push(u32::try_from(added).unwrap_or(u32::MAX));
        let body = scan(line, &mut state, &mut relaxed.text, &mut changed);
        if state.brackets == 0 && state.quote.is_none() && is_block_header(body) {
            block_indent = Some(indent);
        }
    }
    changed.then_some(relaxed)
}

/// Copies a line, with tabs behind `:` and `-` as spaces, and follows its brackets and quotes. Returns the line without comment.
fn scan<'l>(line: &'l str, state: &mut State, out: &mut String, changed: &mut bool) -> &'l str {
    let mut before = ' ';
    let mut characters = line.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let mut shown = c;
        match state.quote {
            Some('"') if c == '\\' => {
                out.push(c);
                if let Some((_, escaped)) = characters.next() {
                    out.push(escaped);
                }
                continue;
            }
            Some('\'') if c == '\'' && characters.peek().is_some_and(|(_, next)| *next == '\'') => {
                out.push(c);
                characters.next();
            }
            Some(quote) => {
                if c == quote {
                    state.quote = None;
                }
            }
            None => match c {
                '#' if before.is_whitespace() => {
                    out.push_str(&line[at..]);
                    return &line[..at];
                }
                // A quote opens only where a value may begin.
                '"' | '\'' if before.is_whitespace() || matches!(before, '[' | '{' | ',' | ':') => {
                    state.quote = Some(c)
                }
                '[' | '{' if state.brackets > 0 || before.is_whitespace() => state.brackets += 1,
                ']' | '}' => state.brackets = state.brackets.saturating_sub(1),
                '\t' if matches!(before, ':' | '-') => {
                    shown = ' ';
                    *changed = true;
                }
                _ => {}
            },
        }
        out.push(shown);
        before = c;
    }
    line
}

/// Whether the line ends in `|` or `>`, with or without indicators.
fn is_block_header(line: &str) -> bool {
    let last = line.trim_end().rsplit([' ', '\t']).next().unwrap_or_default();
    last.starts_with(['|', '>']) && last[1..].chars().all(|c| matches!(c, '+' | '-') || c.is_ascii_digit())
}
