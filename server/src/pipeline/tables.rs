//! Every table of a pipeline's lake, those for rejected records included.

use deltalake::arrow::datatypes::DataType;

use super::column::{Class, Column};
use super::consent::Consent;
use super::model::{Derived, LOAD_SEQUENCE, Pipeline, SUBJECT_ID, Source};
use super::zone::Zone;

/// The column of a table of rejected records that says from which file or stream one came.
pub const FILE: &str = "file";
/// The one that says on which line it begins.
pub const LINE: &str = "line";
/// The one with its text.
pub const RAW: &str = "raw";

/// The columns that say whose a row is: in a derived table by the rule of which rows a promotion
/// computes anew for somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Belongs {
    /// A pseudonym.
    pub subject: Option<String>,
    /// A device. In a derived table whose rows are replaced by device they may belong to all who claim
    /// it; in a landing table those that name a customer are theirs alone.
    pub device: Option<String>,
    /// Whether it keeps what was received.
    pub received: bool,
    /// Whether a row may be anybody's, whatever its columns say: a record that could not be read.
    pub anybody: bool,
}

impl Belongs {
    /// Of a table that keeps what was received, and has a pseudonym.
    pub fn received() -> Self {
        Self { subject: Some(SUBJECT_ID.to_owned()), received: true, ..Self::default() }
    }

    /// Whether nobody can be told.
    pub fn is_none(&self) -> bool {
        self.subject.is_none() && self.device.is_none()
    }
}

/// A table as the pipeline declares it.
#[derive(Clone, Debug)]
pub struct Declared {
    /// Table name.
    pub name: String,
    /// What its rows are.
    pub description: Option<String>,
    /// Its zone.
    pub zone: Zone,
    /// Its columns.
    pub columns: Vec<Column>,
    /// The tables that it is derived from.
    pub sources: Vec<String>,
    /// The columns that its rows are sorted by in each file: what they are looked for by.
    pub clustered_by: Vec<String>,
    /// Whose its rows are.
    pub belongs: Belongs,
}

impl Pipeline {
    /// All tables: sources, each followed by its rejects, then the one of revocations, then derived
    /// ones in dependency order.
    pub fn tables(&self) -> Vec<Declared> {
        let landing =
            |name: String, description: Option<String>, columns, by: Vec<&str>, belongs| Declared {
                name,
                description,
                zone: Zone::Landing,
                columns,
                sources: Vec::new(),
                clustered_by: owned(by),
                belongs,
            };
        let sources = self.sources.iter().flat_map(|source| {
            let (name, description) = (source.name.clone(), source.description.clone());
            let (columns, by) = (source.columns(), source.clustered_by());
            let rows = landing(name, description, columns, by, source.belongs());
            let description = Some(format!("records of {} that could not be used", source.name));
            let columns = Source::rejected_columns();
            let by = vec![SUBJECT_ID, LOAD_SEQUENCE];
            let belongs = Belongs { anybody: true, ..Belongs::received() };
            [rows, landing(source.rejected(), description, columns, by, belongs)]
        });
        let derived = self.derived.iter().map(|table| Declared {
            name: table.name.clone(),
            description: table.description.clone(),
            zone: table.zone,
            columns: table.columns.clone(),
            sources: table.sources.clone(),
            clustered_by: owned(table.clustered_by()),
            belongs: self.belongs(table),
        });
        let revocations = self.consent.iter().map(Consent::declared);
        sources.chain(revocations).chain(derived).collect()
    }
}

impl Pipeline {
    fn belongs(&self, table: &Derived) -> Belongs {
        let has = |name: &str| table.columns.iter().any(|column| column.name == name);
        let device = self.claims().map(|(_, device)| device);
        let device = device.filter(|device| table.replace_by == *device);
        Belongs {
            subject: has(SUBJECT_ID).then(|| SUBJECT_ID.to_owned()),
            device: device.map(str::to_owned),
            ..Belongs::default()
        }
    }
}

fn owned(names: Vec<&str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

impl Source {
    fn belongs(&self) -> Belongs {
        Belongs {
            subject: self.subject.as_ref().map(|_| SUBJECT_ID.to_owned()),
            device: self.device.clone(),
            ..Belongs::received()
        }
    }

    /// The columns that a landing table's rows are sorted by: whose they are, of which device, when.
    fn clustered_by(&self) -> Vec<&str> {
        let subject = self.subject.as_ref().map(|_| SUBJECT_ID);
        let device = self.device.as_deref();
        let recorded = self.recorded.first().map(String::as_str);
        [subject, device, recorded].into_iter().flatten().collect()
    }

    /// The columns of the table that keeps rejected records: whose it is where that could be read,
    /// with which load it came, from which file and line, why it was rejected, and its text.
    pub fn rejected_columns() -> Vec<Column> {
        vec![
            Column::new(SUBJECT_ID, DataType::Utf8, Class::Pseudonym),
            Column::new(LOAD_SEQUENCE, DataType::Int64, Class::Plain),
            Column::new(FILE, DataType::Utf8, Class::Pii),
            Column::new(LINE, DataType::Int64, Class::Plain),
            Column::new("reason", DataType::Utf8, Class::Plain),
            Column::new(RAW, DataType::Utf8, Class::Pii),
        ]
    }
}
