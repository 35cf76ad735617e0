//! `stedi profile`: servers, and where the token for each is; `stedi login`: a token is kept.

use std::io::{IsTerminal, Read, stdin};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use stedi_client::{Profile, ProfileError, Profiles, Secret};

use super::failure::Failure;
use super::{Format, show};

/// Flags of `profile`.
#[derive(Debug, Args)]
pub struct ProfileCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Adds a profile; its token is in a keyring of mode 0600 unless something else is said.
    Add(Add),
    /// Lists profiles; never a token.
    List,
}

#[derive(Debug, Args)]
struct Add {
    /// Its name: letters, digits, - and _
    name: String,
    /// The address of its server
    #[arg(long = "url", value_name = "URL")]
    url: String,
    /// The environment variable that holds the token
    #[arg(long, value_name = "NAME", group = "where")]
    token_env: Option<String>,
    /// The file that holds the token
    #[arg(long, value_name = "FILE", group = "where")]
    token_file: Option<PathBuf>,
    /// The file of mode 0600 that holds tokens by profile
    #[arg(long, value_name = "FILE", group = "where")]
    keyring: Option<PathBuf>,
}

/// Flags of `login`.
#[derive(Debug, Args)]
pub struct Login {}

impl ProfileCommand {
    pub fn run(self, profiles: &Profiles, format: Format) -> Result<(), Failure> {
        match self.command {
            Command::List => list(profiles, format),
            Command::Add(add) => {
                let said = add.token_env.is_some() || add.token_file.is_some();
                let keyring = add.keyring.or_else(|| (!said).then(Profiles::default_keyring));
                let profile = Profile {
                    server: add.url,
                    token_env: add.token_env,
                    token_file: add.token_file,
                    keyring,
                };
                Ok(profiles.add(&add.name, &profile)?)
            }
        }
    }
}

impl Login {
    /// Keeps the token that comes on standard input.
    pub fn run(self, profiles: &Profiles, name: Option<&str>) -> Result<(), Failure> {
        let found = profiles.find(name)?;
        let (name, profile) = found.ok_or_else(|| ProfileError::Unknown(String::new()))?;
        if stdin().is_terminal() {
            eprintln!("the token for {name}, then Ctrl-D:");
        }
        let mut text = String::new();
        let read = stdin().read_to_string(&mut text);
        read.map_err(|error| Failure::Stream("standard input", error))?;
        let token = Secret::new(&text);
        if token.text().is_empty() {
            let place = "standard input".to_owned();
            return Err(ProfileError::NoToken { name: name.to_owned(), place }.into());
        }
        let file = profiles.keep(name, profile, &token)?;
        eprintln!("the token for {name} is in {}", file.display());
        Ok(())
    }
}

fn list(profiles: &Profiles, format: Format) -> Result<(), Failure> {
    let header = ["profile", "server", "token", "default"];
    let rows = profiles.all().map(|(name, profile, default)| {
        let file = |kind: &str, file: &PathBuf| format!("{kind} {}", file.display());
        let token = profile.token_env.as_ref().map(|name| format!("variable {name}"));
        let token = token.or_else(|| Some(file("file", profile.token_file.as_ref()?)));
        let token = token.or_else(|| Some(file("keyring", profile.keyring.as_ref()?)));
        let default = if default { "yes" } else { "" }.to_owned();
        [name.to_owned(), profile.server.clone(), token.unwrap_or_default(), default]
    });
    match format {
        Format::Json => {
            let all: std::collections::BTreeMap<_, _> =
                profiles.all().map(|(name, profile, _)| (name, profile)).collect();
            println!("{}", serde_json::to_string_pretty(&all)?);
        }
        Format::Csv => show::csv(header, rows),
        Format::Table => show::columns(header, rows),
    }
    Ok(())
}
