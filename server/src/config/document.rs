//! The documented configuration file, made from what the code says.

use super::keys::{FREE, Key, Section, sections};

/// What stands above the file in `docs/configuration.md`.
const ABOVE: &str = "\
# Configuration

<!-- Made by `stedi-server config default --markdown`; a test compares it with the code. -->

One TOML file (`--config stedi.toml` or `STEDI_CONFIG`). Flags win over the environment, the environment
over the file, the file over defaults. Every key has a variable: `STEDI_`, then section and key in
capitals, with `_` for each point (`STEDI_HTTP_TLS_KEY` is `http.tls.key`); a list is given with commas. S3
takes the standard `AWS_*` variables, which are not in the file. A key that is not known, a variable that
begins like a section and names no key, and a value that makes no sense are errors that name the key and
where it was given.

```sh
stedi-server config default > stedi.toml          # the file below
stedi-server config check --config stedi.toml     # all that can be known without the lake; exit code 1 if it is wrong
stedi-server config show --config stedi.toml      # what counts, and who gave it; secrets hidden
```

The file with all keys and their defaults. What has no default, and sections that are not there by
themselves, are commented out.

";

/// The longest line of a comment.
const WIDTH: usize = 100;

/// The file, with every key.
pub fn documented() -> String {
    let mut text = String::new();
    for section in sections() {
        let mark = if section.optional { "#" } else { "" };
        if !section.name.is_empty() {
            text += "\n";
            text += &comment(&section.text);
            text += &format!("{mark}[{}]\n", section.name.replace(FREE, "analyst"));
        }
        for key in section.keys.iter().filter(|key| !key.name.ends_with(FREE)) {
            text += &described(key, mark);
        }
        for key in section.keys.iter().filter(|key| key.name.ends_with(FREE)) {
            text += &free(key, &section);
        }
    }
    text.trim_start().to_owned()
}

/// The same as a page.
pub fn markdown() -> String {
    format!("{ABOVE}```toml\n{}```\n", documented())
}

fn described(key: &Key, mark: &str) -> String {
    let unit = match key.words.is_empty() {
        true => key.unit().to_owned(),
        false => key.words.join(" or "),
    };
    let size = key.default.as_ref().and_then(|value| readable(key.unit(), value.as_integer()?));
    let unit = size.map_or(unit.clone(), |size| format!("{unit} ({size})"));
    let variable = key.variable().replace(FREE, "ANALYST");
    let mut text = format!("\n{}# {unit}; {variable}\n", comment(&key.text));
    text += &match (&key.default, key.required) {
        (Some(value), _) => format!("{mark}{} = {value}\n", key.word()),
        (None, true) => format!("#{} =   # needed\n", key.word()),
        (None, false) => format!("#{} =   # no default\n", key.word()),
    };
    text
}

/// A table whose names are free.
fn free(key: &Key, section: &Section) -> String {
    let name = key.name.trim_end_matches(FREE).trim_end_matches('.');
    let variable = key.variable().replace(FREE, "NAME");
    let text = comment(&key.text);
    debug_assert!(name.starts_with(&section.name));
    format!("\n{text}# {}; {variable}\n#[{name}]\n#name =   # no default\n", key.unit())
}

/// Lines of a comment.
fn comment(text: &str) -> String {
    let mut lines = String::new();
    let mut line = "#".to_owned();
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines += &format!("{line}\n");
            line = "#".to_owned();
        }
        line += &format!(" {word}");
    }
    lines + &line + "\n"
}

/// A large number in a unit that is easy to read.
fn readable(unit: &str, number: i64) -> Option<String> {
    let units: &[(i64, &str)] = match unit {
        "bytes" => &[(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")],
        "seconds" => &[(86_400, "days"), (3600, "hours"), (60, "minutes")],
        "hours" => &[(24, "days")],
        _ => &[],
    };
    let found = units.iter().find(|(size, _)| number >= *size && number % size == 0);
    found.map(|(size, unit)| match number / size {
        1 => format!("1 {}", unit.trim_end_matches('s')),
        many => format!("{many} {unit}"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    #[test]
    fn the_documented_file_says_what_the_defaults_are() {
        let text = documented();
        let config: Config =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(config, Config::default());
    }

    #[test]
    fn sizes_are_readable() {
        assert_eq!(readable("bytes", 16 << 30).as_deref(), Some("16 GiB"));
        assert_eq!(readable("seconds", 86_400).as_deref(), Some("1 day"));
        assert_eq!(readable("seconds", 90), None);
        assert_eq!(readable("number", 1024), None);
    }
}
