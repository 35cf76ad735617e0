//! What can be told from the declaration alone.

use std::collections::{BTreeMap, BTreeSet};

use super::column::{Class, Kind};
use super::consent;
use super::error::PipelineError;
use super::files::{DECLARATION, PipelineFiles};
use super::grant::Grant;
use super::model::{LOAD_POSITION, LOAD_SEQUENCE, Rule, SUBJECT_ID, Source};
use super::spec::{DerivedSpec, SourceSpec, Spec};
use super::zone::Zone;

/// The value of every option: the given one, else the declared default.
pub(super) fn options(
    spec: &Spec,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, PipelineError> {
    let wrong = |option: &str, reason: String| PipelineError::Option {
        file: DECLARATION.to_owned(),
        option: option.to_owned(),
        reason,
    };
    if let Some(name) = given.keys().find(|name| !spec.options.iter().any(|o| o.name == **name)) {
        return Err(wrong(name, "the pipeline has no such option".to_owned()));
    }
    let mut chosen = BTreeMap::new();
    for option in &spec.options {
        let value = given.get(&option.name).unwrap_or(&option.default);
        if !option.values.contains(value) {
            let known = option.values.join(", ");
            return Err(wrong(&option.name, format!("{value:?} is not one of {known}")));
        }
        if chosen.insert(option.name.clone(), value.clone()).is_some() {
            return Err(wrong(&option.name, "declared twice".to_owned()));
        }
    }
    Ok(chosen)
}

/// The roles that a declaration says something about. An admin reads everything, and whoever only
/// loads reads nothing: neither is a pipeline's to change.
const ROLES: [&str; 2] = ["analyst", "trainer"];

/// What each role reads.
pub(super) fn grants(spec: &Spec) -> Result<Vec<Grant>, PipelineError> {
    let mut grants: Vec<Grant> = Vec::new();
    for role in &spec.roles {
        let wrong = |reason: String| PipelineError::Role {
            file: DECLARATION.to_owned(),
            role: role.name.clone(),
            reason,
        };
        if !ROLES.contains(&role.name.as_str()) {
            return Err(wrong(format!("not one of {}", ROLES.join(", "))));
        }
        if grants.iter().any(|grant| grant.role == role.name) {
            return Err(wrong("declared twice".to_owned()));
        }
        let (zones, classes) = (role.zones.clone(), role.classes.clone());
        grants.push(Grant { role: role.name.clone(), zones, classes });
    }
    Ok(grants)
}

/// Names, references and classes of all tables.
pub(super) fn spec(spec: &Spec, files: &PipelineFiles) -> Result<(), PipelineError> {
    let mut tables = BTreeSet::new();
    let names = spec.sources.iter().map(|table| &table.name);
    let names = names.chain(spec.derived.iter().map(|table| &table.name));
    for name in names.clone() {
        identifier(name).map_err(|reason| table_error(name, reason))?;
        if !tables.insert(name.as_str()) {
            return Err(table_error(name, "declared twice"));
        }
    }
    consent::name(spec, &mut tables)?;
    for source in &spec.sources {
        let rejected = format!("{}_rejected", source.name);
        if tables.contains(rejected.as_str()) {
            return Err(table_error(
                &rejected,
                "the name is taken by the table of rejected records",
            ));
        }
        check_source(source)?;
        // An erasure takes what names only a device up to its own moment.
        let dated = source.measured.is_some() || !source.recorded.is_empty();
        if spec.consent.is_some() && source.device.is_some() && !dated {
            let reason = "names a device, but nothing says when a record is from: declare measured";
            return Err(table_error(&source.name, reason));
        }
    }
    let mut claiming = spec.sources.iter().filter(|source| source.claims);
    if let (Some(first), Some(second)) = (claiming.next(), claiming.next()) {
        let reason = format!("claims devices, as {} does; only one source can", first.name);
        return Err(table_error(&second.name, reason));
    }
    for derived in &spec.derived {
        check_derived(derived, &tables, files)?;
    }
    for statement in files.statements() {
        if !spec.derived.iter().any(|table| table.name == statement) {
            return Err(PipelineError::table(
                format!("{statement}.sql"),
                statement,
                format!("not declared in {DECLARATION}"),
            ));
        }
    }
    Ok(())
}

/// The checked declarations of sources as landing uses them.
pub(super) fn sources(specs: Vec<SourceSpec>) -> Vec<Source> {
    specs
        .into_iter()
        .map(|source| Source {
            name: source.name,
            description: source.description,
            folder: source.folder,
            subject: source.subject,
            device: source.device,
            claims: source.claims,
            recorded: source.recorded,
            measured: source.measured,
            any_of: source.any_of,
            rules: source
                .columns
                .into_iter()
                .map(|column| Rule {
                    name: column.name,
                    kind: column.kind,
                    // `check_source` refused a column without a class; the strictest stands in
                    // for what cannot be here.
                    class: column.class.unwrap_or(Class::Pii),
                    required: column.required,
                    aliases: column.aliases,
                })
                .collect(),
        })
        .collect()
}

fn check_source(source: &SourceSpec) -> Result<(), PipelineError> {
    let wrong = |column: &str, reason: &str| {
        PipelineError::column(DECLARATION, &source.name, column, reason)
    };
    let mut fields = BTreeSet::new();
    for column in &source.columns {
        for name in std::iter::once(&column.name).chain(&column.aliases) {
            identifier(name).map_err(|reason| wrong(name, reason))?;
            if [SUBJECT_ID, LOAD_SEQUENCE, LOAD_POSITION].contains(&name.as_str()) {
                return Err(wrong(name, "the name is taken by a column that landing adds"));
            }
            if !fields.insert(name.as_str()) {
                return Err(wrong(name, "declared twice"));
            }
        }
        if column.class.is_none() {
            return Err(wrong(&column.name, "has no class (plain, pseudonym or pii)"));
        }
    }
    if source.columns.is_empty() {
        return Err(table_error(&source.name, "has no columns"));
    }
    let kind = |name: &str| {
        let column = source.columns.iter().find(|column| column.name == name);
        column.map(|column| column.kind).ok_or_else(|| wrong(name, "is not declared"))
    };
    if let Some(subject) = &source.subject
        && kind(subject)? != Kind::Email
    {
        return Err(wrong(subject, "names the subject and must be of type email"));
    }
    if let Some(device) = &source.device
        && kind(device)? != Kind::Key
    {
        return Err(wrong(device, "names the device and must be of type key"));
    }
    if source.claims && (source.subject.is_none() || source.device.is_none()) {
        return Err(table_error(&source.name, "claims devices, but names no subject or no device"));
    }
    for name in source.recorded.iter().chain(&source.measured) {
        if kind(name)? != Kind::Epoch {
            return Err(wrong(name, "is a record's moment and must be of type epoch"));
        }
    }
    source.any_of.iter().try_for_each(|name| kind(name).map(|_| ()))
}

fn check_derived(
    table: &DerivedSpec,
    tables: &BTreeSet<&str>,
    files: &PipelineFiles,
) -> Result<(), PipelineError> {
    let wrong = |reason: String| table_error(&table.name, reason);
    if !matches!(table.zone, Zone::Trusted | Zone::Curated) {
        return Err(wrong(format!("a derived table cannot be in zone {}", table.zone)));
    }
    if files.text(&format!("{}.sql", table.name)).is_none() {
        return Err(wrong(format!("its SELECT is missing: {}.sql", table.name)));
    }
    let mut declared = BTreeSet::new();
    for source in &table.sources {
        if !tables.contains(source.as_str()) {
            return Err(wrong(format!("source {source} is not a table of this pipeline")));
        }
        if !declared.insert(source) {
            return Err(wrong(format!("source {source} is declared twice")));
        }
    }
    if let Some(name) = table.linear.iter().find(|name| !declared.contains(name)) {
        return Err(wrong(format!("linear in {name}, which is not one of its sources")));
    }
    let mut columns = BTreeSet::new();
    for column in &table.columns {
        let wrong = |reason: &str| {
            Err(PipelineError::column(DECLARATION, &table.name, &column.name, reason))
        };
        if let Err(reason) = identifier(&column.name) {
            return wrong(reason);
        }
        if column.class.is_none() {
            return wrong("has no class (plain, pseudonym or pii)");
        }
        if !columns.insert(column.name.as_str()) {
            return wrong("declared twice");
        }
    }
    if !columns.contains(table.replace_by.as_str()) {
        let reason = "is named by replace_by, but the table does not have it";
        return Err(PipelineError::column(DECLARATION, &table.name, &table.replace_by, reason));
    }
    Ok(())
}

fn table_error(table: &str, reason: impl Into<String>) -> PipelineError {
    PipelineError::table(DECLARATION, table, reason)
}

/// Stored names are lower case, so that unquoted SQL in any case finds them.
pub(super) fn identifier(name: &str) -> Result<(), &'static str> {
    let mut letters = name.bytes();
    let first = letters.next().is_some_and(|byte| byte.is_ascii_lowercase());
    let rest = letters.all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    match first && rest && name.len() <= 128 {
        true => Ok(()),
        false => Err("must be lower-case letters, digits and _, and begin with a letter"),
    }
}
