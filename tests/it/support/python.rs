//! Programs in Python that share no code with the server.

use std::path::Path;
use std::process::Command;

/// Runs a script of `tests/python` and gives what it prints.
pub fn python(script: &str, arguments: &[&str], environment: &[(String, String)]) -> String {
    let venv = Path::new(env!("STEDI_TEST_VENV"));
    let output = Command::new(venv.join("bin/python"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(script))
        .args(arguments)
        .envs(environment.iter().cloned())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script} failed: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
