//! Conditions that a client names so that it is given fewer files (Delta Sharing protocol, "JSON predicates
//! for filtering"). They are hints: what cannot be decided by what the log says of a file is given.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::lake::{Compared, DataFiles};

/// A condition; one that is not understood is met by every file.
#[derive(Debug, Default)]
pub(super) struct Hints(Option<Node>);

#[derive(Debug, Deserialize)]
struct Node {
    op: String,
    #[serde(default)]
    children: Vec<Node>,
    /// Of a column.
    name: Option<String>,
    /// Of a literal, as text.
    value: Option<String>,
}

impl Hints {
    /// The condition of a request.
    pub fn parse(text: Option<&str>) -> Self {
        Self(text.and_then(|text| serde_json::from_str(text).ok()))
    }

    /// Whether a file may hold rows that meet it. Of columns that are not given nothing may be learnt, so
    /// that no condition on one is looked at.
    pub fn may_hold(&self, file: &DataFiles, given: &BTreeSet<String>) -> bool {
        self.0.as_ref().is_none_or(|node| node.may_hold(file, given))
    }
}

impl Node {
    fn may_hold(&self, file: &DataFiles, given: &BTreeSet<String>) -> bool {
        let how = match self.op.as_str() {
            "and" => return self.children.iter().all(|node| node.may_hold(file, given)),
            "or" => {
                let mut any = self.children.iter();
                return any.len() == 0 || any.any(|node| node.may_hold(file, given));
            }
            "isNull" => {
                let column = self.children.first().and_then(|node| node.column(given));
                return column.is_none_or(|column| file.may_hold_null(&column));
            }
            "lessThan" => Compared::Less,
            "lessThanOrEqual" => Compared::AtMost,
            "equal" => Compared::Equal,
            "greaterThanOrEqual" => Compared::AtLeast,
            "greaterThan" => Compared::Greater,
            _ => return true,
        };
        let [left, right] = self.children.as_slice() else { return true };
        let of = |column: &Self, literal: &Self| {
            Some((column.column(given)?, literal.literal()?.to_owned()))
        };
        match (of(left, right), of(right, left)) {
            (Some((column, value)), _) => file.may_compare(&column, how, &value),
            (_, Some((column, value))) => file.may_compare(&column, how.turned(), &value),
            _ => true,
        }
    }

    /// The column that it is, if that is given.
    fn column(&self, given: &BTreeSet<String>) -> Option<String> {
        let name = self.name.as_ref().filter(|_| self.op == "column")?.to_ascii_lowercase();
        given.contains(&name).then_some(name)
    }

    fn literal(&self) -> Option<&str> {
        self.value.as_deref().filter(|_| self.op == "literal")
    }
}
