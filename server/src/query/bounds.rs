//! How long and how deep a statement may be. Decided on its tokens, before anything that recurses
//! sees it: parser, planner and even the drop of a parsed tree take stack for each level.

use deltalake::datafusion::sql::sqlparser::keywords::Keyword;
use deltalake::datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::error::QueryError;
use crate::lake::StatementDialect;

/// Bounds of a statement's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of the text.
    pub bytes: usize,
    /// Levels of parentheses and brackets.
    pub nesting: usize,
    /// Operators that follow each other without a comma between, and set operations and joins of
    /// one query: each is a level of the plan.
    pub chain: usize,
}

impl Bounds {
    /// The tokens of a statement that keeps to the bounds.
    ///
    /// # Errors
    /// [`QueryError::TooLong`], [`QueryError::TooDeep`], or [`QueryError::Syntax`] where the text
    /// cannot be cut into tokens.
    pub fn tokens(&self, sql: &str) -> Result<Vec<TokenWithSpan>, QueryError> {
        if sql.len() > self.bytes {
            return Err(QueryError::TooLong { bytes: sql.len(), limit: self.bytes });
        }
        let tokens = Tokenizer::new(&StatementDialect, sql)
            .tokenize_with_location()
            .map_err(|error| QueryError::Syntax(error.to_string()))?;
        self.check(&tokens)?;
        Ok(tokens)
    }

    fn check(&self, tokens: &[TokenWithSpan]) -> Result<(), QueryError> {
        let deep = |limit| QueryError::TooDeep { limit };
        let mut open = vec![Level::default()];
        for token in tokens {
            match &token.token {
                Token::LParen | Token::LBracket | Token::LBrace => {
                    if open.len() > self.nesting {
                        return Err(deep(self.nesting));
                    }
                    // `a[1][2]` and `int[][]` are as deep as they are long.
                    if let (Token::LBracket, Some(level)) = (&token.token, open.last_mut()) {
                        level.operators += 1;
                        if level.longest() > self.chain {
                            return Err(deep(self.chain));
                        }
                    }
                    open.push(Level::default());
                }
                Token::RParen | Token::RBracket | Token::RBrace if open.len() > 1 => {
                    open.pop();
                }
                other => {
                    let Some(level) = open.last_mut() else { continue };
                    level.count(other);
                    if level.longest() > self.chain {
                        return Err(deep(self.chain));
                    }
                }
            }
        }
        Ok(())
    }
}

/// What was seen at one level of parentheses.
#[derive(Default)]
struct Level {
    operators: usize,
    relations: usize,
    cases: usize,
}

impl Level {
    fn longest(&self) -> usize {
        // A CASE within a CASE costs several levels of the parser at once.
        self.operators.max(self.relations).max(self.cases * 8)
    }

    fn count(&mut self, token: &Token) {
        match token {
            Token::Comma | Token::SemiColon => self.operators = 0,
            Token::Word(word) => match word.keyword {
                Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT | Keyword::JOIN => {
                    self.relations += 1;
                }
                Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::IN
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::BETWEEN
                | Keyword::EXPLAIN
                | Keyword::AT
                | Keyword::COLLATE => self.operators += 1,
                Keyword::CASE => self.cases += 1,
                Keyword::END => self.cases = self.cases.saturating_sub(1),
                Keyword::WHEN => self.operators = 0,
                _ => {}
            },
            Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Whitespace(_)
            | Token::Placeholder(_)
            | Token::EOF => {}
            // Whatever else there is stands between two operands or before one.
            _ => self.operators += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { bytes: 100_000, nesting: 20, chain: 100 };

    fn refused(sql: &str) -> bool {
        matches!(BOUNDS.tokens(sql), Err(QueryError::TooDeep { .. }))
    }

    #[test]
    fn long_lists_are_no_depth() {
        let list = vec!["-1"; 9_000].join(", ");
        assert!(!refused(&format!("SELECT a FROM t WHERE a IN ({list}) AND b = 2")));
        let rows = vec!["(1, 'a')"; 9_000].join(", ");
        assert!(!refused(&format!("VALUES {rows}")));
        let cases = vec!["WHEN a = 1 THEN 2"; 3_000].join(" ");
        assert!(!refused(&format!("SELECT CASE {cases} END, CASE {cases} END")));
    }

    #[test]
    fn whatever_makes_a_level_is_counted() {
        assert!(refused(&format!("SELECT {}1{}", "(".repeat(21), ")".repeat(21))));
        assert!(refused(&format!("SELECT {}1{}", "[".repeat(21), "]".repeat(21))));
        for operator in ["+", "AND", "||", "=", "::int", "IS NOT NULL OR", ".a", "- -", "NOT"] {
            let chain = vec![operator; 101].join(" 1 ");
            assert!(refused(&format!("SELECT 1 {chain} 1")), "{operator}");
        }
        assert!(refused(&format!("SELECT 1::int{}", "[]".repeat(101))));
        assert!(refused(&format!("SELECT a{}", "[1]".repeat(101))));
        assert!(refused(&vec!["SELECT 1"; 102].join(" UNION ALL ")));
        assert!(refused(&format!("SELECT 1 FROM a {}", "JOIN b ON true ".repeat(101))));
        assert!(refused(&format!("SELECT {} 1", "CASE WHEN ".repeat(13))));
        assert!(refused(&format!("{} SELECT 1", "EXPLAIN ".repeat(101))));
    }

    #[test]
    fn closing_what_was_never_open_is_left_to_the_parser() {
        assert!(BOUNDS.tokens("SELECT 1)))))").is_ok());
    }
}
