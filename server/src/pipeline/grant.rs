//! What a role reads: columns of some classes in tables of some zones.

use super::column::{Class, Column};
use super::zone::Zone;

/// What the declaration lets one role read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The role.
    pub role: String,
    /// The zones whose tables it reads.
    pub zones: Vec<Zone>,
    /// The classes of the columns that it reads there.
    pub classes: Vec<Class>,
}

/// What somebody reads who has some roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Everything.
    All,
    /// What any of these grants lets them read. Grants do not mix: a zone of one and a class of
    /// another open nothing.
    Granted(Vec<Grant>),
}

impl Sight {
    /// Whether tables of a zone are there at all.
    pub fn zone(&self, zone: Zone) -> bool {
        match self {
            Sight::All => true,
            Sight::Granted(grants) => grants.iter().any(|grant| grant.zones.contains(&zone)),
        }
    }

    /// Whether a column of a table in this zone is there.
    pub fn column(&self, zone: Zone, column: &Column) -> bool {
        match self {
            Sight::All => true,
            Sight::Granted(grants) => grants
                .iter()
                .any(|grant| grant.zones.contains(&zone) && grant.classes.contains(&column.class)),
        }
    }
}

#[cfg(test)]
mod tests {
    use deltalake::arrow::datatypes::DataType;

    use super::*;

    #[test]
    fn grants_do_not_mix() {
        let grant =
            |zone, class| Grant { role: "r".into(), zones: vec![zone], classes: vec![class] };
        let sight = Sight::Granted(vec![
            grant(Zone::Landing, Class::Plain),
            grant(Zone::Trusted, Class::Pii),
        ]);
        let column = |class| Column::new("c", DataType::Utf8, class);
        assert!(sight.zone(Zone::Landing) && sight.zone(Zone::Trusted));
        assert!(!sight.zone(Zone::Curated));
        assert!(sight.column(Zone::Landing, &column(Class::Plain)));
        assert!(!sight.column(Zone::Landing, &column(Class::Pii)));
        assert!(!sight.column(Zone::Trusted, &column(Class::Plain)));
        assert!(Sight::All.column(Zone::System, &column(Class::Pii)));
        assert!(!Sight::Granted(vec![]).zone(Zone::Curated));
    }
}
