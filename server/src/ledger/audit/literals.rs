//! Takes the literals out of a statement before it is recorded: what somebody asked for may name a
//! customer.
//!
//! Decided on the tokens, and for a token that is not known to be harmless by hashing it: kept are
//! keywords, operators and names that the caller knows (of tables, columns, functions). A literal
//! becomes `'h:…'`, any other name `"h:…"`, with the first 64 bits of its HMAC-SHA256 under a key of
//! this service, so that equal literals are still seen to be equal.

use std::collections::BTreeSet;
use std::fmt;

use deltalake::datafusion::sql::sqlparser::dialect::GenericDialect;
use deltalake::datafusion::sql::sqlparser::keywords::Keyword;
use deltalake::datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer, Word};
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::key_file::Key;

/// Bytes of a hash that is put in the place of a literal.
const HASH_BYTES: usize = 8;
/// Bytes of a statement that is looked into; a longer one is hashed as a whole.
const STATEMENT_BYTES: usize = 256 * 1024;
/// Bytes that a record keeps of a statement without literals.
const KEPT_BYTES: usize = 16 * 1024;
/// Parameters that are recorded one by one.
const PARAMETERS: usize = 100;

/// A statement without its literals. There is no other way to one than [`Literals`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted(String);

impl Redacted {
    /// Its text.
    pub fn text(&self) -> &str {
        &self.0
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// Replaces literals by keyed hashes.
#[derive(Clone)]
pub struct Literals {
    mac: Hmac<Sha256>,
    names: BTreeSet<String>,
}

impl Literals {
    /// `names` are kept as they are, in any case: tables, columns and functions.
    pub fn new(key: &Key, names: impl IntoIterator<Item = String>) -> Self {
        // A key of this length is taken as it is (RFC 2104, section 2).
        let mut padded = [0; 64];
        padded[..key.len()].copy_from_slice(key);
        let names = names.into_iter().map(|name| name.to_lowercase()).collect();
        Self { mac: <Hmac<Sha256> as Mac>::new(&padded.into()), names }
    }

    /// The statement without its literals, followed by hashes of its parameters.
    pub fn statement(&self, sql: &str, parameters: &[Value]) -> Redacted {
        let tokens = match sql.len() <= STATEMENT_BYTES {
            true => Tokenizer::new(&GenericDialect {}, sql).tokenize().ok(),
            false => None,
        };
        let mut text = match tokens {
            Some(tokens) => self.tokens(sql, tokens),
            None => self.literal(sql),
        };
        for (number, value) in parameters.iter().take(PARAMETERS).enumerate() {
            let sign = if number == 0 { " -- " } else { ", " };
            text.push_str(&format!("{sign}${} = {}", number + 1, self.parameter(value)));
        }
        if parameters.len() > PARAMETERS {
            text.push_str(&format!(", … {} in all", parameters.len()));
        }
        Redacted(text)
    }

    fn tokens(&self, sql: &str, tokens: Vec<Token>) -> String {
        let mut text = String::with_capacity(sql.len());
        for token in tokens {
            if text.len() > KEPT_BYTES {
                text.push_str(" … ");
                text.push_str(&self.literal(sql));
                break;
            }
            match token {
                Token::EOF => {}
                Token::Whitespace(_) if text.is_empty() || text.ends_with(' ') => {}
                // Comments too.
                Token::Whitespace(_) => text.push(' '),
                Token::Word(word) => self.word(&mut text, &word),
                token => self.other(&mut text, &token),
            }
        }
        text.truncate(text.trim_end().len());
        text
    }

    fn word(&self, text: &mut String, word: &Word) {
        let known = self.names.contains(&word.value.to_lowercase());
        let keyword = word.quote_style.is_none() && word.keyword != Keyword::NoKeyword;
        // An alias of one letter names nobody.
        let letter = word.value.len() == 1;
        match known || keyword || letter {
            true => text.push_str(&word.to_string()),
            false => {
                text.push_str("\"h:");
                text.push_str(&self.hash(&word.value));
                text.push('"');
            }
        }
    }

    fn other(&self, text: &mut String, token: &Token) {
        let literal = match token {
            Token::Number(value, _)
            | Token::SingleQuotedString(value)
            | Token::DoubleQuotedString(value)
            | Token::TripleSingleQuotedString(value)
            | Token::TripleDoubleQuotedString(value)
            | Token::SingleQuotedByteStringLiteral(value)
            | Token::DoubleQuotedByteStringLiteral(value)
            | Token::TripleSingleQuotedByteStringLiteral(value)
            | Token::TripleDoubleQuotedByteStringLiteral(value)
            | Token::SingleQuotedRawStringLiteral(value)
            | Token::DoubleQuotedRawStringLiteral(value)
            | Token::TripleSingleQuotedRawStringLiteral(value)
            | Token::TripleDoubleQuotedRawStringLiteral(value)
            | Token::NationalStringLiteral(value)
            | Token::EscapedStringLiteral(value)
            | Token::UnicodeStringLiteral(value)
            | Token::HexStringLiteral(value) => self.literal(value),
            Token::DollarQuotedString(quoted) => self.literal(&quoted.value),
            other => {
                let shown = other.to_string();
                match harmless(&shown) {
                    true => shown,
                    false => self.literal(&shown),
                }
            }
        };
        text.push_str(&literal);
    }

    fn parameter(&self, value: &Value) -> String {
        match value {
            Value::Null | Value::Bool(_) => value.to_string(),
            Value::String(text) => self.literal(text),
            other => self.literal(&other.to_string()),
        }
    }

    fn literal(&self, value: &str) -> String {
        format!("'h:{}'", self.hash(value))
    }

    pub(super) fn hash(&self, value: &str) -> String {
        let mut mac = self.mac.clone();
        mac.update(value.as_bytes());
        hex::encode(&mac.finalize().into_bytes()[..HASH_BYTES])
    }
}

/// Whether a token can hold nothing that somebody made up: signs, or a placeholder `$1` to `$999`.
fn harmless(shown: &str) -> bool {
    let signs = |text: &str| text.bytes().all(|byte| byte.is_ascii_punctuation());
    let number = shown.strip_prefix('$').unwrap_or("");
    let placeholder =
        (1..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    signs(shown) || placeholder
}

impl fmt::Debug for Literals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Literals").field("names", &self.names.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literals() -> Literals {
        let names = ["readings", "email", "user", "timestamp", "x", "count", "lower"];
        Literals::new(&[7; 32], names.map(str::to_owned))
    }

    fn redact(sql: &str) -> String {
        literals().statement(sql, &[]).0
    }

    /// What a literal becomes.
    fn h(value: &str) -> String {
        literals().literal(value)
    }

    /// What a name becomes.
    fn n(value: &str) -> String {
        h(value).replace('\'', "\"")
    }

    #[test]
    fn literals_become_hashes_and_the_rest_stays() {
        let ada = "ada@example.com";
        let mut wrong = Vec::new();
        for (sql, expected) in [
            ("SELECT 1", format!("SELECT {}", h("1"))),
            ("SELECT -1.5e10", format!("SELECT -{}", h("1.5e10"))),
            ("SELECT .5", format!("SELECT {}", h(".5"))),
            ("SELECT 0x41", format!("SELECT {}", h("41"))),
            ("SELECT X'414243'", format!("SELECT {}", h("414243"))),
            (
                "SELECT email FROM readings WHERE email = 'ada@example.com'",
                format!("SELECT email FROM readings WHERE email = {}", h(ada)),
            ),
            ("SELECT 'it''s Ada'", format!("SELECT {}", h("it's Ada"))),
            ("SELECT ''", format!("SELECT {}", h(""))),
            ("SELECT N'Ada'", format!("SELECT {}", h("Ada"))),
            ("SELECT E'Ada\\n'", format!("SELECT {}", h("Ada\n"))),
            ("SELECT B'Ada'", format!("SELECT {}", h("Ada"))),
            ("SELECT R'Ada'", format!("SELECT {}", h("Ada"))),
            ("SELECT U&'Ada'", format!("SELECT {}", h("Ada"))),
            ("SELECT $$ada@example.com$$", format!("SELECT {}", h(ada))),
            ("SELECT $a$ada@example.com$a$", format!("SELECT {}", h(ada))),
            ("SELECT \"email\"", "SELECT \"email\"".to_owned()),
            ("SELECT \"EMAIL\", Email", "SELECT \"EMAIL\", Email".to_owned()),
            ("SELECT \"ada@example.com\"", format!("SELECT {}", n(ada))),
            ("SELECT `ada@example.com`", format!("SELECT {}", n(ada))),
            ("SELECT x FROM nowhere", format!("SELECT x FROM {}", n("nowhere"))),
            ("SELECT user, timestamp", "SELECT user, timestamp".to_owned()),
            (
                "WHERE email = ada@example.com",
                format!("WHERE email = {}.{}", n("ada@example"), n("com")),
            ),
            ("SELECT lower(email)", "SELECT lower(email)".to_owned()),
            ("SELECT t.email AS ada FROM t", format!("SELECT t.email AS {} FROM t", n("ada"))),
            ("SELECT 1 -- ada@example.com", format!("SELECT {}", h("1"))),
            ("SELECT -- ada@example.com\n1", format!("SELECT {}", h("1"))),
            ("SELECT/* ada */x", "SELECT x".to_owned()),
            ("SELECT /* a /* ada */ b */ x", "SELECT x".to_owned()),
            ("SELECT  x\n\t ,  x", "SELECT x , x".to_owned()),
            ("SELECT $1, $22, ?", "SELECT $1, $22, ?".to_owned()),
            ("SELECT $1655564444103", format!("SELECT {}", h("$1655564444103"))),
            ("SELECT x :: DOUBLE <= x || x", "SELECT x :: DOUBLE <= x || x".to_owned()),
            ("SELECT 'Ada", h("SELECT 'Ada")),
            ("SELECT \"Ada", h("SELECT \"Ada")),
            ("SELECT /* Ada", h("SELECT /* Ada")),
            ("SELECT $$Ada", h("SELECT $$Ada")),
            ("Ada Lovelace, +44 20 7946", String::new()),
            ("SELECT 'Äda' ÄDA", format!("SELECT {} {}", h("Äda"), n("ÄDA"))),
            ("SELECT § € x", format!("SELECT {} {} x", h("§"), h("€"))),
            ("", String::new()),
        ] {
            let redacted = redact(sql);
            if !expected.is_empty() && redacted != expected {
                wrong.push(format!("{sql}: {redacted}, expected {expected}"));
            }
            let low = redacted.to_lowercase();
            for secret in ["ada", "lovelace", "example", "7946", "1655564444103"] {
                assert!(!low.contains(secret), "{sql}: {redacted}");
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn equal_literals_are_seen_to_be_equal_and_the_key_counts() {
        assert_eq!(redact("'a' 'a'"), format!("{} {}", h("a"), h("a")));
        assert_ne!(h("a"), h("b"));
        let other = Literals::new(&[8; 32], []);
        assert_ne!(h("a"), other.literal("a"));
        // printf a | openssl dgst -sha256 -mac hmac -macopt hexkey:0707…07 (32 bytes)
        assert_eq!(h("a"), "'h:4e7004bebac28765'");
    }

    #[test]
    fn parameters_are_hashed_like_literals() {
        let parameters = [Value::from("Ada"), Value::from(7), Value::Null, Value::from(true)];
        let redacted = literals().statement("SELECT x = $1", &parameters);
        let expected =
            format!("SELECT x = $1 -- $1 = {}, $2 = {}, $3 = null, $4 = true", h("Ada"), h("7"));
        assert_eq!(redacted.text(), expected);
        let nested = literals().statement("", &[serde_json::json!(["Ada"])]);
        assert!(!nested.text().contains("Ada"));
    }

    #[test]
    fn long_statements_stay_short() {
        let list = format!("SELECT x IN ({})", vec!["'ada@example.com'"; 5_000].join(","));
        let redacted = redact(&list);
        assert!(redacted.len() < KEPT_BYTES + 200 && redacted.ends_with(&h(&list)), "{redacted}");
        let longer = format!("SELECT x IN ({})", vec!["'ada@example.com'"; 50_000].join(","));
        assert_eq!(redact(&longer), h(&longer));
    }
}
