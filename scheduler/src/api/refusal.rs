//! How a client is told that its request was not carried out: a status, and details that a program can read (google.rpc).
//!
//! Invariant: `UNAVAILABLE` and `FAILED_PRECONDITION` with reason `NOT_LEADER` say that nothing was done; where that is not
//! known the status is `UNKNOWN`, and only a request that carries an id may be sent again.

use std::collections::HashMap;
use std::time::Duration;

use proto::client::LEADER_ADDRESS;
use proto::invalid::Invalid;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::Rejection;
use crate::replica::Error;

/// Names us in the details of an error.
pub(super) const DOMAIN: &str = "kontiki";
/// After this a client may try again.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// The replica could not do it.
pub fn failed(error: &Error) -> Status {
    let (code, reason) = match error {
        Error::NotLeader { .. } => (Code::FailedPrecondition, "NOT_LEADER"),
        Error::Unknown { .. } => (Code::Unknown, "OUTCOME_UNKNOWN"),
        Error::Unavailable { .. } => (Code::Unavailable, "UNAVAILABLE"),
        Error::Membership(_) => (Code::FailedPrecondition, "MEMBERSHIP"),
        Error::WrongPeer(_) => (Code::FailedPrecondition, "WRONG_CLUSTER"),
        Error::Config(_) => (Code::Internal, "CONFIGURATION"),
        Error::Store(_) => (Code::Internal, "STORAGE"),
        Error::Stopped(_) => (Code::Unavailable, "STOPPED"),
    };
    let mut metadata = HashMap::new();
    if let Error::NotLeader { leader } = error {
        let address = leader.as_ref().map(|leader| leader.address.clone()).unwrap_or_default();
        metadata.insert(LEADER_ADDRESS.to_owned(), address);
    }
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, metadata);
    if error.is_retryable() {
        details.set_retry_info(Some(RETRY_DELAY));
    }
    Status::with_error_details(code, error.to_string(), details)
}

