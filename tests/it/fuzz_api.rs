//! Schemathesis asks what the OpenAPI document allows, and what it does not, and finds no answer
//! that the document does not have, and none of 5xx.
//!
//! `STEDI_TEST_FUZZ_EXAMPLES=1000` asks longer.

use std::path::Path;
use std::process::Command;

use stedi_server::auth::Role;

use crate::support::{Service, TestLake, fixture};

/// Requests for each operation and phase of an ordinary run.
const EXAMPLES: &str = "15";
/// What a whole service answers, not a part of it that a test overloads.
const CONFIG: &str = "[limits]\nqueue_seconds = 60\n[statements]\nqueued = 100_000\n";

/// While a revocation goes on, which an admin's requests begin, files that may have its rows are not
/// given.
const EXPECTED: &str = "[[operations]]\ninclude-path-regex = \"^/sharing/\"\n\
     checks.not_a_server_error.expected-statuses = [\"2xx\", \"3xx\", \"4xx\", \"503\"]\n";

async fn asked_as(role: Role) {
    let lake = TestLake::new().await;
    lake.load_folder(&fixture()).await;
    lake.promote().await;
    let service = Service::over(&lake, CONFIG);
    let examples =
        std::env::var("STEDI_TEST_FUZZ_EXAMPLES").unwrap_or_else(|_| EXAMPLES.to_owned());
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,\
                  response_schema_conformance,response_headers_conformance";
    let venv = Path::new(env!("STEDI_TEST_VENV"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("schemathesis.toml"), EXPECTED).unwrap();
    let output = Command::new(venv.join("bin/schemathesis"))
        .current_dir(folder.path())
        .args(["run", &format!("{}/openapi.json", service.url)])
        .args(["--header", &format!("Authorization: Bearer {}", service.token(role))])
        .args(["--checks", checks, "--max-examples", &examples, "--seed", "1"])
        .args(["--generation-database", "none", "--no-color", "--request-timeout", "60"])
        // One thread: Python 3.11's parser counts its depth wrongly where several use it.
        .args(["--phases", "examples,coverage,fuzzing", "--workers", "1"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    // That it asked at all, and everywhere.
    let number = |word: &str| -> usize {
        let line = said.lines().find(|line| line.contains(word)).unwrap();
        line.split_whitespace().find_map(|part| part.parse().ok()).unwrap()
    };
    let (tested, asked) = (number("Tested:"), number(" generated, "));
    assert!(tested >= 15 && asked >= 300, "{said}");
    let log = service.log();
    assert!(!log.contains("panicked"), "{log}");
    assert_eq!(service.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(python_readers), ignore = "schemathesis is not installed; tests/run installs it")]
async fn as_an_admin() {
    asked_as(Role::Admin).await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(python_readers), ignore = "schemathesis is not installed; tests/run installs it")]
async fn as_an_analyst() {
    asked_as(Role::Analyst).await;
}
