//! The house's own rules, read from the manifests and the sources: one copy of what must be one, arrows that point one
//! way, crates named by their owner alone, files that say what they own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Our crates: package, folder, and the packages of ours that it may depend on.
const ROOMS: &[(&str, &str, &[&str])] = &[
    ("alluvia-udfs", "udfs", &[]),
    ("alluvia-search", "engine/search", &["alluvia-udfs"]),
    ("alluvia-lake", "engine/lake", &["alluvia-udfs"]),
    ("alluvia-inference", "engine/inference", &["alluvia-udfs"]),
    ("alluvia-core", "engine/core", &["alluvia-udfs", "alluvia-search", "alluvia-lake", "alluvia-inference"]),
    ("alluvia-server", "server", &["alluvia-core"]),
];

/// Crates that only one of our crates may name.
const OWNED: &[(&str, &str)] = &[
    ("ort", "alluvia-inference"),
    ("tokenizers", "alluvia-inference"),
    ("reqwest", "alluvia-inference"),
    ("deltalake", "alluvia-lake"),
    ("pgwire", "alluvia-server"),
    ("sqlx", "alluvia-core"),
    ("usearch", "alluvia-search"),
    ("tantivy", "alluvia-search"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn manifest(folder: &str) -> toml::Table {
    fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap().parse().unwrap()
}

fn dependencies(folder: &str) -> BTreeSet<String> {
    manifest(folder)
        .get("dependencies")
        .and_then(|table| table.as_table())
        .map_or_else(BTreeSet::new, |table| table.keys().cloned().collect())
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn names_crate(text: &str, name: &str) -> bool {
    let path = format!("{}::", name.replace('-', "_"));
    text.lines().map(str::trim_start).filter(|line| !line.starts_with("//")).any(|line| {
        line.match_indices(&path).any(|(at, _)| {
            !line[..at]
                .chars()
                .next_back()
                .is_some_and(|before| before.is_alphanumeric() || before == '_' || before == ':')
        })
    })
}

#[test]
fn dependencies_point_one_way() {
    for (package, folder, allowed) in ROOMS {
        for dependency in dependencies(folder).iter().filter(|name| name.starts_with("alluvia-")) {
            assert!(allowed.contains(&dependency.as_str()), "{package} must not depend on {dependency}");
        }
        for path in sources(&root().join(folder).join("src")) {
            let text = fs::read_to_string(&path).unwrap();
            for (other, _, _) in ROOMS.iter().filter(|(other, _, _)| other != package && !allowed.contains(other)) {
                assert!(!names_crate(&text, other), "{} names {other}", path.display());
            }
        }
    }
}

#[test]
fn a_crate_is_named_by_its_owner_alone() {
    for (package, folder, _) in ROOMS {
        let dependencies = dependencies(folder);
        for (name, owner) in OWNED.iter().filter(|(_, owner)| owner != package) {
            assert!(!dependencies.contains(*name), "{package} depends on {name}, which belongs to {owner}");
            for path in sources(&root().join(folder).join("src")) {
                let text = fs::read_to_string(&path).unwrap();
                assert!(!names_crate(&text, name), "{} names {name}, which belongs to {owner}", path.display());
            }
        }
    }
}

#[test]
fn functions_are_a_leaf() {
    let allowed = ["arrow", "datafusion-common", "datafusion-expr", "half", "thiserror"];
    for dependency in dependencies("udfs") {
        assert!(allowed.contains(&dependency.as_str()), "udfs depends on {dependency}");
    }
}

#[test]
fn one_copy_of_what_must_be_one() {
    let lock: toml::Table = fs::read_to_string(root().join("Cargo.lock")).unwrap().parse().unwrap();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        versions.entry(package["name"].as_str().unwrap()).or_default().insert(package["version"].as_str().unwrap());
    }
    for name in [
        "datafusion",
        "arrow",
        "arrow-array",
        "parquet",
        "object_store",
        "sqlparser",
        "deltalake-core",
        "ort",
        "pgwire",
        "tokio",
    ] {
        assert_eq!(versions.get(name).map(BTreeSet::len), Some(1), "copies of {name}: {:?}", versions.get(name));
    }
}

#[test]
fn every_version_is_pinned_in_one_place() {
    let rooms = ROOMS.iter().map(|(_, folder, _)| *folder).chain(["tests", "benches"]);
    for folder in rooms {
        let manifest = manifest(folder);
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = manifest.get(table).and_then(|table| table.as_table()) else { continue };
            for (name, value) in table {
                let shared = value.get("workspace").and_then(|shared| shared.as_bool()) == Some(true);
                assert!(shared, "{folder}/Cargo.toml pins {name} itself");
            }
        }
    }
}

#[test]
fn every_file_says_what_it_owns() {
    for (_, folder, _) in ROOMS {
        for path in sources(&root().join(folder).join("src")) {
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("//!"), "{} doesn't open with //!", path.display());
        }
    }
}

#[test]
fn every_statement_has_a_test_in_sql() {
    let mut sql = String::new();
    for file in super::slt::files() {
        sql.push_str(&fs::read_to_string(file).unwrap().to_uppercase());
    }
    let mut seen = BTreeSet::new();
    for usage in alluvia_core::statements::STATEMENTS {
        assert!(seen.insert(usage.statement), "{} stands twice in STATEMENTS", usage.statement);
        let written = usage.statement.split(' ').next().unwrap();
        assert!(sql.contains(written), "no .slt has {}", usage.statement);
    }
}
