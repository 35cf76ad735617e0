//! Profiles: which servers there are, and where the token for each is. Tokens themselves are in no
//! profile.
//!
//! ```toml
//! default = "lab"
//!
//! [profiles.lab]
//! server = "https://stedi.lab.example"
//! token_env = "LAB_TOKEN"          # or token_file = "/run/secrets/stedi", or keyring = "keyring.toml"
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::server::Server;

/// The keyring that `stedi login` writes, beside the configuration file.
const KEYRING: &str = "keyring.toml";
/// Mode of a keyring: its owner alone reads it.
const PRIVATE: u32 = 0o600;
/// Permissions of everybody but the owner, and execution.
const OTHERS: u32 = 0o177;

/// Why a profile is of no use.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// A file cannot be read or written.
    #[error("{file}: {source}")]
    File {
        /// Which one.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it must be. What stands in it is not repeated.
    #[error("{file}: {why}")]
    Syntax {
        /// Which one.
        file: String,
        /// Why.
        why: String,
    },
    /// There is no such profile.
    #[error("there is no profile {0:?}; stedi profile list shows those that there are")]
    Unknown(String),
    /// There is one already.
    #[error("there is a profile {name:?} already, in {file}")]
    Taken {
        /// Its name.
        name: String,
        /// Where.
        file: String,
    },
    /// Not a name of a profile.
    #[error("{0:?} is not a name: letters, digits, - and _")]
    Name(String),
    /// Not an address.
    #[error("profile {0:?}: its server is not the address of one; expected http://HOST:PORT")]
    Address(String),
    /// A profile says in several ways where its token is.
    #[error("profile {0:?}: only one of token_env, token_file and keyring may be there")]
    Several(String),
    /// A token is not where the profile says.
    #[error("profile {name:?}: there is no token in {place}")]
    NoToken {
        /// The profile.
        name: String,
        /// Where it should be.
        place: String,
    },
    /// Others may read a keyring.
    #[error("{file} has mode {mode:04o}, and others may read it; chmod 600 it")]
    Open {
        /// The keyring.
        file: String,
        /// Its mode.
        mode: u32,
    },
    /// There is no place for configuration.
    #[error("there is no STEDI_CONFIG, XDG_CONFIG_HOME or HOME to look for profiles in")]
    NoHome,
}

/// A token; it is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text, without white space around it.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The token.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A server, and where the token for it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its address.
    pub server: String,
    /// The environment variable that holds the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_env: Option<String>,
    /// The file that holds the token alone. Relative to the configuration's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// The file that holds tokens by the names of profiles, as TOML; with mode 0600. Relative to the
    /// configuration's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyring: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    default: Option<String>,
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
}

/// The profiles of a configuration file.
#[derive(Debug)]
pub struct Profiles {
    file: PathBuf,
    document: Document,
}

impl Profiles {
    /// Where they are: `$STEDI_CONFIG`, else `stedi/config.toml` in `$XDG_CONFIG_HOME`, else in
    /// `~/.config`.
    ///
    /// # Errors
    /// [`ProfileError::NoHome`]
    pub fn place(variable: impl Fn(&str) -> Option<String>) -> Result<PathBuf, ProfileError> {
        let set = |name: &str| variable(name).filter(|it| !it.is_empty()).map(PathBuf::from);
        if let Some(file) = set("STEDI_CONFIG") {
            return Ok(file);
        }
        let folder = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")));
        Ok(folder.ok_or(ProfileError::NoHome)?.join("stedi").join("config.toml"))
    }

    /// Reads them; a file that is not there has none.
    ///
    /// # Errors
    /// If the file cannot be read, or a profile is not right.
    pub fn read(file: &Path) -> Result<Self, ProfileError> {
        let name = file.display().to_string();
        let document: Document = match fs::read_to_string(file) {
            Ok(text) => toml::from_str(&text).map_err(|error| syntax(file, &text, &error))?,
            Err(error) if error.kind() == ErrorKind::NotFound => Document::default(),
            Err(source) => return Err(ProfileError::File { file: name, source }),
        };
        for (name, profile) in &document.profiles {
            profile.check(name)?;
        }
        if let Some(default) = &document.default
            && !document.profiles.contains_key(default)
        {
            return Err(ProfileError::Unknown(default.clone()));
        }
        Ok(Self { file: file.to_owned(), document })
    }

    /// The profile of a name; without one the default, if there is one.
    ///
    /// # Errors
    /// [`ProfileError::Unknown`]
    pub fn find(&self, name: Option<&str>) -> Result<Option<(&str, &Profile)>, ProfileError> {
        let Some(name) = name.or(self.document.default.as_deref()) else { return Ok(None) };
        let found = self.document.profiles.get_key_value(name);
        let (name, profile) = found.ok_or_else(|| ProfileError::Unknown(name.to_owned()))?;
        Ok(Some((name, profile)))
    }

