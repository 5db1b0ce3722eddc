//! What an attempt leaves for people to read: packed by workers, unpacked for clients. Nothing between them looks inside.
//!
//! Invariant: whatever the bytes are, reading them takes no more memory than [`UNPACKED_BYTES_MAX`].

use std::io::{Read, Write};

use common::transcript::{Level, LogLine, PACKED_BYTES_MAX, Packed, Transcript};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use prost::Message;

use crate::invalid::Invalid;
use crate::scalar::{timestamp, to_timestamp};
use crate::v1;

/// Longest transcript as a message, in bytes: what gRPC takes unless told otherwise, and room for what is around it.
pub const UNPACKED_BYTES_MAX: u64 = 3 << 20;

/// The bytes of a transcript; of its log alone, with a line about that, where all of it would be too long.
pub fn pack(transcript: &Transcript) -> Packed {
    if transcript.is_empty() {
        return Packed::default();
    }
    if let Some(packed) = fitting(transcript) {
        return packed;
    }
    let at = transcript.log.last().map(|line| line.at).unwrap_or_default();
    let message = "the SQL of this attempt is too long to be kept".to_owned();
    let mut log = transcript.log.clone();
    log.push(LogLine { at, level: Level::Warn, message });
    fitting(&Transcript { compiled_code: None, run_code: None, log }).unwrap_or_default()
}

fn fitting(transcript: &Transcript) -> Option<Packed> {
    let message = wire(transcript).encode_to_vec();
    if message.len() as u64 > UNPACKED_BYTES_MAX {
        return None;
    }
    // Written to memory, which does not fail.
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(message.len() / 3), Compression::fast());
    encoder.write_all(&message).ok()?;
    encoder.finish().ok().filter(|bytes| bytes.len() <= PACKED_BYTES_MAX).map(Packed)
}

/// As clients see it.
pub fn unpack(packed: &[u8]) -> Result<v1::Transcript, Invalid> {
    let unreadable = |error: &dyn std::fmt::Display| Invalid::new("transcript", format!("cannot be read: {error}"));
    let mut message = Vec::new();
    let mut decoder = ZlibDecoder::new(packed).take(UNPACKED_BYTES_MAX + 1);
    decoder.read_to_end(&mut message).map_err(|error| unreadable(&error))?;
    if message.len() as u64 > UNPACKED_BYTES_MAX {
        return Err(unreadable(&"it is too long"));
    }
    v1::Transcript::decode(message.as_slice()).map_err(|error| unreadable(&error))
}

/// How long it is in an answer.
pub fn bytes(transcript: &v1::Transcript) -> usize {
    transcript.encoded_len()
}

fn wire(transcript: &Transcript) -> v1::Transcript {
    v1::Transcript {
        compiled_code: transcript.compiled_code.clone(),
        run_code: transcript.run_code.clone(),
        log: transcript.log.iter().map(line).collect(),
    }
}

fn line(line: &LogLine) -> v1::LogLine {
    let level = match line.level {
        Level::Debug => v1::LogLevel::Debug,
        Level::Info => v1::LogLevel::Info,
        Level::Warn => v1::LogLevel::Warn,
        Level::Error => v1::LogLevel::Error,
    };
    v1::LogLine { at: Some(timestamp(line.at)), level: level.into(), message: line.message.clone() }
}

/// A line of a level that only a newer version knows is taken for information.
pub fn to_line(line: v1::LogLine) -> LogLine {
    let level = match line.level() {
        v1::LogLevel::Debug => Level::Debug,
        v1::LogLevel::Info | v1::LogLevel::Unspecified => Level::Info,
        v1::LogLevel::Warn => Level::Warn,
        v1::LogLevel::Error => Level::Error,
    };
    LogLine { at: to_timestamp(line.at), level, message: line.message }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use common::Timestamp;

    use super::*;

    fn transcript(code: &str) -> Transcript {
        let log = vec![LogLine { at: Timestamp(7), level: Level::Info, message: "compiled".to_owned() }];
        Transcript { compiled_code: Some(code.to_owned()), run_code: Some(format!("create view v as {code}")), log }
    }

    /// Text that does not compress.
    fn noise(bytes: usize) -> String {
        let mut seed = 1u64;
        let mut draw = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            char::from(b'!' + (seed % 90) as u8)
        };
        (0..bytes).map(|_| draw()).collect()
    }

    #[test]
    fn what_was_packed_is_read_again() {
        let told = transcript("select 1");
        let read = unpack(&pack(&told).0).unwrap();
        assert_eq!(read.compiled_code.as_deref(), Some("select 1"));
        assert_eq!(read.run_code.as_deref(), Some("create view v as select 1"));
        assert_eq!(read.log.into_iter().map(to_line).collect::<Vec<_>>(), told.log);
        assert!(pack(&Transcript::default()).is_empty());
    }

    #[test]
    fn sql_that_repeats_itself_takes_little_room() {
        let packed = pack(&transcript(&"union all select 1 as id\n".repeat(40_000)));
        assert!(packed.0.len() < 20_000, "{packed:?}");
    }

    #[test]
    fn what_is_too_long_leaves_its_log() {
        let read = unpack(&pack(&transcript(&noise(400_000))).0).unwrap();
        assert_eq!((read.compiled_code, read.run_code), (None, None));
        let messages: Vec<String> = read.log.into_iter().map(|line| line.message).collect();
        assert_eq!(messages, ["compiled", "the SQL of this attempt is too long to be kept"]);
    }

    #[test]
    fn bytes_that_are_no_transcript_are_refused() {
        let bomb = {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
            for _ in 0..40 {
                encoder.write_all(&vec![0; 1 << 20]).unwrap();
            }
            encoder.finish().unwrap()
        };
        for (bytes, expected) in
            [(bomb.as_slice(), "it is too long"), (b"select 1", "cannot be read"), (b"", "cannot be read")]
        {
            assert!(unpack(bytes).unwrap_err().to_string().contains(expected));
        }
    }
}
