//! A statement over one relation that is given, in the place of the tables of the catalog.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deltalake::datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
    MemorySchemaProvider, SchemaProvider, TableProvider,
};
use deltalake::datafusion::common::Result;
use deltalake::datafusion::sql::sqlparser::parser::Parser;
use deltalake::datafusion::sql::sqlparser::tokenizer::Token;

use super::bounds::Bounds;
use super::error::QueryError;
use super::schemas::{CATALOG, LAKE_SCHEMA};
use crate::lake::StatementDialect;
use crate::ledger::Reading;

/// A relation, and whether it may be read.
#[derive(Debug)]
pub struct Given {
    /// What statements call it.
    pub name: String,
    /// The version of the table that its rows are of.
    pub version: u64,
    /// Its rows.
    pub rows: Arc<dyn TableProvider>,
    /// May it go on?
    pub reading: Reading,
}

impl Given {
    /// A catalog with nothing else.
    pub(super) fn catalogs(&self) -> Result<Arc<dyn CatalogProviderList>> {
        let (tables, schemas) = (MemorySchemaProvider::new(), MemoryCatalogProvider::new());
        tables.register_table(self.name.clone(), Arc::clone(&self.rows))?;
        schemas.register_schema(LAKE_SCHEMA, Arc::new(tables))?;
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog(CATALOG.to_owned(), Arc::new(schemas));
        Ok(Arc::new(catalogs))
    }

    /// Its version, as statements have those of their tables.
    pub(super) fn versions(&self) -> BTreeMap<String, BTreeSet<u64>> {
        BTreeMap::from([(self.name.clone(), BTreeSet::from([self.version]))])
    }
}

/// A condition on a row as it stands behind WHERE: one expression and nothing behind it.
///
/// # Errors
/// If it is anything else, or longer or deeper than it may be.
pub fn condition(text: &str, bounds: &Bounds) -> Result<String, QueryError> {
    bounds.tokens(text)?;
    let syntax = |error: &dyn std::fmt::Display| QueryError::Syntax(error.to_string());
    let parser = Parser::new(&StatementDialect).try_with_sql(text);
    let mut parser = parser.map_err(|error| syntax(&error))?;
    let condition = parser.parse_expr().map_err(|error| syntax(&error))?;
    match parser.peek_token().token {
        Token::EOF => Ok(condition.to_string()),
        other => Err(QueryError::Syntax(format!("{other} behind the condition"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_one_expression() {
        let bounds = Bounds { bytes: 1000, nesting: 20, chain: 100 };
        assert_eq!(condition("x > 1 and y<2", &bounds).unwrap(), "x > 1 AND y < 2");
        for text in ["", "x > 1; SELECT 1", "x > 1) UNION SELECT (1", "x > 1 ORDER BY x", "x >"] {
            assert!(matches!(condition(text, &bounds), Err(QueryError::Syntax(_))), "{text}");
        }
    }
}
