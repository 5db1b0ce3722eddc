//! Types of settings: how they are written and shown.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A value as a layer has it, before the setting's type is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raw {
    /// Everything on the command line and in the environment; strings, numbers and booleans of the file.
    Text(String),
    List(Vec<String>),
    Table(BTreeMap<String, String>),
}

/// A setting's type.
pub trait Value: Sized {
    /// As help names it.
    const KIND: &'static str;

    fn from_text(text: &str) -> Result<Self, String>;

    fn from_raw(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Text(text) => Self::from_text(text),
            Raw::List(_) => Err("a list is not expected here".to_owned()),
            Raw::Table(_) => Err("a table is not expected here".to_owned()),
        }
    }

    /// As TOML; `None` for a value that is absent.
    fn to_toml(&self) -> Option<String>;
}

/// A size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

/// Names and values that a worker carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(pub BTreeMap<String, String>);

/// The least severe lines that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

impl Value for String {
    const KIND: &'static str = "TEXT";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("it may not be empty".to_owned()) } else { Ok(text.to_owned()) }
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(self))
    }
}

impl Value for PathBuf {
    const KIND: &'static str = "PATH";

    fn from_text(text: &str) -> Result<Self, String> {
        String::from_text(text).map(Self::from)
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(&self.display().to_string()))
    }
}

impl<T: Value> Value for Option<T> {
    const KIND: &'static str = T::KIND;

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::from_text(text).map(Some) }
    }

    fn to_toml(&self) -> Option<String> {
        self.as_ref()?.to_toml()
    }
}

impl Value for bool {
    const KIND: &'static str = "BOOL";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(format!("'{other}' is neither true nor false")),
        }
    }

    fn to_toml(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for u32 {
    const KIND: &'static str = "NUMBER";

    fn from_text(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(0) => Err("it must be at least 1".to_owned()),
            Ok(number) => Ok(number),
            Err(_) => Err(format!("'{text}' is not a whole number below 2^32")),
        }
    }

    fn to_toml(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for Duration {
    const KIND: &'static str = "DURATION";

    fn from_text(text: &str) -> Result<Self, String> {
        let (number, unit) = split_unit(text);
        let number: u64 =
            number.parse().map_err(|_| format!("'{text}' is not a duration such as 500ms, 10s, 5m or 1h"))?;
        let millis_each = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(format!("'{text}' has no unit: ms, s, m or h")),
        };
        let millis = number.checked_mul(millis_each).filter(|millis| *millis > 0);
        millis.map(Self::from_millis).ok_or_else(|| format!("'{text}' is out of range"))
    }

    fn to_toml(&self) -> Option<String> {
        let millis = self.as_millis();
        let shown = match millis {
            _ if !millis.is_multiple_of(1_000) => format!("{millis}ms"),
            _ if !millis.is_multiple_of(60_000) => format!("{}s", millis / 1_000),
            _ if !millis.is_multiple_of(3_600_000) => format!("{}m", millis / 60_000),
            _ => format!("{}h", millis / 3_600_000),
        };
        Some(quoted(&shown))
    }
}

const SIZES: [(&str, u32); 5] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];

impl Value for Bytes {
    const KIND: &'static str = "SIZE";

    fn from_text(text: &str) -> Result<Self, String> {
        let (number, unit) = split_unit(text);
        let number: u64 = number.parse().map_err(|_| format!("'{text}' is not a size such as 512MiB or 2GiB"))?;
        let Some((_, shift)) = SIZES.iter().find(|(name, _)| *name == unit) else {
            return Err(format!("'{text}' has no unit: B, KiB, MiB, GiB or TiB"));
        };
        number.checked_mul(1 << shift).map(Self).ok_or_else(|| format!("'{text}' is out of range"))
    }

    fn to_toml(&self) -> Option<String> {
        let fits = |(_, shift): &&(&str, u32)| self.0.is_multiple_of(1_u64 << shift);
        let (name, shift) = SIZES.iter().find(fits).unwrap_or(&SIZES[4]);
        Some(quoted(&format!("{}{name}", self.0 >> shift)))
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    (number, unit.trim_start())
}

impl Value for Vec<String> {
    const KIND: &'static str = "LIST";

    /// Separated by commas.
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
    }

    fn from_raw(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Text(text) => Self::from_text(text),
            Raw::List(items) => Ok(items.clone()),
            Raw::Table(_) => Err("a table is not expected here".to_owned()),
        }
    }

    fn to_toml(&self) -> Option<String> {
        Some(format!("[{}]", self.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", ")))
    }
}

impl Value for Labels {
    const KIND: &'static str = "NAME=VALUE,…";

    fn from_text(text: &str) -> Result<Self, String> {
        let pairs = Vec::<String>::from_text(text)?;
        let pairs = pairs.into_iter().map(|pair| match pair.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
            _ => Err(format!("'{pair}' is not of the form name=value")),
        });
        pairs.collect::<Result<_, _>>().map(Self)
    }

    fn from_raw(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Text(text) => Self::from_text(text),
            Raw::List(items) => Self::from_text(&items.join(",")),
            Raw::Table(labels) => Ok(Self(labels.clone())),
        }
    }

    fn to_toml(&self) -> Option<String> {
        let pairs: Vec<String> =
            self.0.iter().map(|(name, value)| format!("{} = {}", quoted(name), quoted(value))).collect();
        Some(if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) })
    }
}

impl Value for LogLevel {
    const KIND: &'static str = "LEVEL";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "debug" => Ok(Self::Debug),
            "info" => Ok(Self::Info),
            "warn" => Ok(Self::Warn),
            "error" => Ok(Self::Error),
            _ => Err(format!("'{text}' is none of debug, info, warn and error")),
        }
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }))
    }
}

impl Value for LogFormat {
    const KIND: &'static str = "FORMAT";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("'{text}' is neither text nor json")),
        }
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(match self {
            Self::Text => "text",
            Self::Json => "json",
        }))
    }
}
