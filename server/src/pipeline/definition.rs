//! The digest that tells whether a table was built by today's definition.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::model::Derived;

impl Derived {
    /// A digest of what defines this table's rows: its SELECT and columns, the values of the
    /// options and the key that made the pseudonyms. 63 bits, as a Delta `txn` version is a
    /// positive `long`.
    pub fn definition(&self, options: &BTreeMap<String, String>, key_id: &str) -> i64 {
        digest(self, options, key_id)
    }
}

/// Digests everything that decides which rows a table holds, besides its sources' rows.
fn digest(table: &Derived, options: &BTreeMap<String, String>, key_id: &str) -> i64 {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        // Lengths keep ("ab", "c") and ("a", "bc") apart.
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    part("stedi definition 1");
    part(&table.name);
    part(&table.sql);
    part(key_id);
    for (name, value) in options {
        part(name);
        part(value);
    }
    for column in &table.columns {
        part(&column.name);
        part(&column.data_type.to_string());
        // The class decides which statistics the files keep.
        part(&format!("{:?}", column.class));
    }
    let bytes = hash.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&bytes[..8]);
    (u64::from_be_bytes(first) >> 1) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::zone::Zone;

    fn table(sql: &str) -> Derived {
        Derived {
            name: "t".into(),
            description: None,
            zone: Zone::Trusted,
            sources: vec![],
            linear: vec![],
            replace_by: "a".into(),
            not_local: None,
            sql: sql.into(),
            columns: vec![],
            checks: vec![],
        }
    }

    #[test]
    fn changes_with_select_option_and_key_and_is_positive() {
        let none = BTreeMap::new();
        let some = BTreeMap::from([("readings".to_owned(), "all".to_owned())]);
        let digests = [
            digest(&table("SELECT 1"), &none, "k"),
            digest(&table("SELECT 2"), &none, "k"),
            digest(&table("SELECT 1"), &some, "k"),
            digest(&table("SELECT 1"), &none, "l"),
        ];
        assert!(digests.iter().all(|digest| *digest >= 0));
        let distinct: std::collections::BTreeSet<_> = digests.iter().collect();
        assert_eq!(distinct.len(), digests.len());
        assert_eq!(digests[0], digest(&table("SELECT 1"), &none, "k"));
    }
}
