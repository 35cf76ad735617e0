//! A small disk under a folder of a server.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Puts a disk of so many bytes under a folder of a server that is yet to start. It is mounted in a
/// namespace of the server's own (user_namespaces(7)): nobody else sees it, it needs no rights, and it
/// goes with the server.
pub fn on_disk(command: &mut Command, folder: &Path, bytes: u64) {
    std::fs::create_dir_all(folder).unwrap();
    let mut inside = Command::new("unshare");
    let script = "mount -t tmpfs -o size=\"$1\" tmpfs \"$2\" && shift 2 && exec \"$@\"";
    inside.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    inside.arg(bytes.to_string()).arg(folder).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => inside.env(name, value),
            None => inside.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        inside.current_dir(folder);
    }
    *command = inside;
}

/// The disk of a running server, as everybody else may reach it.
pub struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Under this folder of this process.
    pub fn of(process: u32, folder: &Path) -> Self {
        Self { folder: PathBuf::from(format!("/proc/{process}/root{}", folder.display())) }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }

    /// Takes what is left of it.
    pub fn fill(&self) {
        let mut file = File::create(self.ballast()).unwrap();
        for size in [1 << 16, 1 << 12, 1] {
            let block = vec![0; size];
            while file.write_all(&block).is_ok() {}
        }
    }

    /// Gives it back.
    pub fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}
