//! Variables of the environment that give values.

use super::keys::{FREE, Key, Kind, Section};
use super::{ConfigError, Origin};

/// What begins like a key, but is what Kubernetes tells every container about a service of this name.
const OTHERS: [&str; 3] = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"];

/// A value that a variable gives.
pub(super) struct Given {
    /// The key, in its parts.
    pub path: Vec<String>,
    /// The value.
    pub value: toml::Value,
    /// The variable.
    pub origin: Origin,
}

/// What variables say. Each key has one: `STEDI_`, then section and key in capitals. `RUST_LOG` is
/// known too, and counts less than the others.
///
/// # Errors
/// Names a variable that begins like a section and names no key, or whose value cannot be read.
pub(super) fn given(
    environment: &[(String, String)],
    sections: &[Section],
) -> Result<Vec<Given>, ConfigError> {
    let mut all = Vec::new();
    for (name, text) in environment {
        let Some(rest) = name.strip_prefix("STEDI_") else { continue };
        let keys = sections.iter().flat_map(|section| &section.keys);
        let matching = keys.filter_map(|key| Some((key, free(&key.variable(), name)?)));
        // `…_ASYNC_SECONDS` ends like `…_SECONDS` does: the one that says most is meant.
        let found = matching.min_by_key(|(_, free)| free.len());
        let Some((key, free)) = found else {
            if is_ours(rest, sections) {
                let reason = "there is no such key".to_owned();
                return Err(ConfigError::Variable { variable: name.clone(), reason });
            }
            continue;
        };
        let value = value(key, text)
            .map_err(|reason| ConfigError::Variable { variable: name.clone(), reason })?;
        let parts = key.name.split('.');
        let path =
            parts.map(|part| if part == FREE { free.to_lowercase() } else { part.to_owned() });
        all.push(Given { path: path.collect(), value, origin: Origin::Variable(name.clone()) });
    }
    let has_filter = all.iter().any(|given| given.path == ["log", "filter"]);
    let usual = environment.iter().find(|(name, text)| name == "RUST_LOG" && !text.is_empty());
    if let (false, Some((name, text))) = (has_filter, usual) {
        all.push(Given {
            path: vec!["log".to_owned(), "filter".to_owned()],
            value: toml::Value::String(text.clone()),
            origin: Origin::Variable(name.clone()),
        });
    }
    Ok(all)
}

/// What stands in the place of `*`, if a variable has this form.
fn free<'a>(form: &str, name: &'a str) -> Option<&'a str> {
    match form.split_once(FREE) {
        None => (form == name).then_some(""),
        Some((before, behind)) => name
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(behind))
            .filter(|free| !free.is_empty()),
    }
}

fn is_ours(rest: &str, sections: &[Section]) -> bool {
    let is_others =
        OTHERS.iter().any(|end| rest.ends_with(end) || rest.contains(&format!("{end}_")));
    let tops = sections.iter().filter(|section| !section.name.is_empty());
    let mut tops = tops.map(|section| section.name.to_uppercase().replace('.', "_"));
    !is_others && tops.any(|top| rest.strip_prefix(&top).is_some_and(|rest| rest.starts_with('_')))
}

fn value(key: &Key, text: &str) -> Result<toml::Value, String> {
    Ok(match key.kind {
        Kind::Text => toml::Value::String(text.to_owned()),
        Kind::Integer => {
            toml::Value::Integer(text.trim().parse().map_err(|_| "is not a whole number")?)
        }
        Kind::Boolean => {
            toml::Value::Boolean(text.trim().parse().map_err(|_| "is neither true nor false")?)
        }
        Kind::Texts => {
            let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
            toml::Value::Array(texts.map(|text| toml::Value::String(text.to_owned())).collect())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::keys::sections;
    use super::*;

    fn all(variables: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        let variables: Vec<_> = variables.iter().map(owned).collect();
        let given = given(&variables, &sections()).map_err(|error| error.to_string())?;
        Ok(given.iter().map(|it| format!("{} = {}", it.path.join("."), it.value)).collect())
    }

    #[test]
    fn variables_name_keys() {
        for (name, text, expected) in [
            ("STEDI_STORAGE", "s3://b", "storage = \"s3://b\""),
            ("STEDI_PIPELINE", "p", "pipeline.dir = \"p\""),
            ("STEDI_HTTP_TLS_KEY", "k", "http.tls.key = \"k\""),
            ("STEDI_HTTP_CORS_ORIGINS", "a, b", "http.cors_origins = [\"a\", \"b\"]"),
            ("STEDI_AUDIT_FSYNC", "false", "audit.fsync = false"),
            ("STEDI_PIPELINE_OPTIONS_READINGS", "x", "pipeline.options.readings = \"x\""),
            ("STEDI_LIMITS_ROLES_ANALYST_SECONDS", "7", "limits.roles.analyst.seconds = 7"),
            (
                "STEDI_LIMITS_ROLES_ANALYST_ASYNC_SECONDS",
                "7",
                "limits.roles.analyst.async_seconds = 7",
            ),
            ("RUST_LOG", "debug", "log.filter = \"debug\""),
        ] {
            assert_eq!(all(&[(name, text)]), Ok(vec![expected.to_owned()]), "{name}");
        }
        let both = [("RUST_LOG", "debug"), ("STEDI_LOG_FILTER", "warn")];
        assert_eq!(all(&both), Ok(vec!["log.filter = \"warn\"".to_owned()]));
    }

    #[test]
    fn a_variable_that_names_no_key_is_an_error_unless_it_is_somebody_elses() {
        for (name, text, reason) in [
            ("STEDI_HTTP_CONECTIONS", "1", "STEDI_HTTP_CONECTIONS (environment): there is no such"),
            ("STEDI_HTTP_HEADERS", "many", "STEDI_HTTP_HEADERS (environment): is not a whole"),
            ("STEDI_AUDIT_FSYNC", "yes", "STEDI_AUDIT_FSYNC (environment): is neither true"),
        ] {
            let error = all(&[(name, text)]).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        for name in
            ["STEDI_TOKEN", "STEDI_METRICS_SERVICE_HOST", "STEDI_METRICS_PORT_90_TCP", "PATH"]
        {
            assert_eq!(all(&[(name, "x")]), Ok(vec![]), "{name}");
        }
    }
}
