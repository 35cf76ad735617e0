//! The log of a table, replayed by a program that shares no code with the server or with delta-rs.

use std::collections::BTreeMap;

use serde_json::Value;

use super::python;

/// What `tests/python/replay.py` finds of a table in which everything holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// The newest version; every version since the oldest is there.
    pub version: u64,
    pub rows: u64,
    /// Rows that differ.
    pub distinct: u64,
    /// Of the rows and how often each is there.
    pub digest: String,
    /// Rows that the change feed of all versions inserts and deletes.
    pub inserted: u64,
    pub deleted: u64,
    pub txns: BTreeMap<String, i64>,
}

/// Replays tables (`zone/name`) of a lake; panics if anything does not hold.
pub fn replay(
    root: &str,
    tables: &[&str],
    environment: &[(String, String)],
) -> BTreeMap<String, Replayed> {
    let arguments: Vec<&str> = ["check", root].into_iter().chain(tables.iter().copied()).collect();
    let text = python("replay.py", &arguments, environment);
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let replayed: BTreeMap<_, _> = lines.map(|line| (word(&line, "table"), one(&line))).collect();
    assert_eq!(replayed.len(), tables.len(), "{text}");
    replayed
}

/// The rows of a table, in the given columns.
pub fn replayed_rows(
    root: &str,
    table: &str,
    columns: &[&str],
    environment: &[(String, String)],
) -> Vec<Vec<Value>> {
    let arguments: Vec<&str> =
        ["rows", root, table].into_iter().chain(columns.iter().copied()).collect();
    serde_json::from_str(&python("replay.py", &arguments, environment)).unwrap()
}

fn one(line: &Value) -> Replayed {
    let number = |key: &str| line[key].as_u64().unwrap();
    let txns = line["txns"].as_object().unwrap().iter();
    Replayed {
        version: number("version"),
        rows: number("rows"),
        distinct: number("distinct"),
        digest: word(line, "digest"),
        inserted: number("inserted"),
        deleted: number("deleted"),
        txns: txns.map(|(app, version)| (app.clone(), version.as_i64().unwrap())).collect(),
    }
}

fn word(line: &Value, key: &str) -> String {
    line[key].as_str().unwrap().to_owned()
}
