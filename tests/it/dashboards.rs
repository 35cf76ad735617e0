//! What operators look at: every metric of the dashboard and of the alerts is there, with its labels,
//! and every alert has its section in docs/operations.md.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use stedi_server::metrics::Metrics;

fn docker() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker")
}

fn read(file: impl AsRef<Path>) -> String {
    std::fs::read_to_string(file).unwrap()
}

fn dashboard() -> Value {
    serde_json::from_str(&read(docker().join("grafana/dashboards/stedi.json"))).unwrap()
}

/// All texts under this key, wherever it is.
fn texts<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get(key).and_then(Value::as_str));
            map.values().for_each(|inner| texts(inner, key, found));
        }
        Value::Array(all) => all.iter().for_each(|inner| texts(inner, key, found)),
        _ => {}
    }
}

/// Name → labels, as docs/metrics.md has them; another test compares that page with the code.
fn described() -> BTreeMap<String, BTreeSet<String>> {
    let page = read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md"));
    let rows = page.lines().filter(|line| line.starts_with("| `stedi_"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let labels = cells[3].split(',').map(|label| label.trim().trim_matches('`').to_owned());
        (cells[1].trim_matches('`').to_owned(), labels.filter(|label| !label.is_empty()).collect())
    };
    rows.map(row).collect()
}

/// Names of metrics in a query, each with the labels that stand in its braces.
fn asked(query: &str) -> Vec<(&str, Vec<&str>)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = query.match_indices("stedi_").map(|(at, _)| at);
    starts
        .filter(|at| !query[..*at].ends_with(is_word))
        .map(|at| {
            let rest = &query[at..];
            let (name, rest) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
            let matchers = rest.strip_prefix('{').and_then(|rest| rest.split('}').next());
            let labels = matchers.unwrap_or_default().split(['"']).step_by(2);
            let labels = labels.map(|part| part.trim_matches([',', ' ', '=', '~', '!']));
            (name, labels.filter(|label| !label.is_empty()).collect())
        })
        .collect()
}

/// Labels that a query groups by.
fn grouped(query: &str) -> Vec<&str> {
    let groups = query.split("by (").skip(1).map(|rest| rest.split(')').next().unwrap());
    groups.flat_map(|labels| labels.split(',')).map(str::trim).collect()
}

fn check(query: &str, described: &BTreeMap<String, BTreeSet<String>>, names: &[String]) {
    let metrics = asked(query);
    let mut known: BTreeSet<&str> = ["instance", "job", "le"].into();
    for (name, labels) in &metrics {
        let family = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end));
        let name = family.filter(|family| described.contains_key(*family)).unwrap_or(name);
        assert!(names.iter().any(|it| it == name), "the server has no {name}: {query}");
        let own = described.get(name).unwrap_or_else(|| panic!("{name} is not described"));
        for label in labels {
            assert!(own.contains(*label) || *label == "instance", "{name} has no {label}: {query}");
        }
        known.extend(own.iter().map(String::as_str));
    }
    for label in grouped(query) {
        assert!(known.contains(label), "nothing has {label}: {query}");
    }
}

#[test]
fn every_metric_of_the_dashboard_is_there_and_every_row_has_panels() {
    let (dashboard, described, metrics) = (dashboard(), described(), Metrics::new());
    let mut queries = Vec::new();
    texts(&dashboard, "expr", &mut queries);
    queries.retain(|query| !query.starts_with("ALERTS{"));
    assert!(queries.len() > 30, "{}", queries.len());
    for query in &queries {
        assert!(!asked(query).is_empty(), "{query}");
        check(query, &described, metrics.names());
    }
    let panels = dashboard["panels"].as_array().unwrap();
    let rows = panels.iter().filter(|panel| panel["type"] == "row");
    let rows: Vec<&str> = rows.map(|row| row["title"].as_str().unwrap()).collect();
    let expected = [
        "Requests",
        "Statements",
        "Promotion",
        "Consent",
        "Cache and pool",
        "Store (S3)",
        "Commits",
    ];
    assert_eq!(rows, expected);
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "ids of panels");
    for pair in panels.windows(2) {
        assert!(pair[0]["type"] != "row" || pair[1]["type"] != "row", "{}", pair[0]["title"]);
    }
    // The data source is the one that is provisioned.
    let mut sources = Vec::new();
    texts(&dashboard, "uid", &mut sources);
    assert!(sources.iter().all(|uid| ["prometheus", "stedi"].contains(uid)), "{sources:?}");
    let provisioned = read(docker().join("grafana/provisioning/datasources/prometheus.yaml"));
    assert!(provisioned.contains("uid: prometheus\n"));
}

/// The rules in their text: name and everything up to the next one.
fn alerts(text: &str) -> Vec<(&str, &str)> {
    let rules = text.split("- alert: ").skip(1);
    rules.map(|rule| rule.split_once('\n').unwrap()).collect()
}

#[test]
fn every_alert_asks_for_what_is_there_and_says_what_to_do() {
    let (text, described) = (read(docker().join("prometheus/alerts.yaml")), described());
    let page = read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md"));
    let sections: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let (alerts, metrics) = (alerts(&text), Metrics::new());
    assert!(alerts.len() > 15, "{}", alerts.len());
    for (name, rule) in &alerts {
        let query = rule.split("expr:").nth(1).and_then(|rest| rest.split("labels: {sev").next());
        let query = query.unwrap_or_else(|| panic!("{name} has no query"));
        check(query, &described, metrics.names());
        let runbook = format!("runbook: docs/operations.md#{}\n", name.to_lowercase());
        assert!(rule.contains(&runbook), "{name} does not name its section: {rule}");
        assert!(sections.contains(name), "docs/operations.md says nothing of {name}");
        for word in ["summary: ", "severity: "] {
            assert!(rule.contains(word), "{name} has no {word}");
        }
    }
    // A section without an alert would tell of something that nobody is told.
    let names: BTreeSet<&str> = alerts.iter().map(|(name, _)| *name).collect();
    let stale: Vec<_> = sections.iter().filter(|it| it.starts_with("Stedi")).collect();
    assert!(stale.iter().all(|name| names.contains(**name)), "{stale:?}");
}

#[test]
#[cfg_attr(not(promtool), ignore = "no promtool (Debian: prometheus) in the PATH")]
fn prometheus_takes_its_configuration_and_the_alerts_fire_when_they_should() {
    for arguments in [
        &["check", "config", "--syntax-only", "prometheus.yaml"][..],
        &["check", "rules", "alerts.yaml"],
        &["test", "rules", "tests.yaml"],
    ] {
        let mut command = Command::new("promtool");
        let output = command.current_dir(docker().join("prometheus")).args(arguments).output();
        let output = output.unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        assert!(said.contains("SUCCESS"), "{arguments:?}: {said}");
    }
}
