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
use serde::{Deserialize, Serialize};

use super::error::ConsentError;
use crate::lake::{DataFiles, Lake, Needle, NeedleError};
use crate::pipeline::{Class, Pipeline, SUBJECT_ID, Source, Zone};

/// Bytes of the shortest value that means somebody.
const SHORTEST: usize = 3;

/// An identifier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Identifier {
    Email(String),
    Device(String),
    /// The pseudonym.
    Subject(String),
    /// Columns and values of one record.
    Together([(String, String); 2]),
}

/// Identifiers, and the pseudonyms that each is of.
pub(super) type Identifiers = BTreeMap<Identifier, BTreeSet<String>>;

/// What is to be looked for.
#[derive(Debug, Default)]
pub(super) struct LookedFor {
    pub needles: Vec<Needle>,
    /// The pseudonyms that each is of.
    pub of: Vec<BTreeSet<String>>,
}

impl Identifier {
    /// What is looked for, in lower case.
    pub fn texts(&self) -> impl Iterator<Item = String> + '_ {
        let (one, other) = match self {
            Self::Email(text) | Self::Device(text) | Self::Subject(text) => (text, None),
            Self::Together([(_, one), (_, other)]) => (one, Some(other)),
        };
        [Some(one), other].into_iter().flatten().map(|text| text.to_lowercase())
    }

    fn needle(&self) -> Needle {
        match self {
            Self::Email(text) => Needle::any_case("email", text),
            Self::Device(text) => Needle::exact("serialnumber", text),
            Self::Subject(text) => Needle::exact("subject_id", text),
            Self::Together([one, other]) => {
                let name = format!("{} with {}", one.0, other.0);
                Needle::together(&name, &[&one.1, &other.1])
            }
        }
    }
}

impl LookedFor {
    /// What these are looked for by.
    pub fn of(identifiers: Identifiers) -> Self {
        let mut all = Self::default();
        for (identifier, of) in identifiers {
            all.needles.push(identifier.needle());
            all.of.push(of);
        }
        all
    }

    /// How many there are of each kind.
    pub fn kinds(&self) -> BTreeMap<String, u64> {
        let mut kinds = BTreeMap::new();
        for needle in &self.needles {
            *kinds.entry(needle.name.clone()).or_default() += 1;
        }
        kinds
    }
}

/// The identifiers that customers' own records have.
pub(super) async fn identifiers(
    lake: &Lake,
    pipeline: &Pipeline,
    subjects: &BTreeSet<String>,
) -> Result<Identifiers, ConsentError> {
    let mut found = Identifiers::new();
    let Some((source, files)) = customers(lake, pipeline).await? else { return Ok(found) };
    Columns::of(source)
        .each(lake, &files, theirs(subjects), |subject, identifier| {
            found.entry(identifier).or_default().insert(subject.to_owned());
        })
        .await?;
    Ok(found)
}

/// Identifiers without those that somebody else has too, alone or as a part of theirs: the bytes of the
/// one cannot be told from those of the other.
pub(super) async fn unshared(
    lake: &Lake,
    pipeline: &Pipeline,
    subjects: &BTreeSet<String>,
    found: Identifiers,
) -> Result<Identifiers, ConsentError> {
    let Some((source, files)) = customers(lake, pipeline).await? else { return Ok(found) };
    let others = ident(SUBJECT_ID).is_null().or(!theirs(subjects));
    let mut shared = Shared::new(found.keys())?;
    let columns = Columns::of(source);
    columns.rows(lake, &files, others, |_, values| shared.take(values.iter().flatten())).await?;
    let found = found.into_iter().zip(shared.of).filter(|(_, shared)| !shared);
    Ok(found.map(|(identifier, _)| identifier).collect())
}

/// The source whose records say who consents, and what it has now.
async fn customers<'a>(
    lake: &Lake,
    pipeline: &'a Pipeline,
) -> Result<Option<(&'a Source, DataFiles)>, ConsentError> {
    let source = pipeline.consent.as_ref().and_then(|it| pipeline.source(&it.customers));
    let Some(source) = source else { return Ok(None) };
    let table = lake.current(Zone::Landing.name(), &source.name).await?;
    Ok(table.map(|table| table.files()).transpose()?.map(|files| (source, files)))
}

