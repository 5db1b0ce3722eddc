//! Names of relations that an attempt builds before it publishes them.
//!
//! Invariant: no two attempts, of whatever runs and schedulers, build under one name; and no relation of the user's has such a
//! name. Whether the attempt behind a name still lives is not in the name: `Connection::hold` is the sign of that.

use common::{Epoch, RunId};

const MARK: &str = "__kontiki_";
/// PostgreSQL cuts names off at 63 bytes, silently; a swap puts `__old` behind the name for a moment.
const NAME_BYTES_MAX: usize = 63 - "__old".len();
const RUN_DIGITS: usize = 8;

/// Who builds: the run, and the attempt's epoch in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Builder {
    pub run: RunId,
    pub epoch: Epoch,
}

impl std::fmt::Display for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The end of a run's id is its random part.
        write!(f, "{:0RUN_DIGITS$x}_{}", self.run.0.as_u128() as u32, self.epoch)
    }
}

/// `<identifier>__kontiki_<end of the run's id>_<epoch>`; where that is too long, the identifier gives way, and a digest of the
/// whole keeps it unique.
pub fn name(identifier: &str, builder: Builder) -> String {
    let suffix = format!("{MARK}{builder}");
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

/// Whether some attempt made a relation of this name.
pub fn is_staging(identifier: &str) -> bool {
    let Some((base, builder)) = identifier.rsplit_once(MARK) else { return false };
    let Some((run, epoch)) = builder.split_once('_') else { return false };
    let is_run =
        run.len() == RUN_DIGITS && run.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let is_epoch = !epoch.is_empty()
        && epoch.bytes().all(|byte| byte.is_ascii_digit())
        && (epoch == "0" || !epoch.starts_with('0'));
    !base.is_empty() && is_run && is_epoch
}

/// FNV-1a: stable across versions of Rust, which the standard hasher is not.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder(epoch: u64) -> Builder {
        Builder { run: RunId(uuid::Uuid::from_u128(0xffff_ffff_0000_00ab)), epoch: Epoch(epoch) }
    }

    #[test]
    fn names_and_recognises() {
        assert_eq!(name("orders", builder(17)), "orders__kontiki_000000ab_17");
        assert!(is_staging("orders__kontiki_000000ab_17"));
        for other in [
            "orders",
            "orders__kontiki_",
            "orders__kontiki_17",
            "orders__kontiki_000000ab_",
            "orders__kontiki_000000ab_017",
            "orders__kontiki_000000AB_17",
            "orders__kontiki_ab_17",
            "orders__kontiki_000000ab_17__old",
            "__kontiki_000000ab_1",
        ] {
            assert!(!is_staging(other), "{other}");
        }
    }

    #[test]
    fn long_names_stay_unique_and_leave_room() {
        let long = "é".repeat(40);
        let other = format!("{}x", "é".repeat(39));
        let a = name(&long, builder(u64::MAX));
        let b = name(&other, builder(u64::MAX));
        assert!(a.len() <= 58 && b.len() <= 58);
        assert_ne!(a, b);
        assert!(is_staging(&a));
    }
}
