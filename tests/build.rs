//! Tells the tests what this machine has. A test that needs what is missing is reported as
//! ignored, with the reason, instead of passing without having run.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let data = found("STEDI_TEST_DATA", root.join("../shared/data/stedi"));
    let venv = found("STEDI_TEST_VENV", root.join("target/test-venv"));
    has("real_data", &data.join("customer"));
    has("seaweedfs", &venv.join("bin/weed"));
    has("nginx", &venv.join("nginx/usr/sbin/nginx"));
    has("python_readers", &venv.join("installed"));
    let torch = found("STEDI_TEST_TORCH", root.join("target/test-torch"));
    has("torch", &torch.join("bin/python"));
    has("faketime", &venv.join("faketime/libfaketime.so.1"));
    namespaces();
    let path = env::var_os("PATH").unwrap_or_default();
    let openssl =
        env::split_paths(&path).map(|folder| folder.join("openssl")).find(|it| it.exists());
    has("openssl", &openssl.unwrap_or_else(|| PathBuf::from("/usr/bin/openssl")));
    let promtool =
        env::split_paths(&path).map(|folder| folder.join("promtool")).find(|it| it.exists());
    println!("cargo::rustc-check-cfg=cfg(promtool)");
    println!("cargo::rerun-if-env-changed=PATH");
    if let Some(promtool) = promtool {
        has("promtool", &promtool);
    }
    println!("cargo::rustc-env=STEDI_TEST_DATA={}", data.display());
    println!("cargo::rustc-env=STEDI_TEST_VENV={}", venv.display());
    println!("cargo::rustc-env=STEDI_TEST_TORCH={}", torch.display());
}

fn found(variable: &str, default: PathBuf) -> PathBuf {
    println!("cargo::rerun-if-env-changed={variable}");
    env::var_os(variable).map_or(default, PathBuf::from)
}

/// Whether a test may mount a disk of its own (user_namespaces(7)), which some machines do not let
/// everybody.
fn namespaces() {
    println!("cargo::rustc-check-cfg=cfg(namespaces)");
    let script = "mount -t tmpfs -o size=65536 tmpfs \"$1\"";
    let inside = ["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"];
    let folder = env::var_os("OUT_DIR").unwrap_or_default();
    let done = Command::new("unshare").args(inside).arg(folder).output();
    if done.is_ok_and(|output| output.status.success()) {
        println!("cargo::rustc-cfg=namespaces");
    }
}

fn has(cfg: &str, path: &Path) {
    println!("cargo::rustc-check-cfg=cfg({cfg})");
    println!("cargo::rerun-if-changed={}", path.display());
    if path.exists() {
        println!("cargo::rustc-cfg={cfg}");
    }
}
