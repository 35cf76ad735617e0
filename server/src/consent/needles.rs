//! What names a customer, as their own records have it: the e-mail, the devices that nobody else
//! claims, and what means them only together, such as a name with a birthday.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aho_corasick::AhoCorasick;
use deltalake::arrow::array::{Array, AsArray, StringArray};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::logical_expr::{Expr, ident, lit};
use futures::StreamExt;

use super::error::ConsentError;
use crate::lake::{DataFiles, Lake, Needle, NeedleError};
use crate::pipeline::{Class, Pipeline, SUBJECT_ID, Source, Zone};

/// Bytes of the shortest value that means somebody.
const SHORTEST: usize = 3;

/// An identifier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Identifier {
    Email(String),
    Device(String),
    /// Columns and values of one record.
    Together([(usize, String); 2]),
}

/// What is to be looked for.
#[derive(Debug, Default)]
pub(super) struct Identifiers {
    pub needles: Vec<Needle>,
    /// The pseudonyms that each is of.
    pub of: Vec<BTreeSet<String>>,
    /// How many are not looked for, as somebody else has the same, or one that holds it: the bytes of
    /// the one cannot be told from those of the other.
    pub shared: u64,
}

impl Identifier {
    /// What is looked for, in lower case.
    fn texts(&self) -> impl Iterator<Item = String> + '_ {
        let (one, other) = match self {
            Self::Email(text) | Self::Device(text) => (text, None),
            Self::Together([(_, one), (_, other)]) => (one, Some(other)),
        };
        [Some(one), other].into_iter().flatten().map(|text| text.to_lowercase())
    }
}

impl Identifiers {
    /// How many there are of each kind.
    pub fn kinds(&self) -> BTreeMap<String, u64> {
        let mut kinds = BTreeMap::new();
        for needle in &self.needles {
            *kinds.entry(needle.name.clone()).or_default() += 1;
        }
        kinds
    }
}

/// The identifiers of customers, without those that somebody else has too, alone or as a part of theirs.
pub(super) async fn identifiers(
    lake: &Lake,
    pipeline: &Pipeline,
    subjects: &BTreeSet<String>,
) -> Result<Identifiers, ConsentError> {
    let source = pipeline.consent.as_ref().and_then(|it| pipeline.source(&it.customers));
    let Some(source) = source else { return Ok(Identifiers::default()) };
    let table = lake.current(Zone::Landing.name(), &source.name).await?;
    let Some(table) = table else { return Ok(Identifiers::default()) };
    let columns = Columns::of(source);
    let files = table.files()?;
    let theirs = ident(SUBJECT_ID)
        .in_list(subjects.iter().map(|subject| lit(subject.as_str())).collect(), false);
    let mut found = BTreeMap::<Identifier, BTreeSet<String>>::new();
    columns
        .each(lake, &files, theirs.clone(), |subject, identifier| {
            found.entry(identifier).or_default().insert(subject.to_owned());
        })
        .await?;
    let others = ident(SUBJECT_ID).is_null().or(!theirs);
    let before = found.len();
    let texts: Vec<String> =
        found.keys().flat_map(Identifier::texts).collect::<BTreeSet<_>>().into_iter().collect();
    let patterns = AhoCorasick::builder().ascii_case_insensitive(true).build(&texts);
    let patterns = patterns.map_err(NeedleError::from)?;
    columns
        .rows(lake, &files, others, |_, values| {
            let values = values.iter().flatten();
            let inside = values.flat_map(|value| patterns.find_overlapping_iter(value.as_str()));
            let inside: BTreeSet<&String> =
                inside.filter_map(|part| texts.get(part.pattern().as_usize())).collect();
            if !inside.is_empty() {
                found
                    .retain(|identifier, _| !identifier.texts().all(|text| inside.contains(&text)));
            }
        })
        .await?;
    let mut identifiers =
        Identifiers { shared: (before - found.len()) as u64, ..Identifiers::default() };
    for (identifier, of) in found {
        identifiers.needles.push(match &identifier {
            Identifier::Email(text) => Needle::any_case("email", text),
            Identifier::Device(text) => Needle::exact("serialnumber", text),
            Identifier::Together([one, other]) => {
                let name = format!("{} with {}", columns.names[one.0], columns.names[other.0]);
                Needle::together(&name, &[&one.1, &other.1])
            }
        });
        identifiers.of.push(of);
    }
    Ok(identifiers)
}

