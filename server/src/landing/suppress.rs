//! Records of people who were erased are kept out.
//!
//! A record that names somebody is kept out if that person was erased. One that names nobody, but a
//! device, is kept out if somebody was erased who claimed the device, and the record is not from after
//! that. Of a record that is rejected as much is looked at as could be read, and every word of its text.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use deltalake::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, StringArray};
use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::common::ScalarValue;
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::functions::core::expr_fn::coalesce;
use deltalake::datafusion::logical_expr::{
    ColumnarValue, Expr, Volatility, create_udf, ident, lit,
};

use super::record::Record;
use super::value::{self, Stored};
use crate::ledger::SuppressionList;
use crate::pipeline::{FILE, RAW, Rule, Source};

/// Answers that are remembered between records, and how long the texts may be, in bytes.
const REMEMBERED: usize = 16 * 1024;
const REMEMBERED_BYTES: usize = 320;
/// Bytes of the shortest word of a rejected record that is looked up.
const SHORTEST: usize = 3;

/// What a record names, as far as it could be read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Named<'a> {
    /// Normalised.
    pub email: Option<&'a str>,
    pub device: Option<&'a str>,
    /// When it is from, in epoch milliseconds.
    pub moment: Option<i64>,
}

/// Tells whose records are kept out.
#[derive(Debug)]
pub(super) struct Guard {
    list: Arc<SuppressionList>,
    emails: HashMap<String, bool>,
    devices: HashMap<String, Option<i64>>,
}

impl Guard {
    /// By a list.
    pub fn new(list: Arc<SuppressionList>) -> Self {
        Self { list, emails: HashMap::new(), devices: HashMap::new() }
    }

    /// Whether a record is kept out.
    pub fn keeps_out(&mut self, named: Named<'_>) -> bool {
        match (self.list.is_empty(), named) {
            (true, _) => false,
            (false, Named { email: Some(email), .. }) => self.email(email),
            (false, Named { device: Some(device), moment, .. }) => {
                self.until(device).is_some_and(|until| moment.is_none_or(|moment| moment <= until))
            }
            _ => false,
        }
    }

    /// Whether a record that cannot be used is kept out: by what could be read of it, else by the words
    /// of its text. A device among them counts only if nobody is named.
    pub fn keeps_out_rejected(&mut self, named: Named<'_>, raw: &str) -> bool {
        if self.list.is_empty() {
            return false;
        }
        if self.keeps_out(named) {
            return true;
        }
        words(raw).any(|word| {
            self.list.email(&word.to_lowercase())
                || named.email.is_none()
                    && self
                        .list
                        .device(word)
                        .is_some_and(|until| named.moment.is_none_or(|moment| moment <= until))
        })
    }

    fn email(&mut self, email: &str) -> bool {
        if let Some(known) = self.emails.get(email) {
            return *known;
        }
        let erased = self.list.email(email);
        remember(&mut self.emails, email, erased);
        erased
    }

    fn until(&mut self, device: &str) -> Option<i64> {
        if let Some(known) = self.devices.get(device) {
            return *known;
        }
        let until = self.list.device(device);
        remember(&mut self.devices, device, until);
        until
    }
}

fn remember<T>(known: &mut HashMap<String, T>, text: &str, value: T) {
    if known.len() >= REMEMBERED {
        known.clear();
    }
    if text.len() <= REMEMBERED_BYTES {
        known.insert(text.to_owned(), value);
    }
}

/// What could be an identifier in a text: what stands between quotes, and what stands between spaces
/// and signs that part words.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let parts = |c: char| c.is_whitespace() || c.is_control() || "\"'`,;:<>()[]{}\\=|".contains(c);
    let quoted = text.split('"');
    let parted = text.split(parts).map(|word| word.trim_matches(['.', '/', '!', '?', '*']));
    quoted
        .chain(parted)
        .map(str::trim)
        .filter(|word| (SHORTEST..=REMEMBERED_BYTES).contains(&word.len()))
}

/// The fields of a source's records that say whose they are.
#[derive(Clone, Debug)]
pub(super) struct Naming {
    subject: Option<Rule>,
    device: Option<Rule>,
    moments: Vec<Rule>,
}

/// What a record names, by itself.
#[derive(Debug, Default)]
struct Found {
    email: Option<String>,
    device: Option<String>,
    moment: Option<i64>,
}

