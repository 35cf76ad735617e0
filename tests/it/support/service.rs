//! `stedi-server serve` as a process of its own, with a configuration file.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stedi_server::auth::{LocalKey, Role};
use stedi_server::config::Config;
use tempfile::TempDir;

use super::{Running, TestLake, server};

/// A running service with a folder of its own.
pub struct Service {
    /// Where it says that it serves.
    pub url: String,
    /// Where it says that it serves metrics.
    pub metrics: Option<String>,
    running: Running,
    key: PathBuf,
    folder: TempDir,
}

impl Service {
    /// Starts it with the text of a configuration file.
    pub fn start(config: &str) -> Self {
        Self::start_with(config, |_| {})
    }

    /// The same over a lake of the test's.
    pub fn over(lake: &TestLake, config: &str) -> Self {
        let mut service = Self::start_with(config, |command| {
            command.args(["--storage", &lake.config.storage, "--state-dir"]);
            command.arg(&lake.config.state_dir);
        });
        service.key = lake.config.auth_key();
        service
    }

    /// The same, with further flags or variables.
    pub fn start_with(config: &str, change: impl FnOnce(&mut Command)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stedi.toml");
        std::fs::write(&file, config).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = server();
        command
            .current_dir(folder.path())
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        change(&mut command);
        let mut running = Running(command.spawn().unwrap());
        let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
        let url = |line: Option<std::io::Result<String>>| {
            let text = line.map(Result::unwrap).unwrap_or_else(|| {
                panic!("{}", std::fs::read_to_string(folder.path().join("log")).unwrap())
            });
            text.rsplit(' ').next().unwrap().to_owned()
        };
        let address = url(lines.next());
        let metrics = config.contains("[metrics]").then(|| url(lines.next()));
        let key = folder.path().join(".stedi/auth.key");
        Self { url: address, metrics, running, key, folder }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.url.split_once("://").unwrap().1
    }

    /// Its lake's folder.
    pub fn lake(&self) -> PathBuf {
        self.folder.path().join(".stedi/lake")
    }

    /// The folder in which it was started.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// A token of its local key.
    pub fn token(&self, role: Role) -> String {
        self.token_of(role, "test")
    }

    /// The same for somebody else.
    pub fn token_of(&self, role: Role, subject: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let rules = stedi_server::app::token_rules(&Config::default());
        let claims = rules.claims(subject, role, now, Duration::from_secs(3600));
        let key = LocalKey::open(&self.key).unwrap();
        key.sign(&claims).unwrap()
    }

    /// Peak of its memory in bytes since it was last forgotten (VmHWM of proc(5)).
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(self.of_process("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    /// The peak begins anew at what the process holds now (`clear_refs` of proc(5)).
    pub fn forget_peak_memory(&self) {
        std::fs::write(self.of_process("clear_refs"), "5").unwrap();
    }

    fn of_process(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.running.0.id()))
    }

    /// SIGTERM, then the exit code.
    pub fn terminate(self) -> Option<i32> {
        self.running.terminate()
    }
}
