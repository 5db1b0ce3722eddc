//! Where a template writes: text, or in dbt's native environment the values themselves.

use crate::jinja::error::Error;
use crate::jinja::native;
use crate::jinja::value::Value;

pub(super) struct Output {
    text: String,
    /// In the native environment: what came before `text`, which holds the constants since the last value.
    pieces: Option<Vec<Value>>,
}

impl Output {
    pub(super) fn text() -> Self {
        Self { text: String::new(), pieces: None }
    }

    pub(super) fn native() -> Self {
        Self { text: String::new(), pieces: Some(Vec::new()) }
    }

    pub(super) fn is_native(&self) -> bool {
        self.pieces.is_some()
    }

    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Only for native output.
    pub(super) fn push_value(&mut self, value: Value) {
        self.flush();
        if let Some(pieces) = &mut self.pieces {
            pieces.push(value);
        }
    }

    /// Ends a run of constants: jinja2 joins them as long as no statement comes between.
    pub(super) fn flush(&mut self) {
        if let Some(pieces) = self.pieces.as_mut().filter(|_| !self.text.is_empty()) {
            pieces.push(Value::from(std::mem::take(&mut self.text)));
        }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    pub(super) fn into_value(mut self) -> std::result::Result<Value, Box<Error>> {
        self.flush();
        native::concat(self.pieces.unwrap_or_default())
    }
}
