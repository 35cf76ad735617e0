//! Who is in which split: decided by a keyed hash, so that nobody is in two, whatever rows come or
//! go, and nobody without the key can tell who is where.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use deltalake::arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::common::Result;
use deltalake::datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use deltalake::datafusion::prelude::{col, lit};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::ledger::SubjectKey;
use crate::pipeline::Belongs;

/// What the key is derived for.
const PURPOSE: &str = "splits";

/// Splits by their shares, and the key that decides.
#[derive(Clone)]
pub struct Splits {
    mac: Hmac<Sha256>,
    shares: Arc<BTreeMap<String, u32>>,
    /// The same for the same key and shares; it tells nothing about the key.
    id: String,
}

impl fmt::Debug for Splits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Splits").field("shares", &self.shares).finish_non_exhaustive()
    }
}

impl Splits {
    /// Splits with these shares under a key of their own.
    pub fn new(key: &SubjectKey, shares: BTreeMap<String, u32>) -> Self {
        let mac = key.derived(PURPOSE);
        let mut check = mac.clone();
        check.update(b"\0shares");
        for (name, share) in &shares {
            check.update(name.as_bytes());
            check.update(&share.to_le_bytes());
        }
        let id = hex::encode(&check.finalize().into_bytes()[..8]);
        Self { mac, shares: Arc::new(shares), id }
    }

    /// The shares.
    pub fn shares(&self) -> &BTreeMap<String, u32> {
        &self.shares
    }

    /// The same for the same key and shares.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The split of whoever a row is of: by the subject, where there is none by the device.
    pub fn of(&self, subject: Option<&str>, device: Option<&str>) -> &str {
        let (kind, value) = match (subject, device) {
            (Some(subject), _) => (b'S', subject),
            (None, Some(device)) => (b'D', device),
            (None, None) => (b'N', ""),
        };
        let mut mac = self.mac.clone();
        mac.update(&[kind]);
        mac.update(value.as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&mac.finalize().into_bytes()[..8]);
        let total: u64 = self.shares.values().map(|share| u64::from(*share)).sum();
        // 64 bits over at most a million shares: the remainder favours none by more than 2^-44.
        let mut at = u64::from_be_bytes(first) % total.max(1);
        for (name, share) in self.shares.iter() {
            match at.checked_sub(u64::from(*share)) {
                None => return name,
                Some(rest) => at = rest,
            }
        }
        ""
    }

    /// The split of each row of two columns.
    fn each(&self, subjects: Option<&StringArray>, devices: Option<&StringArray>) -> StringArray {
        let rows = subjects.or(devices).map_or(0, StringArray::len);
        let mut splits = StringBuilder::with_capacity(rows, rows * 8);
        let at = |column: Option<&StringArray>, row: usize| {
            column.filter(|column| column.is_valid(row)).map(|column| column.value(row).to_owned())
        };
        // Rows of one person lie next to each other.
        let mut last = None::<((Option<String>, Option<String>), &str)>;
        for row in 0..rows {
            let whose = (at(subjects, row), at(devices, row));
            let split = match &last {
                Some((known, split)) if *known == whose => split,
                _ => self.of(whose.0.as_deref(), whose.1.as_deref()),
            };
            splits.append_value(split);
            last = Some((whose, split));
        }
        splits.finish()
    }

    /// The split of each row of a batch, by the columns that say whose a row is; `None` where there
    /// are no such columns.
    pub(super) fn rows(
        &self,
        subjects: Option<&ArrayRef>,
        devices: Option<&ArrayRef>,
    ) -> Result<Option<StringArray>> {
        let text = |column: Option<&ArrayRef>| {
            column.map(|column| cast(column, &DataType::Utf8)).transpose()
        };
        let (subjects, devices) = (text(subjects)?, text(devices)?);
        let column = |column: &Option<ArrayRef>| -> Option<StringArray> {
            column.as_ref().map(|column| column.as_string::<i32>().clone())
        };
        let (subjects, devices) = (column(&subjects), column(&devices));
        Ok(match (&subjects, &devices) {
            (None, None) => None,
            _ => Some(self.each(subjects.as_ref(), devices.as_ref())),
        })
    }

