//! `stedi ready`: for scripts and health checks.

use std::time::Duration;

use clap::Args;
use stedi_client::{ClientError, Server};

/// Flags of `ready`.
#[derive(Debug, Args)]
pub struct Ready {
    /// Seconds to wait
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    wait: u64,
}

impl Ready {
    pub async fn run(self, server: &Server) -> Result<(), ClientError> {
        server.ready(Duration::from_secs(self.wait)).await?;
        println!("ready");
        Ok(())
    }
}
