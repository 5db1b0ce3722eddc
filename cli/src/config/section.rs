//! What a section of the file is, and how one is declared.

use super::layers::Layers;

/// One setting, for people.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// In the file, and as a flag: `data-dir`.
    pub key: &'static str,
    pub help: &'static str,
    /// As text; empty where the setting is absent unless it is given.
    pub default: &'static str,
    /// What a value looks like: `DURATION`.
    pub kind: &'static str,
}

/// A struct of settings that `settings!` declares.
pub trait Section: Sized {
    const NAME: &'static str;
    const SETTINGS: &'static [Setting];

    /// Takes the settings out of the layers; what cannot be read becomes a finding and keeps its default.
    fn read(layers: &mut Layers) -> Self;
}

/// Declares a section: the struct, and what is known of each of its fields.
macro_rules! section {
    ($(#[$about:meta])* $name:ident = $section:literal {
        $(#[doc = $help:literal] $key:literal $field:ident: $kind:ty = $default:literal,)*
    }) => {
        $(#[$about])*
        #[derive(Clone, Debug)]
        pub struct $name {
            $(#[doc = $help] pub $field: $kind,)*
        }

        impl $crate::config::Section for $name {
            const NAME: &'static str = $section;
            const SETTINGS: &'static [$crate::config::Setting] = &[$($crate::config::Setting {
                key: $key,
                help: $help,
                default: $default,
                kind: <$kind as $crate::config::value::Value>::KIND,
            }),*];

            fn read(layers: &mut $crate::config::Layers) -> Self {
                Self { $($field: layers.take($section, $key, $default)),* }
            }
        }
    };
}

pub(super) use section;