    /// All of them, by name, and whether each is the default.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Profile, bool)> {
        self.document.profiles.iter().map(|(name, profile)| {
            (name.as_str(), profile, self.document.default.as_ref() == Some(name))
        })
    }

    /// The token of a profile, from where it says; `None` if it says nothing.
    ///
    /// # Errors
    /// If it is not there, or others may read the keyring.
    pub fn token(
        &self,
        name: &str,
        profile: &Profile,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Secret>, ProfileError> {
        let (token, place) = if let Some(name) = &profile.token_env {
            (variable(name), format!("the variable {name}"))
        } else if let Some(file) = &profile.token_file {
            let file = self.beside(file);
            (Some(text(&file)?), file.display().to_string())
        } else if let Some(file) = &profile.keyring {
            let file = self.beside(file);
            (keyring(&file)?.remove(name), file.display().to_string())
        } else {
            return Ok(None);
        };
        let token = token.map(|text| Secret::new(&text)).filter(|it| !it.text().is_empty());
        let name = name.to_owned();
        token.map(Some).ok_or(ProfileError::NoToken { name, place })
    }

    /// Adds a profile behind what stands in the file.
    ///
    /// # Errors
    /// If its name is taken or not one, or the file cannot be written.
    pub fn add(&self, name: &str, profile: &Profile) -> Result<(), ProfileError> {
        let plain = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_';
        if name.is_empty() || !name.chars().all(plain) {
            return Err(ProfileError::Name(name.to_owned()));
        }
        profile.check(name)?;
        if self.document.profiles.contains_key(name) {
            let file = self.file.display().to_string();
            return Err(ProfileError::Taken { name: name.to_owned(), file });
        }
        let added = BTreeMap::from([("profiles", BTreeMap::from([(name, profile)]))]);
        let added = toml::to_string(&added).map_err(|error| {
            let file = self.file.display().to_string();
            ProfileError::Syntax { file, why: error.to_string() }
        })?;
        let before = match fs::read_to_string(&self.file) {
            Ok(text) => format!("{}\n\n", text.trim_end()).trim_start().to_owned(),
            Err(_) => String::new(),
        };
        write(&self.file, &format!("{before}{added}"), 0o644)
    }

    /// Keeps a token in the keyring of a profile.
    ///
    /// # Errors
    /// If the profile has none, others may read it, or it cannot be written.
    pub fn keep(
        &self,
        name: &str,
        profile: &Profile,
        token: &Secret,
    ) -> Result<PathBuf, ProfileError> {
        let Some(file) = &profile.keyring else {
            let place = "a keyring, as the profile names none".to_owned();
            return Err(ProfileError::NoToken { name: name.to_owned(), place });
        };
        let file = self.beside(file);
        let mut tokens = match fs::symlink_metadata(&file) {
            Ok(_) => keyring(&file)?,
            Err(_) => BTreeMap::new(),
        };
        tokens.insert(name.to_owned(), token.text().to_owned());
        let text = toml::to_string(&tokens).map_err(|_| ProfileError::Syntax {
            file: file.display().to_string(),
            why: "it cannot be written as TOML".to_owned(),
        })?;
        write(&file, &text, PRIVATE)?;
        Ok(file)
    }

    /// The keyring that a profile has if nothing else is said.
    pub fn default_keyring() -> PathBuf {
        PathBuf::from(KEYRING)
    }

    fn beside(&self, file: &Path) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(file)
    }
}

impl Profile {
    fn check(&self, name: &str) -> Result<(), ProfileError> {
        Server::new(&self.server).map_err(|_| ProfileError::Address(name.to_owned()))?;
        let ways = [self.token_env.is_some(), self.token_file.is_some(), self.keyring.is_some()];
        match ways.iter().filter(|way| **way).count() {
            0 | 1 => Ok(()),
            _ => Err(ProfileError::Several(name.to_owned())),
        }
    }
}

/// Tokens by profile, from a file that its owner alone may read.
fn keyring(file: &Path) -> Result<BTreeMap<String, String>, ProfileError> {
    let failed = |source| ProfileError::File { file: file.display().to_string(), source };
    let mode = fs::metadata(file).map_err(failed)?.mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(ProfileError::Open { file: file.display().to_string(), mode });
    }
    let text = text(file)?;
    toml::from_str(&text).map_err(|error| syntax(file, &text, &error))
}

fn text(file: &Path) -> Result<String, ProfileError> {
    fs::read_to_string(file)
        .map_err(|source| ProfileError::File { file: file.display().to_string(), source })
}

/// What is wrong and on which line, without the line: it may hold a token.
fn syntax(file: &Path, text: &str, error: &toml::de::Error) -> ProfileError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.lines().count().max(1);
    ProfileError::Syntax {
        file: file.display().to_string(),
        why: format!("line {line}: {}", error.message()),
    }
}

