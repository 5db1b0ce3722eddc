//! Which resource types a verb is about, and `--resource-type`.

use std::collections::BTreeSet;

use common::manifest::ResourceType;
use common::run::Verb;

use super::Purpose;

/// What a verb selects: by default, and at most.
pub struct ResourceTypes {
    default: &'static [ResourceType],
    all: &'static [ResourceType],
    /// Only these count, whatever the flags say.
    only: Option<&'static [ResourceType]>,
}

const BUILD: &[ResourceType] = &[
    ResourceType::Model,
    ResourceType::Snapshot,
    ResourceType::Seed,
    ResourceType::Test,
    ResourceType::UnitTest,
    ResourceType::SavedQuery,
    ResourceType::Exposure,
];
const TEST: &[ResourceType] = &[ResourceType::Test, ResourceType::UnitTest];
const COMPILE: &[ResourceType] = &[
    ResourceType::Model,
    ResourceType::Test,
    ResourceType::Snapshot,
    ResourceType::Analysis,
    ResourceType::Operation,
    ResourceType::Seed,
    ResourceType::Doc,
    ResourceType::SqlOperation,
];
/// Everything but what stands last, analyses.
const LIST: &[ResourceType] = match LIST_ALL.split_last() {
    Some((_, others)) => others,
    None => &[],
};
const LIST_ALL: &[ResourceType] = &[
    ResourceType::Model,
    ResourceType::Snapshot,
    ResourceType::Seed,
    ResourceType::Test,
    ResourceType::Source,
    ResourceType::Exposure,
    ResourceType::Metric,
    ResourceType::SavedQuery,
    ResourceType::SemanticModel,
    ResourceType::UnitTest,
    ResourceType::Analysis,
];

impl ResourceTypes {
    pub fn of(purpose: Purpose) -> Self {
        let fixed = |types| Self { default: types, all: types, only: Some(types) };
        match purpose {
            Purpose::List => Self { default: LIST, all: LIST_ALL, only: None },
            Purpose::Run(Verb::Build) => Self { default: BUILD, all: BUILD, only: None },
            Purpose::Run(Verb::Run) => fixed(&[ResourceType::Model]),
            Purpose::Run(Verb::Freshness) => fixed(&[ResourceType::Source]),
            Purpose::Run(Verb::Seed) => fixed(&[ResourceType::Seed]),
            Purpose::Run(Verb::Snapshot) => fixed(&[ResourceType::Snapshot]),
            Purpose::Run(Verb::Test) => Self { default: TEST, all: TEST, only: Some(TEST) },
            Purpose::Run(Verb::Compile | Verb::Show) => fixed(COMPILE),
        }
    }

    /// The types that are meant after `--resource-type` and `--exclude-resource-type`, which know `all` and `default` as well.
    pub fn chosen(&self, include: &[String], exclude: &[String]) -> Result<BTreeSet<ResourceType>, String> {
        let mut chosen = self.named(include)?;
        if include.is_empty() {
            chosen.extend(self.default);
        }
        for excluded in self.named(exclude)? {
            chosen.remove(&excluded);
        }
        if let Some(only) = self.only {
            chosen.retain(|chosen| only.contains(chosen));
        }
        Ok(chosen)
    }

    fn named(&self, names: &[String]) -> Result<BTreeSet<ResourceType>, String> {
        let mut types = BTreeSet::new();
        for name in names {
            match name.as_str() {
                "all" => types.extend(self.all),
                "default" => types.extend(self.default),
                name => {
                    let found = LIST_ALL.iter().find(|known| known.as_str() == name);
                    types.insert(*found.ok_or_else(|| format!("'{name}' is not a resource type"))?);
                }
            }
        }
        Ok(types)
    }
}
