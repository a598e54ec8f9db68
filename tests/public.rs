//! The public interface is what `docs/public-items.txt` lists, and small.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::common::root;

/// More is no small interface.
const MAX_ITEMS: usize = 200;

/// What rustdoc says of the library.
fn documented() -> Value {
    let target = root().join("target/public-items");
    let ran = Command::new(env!("CARGO"))
        .current_dir(root())
        .args(["rustdoc", "--quiet", "--lib", "--no-default-features", "--features", "media"])
        .arg("--target-dir")
        .arg(&target)
        .args(["--", "-Z", "unstable-options", "--output-format", "json"])
        .arg("--document-hidden-items")
        // The output as JSON is not stable; this lets the stable compiler make it.
        .env("RUSTC_BOOTSTRAP", "1")
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let json = std::fs::read_to_string(target.join("doc/vivavoce.json")).unwrap();
    serde_json::from_str(&json).unwrap()
}

struct Walk<'a> {
    items: &'a Value,
    found: BTreeSet<String>,
}

impl Walk<'_> {
    fn item(&self, id: &Value) -> Option<(&Value, &str, &Value)> {
        let item = &self.items[id.to_string().trim_matches('"')];
        let hidden = item["attrs"].to_string().contains("hidden");
        let (kind, inner) = item["inner"].as_object()?.iter().next()?;
        (!hidden).then_some((item, kind.as_str(), inner))
    }

    /// Adds what `id` names below `path`, unless it is hidden or not public.
    fn visit(&mut self, id: &Value, path: &str) {
        let Some((item, kind, inner)) = self.item(id) else { return };
        let (kind, inner) = (kind.to_owned(), inner.clone());
        if kind == "use" {
            // It stands where it is re-exported, even out of a hidden module.
            return self.visit(&inner["id"], path);
        }
        let public = item["visibility"] == "public" || item["visibility"] == "default";
        let Some(name) = item["name"].as_str().filter(|_| public) else { return };
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}::{name}") };
        if path != "vivavoce" {
            self.found.insert(path.strip_prefix("vivavoce::").unwrap_or(&path).to_owned());
        }
        for list in [&inner["items"], &inner["variants"], &inner["impls"]] {
            for id in list.as_array().into_iter().flatten() {
                self.part(id, &path);
            }
        }
        for kind in ["plain", "struct"] {
            for id in inner["kind"][kind]["fields"].as_array().into_iter().flatten() {
                self.part(id, &path);
            }
        }
    }

    fn part(&mut self, id: &Value, path: &str) {
        let Some((_, kind, inner)) = self.item(id) else { return };
        if kind != "impl" {
            return self.visit(id, path);
        }
        // What a trait demands is the trait's.
        if inner["trait"].is_null() {
            for id in inner["items"].clone().as_array().into_iter().flatten() {
                self.visit(id, path);
            }
        }
    }
}

fn public_items() -> BTreeSet<String> {
    let json = documented();
    let mut walk = Walk { items: &json["index"], found: BTreeSet::new() };
    walk.visit(&json["root"], "");
    walk.found
}

/// `VIVAVOCE_WRITE_ITEMS=1` writes the list anew.
#[test]
#[ignore = "documents the library, which takes a while; ./test.sh runs it"]
fn public_items_are_listed_and_few() {
    let found = public_items();
    let path = root().join("docs/public-items.txt");
    if std::env::var_os("VIVAVOCE_WRITE_ITEMS").is_some() {
        let lines: Vec<_> = found.iter().map(String::as_str).collect();
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    }
    let listed = std::fs::read_to_string(&path).unwrap();
    let listed: BTreeSet<String> = listed.lines().map(str::to_owned).collect();
    let new: Vec<_> = found.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(new.is_empty() && gone.is_empty(), "new: {new:#?}\ngone: {gone:#?}");
    println!("{} public items", found.len());
    assert!(found.contains("Recognizer::builder") && found.contains("transcript::Event::Final"));
    assert!(found.len() <= MAX_ITEMS, "{} public items", found.len());
}
