//! The examples of `docs/api.md` do what they say.

use std::path::Path;
use std::process::Command;

use stedi_server::auth::Role;

use crate::support::{TestLake, TestServer, client};

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_the_documentation_run() {
    let lake = TestLake::new().await;
    let server = TestServer::start(&lake.config).await;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/api.md");
    let text = std::fs::read_to_string(path).unwrap();
    let blocks: Vec<&str> =
        text.split("```sh run\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    assert_eq!(blocks.len(), 8);
    let folder = tempfile::tempdir().unwrap();
    // The folder of the commands, for a shell to find `stedi` in.
    let stedi = client().get_program().to_owned();
    let commands = Path::new(&stedi).parent().unwrap().to_owned();
    for block in blocks {
        let search = format!("{}:{}", commands.display(), std::env::var("PATH").unwrap());
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", block])
            .current_dir(&folder)
            .env("PATH", search)
            .env("STEDI", &server.url)
            .env("INGEST", server.token(Role::Ingest))
            .env("ANALYST", server.token(Role::Analyst))
            .env("TRAINER", server.token(Role::Trainer))
            .env("ADMIN", server.token(Role::Admin))
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{block}\n{errors}");
        assert!(!output.stdout.is_empty(), "{block}");
    }
    assert_eq!(lake.count("step_trainer_landing").await, 4);
}
