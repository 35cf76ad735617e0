//! A real S3: SeaweedFS on loopback, with a folder of its own.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Running, free_port, python};

const ACCESS_KEY: &str = "stedi-test";
const SECRET_KEY: &str = "stedi-test-secret";
/// May do with objects of the bucket what a server has to, and nothing else.
const SERVER_KEY: &str = "stedi-server";
/// May list and read, not write.
const READER_KEY: &str = "stedi-reader";

/// A running SeaweedFS with one bucket, `lake`.
pub struct SeaweedFs {
    port: u16,
    _process: Running,
    _folder: TempDir,
}

impl SeaweedFs {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("s3.json");
        let identity = |key: &str, actions: &str| {
            format!(
                r#"{{"name":"{key}","credentials":[{{"accessKey":"{key}","secretKey":"{SECRET_KEY}"}}],"actions":[{actions}]}}"#
            )
        };
        let identities = [
            identity(ACCESS_KEY, r#""Admin","Read","Write","List","Tagging""#),
            identity(READER_KEY, r#""Read","List""#),
            identity(SERVER_KEY, r#""Read:lake","Write:lake","List:lake""#),
        ];
        std::fs::write(&config, format!(r#"{{"identities":[{}]}}"#, identities.join(","))).unwrap();

        let port = free_port();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let mut command = Command::new(Path::new(env!("STEDI_TEST_VENV")).join("bin/weed"));
        command.arg("mini").current_dir(folder.path());
        for (flag, value) in [
            ("dir", data.display().to_string()),
            ("ip", "127.0.0.1".to_owned()),
            ("ip.bind", "127.0.0.1".to_owned()),
            ("master.telemetry", "false".to_owned()),
            ("s3.port", port.to_string()),
            ("s3.config", config.display().to_string()),
            ("s3.port.iceberg", "0".to_owned()),
            ("s3.port.lance", "0".to_owned()),
            ("webdav", "false".to_owned()),
            ("admin.ui", "false".to_owned()),
        ] {
            command.arg(format!("-{flag}={value}"));
        }
        for service in [
            "s3.port.grpc",
            "master.port",
            "master.port.grpc",
            "volume.port",
            "volume.port.grpc",
            "filer.port",
            "filer.port.grpc",
            "admin.port",
            "admin.port.grpc",
        ] {
            command.arg(format!("-{service}={}", free_port()));
        }
        let process = Running::start(&mut command);
        let seaweed = Self { port, _process: process, _folder: folder };
        seaweed.wait();
        python("make_bucket.py", &["lake"], &seaweed.environment());
        seaweed
    }

    /// Where it answers.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The `AWS_*` variables of somebody who may do everything.
    pub fn environment(&self) -> Vec<(String, String)> {
        self.environment_of(ACCESS_KEY, SECRET_KEY)
    }

    /// The `AWS_*` variables of somebody who may only read.
    pub fn reader(&self) -> Vec<(String, String)> {
        self.environment_of(READER_KEY, SECRET_KEY)
    }

    /// The `AWS_*` variables of a server with the privileges that docs/operations.md names.
    pub fn least(&self) -> Vec<(String, String)> {
        self.environment_of(SERVER_KEY, SECRET_KEY)
    }

    pub fn environment_of(&self, access: &str, secret: &str) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_ACCESS_KEY_ID", access.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", secret.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    fn wait(&self) {
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(60), "SeaweedFS does not start");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
