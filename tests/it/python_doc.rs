//! `docs/python.md` does what it says, word for word, on a bucket with sample data.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use stedi_server::auth::Role;
use tempfile::TempDir;

use crate::support::{Fate, Proxy, SeaweedFs, Serving, client, server};

/// A block of the document that something is done with.
enum Block {
    /// A script.
    Python(String),
    /// A file that scripts need, by its name.
    File(String, String),
    /// Commands.
    Shell(String),
}

/// The blocks of some sections, in their order. Blocks without `run` are for the reader to adapt.
fn blocks(wanted: impl Fn(&str) -> bool) -> Vec<Block> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/python.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut blocks = Vec::new();
    for section in text.split("\n## ").filter(|section| wanted(section.lines().next().unwrap())) {
        for fenced in section.split("\n```").skip(1).step_by(2) {
            let (kind, text) = fenced.split_once('\n').unwrap();
            let text = format!("{text}\n");
            match kind.split_once(' ').unwrap_or((kind, "")) {
                ("python", "") => blocks.push(Block::Python(text)),
                ("python", name) => blocks.push(Block::File(name.to_owned(), text)),
                ("sh", "run") => blocks.push(Block::Shell(text)),
                ("sh", "") => {}
                other => panic!("{other:?}"),
            }
        }
    }
    blocks
}

/// A reader of the document: a folder, a server over a bucket, and what they were told to set.
struct Reader {
    folder: TempDir,
    serving: Serving,
    environment: Vec<(String, String)>,
    _s3: SeaweedFs,
}

impl Reader {
    async fn new() -> Self {
        let (folder, s3) = (tempfile::tempdir().unwrap(), SeaweedFs::start());
        let storage = "s3://lake/sample";
        let mut demo = server();
        demo.current_dir(folder.path()).args(["demo", "--exit", "--scale", "0.1"]);
        demo.args(["--storage", storage]).envs(s3.environment());
        let made = demo.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let serving = Serving::start_with(folder.path(), "", |command| {
            command.args(["--storage", storage]).envs(s3.environment());
        });
        let serving = serving.await;
        let mut environment = s3.reader();
        environment.extend([
            ("STEDI_SERVER".to_owned(), serving.url.clone()),
            ("STEDI_TOKEN".to_owned(), serving.token(Role::Trainer, "trainer")),
            ("STEDI_LAKE".to_owned(), storage.to_owned()),
        ]);
        Self { folder, serving, environment, _s3: s3 }
    }

    /// Runs a program where `python` is that of a virtual environment, and `stedi` that of the tests.
    fn output(&self, venv: &Path, arguments: &[&str], more: &[(&str, &str)]) -> Output {
        let stedi = PathBuf::from(client().get_program());
        let commands = stedi.parent().unwrap().display();
        let path = std::env::var("PATH").unwrap();
        let search = format!("{}:{commands}:{path}", venv.join("bin").display());
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", "exec \"$@\"", "bash"]).args(arguments);
        command.current_dir(self.folder.path().join("work")).env("PATH", search);
        command.envs(self.environment.iter().cloned()).envs(more.iter().copied());
        command.output().unwrap()
    }

    /// What the blocks print.
    fn run(&self, venv: &Path, blocks: Vec<Block>) -> String {
        let work = self.folder.path().join("work");
        std::fs::create_dir_all(&work).unwrap();
        let mut printed = String::new();
        for block in blocks {
            let output = match &block {
                Block::File(name, text) => {
                    std::fs::write(work.join(name), text).unwrap();
                    continue;
                }
                Block::Python(text) => {
                    std::fs::write(work.join("block.py"), text).unwrap();
                    self.output(venv, &["python", "block.py"], &[])
                }
                Block::Shell(text) => self.output(venv, &["bash", "-euc", text], &[]),
            };
            let (Block::File(_, text) | Block::Python(text) | Block::Shell(text)) = &block;
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{text}\n{errors}");
            let out = String::from_utf8(output.stdout).unwrap();
            assert!(!out.is_empty() || matches!(block, Block::Shell(_)), "{text}");
            printed += &out;
        }
        printed
    }
}

