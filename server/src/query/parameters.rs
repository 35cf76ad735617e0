//! Values for the placeholders of a statement. They enter as values of the parsed statement, never
//! as text.

use deltalake::datafusion::sql::sqlparser::ast::{Array, Expr, Value};
use deltalake::datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::error::QueryError;

/// The values of `$1`, `$2`, … A list stands for an array: `a = ANY($1)`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters(Vec<serde_json::Value>);

impl Parameters {
    /// Takes the values in order.
    pub fn new(values: Vec<serde_json::Value>) -> Self {
        Self(values)
    }

    /// The values.
    pub fn values(&self) -> &[serde_json::Value] {
        &self.0
    }

    /// Gives each `?` its number, and checks that every value has a placeholder and the other way
    /// round.
    ///
    /// # Errors
    /// [`QueryError::Parameters`].
    pub fn number(&self, tokens: &mut [TokenWithSpan]) -> Result<(), QueryError> {
        let wrong = |text: String| Err(QueryError::Parameters(text));
        let mut used = vec![false; self.0.len()];
        let (mut marks, mut numbers) = (0, 0);
        for token in tokens {
            let Token::Placeholder(name) = &mut token.token else { continue };
            let index: usize = match name.as_str() {
                "?" => {
                    marks += 1;
                    *name = format!("${marks}");
                    marks
                }
                _ => {
                    numbers += 1;
                    match name.strip_prefix('$').and_then(|digits| digits.parse().ok()) {
                        Some(index) => index,
                        None => return wrong(format!("{name} is not one of $1, $2, … or ?")),
                    }
                }
            };
            match index.checked_sub(1).and_then(|place| used.get_mut(place)) {
                Some(place) => *place = true,
                None => return wrong(format!("there is no value for ${index}")),
            }
        }
        if marks > 0 && numbers > 0 {
            return wrong("? and $1 do not mix".to_owned());
        }
        match used.iter().position(|used| !used) {
            Some(unused) => wrong(format!("the statement has no ${}", unused + 1)),
            None => Ok(()),
        }
    }

    /// The value of a placeholder.
    pub(super) fn value(&self, name: &str) -> Result<Expr, QueryError> {
        let place = name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
        let value = place.and_then(|place| self.0.get(place.checked_sub(1)?));
        let missing = || QueryError::Parameters(format!("there is no value for {name}"));
        expr(value.ok_or_else(missing)?)
            .ok_or_else(|| QueryError::Parameters(format!("the value of {name} is an object")))
    }
}

fn expr(value: &serde_json::Value) -> Option<Expr> {
    let scalar = |value: Value| Some(Expr::Value(value.into()));
    match value {
        serde_json::Value::Null => scalar(Value::Null),
        serde_json::Value::Bool(value) => scalar(Value::Boolean(*value)),
        serde_json::Value::Number(number) => scalar(Value::Number(number.to_string(), false)),
        serde_json::Value::String(text) => scalar(Value::SingleQuotedString(text.clone())),
        serde_json::Value::Array(values) => {
            let flat = |value: &serde_json::Value| match value.is_array() {
                true => None,
                false => expr(value),
            };
            let elem = values.iter().map(flat).collect::<Option<Vec<_>>>()?;
            Some(Expr::Array(Array { elem, named: true }))
        }
        serde_json::Value::Object(_) => None,
    }
}
