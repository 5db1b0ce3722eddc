//! The gRPC API `kontiki.v1`: generated messages and services, and the conversions between them and the domain's types.
//!
//! Invariant: domain types never derive protobuf. Those of `common` are converted here and nowhere else; what cannot be converted
//! is refused with the name of the field.

pub mod access;
pub mod alert;
pub mod client;
pub mod description;
pub mod dial;
pub mod health;
pub mod invalid;
pub mod microbatch;
pub mod project;
pub mod run;
pub mod scalar;
pub mod schedule;
pub mod session;
pub mod task;
pub mod tls;
pub mod transcript;

/// Messages, clients and servers as generated.
#[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated")]
pub mod v1 {
    tonic::include_proto!("kontiki.v1");
}

/// What KEDA asks, as generated.
#[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated")]
pub mod externalscaler {
    tonic::include_proto!("externalscaler");
}

/// The encoded `FileDescriptorSet`, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kontiki.v1.bin"));
