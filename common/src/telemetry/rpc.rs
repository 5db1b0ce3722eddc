//! Calls between processes as spans of the trace of the run they are about. Names are OpenTelemetry's semantic conventions for gRPC.

use super::{Context, Kind, Span, SpanId, Status, attribute};
use crate::Timestamp;

/// Metadata of a call: the id that the caller's own span of it has in the run's trace, 16 hexadecimal digits. Which trace that is, a
/// caller who submits a run learns from the answer.
pub const SPAN_HEADER: &str = "kontiki-span";

/// What is the same on both sides of a call that has ended.
pub struct Rpc<'a> {
    /// As `kontiki.v1.RunService/SubmitRun`.
    pub method: &'static str,
    /// gRPC's name of the status, such as `OK`.
    pub code: &'static str,
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    /// Of the caller's side: where the call went.
    pub server: Option<&'a str>,
}

impl Rpc<'_> {
    /// `place` names the span itself.
    pub fn span(&self, place: Context, parent: SpanId, kind: Kind) -> Span {
        let mut span = Span::new(place, self.method, self.started_at, self.ended_at)
            .below(parent)
            .with(attribute::RPC_SYSTEM, "grpc")
            .with(attribute::RPC_METHOD, self.method)
            .with(attribute::RPC_STATUS, self.code)
            .with_some(attribute::SERVER_ADDRESS, self.server.map(str::to_owned));
        span.kind = kind;
        if self.code != "OK" {
            span.status = Status::Error(self.code.to_owned());
            span = span.with(attribute::ERROR_TYPE, self.code);
        }
        span
    }
}

/// Reads [`SPAN_HEADER`]; anything malformed is none.
pub fn parse_span(text: &str) -> Option<SpanId> {
    let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    is_hex.then(|| u64::from_str_radix(text, 16).ok()).flatten().filter(|id| *id != 0).map(SpanId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_as_it_is_written() {
        let id = SpanId(0xb7ad_6b71_6920_3331);
        assert_eq!(parse_span(&id.to_string()), Some(id));
        for malformed in ["", "0000000000000000", "b7ad6b716920333", "B7AD6B7169203331", "+7ad6b7169203331"] {
            assert_eq!(parse_span(malformed), None, "{malformed}");
        }
    }
}
