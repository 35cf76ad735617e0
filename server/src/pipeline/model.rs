//! A pipeline that was found to be sound.

use std::collections::BTreeMap;

use deltalake::arrow::datatypes::DataType;

use super::column::{Class, Column, Kind};
use super::consent::Consent;
use super::grant::Grant;
use super::quality::Check;
use super::zone::Zone;

/// The column that holds a customer's pseudonym.
pub const SUBJECT_ID: &str = "subject_id";
/// The column of a landing table that says with which load a row arrived.
pub const LOAD_SEQUENCE: &str = "load_sequence";
/// The column of a landing table that says where in its load a row stood.
pub const LOAD_POSITION: &str = "load_position";

/// How landing reads one field of a source's records.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Lower-case column name.
    pub name: String,
    /// How a value is read.
    pub kind: Kind,
    /// What it reveals.
    pub class: Class,
    /// Whether a record without it is rejected.
    pub required: bool,
    /// Other names of the field, in lower case.
    pub aliases: Vec<String>,
}

/// A landing table.
#[derive(Clone, Debug)]
pub struct Source {
    /// Table name, unique in the lake.
    pub name: String,
    /// What its rows are.
    pub description: Option<String>,
    /// The folder below `demo --source DIR` that holds its files.
    pub folder: String,
    /// The column that names the customer, if there is one.
    pub subject: Option<String>,
    /// The column that names the device, if there is one.
    pub device: Option<String>,
    /// Whether a record claims its device for its subject.
    pub claims: bool,
    /// Epoch columns, the first present of which is the record's moment; one is required.
    pub recorded: Vec<String>,
    /// The epoch column that says when a reading was taken.
    pub measured: Option<String>,
    /// Columns of which at least one is required.
    pub any_of: Vec<String>,
    /// How its fields are read, in declared order.
    pub rules: Vec<Rule>,
}

impl Source {
    /// The stored columns: the pseudonym where the source names customers, the declared ones, and
    /// the two that order arrivals.
    pub fn columns(&self) -> Vec<Column> {
        let pseudonym = self
            .subject
            .as_ref()
            .map(|_| Column::new(SUBJECT_ID, DataType::Utf8, Class::Pseudonym));
        let declared = self
            .rules
            .iter()
            .map(|rule| Column::new(&rule.name, rule.kind.data_type(), rule.class));
        let arrival = [LOAD_SEQUENCE, LOAD_POSITION]
            .map(|name| Column::new(name, DataType::Int64, Class::Plain));
        pseudonym.into_iter().chain(declared).chain(arrival).collect()
    }

    /// The epoch columns, the first present of which is the moment that a record is of.
    pub fn moments(&self) -> impl Iterator<Item = &String> {
        self.measured.iter().chain(&self.recorded)
    }

    /// Name of the table that keeps this source's rejected records.
    pub fn rejected(&self) -> String {
        format!("{}_rejected", self.name)
    }
}

/// A table that is defined by one SELECT over others.
#[derive(Clone, Debug)]
pub struct Derived {
    /// Table name, unique in the lake.
    pub name: String,
    /// What its rows are.
    pub description: Option<String>,
    /// Its zone.
    pub zone: Zone,
    /// The tables that its SELECT reads, as declared and as found in the plan.
    pub sources: Vec<String>,
    /// The sources in which the SELECT is declared to be linear.
    pub linear: Vec<String>,
    /// The column by which its rows are replaced.
    pub replace_by: String,
    /// Why its rows cannot be replaced key by key, if they cannot.
    pub not_local: Option<String>,
    /// The SELECT, the table's only definition.
    pub sql: String,
    /// Its columns, in the order of the SELECT.
    pub columns: Vec<Column>,
    /// What has to hold of its rows.
    pub checks: Vec<Check>,
}

impl Derived {
    /// The columns that its rows are sorted by: those that stand for a person, as that is whom
    /// statements, revocations and training look for, then the one by which rows are replaced.
    pub fn clustered_by(&self) -> Vec<&str> {
        let person = self.columns.iter().filter(|column| column.class == Class::Pseudonym);
        let mut columns: Vec<&str> = person.map(|column| column.name.as_str()).collect();
        if !columns.contains(&self.replace_by.as_str()) {
            columns.push(&self.replace_by);
        }
        columns
    }
}

/// What the demo asks when everything is in place.
#[derive(Clone, Debug)]
pub struct Demo {
    /// One SELECT.
    pub query: String,
}

/// When promotions run by themselves.
#[derive(Clone, Debug, Default)]
pub struct Rhythm {
    /// At these times: five fields as in a crontab, in UTC.
    pub schedule: Option<String>,
    /// So many seconds after a load.
    pub after_load_seconds: Option<u64>,
}

/// What snapshots are made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotRules {
    /// The tables of a snapshot that names none.
    pub tables: Vec<String>,
    /// Parts into which people are split, by their shares.
    pub splits: BTreeMap<String, u32>,
    /// Whether one is made after each promotion that succeeded.
    pub after_promotion: bool,
}

/// All tables of a lake, checked and in dependency order.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Its name.
    pub name: String,
    /// Chosen values of the options, which a SELECT reads as `$option`.
    pub options: BTreeMap<String, String>,
    /// The demo's question, if there is one.
    pub demo: Option<Demo>,
    /// When promotions run by themselves.
    pub rhythm: Rhythm,
    /// What roles read.
    pub grants: Vec<Grant>,
    /// What revocations are about, if the pipeline has them.
    pub consent: Option<Consent>,
    /// What snapshots are made of.
    pub snapshot: SnapshotRules,
    /// Landing tables, in declared order.
    pub sources: Vec<Source>,
    /// Derived tables; each stands behind the tables that it reads.
    pub derived: Vec<Derived>,
}

impl Pipeline {
    /// The source whose records claim devices for their subjects, and the column of the device.
    pub fn claims(&self) -> Option<(&Source, &str)> {
        let source = self.sources.iter().find(|source| source.claims)?;
        Some((source, source.device.as_deref()?))
    }

    /// The source of this name.
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// Whether the table of this name is the one of revocations.
    pub fn is_revocations(&self, name: &str) -> bool {
        self.consent.as_ref().is_some_and(|consent| consent.revocations == name)
    }

    fn is_landing(&self, name: &str) -> bool {
        self.source(name).is_some() || self.is_revocations(name)
    }

    /// The zone of a source or derived table of this name.
    pub fn zone(&self, name: &str) -> Option<Zone> {
        self.derived
            .iter()
            .find(|table| table.name == name)
            .map(|table| table.zone)
            .or_else(|| self.is_landing(name).then_some(Zone::Landing))
    }
}
