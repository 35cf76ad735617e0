//! Columns: how a value is read, and what it reveals.

use std::sync::Arc;

use deltalake::arrow::datatypes::{DataType, Field, Schema};
use serde::Deserialize;

use crate::lake::Columns;

/// What a column reveals, and with that who may read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Names nobody.
    Plain,
    /// Names a customer only to the holder of the lake's subject key.
    Pseudonym,
    /// Names a customer to anybody: name, e-mail, phone, birthday.
    Pii,
}

impl Class {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Pseudonym => "pseudonym",
            Self::Pii => "pii",
        }
    }
}

/// How landing reads the values of a source's column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A string, stored as it is; a number is stored as its text.
    Text,
    /// A non-blank string, stored trimmed and lower-cased.
    Email,
    /// A non-blank string, stored trimmed.
    Key,
    /// Milliseconds since 1970-01-01 UTC, above 0: a whole number, a float without a fraction or
    /// a string of digits.
    Epoch,
    /// A finite number.
    Double,
}

impl Kind {
    /// The Arrow type that values of this kind are stored as.
    pub fn data_type(self) -> DataType {
        match self {
            Kind::Text | Kind::Email | Kind::Key => DataType::Utf8,
            Kind::Epoch => DataType::Int64,
            Kind::Double => DataType::Float64,
        }
    }
}

/// A column as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Lower-case name.
    pub name: String,
    /// Stored type.
    pub data_type: DataType,
    /// What it reveals.
    pub class: Class,
}

impl Column {
    /// A column of the given name, type and class.
    pub fn new(name: impl Into<String>, data_type: DataType, class: Class) -> Self {
        Self { name: name.into(), data_type, class }
    }

    /// The Arrow field. Every column is nullable: what may be missing is landing's to decide.
    pub fn field(&self) -> Field {
        Field::new(&self.name, self.data_type.clone(), true)
    }
}

/// The columns as the lake stores them; nothing about the values of PII columns goes into
/// metadata.
pub fn stored_columns(columns: &[Column]) -> Columns {
    let pii = columns.iter().filter(|column| column.class == Class::Pii);
    Columns {
        txn_retention: None,
        without_statistics: pii.map(|column| column.name.clone()).collect(),
        schema: Arc::new(Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>())),
    }
}
