//! The commands as processes.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// `stedi-server`, with an environment without `STEDI_*` and `AWS_*`: the one that was built with the
/// tests, or the one that `STEDI_TEST_SERVER` names.
pub fn server() -> Command {
    let named = std::env::var_os("STEDI_TEST_SERVER").map(PathBuf::from);
    command(named.unwrap_or_else(|| binaries().join("stedi-server")))
}

/// `stedi`.
pub fn client() -> Command {
    command(binaries().join("stedi"))
}

fn command(binary: PathBuf) -> Command {
    let mut command = Command::new(binary);
    for (variable, _) in std::env::vars() {
        if variable.starts_with("STEDI_") || variable.starts_with("AWS_") {
            command.env_remove(variable);
        }
    }
    command
}

/// The folder of the commands: target/suite/deps/it-… is this test, target/suite/ holds them.
///
/// They are not built here: a cargo inside a cargo passes other variables on, for which some build
/// scripts run again, and with them everything above them.
fn binaries() -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let test = std::env::current_exe().unwrap();
            let folder = test.parent().unwrap().parent().unwrap();
            let built =
                |name: &str| std::fs::metadata(folder.join(name)).unwrap().modified().unwrap();
            let server = super::newest(concat!(env!("CARGO_MANIFEST_DIR"), "/../server/src"));
            let client = super::newest(concat!(env!("CARGO_MANIFEST_DIR"), "/../client/src"));
            let fresh = built("stedi-server") >= server && built("stedi") >= client;
            assert!(
                fresh,
                "the commands are older than their source: cargo build --profile suite --workspace"
            );
            folder.to_owned()
        })
        .clone()
}

/// A process that ends with the test, also when the test fails.
pub struct Running(pub Child);

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// SIGKILL: nothing is finished or cleaned up.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// SIGTERM, then the exit code; one that does not end within half a minute is killed.
    pub fn terminate(mut self) -> Option<i32> {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let told = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            assert!(told.elapsed() < Duration::from_secs(30), "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
