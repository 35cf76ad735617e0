//! Which server `stedi` asks, and with whose token: flags before environment before profile.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::pulls::stand_in::StandIn;
use crate::support::client;

/// `stedi` with a configuration of the test's.
fn stedi(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = client();
    command.env("XDG_CONFIG_HOME", folder).args(arguments).stdin(Stdio::null());
    command
}

async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A profile `lab` for a server, with a line that says where its token is.
fn configured(server: &StandIn, line: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("stedi")).unwrap();
    let text = format!("[profiles.lab]\nserver = \"{}\"\n{line}\n", server.url);
    fs::write(folder.path().join("stedi/config.toml"), text).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_win_over_environment_and_that_over_the_profile() {
    let (server, other) = (StandIn::start().await, StandIn::start().await);
    let folder = configured(&server, "token_env = \"LAB_TOKEN\"");
    let lab = |arguments: &[&str]| {
        let mut command = stedi(folder.path(), &["--profile", "lab", "tables"]);
        command.env("LAB_TOKEN", "of-profile").args(arguments);
        command
    };
    assert!(run(lab(&[])).await.status.success());
    assert_eq!(server.tokens(), ["of-profile"]);
    let mut command = lab(&[]);
    command.env("STEDI_TOKEN", "of-environment");
    assert!(run(command).await.status.success());
    assert_eq!(server.tokens(), ["of-environment"]);
    let mut command = lab(&["--token", "of-flag"]);
    command.env("STEDI_TOKEN", "of-environment").env("STEDI_SERVER", &other.url);
    assert!(run(command).await.status.success());
    assert_eq!((other.tokens(), server.tokens()), (vec!["of-flag".to_owned()], vec![]));
    // The token of one server goes to no other.
    let output = run(lab(&["--server", &other.url])).await;
    assert_eq!((other.tokens(), server.tokens()), (vec![String::new()], vec![]));
    assert!(said(&output).contains("not sent"), "{}", said(&output));
    let mut command = stedi(folder.path(), &["--profile", "lab", "tables"]);
    command.env_remove("LAB_TOKEN");
    let output = run(command).await;
    assert!(!output.status.success() && said(&output).contains("LAB_TOKEN"), "{}", said(&output));
    let output = run(stedi(folder.path(), &["--profile", "x", "tables"])).await;
    assert!(said(&output).contains("no profile \"x\""), "{}", said(&output));
    assert!(server.tokens().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyring_that_others_may_read_is_refused() {
    let server = StandIn::start().await;
    let folder = configured(&server, "keyring = \"keyring.toml\"");
    let keyring = folder.path().join("stedi/keyring.toml");
    let mut login = stedi(folder.path(), &["--profile", "lab", "login"]);
    let mut login = login.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut login.stdin.take().unwrap(), b"s3cret\n").unwrap();
    let output = login.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(!said(&output).contains("s3cret"));
    assert_eq!(fs::metadata(&keyring).unwrap().permissions().mode() & 0o777, 0o600);
    let tables = || stedi(folder.path(), &["--profile", "lab", "tables"]);
    assert!(run(tables()).await.status.success());
    assert_eq!(server.tokens(), ["s3cret"]);
    for mode in [0o644, 0o660, 0o604] {
        fs::set_permissions(&keyring, Permissions::from_mode(mode)).unwrap();
        let output = run(tables()).await;
        assert!(!output.status.success(), "{mode:o}");
        assert!(said(&output).contains("chmod 600"), "{}", said(&output));
        assert!(!said(&output).contains("s3cret"));
    }
    assert!(server.tokens().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_are_added_and_listed_without_tokens() {
    let server = StandIn::start().await;
    let folder = configured(&server, "token_file = \"token\"");
    fs::write(folder.path().join("stedi/token"), "of-file\n").unwrap();
    let add = ["profile", "add", "here", "--url", &server.url, "--token-env", "HERE"];
    assert!(run(stedi(folder.path(), &add)).await.status.success());
    assert!(!run(stedi(folder.path(), &add)).await.status.success());
    let list = run(stedi(folder.path(), &["profile", "list", "--format", "csv"])).await;
    let list = String::from_utf8(list.stdout).unwrap();
    let url = &server.url;
    assert_eq!(
        list,
        format!("profile,server,token,default\nhere,{url},variable HERE,\nlab,{url},file token,\n")
    );
    assert!(run(stedi(folder.path(), &["--profile", "lab", "tables"])).await.status.success());
    assert_eq!(server.tokens(), ["of-file"]);
}
