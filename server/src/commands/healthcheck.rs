//! `stedi-server healthcheck`: asks the server that runs beside it, for containers without a shell.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{Outcome, environment};
use crate::config::{Config, Overrides};

/// Flags of `healthcheck`.
#[derive(Debug, Args)]
pub(super) struct Healthcheck {
    /// The address that the server serves on [env: STEDI_LISTEN] [default: 127.0.0.1:7070]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// The server's configuration file (TOML)
    #[arg(long, env = "STEDI_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Asks only whether the process lives, not whether its lake answers
    #[arg(long)]
    live: bool,
    /// Seconds that the answer may take
    #[arg(long, default_value_t = 6, value_name = "SECONDS")]
    wait: u64,
}

impl Healthcheck {
    pub async fn run(self) -> Outcome {
        let config = Config::load(Overrides {
            file: self.config,
            environment: environment(),
            listen: self.listen,
            ..Overrides::default()
        })?;
        let scheme = if config.http.tls.is_some() { "https" } else { "http" };
        let path = if self.live { "healthz" } else { "readyz" };
        let url = format!("{scheme}://{}/{path}", beside(config.listen));
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(self.wait))
            .no_proxy()
            // Its certificate is for the name that others know it by; nothing secret is sent.
            .danger_accept_invalid_certs(true)
            .build()?;
        let answer = client.get(&url).send().await.map_err(|error| {
            let reason = if error.is_timeout() { "none in time" } else { "nobody there" };
            format!("{url}: no answer: {reason}")
        })?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!("{url}: {status}").into()),
        }
    }
}

/// Where a server on this address answers on its own machine.
fn beside(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_on_all_addresses_is_asked_on_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:7070", "127.0.0.1:7070"),
            ("[::]:7070", "[::1]:7070"),
            ("10.0.0.7:80", "10.0.0.7:80"),
        ] {
            assert_eq!(beside(listen.parse().unwrap()).to_string(), asked);
        }
    }
}