/// The columns of a record that name somebody.
struct Columns {
    names: Vec<String>,
    email: Option<usize>,
    device: Option<usize>,
}

impl Columns {
    fn of(source: &Source) -> Self {
        let own = [&source.subject, &source.device].into_iter().flatten();
        let mut names = vec![SUBJECT_ID.to_owned()];
        names.extend(own.cloned());
        for rule in source.rules.iter().filter(|rule| rule.class == Class::Pii) {
            if !names.contains(&rule.name) {
                names.push(rule.name.clone());
            }
        }
        let place =
            |column: &Option<String>| names.iter().position(|name| Some(name) == column.as_ref());
        Self { email: place(&source.subject), device: place(&source.device), names }
    }

    /// Every identifier of some records.
    async fn each(
        &self,
        lake: &Lake,
        files: &DataFiles,
        rows: Expr,
        mut take: impl FnMut(&str, Identifier),
    ) -> Result<(), ConsentError> {
        self.rows(lake, files, rows, |subject, values| {
            let value = |column: usize| values.get(column).cloned().flatten();
            if let Some(email) = self.email.and_then(value) {
                take(subject, Identifier::Email(email));
            }
            if let Some(device) = self.device.and_then(value) {
                take(subject, Identifier::Device(device));
            }
            let others = (1..self.names.len())
                .filter(|column| Some(*column) != self.email && Some(*column) != self.device);
            let others: Vec<(usize, String)> =
                others.filter_map(|column| Some((column, value(column)?.to_lowercase()))).collect();
            for (at, one) in others.iter().enumerate() {
                for other in others.iter().skip(at + 1) {
                    take(subject, Identifier::Together([one.clone(), other.clone()]));
                }
            }
        })
        .await
    }

    /// Some records: the pseudonym, and the values by column that are long enough to mean somebody.
    async fn rows(
        &self,
        lake: &Lake,
        files: &DataFiles,
        rows: Expr,
        mut take: impl FnMut(&str, &[Option<String>]),
    ) -> Result<(), ConsentError> {
        if files.is_empty() {
            return Ok(());
        }
        let failed = |source: DataFusionError| ConsentError::Look {
            table: files.table().to_owned(),
            source: Box::new(source),
        };
        let session = lake.sessions().session();
        let all = session.read_table(Arc::new(files.clone())).map_err(failed)?;
        let columns = self.names.iter().map(|name| ident(name.as_str())).collect::<Vec<_>>();
        let all = all.filter(rows).and_then(|rows| rows.select(columns)).map_err(failed)?;
        let mut batches = all.execute_stream().await.map_err(failed)?;
        while let Some(batch) = batches.next().await {
            let batch = batch.map_err(failed)?;
            let texts = batch.columns().iter().map(|column| cast(column, &DataType::Utf8));
            let texts =
                texts.collect::<Result<Vec<_>, _>>().map_err(|error| failed(error.into()))?;
            let texts: Vec<&StringArray> =
                texts.iter().map(|text| text.as_string::<i32>()).collect();
            for row in 0..batch.num_rows() {
                let value = |text: &&StringArray| {
                    let text = text.is_valid(row).then(|| text.value(row))?;
                    (text.len() >= SHORTEST).then(|| text.to_owned())
                };
                let mut values: Vec<Option<String>> = texts.iter().map(value).collect();
                let subject = values.first_mut().and_then(Option::take).unwrap_or_default();
                take(&subject, &values);
            }
        }
        Ok(())
    }
}
