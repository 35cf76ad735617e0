//! Which names are those of WITH queries where a table is named.

use deltalake::datafusion::sql::sqlparser::ast::{Ident, Query};

/// The queries around a table's name, the innermost last.
#[derive(Debug, Default)]
pub(super) struct Scope(Vec<Around>);

#[derive(Debug)]
struct Around {
    /// The names of its WITH queries, in their order.
    names: Vec<String>,
    recursive: bool,
    /// Queries directly in it that have begun; the first ones are its WITH queries.
    begun: usize,
    /// Whether one of them has not ended.
    inside: bool,
}

impl Scope {
    /// A query begins.
    pub fn enter(&mut self, query: &Query) {
        if let Some(around) = self.0.last_mut() {
            around.begun += 1;
            around.inside = true;
        }
        let with = query.with.iter();
        let names = with.clone().flat_map(|with| &with.cte_tables);
        self.0.push(Around {
            names: names.map(|cte| normal(&cte.alias.name)).collect(),
            recursive: with.clone().any(|with| with.recursive),
            begun: 0,
            inside: false,
        });
    }

    /// It ends.
    pub fn leave(&mut self) {
        self.0.pop();
        if let Some(around) = self.0.last_mut() {
            around.inside = false;
        }
    }

    /// Whether a bare name means a WITH query here. One is not known in itself, nor in those before
    /// it, unless they are recursive.
    pub fn is_with_query(&self, name: &Ident) -> bool {
        let name = normal(name);
        self.0.iter().any(|around| {
            let in_with = around.inside && around.begun <= around.names.len();
            let known = match in_with {
                true => around.begun - usize::from(!around.recursive),
                false => around.names.len(),
            };
            around.names.iter().take(known).any(|known| *known == name)
        })
    }
}

/// A name as it is compared.
pub(super) fn normal(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}
