//! Entries of `groups:`.

use common::JsonMap;
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use crate::yaml::{Fields, Span};

/// A group of nodes with an owner.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupProperties {
    pub name: String,
    /// The place of the name.
    pub span: Span,
    #[serde(with = "common::json_codec::map")]
    pub owner: JsonMap,
    pub description: Option<String>,
    #[serde(with = "common::json_codec::map")]
    pub config: JsonMap,
}

impl GroupProperties {
    pub fn read(_: &Entry, mut fields: Fields<'_>) -> Option<Self> {
        let (name, span) = fields.name()?;
        let group = Self {
            name,
            span,
            owner: owner(&mut fields),
            description: fields.text("description"),
            config: fields.json_map("config"),
        };
        fields.finish();
        Some(group)
    }
}

/// `owner:`, which needs a `name` or an `email`; other keys are kept.
pub fn owner(fields: &mut Fields<'_>) -> JsonMap {
    let owner = fields.json_map("owner");
    let given = |key: &str| owner.get(key).is_some_and(|value| !value.is_null());
    if !given("name") && !given("email") {
        let message = format!("{} needs an 'owner' with a 'name' or an 'email'", fields.what());
        let span = fields.span();
        fields.error(span, message);
    }
    owner
}
