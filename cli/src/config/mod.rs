//! The settings of Kontiki's processes: defaults, then a file, then the environment, then flags.
//!
//! ```text
//! default < kontiki.toml (--config, KONTIKI_CONFIG) < KONTIKI_<SECTION>_<KEY> < --<key>
//! ```
//!
//! A setting is declared once, in `settings`; its key in the file, its variable, its flag, its help and its page follow from that.
//! Invariant: nothing is passed over: a key that no section has, and a value that a setting cannot have, are findings, and a process
//! with findings does not start.

mod environment;
mod file;
mod flags;
mod layers;
mod section;
mod settings;
mod value;

use std::path::PathBuf;

use common::Diagnostic;

pub use flags::Flags;
pub use layers::Layers;
pub use section::{Section, Setting};
pub use settings::{Log, Server, Tls, Worker};
pub use value::{Labels, LogFormat, LogLevel};

/// Every section of the file.
const SECTIONS: [(&str, &[Setting]); 4] = [
    (Server::NAME, Server::SETTINGS),
    (Worker::NAME, Worker::SETTINGS),
    (Tls::NAME, Tls::SETTINGS),
    (Log::NAME, Log::SETTINGS),
];

/// Where the settings of this process come from.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct Source {
    /// The file with the settings
    #[arg(long, env = "KONTIKI_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl Source {
    /// The layers below the flags.
    pub fn layers(&self) -> Layers {
        let variables = std::env::vars_os();
        let env = variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Layers::new(self.config.as_deref(), env.collect())
    }
}

/// A value in the form that settings have, for other flags.
pub fn parse<T: value::Value>(text: &str) -> Result<T, String> {
    T::from_text(text)
}

/// `kontiki config check`: every setting as TOML, each with where its value came from.
pub fn describe(layers: &mut Layers) -> (String, Vec<Diagnostic>) {
    layers.read::<Server>();
    layers.read::<Worker>();
    layers.read::<Tls>();
    layers.read::<Log>();
    let mut text = String::new();
    for (section, settings) in SECTIONS {
        text.push_str(&format!("[{section}]\n"));
        for setting in settings {
            if let Some(effective) = layers.effective(section, setting.key) {
                text.push_str(&format!("{effective}\n"));
            }
        }
        text.push('\n');
    }
    (text.trim_end().to_owned(), layers.take_findings())
}

#[cfg(test)]
mod tests;
