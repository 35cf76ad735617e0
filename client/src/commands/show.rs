//! Rows for people and for programs.

use comfy_table::{Table, presets};

/// Prints rows in columns.
pub fn columns<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header).add_rows(rows);
    println!("{table}");
}

/// Prints rows in columns that are known at run time.
pub fn any_columns(header: Vec<String>, rows: impl IntoIterator<Item = Vec<String>>) {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header).add_rows(rows);
    println!("{table}");
}

/// Prints rows as comma-separated values (RFC 4180).
pub fn csv<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    println!("{}", header.join(","));
    for row in rows {
        println!("{}", row.map(|field| quoted(&field)).join(","));
    }
}

/// A field, in quotes where its text would otherwise end it (RFC 4180, section 2).
fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_only_where_needed() {
        assert_eq!(quoted("a b"), "a b");
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
