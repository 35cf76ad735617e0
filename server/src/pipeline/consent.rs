//! Section `[consent]`: what a revocation is about, and the table that revocations are kept in.

use std::collections::BTreeSet;

use deltalake::arrow::datatypes::DataType;

use super::check::identifier;
use super::column::{Class, Column, Kind};
use super::error::PipelineError;
use super::files::DECLARATION;
use super::model::{LOAD_POSITION, LOAD_SEQUENCE, SUBJECT_ID};
use super::spec::{ConsentSpec, Spec};
use super::tables::{Belongs, Declared};
use super::zone::Zone;

/// The column that says up to when a customer's consents do not count any more, in epoch
/// milliseconds.
pub const REVOKED_AT: &str = "revokedat";
/// The column that names the request with which a customer revoked.
pub const REQUEST: &str = "request";

/// The tables that consent is about. Revocations are a source like any other, but for who writes it:
/// the server does, and nothing is loaded into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// The source whose records say who consents.
    pub customers: String,
    /// Its column with the date of the consent.
    pub date: String,
    /// The derived table of those who consent.
    pub consenting: String,
    /// The table of revocations.
    pub revocations: String,
}

impl Consent {
    /// The columns of the table of revocations.
    pub fn columns() -> Vec<Column> {
        vec![
            Column::new(SUBJECT_ID, DataType::Utf8, Class::Pseudonym),
            Column::new(REVOKED_AT, DataType::Int64, Class::Plain),
            Column::new(REQUEST, DataType::Utf8, Class::Plain),
            Column::new(LOAD_SEQUENCE, DataType::Int64, Class::Plain),
            Column::new(LOAD_POSITION, DataType::Int64, Class::Plain),
        ]
    }

    /// The table of revocations as tables are declared.
    pub fn declared(&self) -> Declared {
        Declared {
            name: self.revocations.clone(),
            description: Some("customers who withdrew their consent, and when".to_owned()),
            zone: Zone::Landing,
            columns: Self::columns(),
            sources: Vec::new(),
            clustered_by: vec![SUBJECT_ID.to_owned()],
            belongs: Belongs::received(),
        }
    }
}

/// The section as it is declared; the other tables were found to be sound.
pub(super) fn consent(spec: &Spec) -> Result<Option<Consent>, PipelineError> {
    let Some(ConsentSpec { customers, date, consenting, revocations }) = &spec.consent else {
        return Ok(None);
    };
    let wrong = |table: &str, reason: &str| {
        Err(PipelineError::table(DECLARATION, table, format!("[consent]: {reason}")))
    };
    let source = spec.sources.iter().find(|source| source.name == *customers);
    let Some(source) = source.filter(|source| source.subject.is_some()) else {
        return wrong(customers, "customers is not a source that names a subject");
    };
    if !source.columns.iter().any(|column| column.name == *date && column.kind == Kind::Epoch) {
        return wrong(customers, &format!("date: it has no column {date} of type epoch"));
    }
    let derived = spec.derived.iter().find(|table| table.name == *consenting);
    let Some(derived) = derived.filter(|table| table.replace_by == SUBJECT_ID) else {
        return wrong(
            consenting,
            "consenting is not a derived table whose rows are replaced by subject_id",
        );
    };
    // A revocation would change nothing.
    if !derived.sources.contains(revocations) {
        return wrong(consenting, &format!("it does not read {revocations}"));
    }
    Ok(Some(Consent {
        customers: customers.clone(),
        date: date.clone(),
        consenting: consenting.clone(),
        revocations: revocations.clone(),
    }))
}

/// Checks the name of the table of revocations, and adds it to those that are taken.
pub(super) fn name<'a>(
    spec: &'a Spec,
    tables: &mut BTreeSet<&'a str>,
) -> Result<(), PipelineError> {
    let Some(ConsentSpec { revocations, .. }) = &spec.consent else { return Ok(()) };
    let wrong = |reason: &str| {
        let reason = format!("[consent]: revocations: {reason}");
        Err(PipelineError::table(DECLARATION, revocations, reason))
    };
    if let Err(reason) = identifier(revocations) {
        return wrong(reason);
    }
    if !tables.insert(revocations) {
        return wrong("the name is taken by a table that is declared");
    }
    Ok(())
}
