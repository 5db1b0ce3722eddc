//! Shell patterns as Python's `fnmatch` has them: `*`, `?`, `[abc]`, `[a-z]`, `[!abc]`; `*` crosses dots and slashes.

/// Whether all of `text` matches `pattern`, letter case included. Linear in space; at most quadratic in time.
pub fn fnmatch(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let pattern = parse(pattern);
    let (mut at, mut part) = (0, 0);
    // Where to go on when a match fails: behind the last star, one character later each time.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match pattern.get(part) {
            Some(Part::Star) => {
                retry = Some((at, part + 1));
                part += 1;
                continue;
            }
            Some(part_here) if at < text.len() && part_here.matches(text[at]) => {
                at += 1;
                part += 1;
                continue;
            }
            None if at == text.len() => return true,
            _ => {}
        }
        match retry {
            Some((from, behind)) if from < text.len() => {
                retry = Some((from + 1, behind));
                at = from + 1;
                part = behind;
            }
            _ => return false,
        }
    }
}

enum Part {
    Star,
    Any,
    Literal(char),
    Set { negated: bool, ranges: Vec<(char, char)> },
}

impl Part {
    fn matches(&self, c: char) -> bool {
        match self {
            Self::Star | Self::Any => true,
            Self::Literal(literal) => *literal == c,
            Self::Set { negated, ranges } => ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated,
        }
    }
}

fn parse(pattern: &str) -> Vec<Part> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut parts = Vec::with_capacity(chars.len());
    let mut at = 0;
    while at < chars.len() {
        match chars[at] {
            '*' => parts.push(Part::Star),
            '?' => parts.push(Part::Any),
            '[' => match set(&chars, at) {
                Some((set, end)) => {
                    parts.push(set);
                    at = end;
                }
                // An opening bracket that is never closed stands for itself.
                None => parts.push(Part::Literal('[')),
            },
            literal => parts.push(Part::Literal(literal)),
        }
        at += 1;
    }
    parts
}

/// The set that begins at `start`, and where its closing bracket is.
fn set(chars: &[char], start: usize) -> Option<(Part, usize)> {
    let negated = chars.get(start + 1) == Some(&'!');
    let first = start + 1 + usize::from(negated);
    // A bracket right after the beginning belongs to the set.
    let end = (first + 1..chars.len()).find(|&at| chars[at] == ']')?;
    let mut ranges = Vec::new();
    let mut at = first;
    while at < end {
        if at + 2 < end && chars[at + 1] == '-' {
            ranges.push((chars[at], chars[at + 2]));
            at += 3;
        } else {
            ranges.push((chars[at], chars[at]));
            at += 1;
        }
    }
    Some((Part::Set { negated, ranges }, end))
}

#[cfg(test)]
mod tests {
    use super::fnmatch;

    #[test]
    fn matches_as_python_does() {
        for (text, pattern, expected) in [
            ("stg_orders", "stg_*", true),
            ("stg_orders", "*orders", true),
            ("stg_orders", "s*g*rs", true),
            ("stg_orders", "stg", false),
            ("a.b/c", "a*c", true),
            ("abc", "a?c", true),
            ("abc", "a[xb]c", true),
            ("abc", "a[!b]c", false),
            ("a5c", "a[0-9]c", true),
            ("a]c", "a[]]c", true),
            ("a[c", "a[c", true),
            ("ABC", "abc", false),
            ("", "*", true),
            ("", "?", false),
            ("é", "?", true),
        ] {
            assert_eq!(fnmatch(text, pattern), expected, "{text} {pattern}");
        }
        let text = "a".repeat(2_000);
        assert!(!fnmatch(&text, &format!("{}b", "a*".repeat(50))));
    }
}