pub(super) fn theirs(subjects: &BTreeSet<String>) -> Expr {
    ident(SUBJECT_ID).in_list(subjects.iter().map(|subject| lit(subject.as_str())).collect(), false)
}

/// Which identifiers others have too.
struct Shared {
    /// All texts of all identifiers.
    patterns: AhoCorasick,
    /// By text: identifiers that need it, each under the rarest of its texts, with the other one. What
    /// most records have, such as a birthday, would lead to very many.
    needing: Vec<Vec<(usize, Option<usize>)>>,
    /// By identifier.
    of: Vec<bool>,
}

impl Shared {
    fn new<'a>(
        identifiers: impl Iterator<Item = &'a Identifier> + Clone,
    ) -> Result<Self, ConsentError> {
        let mut places = BTreeMap::<String, (usize, u32)>::new();
        for text in identifiers.clone().flat_map(Identifier::texts) {
            places.entry(text).or_default().1 += 1;
        }
        for (place, (known, _)) in places.values_mut().enumerate() {
            *known = place;
        }
        let mut needing = vec![Vec::new(); places.len()];
        let mut count = 0;
        for identifier in identifiers {
            let mut texts: Vec<(u32, usize)> = identifier
                .texts()
                .filter_map(|text| places.get(&text).map(|(place, count)| (*count, *place)))
                .collect();
            texts.sort_unstable();
            let mut texts = texts.into_iter().map(|(_, place)| place);
            if let Some(needing) = texts.next().and_then(|rarest| needing.get_mut(rarest)) {
                needing.push((count, texts.next()));
            }
            count += 1;
        }
        let patterns = AhoCorasick::builder().ascii_case_insensitive(true).build(places.keys());
        Ok(Self { patterns: patterns.map_err(NeedleError::from)?, needing, of: vec![false; count] })
    }

    /// What the record of somebody else has.
    fn take<'a>(&mut self, values: impl Iterator<Item = &'a String>) {
        let inside = values.flat_map(|value| self.patterns.find_overlapping_iter(value.as_str()));
        let inside: BTreeSet<usize> = inside.map(|part| part.pattern().as_usize()).collect();
        let needing = inside.iter().filter_map(|text| self.needing.get(*text)).flatten();
        for (identifier, other) in needing {
            if other.is_none_or(|other| inside.contains(&other))
                && let Some(shared) = self.of.get_mut(*identifier)
            {
                *shared = true;
            }
        }
    }
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
            let others: Vec<(String, String)> = others
                .filter_map(|column| {
                    Some((self.names.get(column)?.clone(), value(column)?.to_lowercase()))
                })
                .collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(identifiers: &[Identifier], records: &[&[&str]]) -> Vec<bool> {
        let mut shared = Shared::new(identifiers.iter()).unwrap();
        for record in records {
            let values: Vec<String> = record.iter().map(|value| (*value).to_owned()).collect();
            shared.take(values.iter());
        }
        shared.of
    }

    fn together(one: &str, other: &str) -> Identifier {
        let part = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        Identifier::Together([part("name", one), part("birthday", other)])
    }

    #[test]
    fn what_others_have_too_is_shared() {
        let all = [
            Identifier::Email("ada@x".to_owned()),
            Identifier::Device("D1".to_owned()),
            together("ada b", "1950-01-01"),
            together("bob c", "1950-01-01"),
            together("same", "same"),
        ];
        assert_eq!(shared(&all, &[]), [false; 5]);
        // A birthday alone is nobody's.
        let one = shared(&all, &[&["eve", "1950-01-01", "q"], &["d1"]]);
        assert_eq!(one, [false, true, false, false, false]);
        // A part of somebody else's counts, in whatever case and column; both are of one record.
        let two =
            shared(&all, &[&["ADA@x.org"], &["Bob Cy", "-1950-01-01-"], &["Ada B"], &["same"]]);
        assert_eq!(two, [true, false, false, true, true]);
    }
}
