//! What a file is, by its folder and suffix.

use serde::{Deserialize, Serialize};

use crate::project::Paths;

/// The kinds of files dbt reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FileKind {
    Macro,
    Model,
    Snapshot,
    Analysis,
    SingularTest,
    /// `{% test %}` blocks in the folder `generic` of a test folder.
    GenericTest,
    Seed,
    /// Markdown with `{% docs %}` blocks.
    Docs,
    /// `schema.yml` and the like.
    Properties,
    /// Data of unit tests, in the folder `fixtures` of a test folder.
    Fixture,
    Function,
}

impl FileKind {
    pub const ALL: [FileKind; 11] = [
        Self::Macro,
        Self::Model,
        Self::Snapshot,
        Self::Analysis,
        Self::SingularTest,
        Self::GenericTest,
        Self::Seed,
        Self::Docs,
        Self::Properties,
        Self::Fixture,
        Self::Function,
    ];

    /// Lower case, with the dot.
    pub fn suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Macro | Self::Snapshot | Self::Analysis | Self::SingularTest | Self::GenericTest => &[".sql"],
            Self::Model | Self::Function => &[".sql", ".py"],
            Self::Seed => &[".csv"],
            Self::Docs => &[".md"],
            Self::Properties => &[".yml", ".yaml"],
            Self::Fixture => &[".csv", ".sql"],
        }
    }

    /// The folders in which files of this kind are searched.
    pub fn folders(self, paths: &Paths) -> Vec<String> {
        let below = |folder: &str| paths.test.iter().map(|path| format!("{path}/{folder}")).collect();
        match self {
            Self::Macro => paths.macros.clone(),
            Self::Model => paths.model.clone(),
            Self::Snapshot => paths.snapshot.clone(),
            Self::Analysis => paths.analysis.clone(),
            Self::SingularTest => paths.test.clone(),
            Self::GenericTest => below("generic"),
            Self::Seed => paths.seed.clone(),
            Self::Docs => paths.docs.clone(),
            Self::Properties => paths.properties(),
            Self::Fixture => below("fixtures"),
            Self::Function => paths.function.clone(),
        }
    }
}
