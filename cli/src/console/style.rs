//! Colours, as dbt uses them: green for done, yellow for warnings, red for failures; bright ones in tables.

/// Whether and how text is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    pub colors: bool,
}

impl Style {
    pub fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }

    pub fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    pub fn bold(self, text: &str) -> String {
        self.paint("0;1", text)
    }

    pub fn bright_green(self, text: &str) -> String {
        self.paint("32;1", text)
    }

    pub fn bright_red(self, text: &str) -> String {
        self.paint("31;1", text)
    }

    pub fn bright_blue(self, text: &str) -> String {
        self.paint("34;1", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colors { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
