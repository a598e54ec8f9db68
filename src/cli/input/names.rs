//! Names of inputs: ids in results, and paths of results without their ending.

use std::collections::HashMap;
use std::path::{Component, Path};

/// How a name may be made, from the shortest to the plainest.
const LEVELS: usize = 4;

/// What names are made of.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Given by a list; nothing else will do.
    pub id: Option<String>,
    /// As the user wrote it, or found in a folder.
    pub path: String,
    /// The part of the path below the folder that was asked for.
    pub below: String,
    /// Where an excerpt starts.
    pub offset_ms: Option<u64>,
}

impl Origin {
    fn name(&self, level: usize) -> String {
        if let Some(id) = &self.id {
            return plain(id);
        }
        let path = if level < 2 { &self.below } else { &self.path };
        let path = if level.is_multiple_of(2) {
            Path::new(path).with_extension("").to_string_lossy().into_owned()
        } else {
            path.clone()
        };
        let name = plain(&path);
        self.offset_ms.map_or(name.clone(), |ms| format!("{name}-{ms:07}"))
    }
}

/// Names that differ wherever the paths do: as short as that allows.
pub fn assign(origins: &[Origin]) -> Vec<String> {
    let mut levels = vec![0; origins.len()];
    loop {
        let names: Vec<_> = origins.iter().zip(&levels).map(|(o, level)| o.name(*level)).collect();
        let mut count: HashMap<&str, usize> = HashMap::new();
        for name in &names {
            *count.entry(name).or_default() += 1;
        }
        let mut changed = false;
        for (level, name) in levels.iter_mut().zip(&names) {
            if count[name.as_str()] > 1 && *level + 1 < LEVELS {
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
fn plain(path: &str) -> String {
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
            offset_ms: None,
        };
        assign(&paths.iter().map(origin).collect::<Vec<_>>())
    }

    #[test]
    fn names_are_short_until_they_meet() {
        assert_eq!(names(&[("x/a.wav", "a.wav"), ("b.flac", "b.flac")]), ["a", "b"]);
        assert_eq!(names(&[("a.wav", "a.wav"), ("a.flac", "a.flac")]), ["a.wav", "a.flac"]);
        assert_eq!(names(&[("x/a.wav", "a.wav"), ("y/a.wav", "a.wav")]), ["x/a", "y/a"]);
        assert_eq!(names(&[("x/d/a.wav", "d/a.wav"), ("b.wav", "b.wav")]), ["d/a", "b"]);
        assert_eq!(names(&[("a.wav", "a.wav"), ("a.wav", "a.wav")]), ["a.wav", "a.wav"]);
        assert_eq!(names(&[("../../etc/a.wav", "../a.wav"), ("/a.flac", "/b")]), ["a", "b"]);
    }

    #[test]
    fn ids_and_excerpts_keep_theirs() {
        let origin = |id: Option<&str>, offset_ms| Origin {
            id: id.map(str::to_owned),
            path: "a.wav".into(),
            below: "a.wav".into(),
            offset_ms,
        };
        let all = [origin(Some("utt 1"), None), origin(None, Some(0)), origin(None, Some(1500))];
        assert_eq!(assign(&all), ["utt 1", "a-0000000", "a-0001500"]);
    }
}
