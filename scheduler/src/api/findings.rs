//! How a client is told what is wrong with its project, or with what it asked of it.
//!
//! Details of an error travel in a header, which has little room in many a client: the first findings have to do.

use std::collections::HashMap;

use common::Diagnostic;
use common::diagnostic::Code;
use tonic::Status;
use tonic_types::{ErrorDetails, PreconditionViolation, StatusExt};

use super::refusal::DOMAIN;

/// Findings that travel with an error, and characters of each.
const FINDINGS_MAX: usize = 10;
const TEXT_MAX: usize = 300;

/// Each finding is a violated precondition: its type is Kontiki's code, its subject the place in the project.
pub fn refuse(findings: &[Diagnostic]) -> Status {
    let errors: Vec<&Diagnostic> = findings.iter().filter(|finding| finding.is_error()).collect();
    let violation = |finding: &&Diagnostic| {
        let hint = finding.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        let description = shortened(&format!("{}{hint}", finding.message));
        PreconditionViolation::new(finding.code.as_str(), place(finding), description)
    };
    let shown: Vec<PreconditionViolation> = errors.iter().take(FINDINGS_MAX).map(violation).collect();
    let (message, code) = match errors.first() {
        Some(first) => (first_of(first, errors.len() - 1), first.code),
        None => ("the project cannot be parsed".to_owned(), Code::Internal),
    };
    let metadata = HashMap::from([("code".to_owned(), code.as_str().to_owned())]);
    let mut details = ErrorDetails::with_error_info("FINDINGS", DOMAIN, metadata);
    details.set_precondition_failure(shown);
    Status::with_error_details(tonic::Code::FailedPrecondition, message, details)
}

fn first_of(first: &Diagnostic, more: usize) -> String {
    let mut message = place(first);
    if !message.is_empty() {
        message.push_str(": ");
    }
    message.push_str(&shortened(&first.message));
    if more > 0 {
        message.push_str(&format!(" (and {more} more)"));
    }
    message
}

fn place(finding: &Diagnostic) -> String {
    let Some(location) = &finding.location else { return String::new() };
    match location.line {
        0 => location.file.to_string(),
        line => format!("{}:{line}:{}", location.file, location.column),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use common::diagnostic::Location;

    use super::*;

    #[test]
    fn the_first_finding_is_the_message_and_a_few_are_in_the_details() {
        let place = Location { line: 3, column: 5, ..Location::file("models/a.sql") };
        let wrong =
            |number: usize| Diagnostic::error(Code::SelectorInvalid, format!("wrong {number}")).at(place.clone());
        let warning = Diagnostic::warning(Code::NothingSelected, "a warning");
        let findings: Vec<Diagnostic> = std::iter::once(warning).chain((0..12).map(wrong)).collect();
        let status = refuse(&findings);
        assert_eq!(status.message(), "models/a.sql:3:5: wrong 0 (and 11 more)");
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().metadata["code"], Code::SelectorInvalid.as_str());
        let violations = &details.precondition_failure().unwrap().violations;
        assert_eq!(violations.len(), FINDINGS_MAX);
        assert_eq!(violations[9].description, "wrong 9");
        assert_eq!(violations[9].subject, "models/a.sql:3:5");
    }

    #[test]
    fn long_findings_fit_into_a_header() {
        let findings: Vec<Diagnostic> =
            (0..100).map(|_| Diagnostic::error(Code::Internal, "ä".repeat(10_000))).collect();
        assert!(refuse(&findings).details().len() < 8 << 10);
    }
}
