//! Readers that share no code with the server read the same.

use std::path::Path;

use crate::support::{SeaweedFs, TestLake, fixture, python, real_data, server};

pub const TABLES: [&str; 8] = [
    "landing/customer_landing",
    "landing/accelerometer_landing",
    "landing/step_trainer_landing",
    "trusted/customer_trusted",
    "trusted/accelerometer_trusted",
    "curated/customer_curated",
    "trusted/step_trainer_trusted",
    "curated/machine_learning_curated",
];
pub const FIXTURE: [u64; 8] = [10, 12, 9, 6, 7, 4, 5, 5];
const FIXTURE_SINCE_CONSENT: [u64; 8] = [10, 12, 9, 6, 4, 3, 3, 2];
const REAL: [u64; 8] = [956, 81_273, 28_680, 482, 40_981, 482, 14_460, 40_981];
const REAL_SINCE_CONSENT: [u64; 8] = [956, 81_273, 28_680, 482, 32_025, 464, 11_297, 32_025];

pub fn counts(script: &str, root: &str, environment: &[(String, String)]) -> Vec<u64> {
    let arguments: Vec<&str> = std::iter::once(root).chain(TABLES).collect();
    let text = python(script, &arguments, environment);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), TABLES.len(), "{text}");
    lines.iter().map(|line| line.split_whitespace().nth(1).unwrap().parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(python_readers),
    ignore = "deltalake and DuckDB are not installed; tests/run installs them"
)]
async fn deltalake_and_duckdb_on_a_folder() {
    let lake = TestLake::new().await;
    lake.load_folder(&fixture()).await;
    lake.promote().await;
    let root = lake.root();
    for script in ["count_deltalake.py", "count_duckdb.py"] {
        assert_eq!(counts(script, root.to_str().unwrap(), &[]), FIXTURE, "{script}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(python_readers, real_data)),
    ignore = "the real data or deltalake and DuckDB are not there"
)]
async fn deltalake_and_duckdb_on_the_real_data() {
    let lake = TestLake::new().await;
    lake.load_folder(&real_data()).await;
    lake.promote().await;
    let root = lake.root();
    for script in ["count_deltalake.py", "count_duckdb.py"] {
        assert_eq!(counts(script, root.to_str().unwrap(), &[]), REAL, "{script}");
    }
}

/// The demo on S3 with each value of the option, each time read by another program.
fn on_s3(source: &Path) -> [Vec<u64>; 2] {
    let s3 = SeaweedFs::start();
    let state = tempfile::tempdir().unwrap();
    ["readings=all", "readings=since_consent"].map(|option| {
        let output = server()
            .args(["demo", "--exit", "--storage", "s3://lake/golden", "--option", option])
            .arg("--state-dir")
            .arg(state.path())
            .arg("--source")
            .arg(source)
            .envs(s3.environment())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        counts("count_deltalake.py", "s3://lake/golden", &s3.environment())
    })
}

#[test]
#[cfg_attr(
    not(all(seaweedfs, python_readers)),
    ignore = "SeaweedFS is not installed; tests/run installs it"
)]
fn the_fixture_on_s3() {
    assert_eq!(on_s3(&fixture()), [FIXTURE, FIXTURE_SINCE_CONSENT]);
}

#[test]
#[cfg_attr(
    not(all(seaweedfs, python_readers, real_data)),
    ignore = "the real data or SeaweedFS is not there"
)]
fn the_real_data_on_s3() {
    assert_eq!(on_s3(&real_data()), [REAL, REAL_SINCE_CONSENT]);
}