/// Writes a file as a whole, with its mode from the beginning.
fn write(file: &Path, text: &str, mode: u32) -> Result<(), ProfileError> {
    let failed = |source| ProfileError::File { file: file.display().to_string(), source };
    if let Some(folder) = file.parent().filter(|it| !it.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let draft = file.with_extension(format!("draft-{}", uuid::Uuid::new_v4()));
    let mut options = OpenOptions::new();
    let written =
        options.create_new(true).write(true).mode(mode).open(&draft).and_then(|mut it| {
            it.set_permissions(fs::Permissions::from_mode(mode))?;
            it.write_all(text.as_bytes())?;
            fs::rename(&draft, file)
        });
    written.map_err(failed)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn folder() -> PathBuf {
        let folder = std::env::temp_dir().join(format!("stedi-profiles-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn the_place_follows_the_environment() {
        let place = |set: &[(&str, &str)]| {
            let set: BTreeMap<String, String> =
                set.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
            Profiles::place(|name| set.get(name).cloned()).ok()
        };
        let home = ("HOME", "/h");
        assert_eq!(place(&[home]), Some("/h/.config/stedi/config.toml".into()));
        let xdg = ("XDG_CONFIG_HOME", "/x");
        assert_eq!(place(&[home, xdg]), Some("/x/stedi/config.toml".into()));
        assert_eq!(place(&[home, xdg, ("STEDI_CONFIG", "/c")]), Some("/c".into()));
        assert_eq!(place(&[("HOME", "")]), None);
    }

    #[test]
    fn a_profile_is_added_and_found_and_its_token_comes_from_where_it_says() {
        let folder = folder();
        let file = folder.join("config.toml");
        fs::write(&file, "# mine\ndefault = \"lab\"\n[profiles.lab]\nserver = \"http://a:1\"\n")
            .unwrap();
        let profiles = Profiles::read(&file).unwrap();
        let keyring = Some(Profiles::default_keyring());
        let ring = Profile { server: "https://b".to_owned(), keyring, ..Profile::default() };
        profiles.add("ring", &ring).unwrap();
        assert!(matches!(profiles.add("lab", &ring), Err(ProfileError::Taken { .. })));
        assert!(matches!(profiles.add("a b", &ring), Err(ProfileError::Name(_))));
        let profiles = Profiles::read(&file).unwrap();
        assert!(fs::read_to_string(&file).unwrap().starts_with("# mine\n"));
        assert_eq!(profiles.find(None).unwrap().unwrap().0, "lab");
        let (name, profile) = profiles.find(Some("ring")).unwrap().unwrap();
        assert_eq!(profile, &ring);
        assert!(matches!(profiles.find(Some("x")), Err(ProfileError::Unknown(_))));

        let token = |profile: &Profile| profiles.token(name, profile, |_| Some(" t \n".to_owned()));
        assert!(matches!(token(&ring), Err(ProfileError::File { .. })));
        let kept = profiles.keep(name, &ring, &Secret::new("s3\n")).unwrap();
        assert_eq!(fs::metadata(&kept).unwrap().mode() & 0o777, 0o600);
        assert_eq!(token(&ring).unwrap(), Some(Secret::new("s3")));
        fs::set_permissions(&kept, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(token(&ring), Err(ProfileError::Open { mode: 0o640, .. })));

        let server = ring.server.clone();
        let env = Profile { server, token_env: Some("T".to_owned()), ..Profile::default() };
        assert_eq!(token(&env).unwrap(), Some(Secret::new("t")));
        let none = profiles.token("env", &env, |_| None);
        assert!(matches!(none, Err(ProfileError::NoToken { .. })));
        fs::write(folder.join("token"), "f\n").unwrap();
        let file = Profile { token_env: None, token_file: Some("token".into()), ..env };
        assert_eq!(token(&file).unwrap(), Some(Secret::new("f")));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn errors_name_the_line_and_not_what_stands_in_it() {
        let folder = folder();
        let file = folder.join("keyring.toml");
        write(&file, "a = \"x\"\nlab = s3cret\n", PRIVATE).unwrap();
        let said = keyring(&file).unwrap_err().to_string();
        assert!(said.contains("line 2"), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
        assert!(!format!("{:?}", Secret::new("s3cret")).contains("s3cret"));
        let config = folder.join("config.toml");
        for text in [
            "[profiles.a]\nserver = \"ftp://x\"\n",
            "[profiles.a]\nserver = \"http://x\"\ntoken = \"t\"\n",
            "[profiles.a]\nserver = \"http://x\"\ntoken_env = \"A\"\ntoken_file = \"b\"\n",
            "default = \"b\"\n",
        ] {
            fs::write(&config, text).unwrap();
            assert!(Profiles::read(&config).is_err(), "{text}");
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