    /// The condition that a row is in a split; `None` where rows belong to nobody.
    pub(super) fn condition(&self, split: &str, belongs: &Belongs) -> Option<Expr> {
        let columns: Vec<Expr> = belongs.subject.iter().chain(&belongs.device).map(col).collect();
        if columns.is_empty() {
            return None;
        }
        let function = SplitOf {
            splits: self.clone(),
            subject: belongs.subject.is_some(),
            signature: Signature::any(columns.len(), Volatility::Immutable),
        };
        Some(ScalarUDF::from(function).call(columns).eq(lit(split)))
    }
}

/// The function that gives a row's split. It is in no session: no statement can name it.
#[derive(Debug)]
struct SplitOf {
    splits: Splits,
    /// Whether the first argument is the subject.
    subject: bool,
    signature: Signature,
}

impl PartialEq for SplitOf {
    fn eq(&self, other: &Self) -> bool {
        (self.splits.id(), self.subject) == (other.splits.id(), other.subject)
    }
}

impl Eq for SplitOf {}

impl Hash for SplitOf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.splits.id().hash(state);
    }
}

impl ScalarUDFImpl for SplitOf {
    fn name(&self) -> &'static str {
        "split"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let columns: Vec<ArrayRef> =
            args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<_>>()?;
        let (subjects, devices) = match self.subject {
            true => (columns.first(), columns.get(1)),
            false => (None, columns.first()),
        };
        let splits =
            self.splits.rows(subjects, devices)?.unwrap_or_else(|| StringArray::new_null(rows));
        Ok(ColumnarValue::Array(Arc::new(splits)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splits(shares: &[(&str, u32)]) -> Splits {
        let shares = shares.iter().map(|(name, share)| ((*name).to_owned(), *share)).collect();
        Splits::new(&SubjectKey::of_tests(), shares)
    }

    #[test]
    fn shares_are_kept_and_nobody_moves() {
        let all = splits(&[("train", 80), ("validation", 10), ("test", 10)]);
        let mut counts = BTreeMap::<&str, u32>::new();
        for person in 0..10_000 {
            let name = format!("person {person}");
            let split = all.of(Some(&name), Some("any device"));
            assert_eq!(split, all.of(Some(&name), None));
            *counts.entry(split).or_default() += 1;
        }
        assert!(counts["train"].abs_diff(8000) < 200, "{counts:?}");
        assert!(counts["test"].abs_diff(1000) < 150, "{counts:?}");
        assert!(counts["validation"].abs_diff(1000) < 150, "{counts:?}");
    }

    #[test]
    fn a_device_and_a_subject_of_one_name_are_not_one() {
        let all = splits(&[("a", 1), ("b", 1)]);
        let differ = (0..64)
            .map(|n| n.to_string())
            .filter(|name| all.of(Some(name), None) != all.of(None, Some(name)));
        assert!(differ.count() > 10);
    }

    #[test]
    fn rows_have_the_splits_of_their_people() {
        let all = splits(&[("a", 1), ("b", 1)]);
        let subjects: ArrayRef =
            Arc::new(StringArray::from(vec![Some("x"), None, Some("y"), None]));
        let devices: ArrayRef = Arc::new(StringArray::from(vec![Some("d"), Some("d"), None, None]));
        let rows = all.rows(Some(&subjects), Some(&devices)).unwrap().unwrap();
        let expected = [(Some("x"), Some("d")), (None, Some("d")), (Some("y"), None), (None, None)];
        for (row, (subject, device)) in expected.into_iter().enumerate() {
            assert_eq!(rows.value(row), all.of(subject, device));
        }
        assert!(all.rows(None, None).unwrap().is_none());
    }
}