impl Naming {
    /// The fields of a source.
    pub fn of(source: &Source) -> Self {
        let rule = |name: &String| source.rules.iter().find(|rule| rule.name == *name).cloned();
        Self {
            subject: source.subject.as_ref().and_then(rule),
            device: source.device.as_ref().and_then(rule),
            moments: source.moments().filter_map(rule).collect(),
        }
    }

    /// Reads what the text of a rejected record names; nothing where it is not a record.
    fn read(&self, raw: &str) -> Found {
        let mut found = Found::default();
        let mut at = usize::MAX;
        let Ok(record) = serde_json::from_str::<Record<'_>>(raw) else { return found };
        for (name, scalar) in record.0 {
            let name = name.trim().to_lowercase();
            let is = |rule: &Rule| rule.name == name || rule.aliases.contains(&name);
            let text = |rule: &Rule| match value::read(rule.kind, &scalar) {
                Ok(Some(Stored::Text(text))) => Some(text.into_owned()),
                _ => None,
            };
            if let Some(rule) = self.subject.as_ref().filter(|rule| is(rule)) {
                found.email = found.email.or(text(rule));
            } else if let Some(rule) = self.device.as_ref().filter(|rule| is(rule)) {
                found.device = found.device.or(text(rule));
            }
            if let Some(place) = self.moments.iter().position(is).filter(|place| *place < at)
                && let Ok(Some(Stored::Epoch(moment))) =
                    value::read(self.moments[place].kind, &scalar)
            {
                (found.moment, at) = (Some(moment), place);
            }
        }
        found
    }
}

/// Which rows of a source's table are kept out.
pub(super) fn rows(source: &Source, list: &Arc<SuppressionList>) -> Expr {
    let guard = Mutex::new(Guard::new(Arc::clone(list)));
    let kept_out = create_udf(
        "kept_out",
        vec![DataType::Utf8, DataType::Utf8, DataType::Int64],
        DataType::Boolean,
        Volatility::Immutable,
        Arc::new(move |values: &[ColumnarValue]| {
            let columns = ColumnarValue::values_to_arrays(values)?;
            let (emails, devices) = (text(&columns, 0)?, text(&columns, 1)?);
            let moments = columns.get(2).and_then(|column| column.as_any().downcast_ref());
            let moments: &Int64Array = moments.ok_or_else(|| wrong(2))?;
            let mut guard = guard.lock().unwrap_or_else(PoisonError::into_inner);
            let named = emails.iter().zip(devices).zip(moments);
            let out: BooleanArray = named
                .map(|((email, device), moment)| {
                    Some(guard.keeps_out(Named { email, device, moment }))
                })
                .collect();
            Ok(ColumnarValue::Array(Arc::new(out)))
        }),
    );
    let column = |name: &Option<String>| match name {
        Some(name) => ident(name.as_str()),
        None => lit(ScalarValue::Utf8(None)),
    };
    kept_out.call(vec![column(&source.subject), column(&source.device), moment(source)])
}

/// When a row of a source's table is from.
pub(super) fn moment(source: &Source) -> Expr {
    let moments: Vec<Expr> = source.moments().map(|name| ident(name.as_str())).collect();
    match moments.is_empty() {
        true => lit(ScalarValue::Int64(None)),
        false => coalesce(moments),
    }
}

/// Which rows of the table of a source's rejected records are kept out, by their text; those too that
/// have a text of which `also` is true.
pub(super) fn rejects(
    source: &Source,
    list: &Arc<SuppressionList>,
    also: impl Fn(&str) -> bool + Send + Sync + 'static,
) -> Expr {
    let guard = Mutex::new(Guard::new(Arc::clone(list)));
    let naming = Naming::of(source);
    let kept_out = create_udf(
        "kept_out",
        vec![DataType::Utf8, DataType::Utf8],
        DataType::Boolean,
        Volatility::Immutable,
        Arc::new(move |values: &[ColumnarValue]| {
            let columns = ColumnarValue::values_to_arrays(values)?;
            let mut guard = guard.lock().unwrap_or_else(PoisonError::into_inner);
            let out = text(&columns, 0)?.iter().zip(text(&columns, 1)?).map(|(raw, file)| {
                let raw = raw.unwrap_or_default();
                if also(raw) || file.is_some_and(&also) {
                    return Some(true);
                }
                let Found { email, device, moment } = naming.read(raw);
                let named = Named { email: email.as_deref(), device: device.as_deref(), moment };
                Some(guard.keeps_out_rejected(named, raw))
            });
            let out: BooleanArray = out.collect();
            Ok(ColumnarValue::Array(Arc::new(out)))
        }),
    );
    kept_out.call(vec![ident(RAW), ident(FILE)])
}

