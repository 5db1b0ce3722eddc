//! Names of relations that an attempt builds before it publishes them.
//!
//! Invariant: a name says which attempt made it, so that what dead attempts left behind is found and dropped, and nothing else.

use common::Epoch;

const MARK: &str = "__kontiki_";
/// PostgreSQL cuts names off at this many bytes, silently.
const NAME_BYTES_MAX: usize = 63;

/// `<identifier>__kontiki_<epoch>`; where that is too long, the identifier gives way, and a digest of the whole keeps it unique.
pub fn name(identifier: &str, epoch: Epoch) -> String {
    let suffix = format!("{MARK}{epoch}");
    if identifier.len() + suffix.len() <= NAME_BYTES_MAX {
        return format!("{identifier}{suffix}");
    }
    let digest = format!("_{:08x}", fnv1a(identifier) as u32);
    let mut keep = NAME_BYTES_MAX - suffix.len() - digest.len();
    while !identifier.is_char_boundary(keep) {
        keep -= 1;
    }
    format!("{}{digest}{suffix}", &identifier[..keep])
}

/// The attempt that made a relation of this name; `None` for any other relation.
pub fn epoch_of(identifier: &str) -> Option<Epoch> {
    let (base, digits) = identifier.rsplit_once(MARK)?;
    let canonical = !base.is_empty()
        && !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    if canonical { digits.parse().ok().map(Epoch) } else { None }
}

/// FNV-1a: stable across versions of Rust, which the standard hasher is not.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_recognises() {
        assert_eq!(name("orders", Epoch(17)), "orders__kontiki_17");
        assert_eq!(epoch_of("orders__kontiki_17"), Some(Epoch(17)));
        for other in ["orders", "orders__kontiki_", "orders__kontiki_017", "orders__kontiki_x", "__kontiki_1"] {
            assert_eq!(epoch_of(other), None, "{other}");
        }
    }

    #[test]
    fn long_names_stay_unique_and_whole() {
        let long = "é".repeat(40);
        let other = format!("{}x", "é".repeat(39));
        let a = name(&long, Epoch(u64::MAX));
        let b = name(&other, Epoch(u64::MAX));
        assert!(a.len() <= NAME_BYTES_MAX && b.len() <= NAME_BYTES_MAX);
        assert_ne!(a, b);
        assert_eq!(epoch_of(&a), Some(Epoch(u64::MAX)));
    }
}
