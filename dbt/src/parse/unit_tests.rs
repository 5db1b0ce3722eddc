//! Unit tests: from the entries of `unit_tests:` to nodes, their rows read from wherever they stand.
//!
//! Source of the rules: dbt's documentation of unit tests, and its behaviour. Which model a test is about is found when names are
//! resolved (`resolve::unit_tests`), after all models are known.

use common::diagnostic::{Code, Location};
use common::manifest::{Manifest, Node, ResourceType};
use common::unit_test::{Given, UnitTest};
use common::{Diagnostic, JsonMap, NodeId};
use sha2::{Digest, Sha256};

use super::config::Kind;
use super::draft::{self, Identity};
use super::finish::{self, ConfigPlaces};
use super::fixtures::Fixtures;
use super::fqn;
use super::job::Job;
use super::package::Layers;
use super::properties_files::PropertiesFile;
use crate::properties::UnitTestProperties;

/// The unit tests of all files, each with its place. One whose rows cannot be read is left out, with a finding.
pub fn read(
    job: &Job<'_>,
    files: &[PropertiesFile],
    manifest: &Manifest,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<(Node, Location)> {
    let mut nodes = Vec::new();
    if files.iter().all(|file| file.properties.unit_tests.is_empty()) {
        return nodes;
    }
    let fixtures: Vec<Fixtures<'_>> =
        job.packages.iter().map(|package| Fixtures::of(package, manifest, diagnostics)).collect();
    for file in files {
        for properties in &file.properties.unit_tests {
            match unit_test(&fixtures[file.package], properties) {
                Ok(test) => {
                    let place = file.source.at(properties.span);
                    nodes.push((node(job, file, properties, test, diagnostics), place));
                }
                Err((message, span)) => {
                    diagnostics.push(Diagnostic::error(Code::UnitTestInvalid, message).at(file.source.at(span)));
                }
            }
        }
    }
    nodes
}

fn unit_test(
    fixtures: &Fixtures<'_>,
    properties: &UnitTestProperties,
) -> Result<UnitTest, (String, crate::yaml::Span)> {
    let mut given = Vec::with_capacity(properties.given.len());
    for written in &properties.given {
        let fixture = fixtures.read(&written.fixture, Some(&written.input));
        let fixture = fixture.map_err(|problem| (problem.describe(&properties.name, "input"), written.fixture.span))?;
        given.push(Given { input: written.input.clone(), node: None, fixture });
    }
    let expect = fixtures.read(&properties.expect, None);
    let expect = expect.map_err(|problem| (problem.describe(&properties.name, "expected"), properties.expect.span))?;
    let mut test = UnitTest {
        model: properties.model.clone(),
        given,
        expect,
        overrides: properties.overrides.clone(),
        versions: properties.versions.clone(),
        version: None,
        checksum: String::new(),
    };
    test.checksum = checksum(&test);
    Ok(test)
}

/// Of everything but the description.
fn checksum(test: &UnitTest) -> String {
    let bytes = postcard::to_stdvec(test).expect("a unit test is plain data, which postcard can always encode");
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn node(
    job: &Job<'_>,
    file: &PropertiesFile,
    properties: &UnitTestProperties,
    test: UnitTest,
    diagnostics: &mut Vec<Diagnostic>,
) -> Node {
    let package = &job.packages[file.package];
    let below = file.path.split_once('/').map_or(file.path.as_str(), |(_, below)| below);
    let mut fqn = fqn::of_path(package.name(), below, &test.model);
    fqn.push(properties.name.clone());
    let identity = Identity {
        resource_type: ResourceType::UnitTest,
        package_name: package.name(),
        name: &properties.name,
        path: file.relative_path.clone(),
        original_file_path: &file.path,
        fqn,
    };
    let mut node = draft::node(identity, job.target);
    node.unique_id = NodeId::from(format!("{}.{}.{}.{}", node.resource_type, node.package_name, test.model, node.name));
    node.description.clone_from(&properties.description);
    node.raw_code_line = properties.model_span.line;

    let (rendered, calls) = (properties.config.to_json(), JsonMap::new());
    let layers = Layers { fqn: &node.fqn, kind: Kind::UnitTest, patch: Some((&rendered, &rendered)), calls: &calls };
    let configured = package.configure(job.root(), layers);
    let places = ConfigPlaces {
        job,
        package: file.package,
        kind: Kind::UnitTest,
        file: &file.source.file,
        patch: None,
        calls: &calls,
    };
    finish::report_problems(&places, &node, configured.problems, diagnostics);
    node.config = configured.config;
    node.tags.clone_from(&node.config.tags);
    node.unit_test = Some(Box::new(test));
    node
}
