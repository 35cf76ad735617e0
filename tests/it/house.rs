//! The rules of the house: which folder may call which, how long a file may be, and that no table
//! of a pipeline is known to the server by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Every folder and file right below `server/src`, lowest first: each may use those before it, and
/// `Beside` names stand on one floor and may not use each other.
const FLOORS: [&[&str]; 14] = [
    &["config", "key_file.rs", "sample"],
    &["auth", "traces"],
    &["metrics"],
    &["edge", "lake"],
    &["pipeline"],
    &["ledger"],
    &["landing", "maintenance", "promotion", "query"],
    &["sharing", "snapshot"],
    &["consent"],
    &["app.rs"],
    &["api"],
    &["commands"],
    &["lib.rs"],
    &["main.rs"],
];
/// Lines of a source file.
const LONGEST: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Source files below a folder with their text.
fn sources(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                files.insert(path, text);
            }
        }
    }
    files
}

fn floor(name: &str) -> Option<usize> {
    let file = format!("{name}.rs");
    FLOORS.iter().position(|floor| floor.contains(&name) || floor.contains(&file.as_str()))
}

/// The first parts of all `crate::…` paths in a text.
fn used(text: &str) -> Vec<&str> {
    text.split("crate::")
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap())
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn calls_go_downwards_only() {
    let src = root().join("server/src");
    let mut calls = 0;
    for (path, text) in sources(&src) {
        let inner = path.strip_prefix(&src).unwrap();
        let room = inner.iter().next().unwrap().to_str().unwrap();
        let own = floor(room.trim_end_matches(".rs"));
        let own = own.unwrap_or_else(|| panic!("{room} has no floor: give it one in FLOORS"));
        let grouped = text.contains("crate::{");
        assert!(!grouped, "{}: one `use crate::…` per room, for this test to see", inner.display());
        for name in used(&text) {
            let called =
                floor(name).unwrap_or_else(|| panic!("{}: crate::{name}?", inner.display()));
            let same = name == room.trim_end_matches(".rs");
            assert!(
                called < own || same,
                "{} uses crate::{name}, which is not below it",
                inner.display()
            );
            calls += 1;
        }
    }
    assert!(calls > 30, "only {calls} calls found: does this test still see them?");
}

#[test]
fn only_lake_knows_how_tables_are_stored() {
    let src = root().join("server/src");
    for (path, text) in sources(&src) {
        let inner = path.strip_prefix(&src).unwrap();
        if inner.starts_with("lake") {
            continue;
        }
        for line in text.lines().filter(|line| line.contains("deltalake::")) {
            let allowed = ["deltalake::arrow", "deltalake::datafusion"];
            let known = allowed.iter().any(|module| line.contains(module));
            assert!(known, "{}: {line}", inner.display());
        }
    }
}

#[test]
fn no_table_is_known_by_name() {
    let pipelines = root().join("server/pipelines/stedi");
    let declaration = std::fs::read_to_string(pipelines.join("pipeline.toml")).unwrap();
    let tables: Vec<&str> = declaration
        .split("[[")
        .filter(|section| section.starts_with("source]]") || section.starts_with("derived]]"))
        .map(|section| section.split('"').nth(1).unwrap())
        .collect();
    assert_eq!(tables.len(), 8, "{tables:?}");
    let revocations = declaration.lines().find(|line| line.starts_with("revocations = ")).unwrap();
    let tables = tables.into_iter().chain(revocations.split('"').nth(1)).collect::<Vec<_>>();
    for (path, text) in sources(&root().join("server/src")) {
        for table in &tables {
            assert!(!text.contains(table), "{} names {table}", path.display());
        }
    }
}

#[test]
fn files_are_short() {
    for folder in ["server", "client", "openapi", "tests"] {
        for (path, text) in sources(&root().join(folder)) {
            let lines = text.lines().count();
            assert!(lines <= LONGEST, "{} has {lines} lines", path.display());
        }
    }
}

#[test]
fn the_client_does_without_datafusion_and_each_format_has_one_version() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for package in ["arrow", "parquet", "datafusion", "object_store", "deltalake-core"] {
        let count = lock.matches(&format!("name = \"{package}\"\n")).count();
        assert_eq!(count, 1, "{package}");
    }
    let client = std::fs::read_to_string(root().join("client/Cargo.toml")).unwrap();
    let openapi = std::fs::read_to_string(root().join("openapi/Cargo.toml")).unwrap();
    for name in ["deltalake", "datafusion", "stedi-server"] {
        assert!(!client.contains(name) && !openapi.contains(name), "{name}");
    }
}
