//! Writes free-form JSON inside typed structs so that formats that do not describe themselves can read it back.
//!
//! `serde_json::Value` can only be read from a format that tells what comes next, which postcard (the parse cache, the log) does
//! not. Fields of that type name one of the modules here in `#[serde(with = …)]`: human-readable formats see plain JSON, the
//! others a tagged form. Invariant: what was written is read back equal, order of keys and kind of numbers included.

use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Json, JsonMap};

/// A JSON value with its kind written before it.
#[derive(Serialize, Deserialize)]
enum Tagged {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
    List(Vec<Tagged>),
    Object(Vec<(String, Tagged)>),
}

/// The same, borrowed, for writing without a copy. Variants are in the order of `Tagged`.
#[derive(Serialize)]
enum TaggedRef<'a> {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(&'a str),
    List(Vec<TaggedRef<'a>>),
    Object(Vec<(&'a str, TaggedRef<'a>)>),
}

impl<'a> From<&'a Json> for TaggedRef<'a> {
    fn from(value: &'a Json) -> Self {
        match value {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => {
                if let Some(value) = number.as_i64() {
                    Self::Signed(value)
                } else if let Some(value) = number.as_u64() {
                    Self::Unsigned(value)
                } else {
                    Self::Float(number.as_f64().unwrap_or(f64::NAN))
                }
            }
            Json::String(text) => Self::Text(text),
            Json::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Json::Object(map) => Self::Object(entries(map)),
        }
    }
}

fn entries(map: &JsonMap) -> Vec<(&str, TaggedRef<'_>)> {
    map.iter().map(|(key, value)| (key.as_str(), TaggedRef::from(value))).collect()
}

impl From<Tagged> for Json {
    fn from(value: Tagged) -> Self {
        match value {
            Tagged::Null => Json::Null,
            Tagged::Bool(value) => Json::Bool(value),
            Tagged::Signed(value) => Json::from(value),
            Tagged::Unsigned(value) => Json::from(value),
            Tagged::Float(value) => Json::from(value),
            Tagged::Text(text) => Json::String(text),
            Tagged::List(items) => Json::Array(items.into_iter().map(Json::from).collect()),
            Tagged::Object(entries) => Json::Object(object(entries)),
        }
    }
}

fn object(entries: Vec<(String, Tagged)>) -> JsonMap {
    entries.into_iter().map(|(key, value)| (key, Json::from(value))).collect()
}

fn write<S, P, T>(serializer: S, plain: &P, tagged: impl FnOnce() -> T) -> Result<S::Ok, S::Error>
where
    S: Serializer,
    P: Serialize,
    T: Serialize,
{
    if serializer.is_human_readable() { plain.serialize(serializer) } else { tagged().serialize(serializer) }
}

fn read<'de, D, P, T>(deserializer: D, convert: impl FnOnce(T) -> P) -> Result<P, D::Error>
where
    D: Deserializer<'de>,
    P: DeserializeOwned,
    T: DeserializeOwned,
{
    if deserializer.is_human_readable() {
        P::deserialize(deserializer)
    } else {
        T::deserialize(deserializer).map(convert)
    }
}

/// For a `Json` field.
pub mod value {
    use super::*;

    pub fn serialize<S: Serializer>(value: &Json, serializer: S) -> Result<S::Ok, S::Error> {
        write(serializer, value, || TaggedRef::from(value))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        read(deserializer, |value: Tagged| value.into())
    }
}

/// For a `JsonMap` field.
pub mod map {
    use super::*;

    pub fn serialize<S: Serializer>(map: &JsonMap, serializer: S) -> Result<S::Ok, S::Error> {
        write(serializer, map, || entries(map))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<JsonMap, D::Error> {
        read(deserializer, object)
    }
}

/// For an `Option<Json>` field.
pub mod option {
    use super::*;

    pub fn serialize<S: Serializer>(value: &Option<Json>, serializer: S) -> Result<S::Ok, S::Error> {
        write(serializer, value, || value.as_ref().map(TaggedRef::from))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
        read(deserializer, |value: Option<Tagged>| value.map(Json::from))
    }
}

/// For a `Vec<Json>` field.
pub mod list {
    use super::*;

    pub fn serialize<S: Serializer>(items: &[Json], serializer: S) -> Result<S::Ok, S::Error> {
        write(serializer, &items, || items.iter().map(TaggedRef::from).collect::<Vec<_>>())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Json>, D::Error> {
        read(deserializer, |items: Vec<Tagged>| items.into_iter().map(Json::from).collect())
    }
}

/// For an `Option<Vec<Json>>` field.
pub mod option_list {
    use super::*;

    pub fn serialize<S: Serializer>(items: &Option<Vec<Json>>, serializer: S) -> Result<S::Ok, S::Error> {
        let tagged = || items.as_ref().map(|items| items.iter().map(TaggedRef::from).collect::<Vec<_>>());
        write(serializer, items, tagged)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Json>>, D::Error> {
        read(deserializer, |items: Option<Vec<Tagged>>| items.map(|items| items.into_iter().map(Json::from).collect()))
    }
}

/// For a `Vec<JsonMap>` field.
pub mod maps {
    use super::*;

    pub fn serialize<S: Serializer>(maps: &[JsonMap], serializer: S) -> Result<S::Ok, S::Error> {
        write(serializer, &maps, || maps.iter().map(entries).collect::<Vec<_>>())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<JsonMap>, D::Error> {
        read(deserializer, |maps: Vec<Vec<(String, Tagged)>>| maps.into_iter().map(object).collect())
    }
}

/// For an `IndexMap<String, Json>` field.
pub mod index_map {
    use super::*;

    pub fn serialize<S: Serializer>(map: &IndexMap<String, Json>, serializer: S) -> Result<S::Ok, S::Error> {
        write(serializer, map, || {
            map.iter().map(|(key, value)| (key.as_str(), TaggedRef::from(value))).collect::<Vec<_>>()
        })
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IndexMap<String, Json>, D::Error> {
        read(deserializer, |entries: Vec<(String, Tagged)>| {
            entries.into_iter().map(|(key, value)| (key, Json::from(value))).collect()
        })
    }
}
