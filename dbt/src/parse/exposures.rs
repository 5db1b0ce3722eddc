//! Exposures.

use std::sync::Arc;

use common::diagnostic::Code;
use common::manifest::{DependsOn, Exposure, Manifest};
use common::{Diagnostic, Json, JsonMap, NodeId};

use super::config::Kind;
use super::draft::extend_unique;
use super::job::Job;
use super::package::Layers;
use super::patch;
use super::properties_files::PropertiesFile;
use super::{calls, fqn, python_text};
use crate::jinja::Template;
use crate::jinja::ast::ExprKind;
use crate::properties::ExposureProperties;
use crate::resolve::place::Places;

/// Adds the enabled exposures of all files.
pub fn read(
    job: &Job<'_>,
    files: &[PropertiesFile],
    manifest: &mut Manifest,
    places: &mut Places,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for file in files {
        for properties in &file.properties.exposures {
            let exposure = make(job, file, properties, diagnostics);
            if !exposure.enabled {
                continue;
            }
            let place = file.source.at(properties.span);
            places.insert(exposure.unique_id.clone(), place.clone());
            if let Some(other) = manifest.exposures.get(&exposure.unique_id) {
                let message = format!(
                    "dbt found two exposures with the name \"{}\": {} and {}",
                    exposure.name, other.original_file_path, exposure.original_file_path
                );
                diagnostics.push(Diagnostic::error(Code::DuplicateName, message).at(place));
                continue;
            }
            manifest.exposures.insert(exposure.unique_id.clone(), exposure);
        }
    }
}

fn make(
    job: &Job<'_>,
    file: &PropertiesFile,
    properties: &ExposureProperties,
    diagnostics: &mut Vec<Diagnostic>,
) -> Exposure {
    let package = &job.packages[file.package];
    let fqn = fqn::of_path(package.name(), &file.relative_path, &properties.name);
    let (rendered, unrendered) = (properties.config.to_json(), properties.unrendered_config.to_json());
    let layers =
        Layers { fqn: &fqn, kind: Kind::Exposure, patch: Some((&rendered, &unrendered)), calls: &JsonMap::new() };
    let mut problems = Vec::new();
    let merged = package.merged(job.root(), layers, &mut problems);
    let enabled = merged.get("enabled").unwrap_or(&Json::Bool(true));
    if !enabled.is_boolean() {
        let message = format!("expected True or False, got {}", python_text::repr_of(enabled));
        problems.push(super::config::Problem { key: "enabled".to_owned(), message });
    }
    let enabled = enabled.as_bool().unwrap_or(true);
    for problem in problems {
        let message =
            format!("exposure '{}': invalid value for config '{}': {}", properties.name, problem.key, problem.message);
        diagnostics.push(Diagnostic::error(Code::InvalidConfig, message).at(file.source.at(properties.span)));
    }
    let mut meta = properties.meta.clone();
    if let Some(Json::Object(more)) = merged.get("meta") {
        meta.extend(more.clone());
    }
    let mut tags = properties.tags.clone();
    match merged.get("tags") {
        Some(Json::String(tag)) => tags.push(tag.clone()),
        Some(Json::Array(more)) => tags.extend(more.iter().filter_map(|tag| tag.as_str().map(str::to_owned))),
        _ => {}
    }
    tags.sort();
    tags.dedup();
    let mut config = merged;
    config.insert("enabled".to_owned(), Json::Bool(enabled));
    config.insert("tags".to_owned(), Json::from(tags.clone()));
    config.insert("meta".to_owned(), Json::Object(meta.clone()));
    let mut exposure = Exposure {
        unique_id: NodeId::from(format!("exposure.{}.{}", package.name(), properties.name)),
        name: properties.name.clone(),
        package_name: package.name().to_owned(),
        path: file.relative_path.clone(),
        original_file_path: file.path.clone(),
        fqn,
        exposure_type: properties.type_.clone(),
        label: properties.label.clone(),
        maturity: properties.maturity.clone(),
        url: properties.url.clone(),
        description: properties.description.clone(),
        owner: properties.owner.clone(),
        meta,
        tags,
        enabled,
        config,
        refs: Vec::new(),
        sources: Vec::new(),
        depends_on: DependsOn::default(),
    };
    for (text, span) in &properties.depends_on {
        match patch::reference(text.trim()) {
            Some(recorded) => {
                extend_unique(&mut exposure.refs, recorded.refs);
                extend_unique(&mut exposure.sources, recorded.sources);
            }
            None if is_metric(text) => {
                let message = format!("exposure '{}' depends on {text}, which is not in the manifest", properties.name);
                diagnostics.push(Diagnostic::warning(Code::LeftOut, message).at(file.source.at(*span)));
            }
            None => {
                let message = format!(
                    "exposure '{}' depends on '{text}', which is neither a ref() nor a source()",
                    properties.name
                );
                diagnostics.push(Diagnostic::error(Code::YamlShape, message).at(file.source.at(*span)));
            }
        }
    }
    exposure
}

/// Whether the text is `metric('…')`.
fn is_metric(text: &str) -> bool {
    let Ok(template) = Template::parse(Arc::from(""), Arc::from(format!("{{{{ {text} }}}}"))) else { return false };
    let mut found = false;
    calls::visit(&template.body, &mut |_, call| {
        found |= matches!(&call.callee.kind, ExprKind::Name(name) if &*name.name == "metric");
    });
    found
}