/// The state did not allow it.
pub fn rejected(rejection: &Rejection) -> Status {
    let (code, reason) = match rejection {
        Rejection::UnknownRun(_) => (Code::NotFound, "UNKNOWN_RUN"),
        Rejection::UnknownWorker(_) => (Code::NotFound, "UNKNOWN_WORKER"),
        Rejection::UnknownNode(_) => (Code::NotFound, "UNKNOWN_NODE"),
        Rejection::UnknownBundle(_) => (Code::NotFound, "UNKNOWN_BUNDLE"),
        Rejection::RunExists(_) => (Code::AlreadyExists, "RUN_EXISTS"),
        Rejection::RunActive(_) => (Code::FailedPrecondition, "RUN_ACTIVE"),
        Rejection::RunFinished(_) => (Code::FailedPrecondition, "RUN_FINISHED"),
        Rejection::NothingToRetry(_) => (Code::FailedPrecondition, "NOTHING_TO_RETRY"),
        Rejection::MissingBlobs { .. } => (Code::FailedPrecondition, "MISSING_BLOBS"),
        Rejection::BlobOutOfPlace { .. } => (Code::Aborted, "BLOB_OUT_OF_PLACE"),
        Rejection::StorageFull { .. } => (Code::ResourceExhausted, "STORAGE_FULL"),
        Rejection::PlanTooLarge { .. } => (Code::ResourceExhausted, "PLAN_TOO_LARGE"),
        Rejection::BundleTooLarge { .. } => (Code::ResourceExhausted, "BUNDLE_TOO_LARGE"),
        Rejection::BlobTooLarge { .. } => (Code::ResourceExhausted, "BLOB_TOO_LARGE"),
        Rejection::AlreadyApplied { .. } => (Code::Internal, "ALREADY_APPLIED"),
        Rejection::DuplicateNode(_) => (Code::Internal, "DUPLICATE_NODE"),
        Rejection::UpstreamOutOfOrder(_) => (Code::Internal, "UPSTREAM_OUT_OF_ORDER"),
        Rejection::UnknownPool { .. } => (Code::InvalidArgument, "UNKNOWN_POOL"),
        Rejection::NoAttempts => (Code::InvalidArgument, "NO_ATTEMPTS"),
        Rejection::SlotsOutOfRange { .. } => (Code::InvalidArgument, "SLOTS_OUT_OF_RANGE"),
        Rejection::InvalidPath(_) => (Code::InvalidArgument, "INVALID_PATH"),
        Rejection::NameTooLong { .. } => (Code::InvalidArgument, "NAME_TOO_LONG"),
        Rejection::TooManyLabels { .. } => (Code::InvalidArgument, "TOO_MANY_LABELS"),
        Rejection::TooManyPools { .. } => (Code::ResourceExhausted, "TOO_MANY_POOLS"),
        Rejection::UnknownSchedule(_) => (Code::NotFound, "UNKNOWN_SCHEDULE"),
        Rejection::TooManySchedules { .. } => (Code::ResourceExhausted, "TOO_MANY_SCHEDULES"),
        Rejection::ScheduleChanged(_) => (Code::FailedPrecondition, "SCHEDULE_CHANGED"),
        Rejection::TickDecided { .. } => (Code::FailedPrecondition, "TICK_DECIDED"),
        Rejection::TickTooEarly { .. } => (Code::FailedPrecondition, "TICK_TOO_EARLY"),
        Rejection::UnknownBackfill(_) => (Code::NotFound, "UNKNOWN_BACKFILL"),
        Rejection::BackfillEnded(_) => (Code::FailedPrecondition, "BACKFILL_ENDED"),
        Rejection::BackfillOutOfRange { .. } => (Code::InvalidArgument, "BACKFILL_OUT_OF_RANGE"),
        Rejection::TooManyBackfills { .. } => (Code::ResourceExhausted, "TOO_MANY_BACKFILLS"),
        Rejection::UnknownChannel(_) => (Code::NotFound, "UNKNOWN_CHANNEL"),
        Rejection::TooManyChannels { .. } => (Code::ResourceExhausted, "TOO_MANY_CHANNELS"),
    };
    Status::with_error_details(
        code,
        rejection.to_string(),
        ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new()),
    )
}

/// A field cannot be what was meant.
pub fn invalid(invalid: &Invalid) -> Status {
    let mut details = ErrorDetails::with_bad_request_violation(invalid.field, &invalid.problem);
    details.set_error_info("INVALID_FIELD", DOMAIN, HashMap::new());
    Status::with_error_details(Code::InvalidArgument, invalid.to_string(), details)
}

/// There is nothing of that name.
pub fn not_found(what: impl Into<String>) -> Status {
    let details = ErrorDetails::with_error_info("NOT_FOUND", DOMAIN, HashMap::new());
    Status::with_error_details(Code::NotFound, what, details)
}

/// More than this replica takes.
pub fn exhausted(what: impl Into<String>) -> Status {
    let details = ErrorDetails::with_error_info("LIMIT", DOMAIN, HashMap::new());
    Status::with_error_details(Code::ResourceExhausted, what, details)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::replica::Member;

    #[test]
    fn who_leads_is_in_the_details() {
        let leader = Member { address: "b:4728".to_owned(), ..Member::default() };
        let status = failed(&Error::NotLeader { leader: Some(Box::new(leader)) });
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(proto::client::leader_of(&status).as_deref(), Some("b:4728"));
        let nobody = failed(&Error::NotLeader { leader: None });
        assert_eq!(proto::client::leader_of(&nobody).as_deref(), Some(""));
    }

    #[test]
    fn a_bad_field_is_named() {
        let status = invalid(&Invalid::missing("run_id"));
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, "run_id");
        assert_eq!(status.message(), "run_id is missing");
    }
}
