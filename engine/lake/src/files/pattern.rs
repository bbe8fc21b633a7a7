//! Patterns over paths: `*`, `?` and `[a-z]` within a name, `**` for any number of folders.

/// Where a path's pattern begins: the folder before it, and the rest. `None` when the path has no pattern.
pub(super) fn split(path: &str) -> Option<(&str, &str)> {
    let first = path.find(['*', '?', '['])?;
    let folder_end = path.get(..first)?.rfind('/').map_or(0, |slash| slash + 1);
    Some((path.get(..folder_end)?, path.get(folder_end..)?))
}

/// Whether a path below the folder matches.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
    let path: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    folders_match(&pattern, &path)
}

/// One row of a table over the path's parts, for each part of the pattern: time is their product.
fn folders_match(pattern: &[&str], path: &[&str]) -> bool {
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    for part in pattern {
        let mut next = vec![false; path.len() + 1];
        for (place, reachable) in reached.iter().enumerate() {
            if !reachable {
                continue;
            }
            if *part == "**" {
                next.iter_mut().skip(place).for_each(|reached| *reached = true);
            } else if path.get(place).is_some_and(|name| name_matches(part, name)) {
                next[place + 1] = true;
            }
        }
        reached = next;
    }
    reached.last().copied().unwrap_or(false)
}

fn name_matches(pattern: &str, name: &str) -> bool {
    let pattern = parts(pattern);
    let name: Vec<char> = name.chars().collect();
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for part in &pattern {
        let mut next = vec![false; name.len() + 1];
        for (place, reachable) in reached.iter().enumerate() {
            if !reachable {
                continue;
            }
            match part {
                Part::Any => next.iter_mut().skip(place).for_each(|reached| *reached = true),
                other => {
                    if name.get(place).is_some_and(|character| other.takes(*character)) {
                        next[place + 1] = true;
                    }
                }
            }
        }
        reached = next;
    }
    reached.last().copied().unwrap_or(false)
}

enum Part {
    Any,
    One,
    Same(char),
    Of { ranges: Vec<(char, char)>, inverted: bool },
}

impl Part {
    fn takes(&self, character: char) -> bool {
        match self {
            Part::Any | Part::One => true,
            Part::Same(own) => *own == character,
            Part::Of { ranges, inverted } => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&character)) != *inverted
            }
        }
    }
}

fn parts(pattern: &str) -> Vec<Part> {
    let mut parts = vec![];
    let mut rest: &[char] = &pattern.chars().collect::<Vec<_>>();
    while let [first, tail @ ..] = rest {
        rest = tail;
        parts.push(match first {
            '*' => Part::Any,
            '?' => Part::One,
            '[' => match class(tail) {
                Some((part, behind)) => {
                    rest = behind;
                    part
                }
                None => Part::Same('['),
            },
            other => Part::Same(*other),
        });
    }
    parts
}

/// `abc]`, `a-z]`, `!a]`: the class, and what stands behind it.
fn class(text: &[char]) -> Option<(Part, &[char])> {
    let end = text.iter().skip(1).position(|character| *character == ']')? + 1;
    let (inside, behind) = (text.get(..end)?, text.get(end + 1..)?);
    let (inverted, mut inside) = match inside {
        ['!' | '^', inside @ ..] => (true, inside),
        inside => (false, inside),
    };
    let mut ranges = vec![];
    while let [from, tail @ ..] = inside {
        let (to, tail) = match tail {
            ['-', to, tail @ ..] => (to, tail),
            tail => (from, tail),
        };
        ranges.push((*from, *to));
        inside = tail;
    }
    Some((Part::Of { ranges, inverted }, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stay_within_a_folder_unless_told() {
        for (pattern, path, expected) in [
            ("*.csv", "a.csv", true),
            ("*.csv", "b/a.csv", false),
            ("**/*.csv", "b/c/a.csv", true),
            ("**/*.csv", "a.csv", true),
            ("year=*/x?.csv", "year=2026/x1.csv", true),
            ("[a-c]*[!0-9].csv", "b12x.csv", true),
            ("[a-c]*[!0-9].csv", "b12.csv", false),
            ("a[", "a[", true),
            ("**", "a/b", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
        assert_eq!(split("/data/x*/y"), Some(("/data/", "x*/y")));
        assert_eq!(split("x?"), Some(("", "x?")));
        assert_eq!(split("/data/x"), None);
    }
}
