//! What a project declares and Kontiki's manifest does not hold: told by kind, name and place.

use common::Diagnostic;
use common::diagnostic::Code;

use super::properties_files::PropertiesFile;
use crate::properties::{LeftOutEntry, LeftOutSection};

/// A finding for each entry.
pub fn report(files: &[PropertiesFile], diagnostics: &mut Vec<Diagnostic>) {
    for file in files {
        let findings = file.properties.left_out.iter().map(|entry| finding(entry).at(file.source.at(entry.span)));
        diagnostics.extend(findings);
    }
}

fn finding(entry: &LeftOutEntry) -> Diagnostic {
    let (one, many) = entry.section.words();
    match entry.section {
        // Models call functions: without them they would fail one by one.
        LeftOutSection::Functions => {
            let message = format!("{one} '{}': {many} are not supported yet", entry.name);
            Diagnostic::error(Code::Unsupported, message)
        }
        LeftOutSection::Metrics | LeftOutSection::SemanticModels | LeftOutSection::SavedQueries => {
            let message = format!("{one} '{}' is left out of the manifest: no build executes {many}", entry.name);
            Diagnostic::warning(Code::LeftOut, message)
                .hint("tools that query metrics need a manifest that dbt itself wrote")
        }
    }
}
