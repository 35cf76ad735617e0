//! Readers of another make read results, each compared with the JSON answer: rows, and a digest of
//! their values in every type.

use stedi_server::auth::Role;
use stedi_server::sample::Sample;

use crate::support::{TestLake, TestServer, python};

async fn read_by(reader: &str) {
    let lake = TestLake::new().await;
    let sample = tempfile::tempdir().unwrap();
    Sample { seed: 1, scale: 0.1 }.write(sample.path()).unwrap();
    lake.load_folder(sample.path()).await;
    lake.promote().await;
    let server = TestServer::start(&lake.config).await;
    let token = [("STEDI_TOKEN".to_owned(), server.token(Role::Analyst))];
    let (reader, url) = (reader.to_owned(), server.url.clone());
    let run =
        tokio::task::spawn_blocking(move || python("read_results.py", &[&reader, &url], &token));
    let said = run.await.unwrap();
    println!("{said}");
    let rows: u64 = said.split_whitespace().nth(3).unwrap().parse().unwrap();
    assert!(rows > 20_000, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(python_readers), ignore = "pyarrow is not installed; tests/run installs it")]
async fn pyarrow_reads_the_arrow_stream() {
    read_by("pyarrow").await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(python_readers), ignore = "polars is not installed; tests/run installs it")]
async fn polars_reads_the_arrow_stream() {
    read_by("polars").await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(python_readers), ignore = "DuckDB is not installed; tests/run installs it")]
async fn duckdb_reads_the_parquet() {
    read_by("duckdb").await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(python_readers), ignore = "DuckDB is not installed; tests/run installs it")]
async fn duckdb_reads_the_csv_and_tells_null_from_an_empty_text() {
    read_by("duckdb-csv").await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(python_readers), ignore = "pandas is not installed; tests/run installs it")]
async fn pandas_reads_the_csv() {
    read_by("pandas").await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(python_readers), ignore = "Python is not installed; tests/run installs it")]
async fn lines_of_json_are_json() {
    read_by("json").await;
}
