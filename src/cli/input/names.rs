//! Names of inputs: ids in results, and paths of results without their ending.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path};

/// How a name may be made, from the shortest to the plainest; then the same with where an excerpt ends.
const PLAIN_LEVELS: usize = 4;
const LEVELS: usize = 2 * PLAIN_LEVELS;

/// What names are made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Given by a list; nothing else will do.
    pub id: Option<String>,
    /// As the user wrote it, or found in a folder.
    pub path: String,
    /// The part of the path below the folder that was asked for.
    pub below: String,
    /// Where an excerpt starts, and how long it is if that is told.
    pub excerpt_ms: Option<(u64, Option<u64>)>,
}

impl Origin {
    fn name(&self, level: usize) -> String {
        if let Some(id) = &self.id {
            return plain(id);
        }
        let (lengths, level) = (level >= PLAIN_LEVELS, level % PLAIN_LEVELS);
        let path = if level < 2 { &self.below } else { &self.path };
        let path = if level.is_multiple_of(2) {
            Path::new(path).with_extension("").to_string_lossy().into_owned()
        } else {
            path.clone()
        };
        let name = plain(&path);
        match self.excerpt_ms {
            None => name,
            Some((0, _)) if !lengths => name,
            Some((start, Some(length))) if lengths => format!("{name}-{start:07}-{length:07}"),
            Some((start, _)) => format!("{name}-{start:07}"),
        }
    }
}

/// Names that differ wherever the paths do: as short as that allows.
pub fn assign(origins: &[Origin]) -> Vec<String> {
    let mut levels = vec![0; origins.len()];
    loop {
        let names: Vec<_> = origins.iter().zip(&levels).map(|(o, level)| o.name(*level)).collect();
        // What is listed twice is one and the same.
        let mut bearers: HashMap<&str, HashSet<&Origin>> = HashMap::new();
        for (name, origin) in names.iter().zip(origins) {
            bearers.entry(name).or_default().insert(origin);
        }
        let mut changed = false;
        for (level, name) in levels.iter_mut().zip(&names) {
            if bearers[name.as_str()].len() > 1 && *level + 1 < LEVELS {
                *level += 1;
                changed = true;
            }
        }
        if !changed {
            return names;
        }
    }
}

/// A path that leads nowhere else: no root, no `..`.
pub fn plain(path: &str) -> String {
    let parts = Path::new(path).components().filter_map(|part| match part {
        Component::Normal(part) => Some(part.to_string_lossy()),
        _ => None,
    });
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(paths: &[(&str, &str)]) -> Vec<String> {
        let origin = |(path, below): &(&str, &str)| Origin {
            id: None,
            path: (*path).into(),
            below: (*below).into(),
            excerpt_ms: None,
        };
        assign(&paths.iter().map(origin).collect::<Vec<_>>())
    }

    #[test]
    fn names_are_short_until_they_meet() {
        assert_eq!(names(&[("x/a.wav", "a.wav"), ("b.flac", "b.flac")]), ["a", "b"]);
        assert_eq!(names(&[("a.wav", "a.wav"), ("a.flac", "a.flac")]), ["a.wav", "a.flac"]);
        assert_eq!(names(&[("x/a.wav", "a.wav"), ("y/a.wav", "a.wav")]), ["x/a", "y/a"]);
        assert_eq!(names(&[("x/d/a.wav", "d/a.wav"), ("b.wav", "b.wav")]), ["d/a", "b"]);
        assert_eq!(names(&[("a.wav", "a.wav"), ("a.wav", "a.wav")]), ["a", "a"]);
        assert_eq!(names(&[("../../etc/a.wav", "../a.wav"), ("/a.flac", "/b")]), ["a", "b"]);
    }

    #[test]
    fn ids_and_excerpts_keep_theirs() {
        let origin = |id: Option<&str>, excerpt_ms| Origin {
            id: id.map(str::to_owned),
            path: "a.wav".into(),
            below: "a.wav".into(),
            excerpt_ms,
        };
        let excerpt = |start, length| origin(None, Some((start, length)));
        let all = [origin(Some("utt 1"), None), excerpt(0, None), excerpt(1500, Some(10))];
        assert_eq!(assign(&all), ["utt 1", "a", "a-0001500"]);
        let same_start = [excerpt(500, Some(1000)), excerpt(500, Some(2000)), excerpt(0, Some(1))];
        let expected = ["a-0000500-0001000", "a-0000500-0002000", "a"];
        assert_eq!(assign(&same_start), expected);
    }
}
