//! The configuration as operators meet it: `stedi-server config`, and what `serve` refuses.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use stedi_server::config::{Config, markdown};

use crate::support::server;

/// Runs the command with a configuration file, in a folder of its own.
fn run(folder: &Path, arguments: &[&str], file: &str, environment: &[(&str, &str)]) -> Output {
    std::fs::write(folder.join("stedi.toml"), file).unwrap();
    let mut command = server();
    command.current_dir(folder).args(arguments).env_remove("RUST_LOG");
    command.env("STEDI_CONFIG", "stedi.toml").envs(environment.iter().copied());
    // A server that should refuse, and does not, would serve for ever.
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_page_is_what_the_code_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let committed = std::fs::read_to_string(file).unwrap();
    let hint = "stedi-server config default --markdown > docs/configuration.md";
    assert!(committed == markdown(), "docs/configuration.md is behind the code: {hint}");
}

#[test]
fn the_printed_file_is_what_a_server_does_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let printed = text(&run(folder.path(), &["config", "default"], "", &[]).stdout);
    assert_eq!(toml::from_str::<Config>(&printed).unwrap(), Config::default());
    let checked = run(folder.path(), &["config", "check"], &printed, &[]);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    // It lists every key that a value can have in the end, and those of sections that are optional.
    let all = toml::Value::try_from(Config::default()).unwrap();
    for (section, keys) in all.as_table().unwrap() {
        for key in keys.as_table().into_iter().flat_map(|keys| keys.keys()) {
            assert!(
                printed.contains(&format!("\n{key} = ")) || keys[key].is_table(),
                "{section}.{key}"
            );
        }
    }
    for line in ["#[http.tls]", "#[limits.roles.analyst]", "#jwks =   # no default"] {
        assert!(printed.lines().any(|it| it == line), "{line}: {printed}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_key_and_place_by_check_and_by_serve() {
    let folder = tempfile::tempdir().unwrap();
    let no_environment: &[(&str, &str)] = &[];
    for (file, environment, expected) in [
        ("\n[http]\nheader = 7\n", no_environment, "http.header: unknown field `header`, expected"),
        ("\n\nlistenn = 7\n", no_environment, "listenn: unknown field"),
        ("[http]\n\nheaders = 101\n", no_environment, "http.headers: 101 is not within 1 to 100"),
        ("\n\nstate_dir = 7\n", no_environment, "state_dir: invalid type: integer `7`"),
        (
            "\n[promotion]\nschedule = 'daily'\n",
            no_environment,
            "promotion.schedule: \"daily\" is not",
        ),
        ("\n[landing]\nimport_from = ['/none']\n", no_environment, "landing.import_from: "),
        ("\n\n[limits.roles.boss]\n", no_environment, "limits.roles.boss: is no role; roles are"),
        ("\n[log]\nfilter = 'a=b=c'\n", no_environment, "log.filter: "),
        (
            "",
            &[("STEDI_HTTP_HEADER", "7")],
            "STEDI_HTTP_HEADER (environment): there is no such key",
        ),
        ("", &[("STEDI_HTTP_HEADERS", "many")], "STEDI_HTTP_HEADERS (environment): is not a whole"),
        (
            "",
            &[("STEDI_HTTP_HEADERS", "101")],
            "http.headers: 101 is not within 1 to 100 (STEDI_HTTP_",
        ),
    ] {
        for arguments in [&["config", "check"][..], &["serve", "--listen", "127.0.0.1:0"]] {
            let output = run(folder.path(), arguments, file, environment);
            let errors = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{file}: {errors}");
            assert!(errors.contains(expected), "{arguments:?} {file}: {errors}");
            let place = file.is_empty() || errors.contains("stedi.toml, line 3");
            assert!(place, "{arguments:?} {file}: {errors}");
        }
    }
    assert!(!folder.path().join(".stedi/lake").exists(), "nothing was begun");
}

#[test]
fn show_tells_values_and_who_gave_them_but_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = "storage = 's3://bucket/lake'\n[auth]\njwks = 'https://me:CANARY-1@b.example/k?s=CANARY-2'\n\
                [limits.roles.analyst]\nseconds = 7\n[pipeline.options]\nreadings = 'since_consent'\n";
    let environment = [
        ("STEDI_HTTP_HEADERS", "50"),
        ("AWS_ENDPOINT_URL", "http://me:CANARY-3@127.0.0.1:1"),
        ("AWS_SECRET_ACCESS_KEY", "CANARY-4"),
        ("AWS_ACCESS_KEY_ID", "CANARY-5"),
    ];
    let arguments = ["config", "show", "--listen", "127.0.0.1:9"];
    let output = run(folder.path(), &arguments, file, &environment);
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for line in [
        "storage = \"s3://bucket/lake\"  # stedi.toml, line 1",
        "listen = \"127.0.0.1:9\"  # --listen",
        "headers = 50  # STEDI_HTTP_HEADERS (environment)",
        "state_dir = \"./.stedi\"  # default",
        "jwks = \"https://hidden@b.example/k?hidden\"  # stedi.toml, line 3",
        "[limits.roles.analyst]",
        "seconds = 7  # stedi.toml, line 5",
        "nesting = 48  # default",
        "[pipeline.options]",
        "readings = \"since_consent\"  # stedi.toml, line 7",
        "# AWS_SECRET_ACCESS_KEY = (hidden) (environment)",
        "# AWS_ACCESS_KEY_ID = (hidden) (environment)",
        "# AWS_ENDPOINT_URL = http://hidden@127.0.0.1:1/ (environment)",
    ] {
        assert!(shown.lines().any(|it| it == line), "{line} is not in\n{shown}");
    }
    assert!(!shown.contains("CANARY"), "{shown}");
    // What it prints is a file that says the same.
    let again: Config = toml::from_str(&shown).unwrap();
    assert_eq!((again.http.headers, again.listen.port()), (50, 9));
    assert_eq!(again.limits.roles["analyst"].seconds, 7);
    assert_eq!(again.pipeline.options["readings"], "since_consent");
}
