//! `stedi share`: what programs of others need to read tables by the Delta Sharing protocol.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, SecondsFormat};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use stedi_client::ClientError;

/// Flags of `share`.
#[derive(Debug, Args)]
pub struct Share {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes the profile that a Delta Sharing client reads: the server's address, and the token in
    /// use. Whoever has the file may read what the token's owner may, until it expires.
    Profile(Profile),
}

#[derive(Debug, Args)]
struct Profile {
    /// The file, which nobody else may read; without it the profile is printed
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// A profile (Delta Sharing protocol, "Profile File Format").
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Text<'a> {
    share_credentials_version: u32,
    endpoint: String,
    bearer_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_time: Option<String>,
}

impl Share {
    /// Carries it out with the server and token that are in use.
    pub fn run(self, server: &str, token: Option<&str>) -> Result<(), ClientError> {
        let Command::Profile(profile) = self.command;
        let missing = io::Error::new(io::ErrorKind::NotFound, "a profile needs a token (--token)");
        let token = token.ok_or_else(|| failed(Path::new("profile"))(missing))?;
        let text = serde_json::to_string_pretty(&Text {
            share_credentials_version: 1,
            endpoint: format!("{}/sharing", server.trim_end_matches('/')),
            bearer_token: token,
            expiration_time: expires(token),
        })?;
        match &profile.out {
            Some(file) => write(file, &text).map_err(failed(file)),
            None => {
                println!("{text}");
                Ok(())
            }
        }
    }
}

/// When a token expires, as it says itself (RFC 7519, section 4.1.4).
fn expires(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
    }
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    let time = DateTime::from_timestamp(claims.exp, 0)?;
    Some(time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// Writes a file that only its owner may read, as a whole or not at all.
fn write(file: &Path, text: &str) -> io::Result<()> {
    let mut draft = file.as_os_str().to_owned();
    draft.push(format!(".{}", std::process::id()));
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&draft).and_then(|mut open| {
        open.write_all(text.as_bytes())?;
        open.write_all(b"\n")?;
        open.sync_all()
    });
    let written = written.and_then(|()| std::fs::rename(&draft, file));
    if written.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    written
}

fn failed(file: &Path) -> impl FnOnce(io::Error) -> ClientError {
    let name = file.display().to_string();
    move |source| ClientError::File { name, source }
}
