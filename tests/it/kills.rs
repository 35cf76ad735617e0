//! SIGKILL at every named step, on S3. A proxy sees the server's requests and holds the one that the
//! step is known by, before or after the store carries it out; then the server is killed. The next
//! start completes the rest, and nothing is lost or there twice.

mod customers;
mod demo;
mod ended;
mod erasures;
pub mod maintenance;
mod overtaken;
mod promotions;
mod revocations;
mod statements;
mod takeover;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{Fate, Proxy, Running};

/// How long a step may take to come.
const PATIENCE: Duration = Duration::from_secs(120);

/// A step: a request of the server, and whether the store carries it out.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Parts of the first line of the request.
    request: [&'static str; 2],
    /// Of such requests this one, from 1.
    nth: usize,
    done: bool,
}

/// Before the store has it, and after.
pub const fn both(first: &'static str, second: &'static str) -> [Step; 2] {
    both_of(first, second, 1)
}

pub const fn both_of(first: &'static str, second: &'static str, nth: usize) -> [Step; 2] {
    let request = [first, second];
    [Step { request, nth, done: false }, Step { request, nth, done: true }]
}

impl Step {
    /// A proxy that holds the step's request, in the lake that the prefix names.
    pub fn proxy(self, endpoint: &str, prefix: &str) -> Proxy {
        self.proxy_once(endpoint, prefix, |_| true)
    }

    /// The same, which holds nothing before the first lines of requests say that it has begun.
    pub fn proxy_once(
        self,
        endpoint: &str,
        prefix: &str,
        begun: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Proxy {
        let (seen, prefix) = (Arc::new(AtomicUsize::new(0)), format!(" /lake/{prefix}/"));
        Proxy::start(endpoint, move |line| {
            // A removal names in its body what it removes.
            let put = line.starts_with("PUT ") && line.contains(&prefix);
            let this = (put || line.starts_with("POST /lake?delete"))
                && self.request.iter().all(|part| line.contains(part));
            if !begun(line) || !this || seen.fetch_add(1, Ordering::SeqCst) + 1 != self.nth {
                return Fate::Passed;
            }
            if self.done { Fate::AnswerHeld } else { Fate::Held }
        })
    }

    pub fn name(self) -> String {
        let when = if self.done { "after" } else { "before" };
        format!("{when} {} of {}{}", self.nth, self.request[0], self.request[1])
    }
}

/// Kills a process when a proxy holds its request.
pub fn kill_when_held(proxy: &Proxy, mut running: Running, step: Step) {
    let mut waited = Duration::ZERO;
    let second = Duration::from_secs(1);
    while proxy.holds(second).is_none() {
        let ended = running.0.try_wait().unwrap();
        assert!(ended.is_none(), "the process ended ({ended:?}) and was never {}", step.name());
        waited += second;
        assert!(waited < PATIENCE, "never {}", step.name());
    }
    running.kill();
}

fn demo_command(
    state: &Path,
    source: &Path,
    prefix: &str,
    environment: &[(String, String)],
) -> Command {
    let mut command = crate::support::server();
    command
        .args(["demo", "--exit", "--storage", &format!("s3://lake/{prefix}"), "--state-dir"])
        .arg(state)
        .arg("--source")
        .arg(source)
        .envs(environment.iter().cloned());
    command
}
