//! What docker/ says, as far as it can be checked without a Docker engine. `tests/image` builds it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(file))
        .unwrap()
}

/// What stands between quotes behind a key.
fn quoted(text: &str, key: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.trim().strip_prefix('='));
    line.unwrap().trim().trim_matches('"').to_owned()
}

#[test]
fn the_dockerfile_builds_what_the_workspace_is() {
    let (dockerfile, workspace) = (read("docker/Dockerfile"), read("Cargo.toml"));
    let version = quoted(&workspace, "version");
    assert!(dockerfile.contains(&format!("\nARG VERSION={version}\n")), "{version}");
    let rust = quoted(&workspace, "rust-version");
    assert!(dockerfile.contains(&format!("\nARG RUST_IMAGE=rust:{rust}-")), "{rust}");
    // Each member's manifest decides about dependencies.
    for member in quoted(&workspace, "members").trim_matches(['[', ']']).split(',') {
        let member = member.trim().trim_matches('"');
        let copied = format!("\nCOPY {member}/Cargo.toml {member}/\n");
        assert!(dockerfile.contains(&copied), "{member}");
    }
    // The build context has what is copied, and only that.
    let context = read("docker/Dockerfile.dockerignore");
    let allowed: BTreeSet<&str> =
        context.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let copies = dockerfile.lines().filter_map(|line| line.strip_prefix("COPY "));
    let copied = copies.filter(|line| !line.starts_with("--from"));
    let copied: BTreeSet<&str> =
        copied.flat_map(|line| line.rsplit_once(' ').unwrap().0.split(' ')).collect();
    for path in &copied {
        let path = path.trim_end_matches('/');
        let folder = path.split('/').next().unwrap();
        assert!(allowed.contains(path) || allowed.contains(folder), "{path} is not in the context");
    }
    for path in allowed {
        let used = copied.iter().any(|copied| copied.trim_end_matches('/') == path);
        assert!(used, "{path} is in the context, and nothing of it is copied");
    }
    assert_eq!(context.lines().find(|line| !line.starts_with('#')), Some("*"));
}

#[test]
#[cfg_attr(not(python_readers), ignore = "no other readers are installed; tests/run installs them")]
fn the_compose_file_keeps_the_specification() {
    let check = |file: &Path| {
        Command::new(Path::new(env!("STEDI_TEST_VENV")).join("bin/check-jsonschema"))
            .args(["--builtin-schema", "vendor.compose-spec"])
            .arg(file)
            .output()
            .unwrap()
    };
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docker/compose.yaml"));
    let output = check(file);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let text = std::fs::read_to_string(file).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("compose.yaml");
    std::fs::write(&broken, text.replacen("read_only: true", "read_only: 7", 1)).unwrap();
    assert!(!check(&broken).status.success());

    // Files that it mounts are there, and ports are on loopback.
    let docker = file.parent().unwrap();
    for line in text.lines().map(str::trim) {
        if let Some(mount) = line.strip_prefix("- ./") {
            let source = docker.join(mount.split(':').next().unwrap());
            assert!(source.exists(), "{}", source.display());
        }
        let published = line.strip_prefix("- \"").filter(|it| it.contains("_PORT:-"));
        assert!(published.is_none_or(|it| it.starts_with("127.0.0.1:")), "{line}");
    }
    // What may be set is told, with the same defaults.
    let example = read("docker/.env.example");
    for part in text.split("${").skip(1).filter(|part| !part.starts_with('$')) {
        let (name, default) = part.split('}').next().unwrap().split_once(":-").unwrap();
        assert!(example.contains(&format!("\n#{name}={default}\n")), "{name}");
    }
}