fn venv() -> &'static Path {
    Path::new(env!("STEDI_TEST_VENV"))
}

/// The line of what was printed that ends so, without that end.
fn before<'a>(printed: &'a str, end: &str) -> &'a str {
    let line = printed.lines().find_map(|line| line.strip_suffix(end));
    line.unwrap_or_else(|| panic!("nothing ends with {end:?}: {printed}"))
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(python_readers, seaweedfs)),
    ignore = "SeaweedFS and the readers are not installed; tests/run installs them"
)]
async fn every_block_runs() {
    let reader = Reader::new().await;
    let printed = reader.run(venv(), blocks(|title| title != "PyTorch"));
    let snapshot = reader.serving.json("/v1/snapshots/gait").await;
    let table = &snapshot["tables"][0];
    let (rows, version) = (&table["rows"], &table["version"]);
    let of = |split: &str| table["splits"][split].as_u64().unwrap();
    let far: u64 = before(&printed, " rows of train are far away").parse().unwrap();
    assert!(far > 0 && far < of("train"), "{far}");
    for end in [
        format!("{} rows of test", of("test")),
        format!("{} rows of train are here", of("train")),
        format!("{} rows of validation are here", of("validation")),
        format!("{} rows of test are here", of("test")),
        format!("{rows} rows are shared"),
        format!("{rows} rows are in version {version}"),
    ] {
        assert_eq!(before(&printed, &end), "", "{printed}");
    }
    let squares = "SELECT sqrt(max(x*x + y*y + z*z)) AS longest FROM machine_learning_curated";
    let token = reader.serving.token(Role::Admin, "admin");
    let ask = reader.serving.http.post(format!("{}/v1/sql", reader.serving.url));
    let answer = ask.bearer_auth(token).json(&serde_json::json!({ "sql": squares })).send();
    let answer: Value = answer.await.unwrap().json().await.unwrap();
    let said = printed.lines().find_map(|line| line.strip_prefix("the longest acceleration is "));
    let said: f64 = said.unwrap().parse().unwrap();
    assert!((said - answer["rows"][0][0].as_f64().unwrap()).abs() < 1e-9, "{said} {answer}");

    // What breaks off is no shorter result.
    let cut = |line: &str| if line.contains("/data") { Fate::AnswerCut } else { Fate::Passed };
    let proxy = Proxy::start(&reader.serving.url, cut);
    let script = "from rows import rows; print(rows('gait').read_all().num_rows)";
    let through = [("STEDI_SERVER", &*proxy.endpoint())];
    let output = reader.output(venv(), &["python", "-c", script], &through);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("Error"), "{errors}");
    assert!(output.stdout.is_empty());
    let whole = reader.output(venv(), &["python", "-c", script], &[]);
    assert_eq!(String::from_utf8_lossy(&whole.stdout).trim(), rows.to_string());
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(python_readers, seaweedfs, torch)),
    ignore = "no PyTorch (half a gigabyte, and its CUDA libraries): STEDI_TEST_TORCH names a venv \
              with torch, numpy and pyarrow"
)]
async fn pytorch_trains_on_a_pulled_snapshot() {
    let reader = Reader::new().await;
    let sections = ["# Python", "Rows over HTTP", "Files"];
    reader.run(venv(), blocks(|title| sections.contains(&title)));
    let printed = reader.run(Path::new(env!("STEDI_TEST_TORCH")), blocks(|it| it == "PyTorch"));
    let snapshot = reader.serving.json("/v1/snapshots/gait").await;
    let rows = before(printed.split(" in each epoch").next().unwrap(), " rows");
    assert_eq!(rows, snapshot["tables"][0]["splits"]["train"].to_string(), "{printed}");
    let loss = printed.rsplit(' ').next().unwrap().trim().parse::<f64>().unwrap();
    assert!(loss.is_finite() && loss > 0.0);
}
