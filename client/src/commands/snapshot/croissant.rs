//! `stedi snapshot croissant`: what a snapshot is, for programs that know Croissant.

use clap::Args;
use stedi_client::Server;

use crate::commands::failure::Failure;

/// Flags of `snapshot croissant`.
#[derive(Debug, Args)]
pub struct Croissant {
    /// Its id, its name, or latest
    #[arg(default_value = "latest")]
    snapshot: String,
}

impl Croissant {
    pub async fn run(self, server: &Server) -> Result<(), Failure> {
        let described = server.snapshot_croissant(&self.snapshot).await?;
        println!("{}", serde_json::to_string_pretty(&described)?);
        Ok(())
    }
}
