//! The configuration file.

use std::path::Path;

use super::{Config, ConfigError};

/// Reads a TOML file; keys that it does not have keep their defaults, unknown keys are errors.
pub(super) fn read(file: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(file)
        .map_err(|source| ConfigError::Unreadable { file: file.to_owned(), source })?;
    toml::from_str(&text).map_err(|error| ConfigError::Syntax {
        file: file.to_owned(),
        message: error.to_string().trim_end().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Overrides;
    use super::*;

    #[test]
    fn a_flag_wins_over_the_file_and_an_unknown_key_is_named() {
        let folder = std::env::temp_dir().join(format!("stedi-config-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let file = folder.join("stedi.toml");
        std::fs::write(
            &file,
            "storage = 'a'\nlisten = '127.0.0.1:1'\n[landing]\nrecord_bytes = 7\n",
        )
        .unwrap();
        let overrides = Overrides {
            file: Some(file.clone()),
            storage: Some("b".into()),
            ..Overrides::default()
        };
        let config = Config::load(overrides.clone()).unwrap();
        assert_eq!(config.storage, "b");
        assert_eq!(config.listen.port(), 1);
        assert_eq!(config.landing.record_bytes, 7);
        std::fs::write(&file, "storage = 'a'\nlissten = 'x'\n").unwrap();
        let error = Config::load(overrides).unwrap_err().to_string();
        assert!(error.contains("stedi.toml") && error.contains("lissten"), "{error}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
