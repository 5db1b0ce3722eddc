//! The colors of a unit test's table: red is what was expected, green what the model gave.

use std::borrow::Cow;

use worker::diff::HEADING;

use super::Style;

/// A message as the console shows it; only the table of a unit test has colors within.
pub fn paint(message: &str, style: Style) -> Cow<'_, str> {
    let Some(table) = message.strip_prefix(HEADING).filter(|_| style.colors) else { return message.into() };
    let mut out = HEADING.replace("actual", &style.green("actual")).replace("expected", &style.red("expected"));
    let mut rows = Rows { style, mark: String::new() };
    for line in table.split_inclusive('\n') {
        let cells: Vec<String> = cells(line.trim_end_matches(['\r', '\n'])).map(|cell| rows.cell(cell)).collect();
        out.push_str(&cells.join(&style.yellow(",")));
        out.push_str(&line[line.trim_end_matches(['\r', '\n']).len()..]);
        rows.mark.clear();
    }
    out.into()
}

/// The cells of a line: commas within quotes separate nothing.
fn cells(line: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    line.split(move |character| {
        is_quoted ^= character == '"';
        character == ',' && !is_quoted
    })
}

struct Rows {
    style: Style,
    /// What the first cell of the line says; empty in front of it.
    mark: String,
}

impl Rows {
    fn cell(&mut self, cell: &str) -> String {
        let text = cell.trim_end_matches(' ');
        let padding = &cell[text.len()..];
        let is_first = self.mark.is_empty();
        if is_first {
            self.mark = if text.is_empty() { " ".to_owned() } else { text.to_owned() };
        }
        let style = self.style;
        let painted = match (self.mark.as_str(), text.split_once('→')) {
            ("@@", _) => style.bold(text),
            ("+++", _) => style.bright_green(text),
            ("---", _) => style.bright_red(text),
            ("→", Some(_)) if is_first => style.bright_blue(text),
            ("→", Some((old, new))) => {
                format!("{}{}{}", style.bright_red(old), style.bright_blue("→"), style.bright_green(new))
            }
            _ => text.to_owned(),
        };
        painted + padding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_colored() {
        let table = "@@ ,a    \r\n→  ,x→y  \r\n   ,same\r\n+++,\"1,2\"\r\n\n";
        let message = format!("{HEADING}{table}");
        let painted = paint(&message, Style { colors: true });
        let [bold, red, green, blue] = ["0;1", "31;1", "32;1", "34;1"].map(|code| format!("\u{1b}[{code}m"));
        let (end, comma) = ("\u{1b}[0m", "\u{1b}[33m,\u{1b}[0m");
        let lines = [
            format!("{bold}@@{end} {comma}{bold}a{end}    \r"),
            format!("{blue}→{end}  {comma}{red}x{end}{blue}→{end}{green}y{end}  \r"),
            format!("   {comma}same\r"),
            format!("{green}+++{end}{comma}{green}\"1,2\"{end}\r"),
        ];
        assert!(painted.contains(&lines.join("\n")), "{painted:?}");
        assert!(painted.starts_with("\n\n\u{1b}[32mactual\u{1b}[0m differs from \u{1b}[31mexpected\u{1b}[0m:\n\n"));
        assert_eq!(paint(&message, Style { colors: false }), message);
        assert_eq!(paint("Got 1 result", Style { colors: true }), "Got 1 result");
    }
}