fn text(columns: &[ArrayRef], at: usize) -> Result<&StringArray, DataFusionError> {
    columns.get(at).and_then(|column| column.as_string_opt::<i32>()).ok_or_else(|| wrong(at))
}

fn wrong(at: usize) -> DataFusionError {
    DataFusionError::Internal(format!("argument {at} is of another type"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_an_identifier_could_be() {
        for (text, word) in [
            (r#"{"user":"ada@x.c","x":}"#, "ada@x.c"),
            ("<reading user=ada@x.c/>", "ada@x.c"),
            ("mail ada@x.c.", "ada@x.c"),
            (r#"{"email":" ada lovelace, at x "}"#, "ada lovelace, at x"),
            ("ada@x.c", "ada@x.c"),
            ("to:<ada@x.c>;", "ada@x.c"),
            ("a\u{0}ada@x.c\n", "ada@x.c"),
        ] {
            assert!(words(text).any(|found| found == word), "{text}");
        }
        assert!(!words("xada@x.c ada@x.cc").any(|found| found == "ada@x.c"));
        assert_eq!(words("{ \"c\" }").count(), 0);
        assert_eq!(words(&"a".repeat(REMEMBERED_BYTES + 1)).count(), 0);
    }

    /// The erased: ada@x.c with d1 at 50, moe@x.c with d1 and d2 at 70.
    fn guard() -> Guard {
        let list = SuppressionList::of(&[("ada@x.c", &["d1"], 50), ("moe@x.c", &["d1", "d2"], 70)]);
        Guard::new(Arc::new(list))
    }

    #[test]
    fn a_record_is_kept_out_by_whom_it_names_else_by_its_device_and_moment() {
        let emails = [None, Some("ada@x.c"), Some("moe@x.c"), Some("bob@x.c"), Some("d1")];
        let devices = [None, Some("d1"), Some("d2"), Some("d3"), Some("D1"), Some("ada@x.c")];
        let moments = [None, Some(1), Some(50), Some(51), Some(70), Some(71)];
        let (mut guard, mut nobody) = (guard(), Guard::new(Arc::default()));
        // Twice: the second time by what is remembered.
        for _ in 0..2 {
            for (email, device, moment) in emails.iter().flat_map(|email| {
                let each = move |device| moments.map(|moment| (*email, device, moment));
                devices.into_iter().flat_map(each)
            }) {
                let out = match (email, device) {
                    (Some(email), _) => ["ada@x.c", "moe@x.c"].contains(&email),
                    (None, Some("d1" | "d2")) => moment.is_none_or(|moment| moment <= 70),
                    _ => false,
                };
                let named = Named { email, device, moment };
                assert_eq!(guard.keeps_out(named), out, "{named:?}");
                assert!(!nobody.keeps_out_rejected(named, "ada@x.c d1"), "{named:?}");
            }
        }
    }

    #[test]
    fn a_rejected_record_is_kept_out_by_its_words_too() {
        let named = |email, moment| Named { email, device: None, moment };
        for (named, raw, out) in [
            (Named::default(), "ADA@X.C", true),
            (Named::default(), "bob@x.c", false),
            (Named::default(), r#"{"device":"d1""#, true),
            (Named::default(), "D1 d11", false),
            (named(None, Some(70)), "d1x d2y d1", false),
            (named(None, Some(70)), "device d10, d2x, d1.", false),
            (named(Some("bob@x.c"), None), "d1 bob@x.c", false),
            (named(Some("bob@x.c"), None), "d1 ada@x.c", true),
        ] {
            // Short names are not looked up: they are everywhere.
            let long = |text: &str| text.replace("d1", "device-1").replace("d2", "device-2");
            let list = SuppressionList::of(&[("ada@x.c", &["device-1", "device-2"], 60)]);
            let mut guard = Guard::new(Arc::new(list));
            assert_eq!(guard.keeps_out_rejected(named, &long(raw)), out, "{raw}");
        }
    }
}
