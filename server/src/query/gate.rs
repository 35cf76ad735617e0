//! Which statements are answered: one SELECT, or EXPLAIN of one, over tables by name.
//!
//! Decided on the parsed statement. What the planner would ignore (a version, a sample, a lock) is
//! carried out here or refused, so that no answer is another than the one that was asked for.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use deltalake::datafusion::sql::parser::{DFParserBuilder, ExplainStatement, Statement};
use deltalake::datafusion::sql::sqlparser::ast::{
    self, Expr, Ident, ObjectName, ObjectNamePart, Query, Select, SetExpr, TableAlias, TableFactor,
    TableVersion, Value, VisitMut, VisitorMut,
};

use super::bounds::Bounds;
use super::error::QueryError;
use super::parameters::Parameters;
use super::scope::{self, Scope};
use super::time_travel::Moment;
use crate::lake::StatementDialect;

/// Levels that the parser may recurse; what is deeper was refused on the tokens.
const RECURSION: usize = 128;

/// A statement that may be planned.
#[derive(Clone, Debug)]
pub struct Gated {
    /// The statement, with values in the place of placeholders.
    pub statement: Statement,
    /// Tables at a moment: under which name the statement now asks for them.
    pub moments: BTreeMap<String, (String, Moment)>,
    /// Whether it is an EXPLAIN.
    pub explain: bool,
}

/// Lets a statement through.
///
/// # Errors
/// Says which rule it breaks.
pub fn gate(sql: &str, parameters: &Parameters, bounds: &Bounds) -> Result<Gated, QueryError> {
    let mut tokens = bounds.tokens(sql)?;
    parameters.number(&mut tokens)?;
    let syntax = |error: deltalake::datafusion::error::DataFusionError| {
        QueryError::Syntax(super::error::first_words(&error))
    };
    let mut parser = DFParserBuilder::new(tokens)
        .with_dialect(&StatementDialect)
        .with_recursion_limit(RECURSION)
        .build()
        .map_err(syntax)?;
    let mut statements = parser.parse_statements().map_err(syntax)?;
    let statement = statements.pop_front().ok_or(QueryError::Empty)?;
    if !statements.is_empty() {
        return Err(QueryError::Several);
    }
    let (mut query, explain) = match statement {
        Statement::Statement(statement) => (select(*statement)?, None),
        Statement::Explain(ExplainStatement { options, statement }) => match *statement {
            Statement::Statement(statement) => (select(*statement)?, Some(options)),
            _ => return Err(QueryError::NotASelect),
        },
        _ => return Err(QueryError::NotASelect),
    };
    let mut visitor = Visitor { parameters, scope: Scope::default(), moments: BTreeMap::new() };
    if let ControlFlow::Break(error) = query.visit(&mut visitor) {
        return Err(error);
    }
    let moments = visitor.moments;
    let select = Statement::Statement(Box::new(ast::Statement::Query(query)));
    Ok(match explain {
        None => Gated { statement: select, moments, explain: false },
        Some(options) => {
            if options.show_statistics.is_some() {
                return Err(QueryError::Unsupported("COSTS in EXPLAIN".to_owned()));
            }
            let statement = Box::new(select);
            let statement = Statement::Explain(ExplainStatement { options, statement });
            Gated { statement, moments, explain: true }
        }
    })
}

fn select(statement: ast::Statement) -> Result<Box<Query>, QueryError> {
    match statement {
        ast::Statement::Query(query) => Ok(query),
        _ => Err(QueryError::NotASelect),
    }
}

struct Visitor<'a> {
    parameters: &'a Parameters,
    scope: Scope,
    moments: BTreeMap<String, (String, Moment)>,
}

fn refuse(what: &str) -> ControlFlow<QueryError> {
    ControlFlow::Break(QueryError::Unsupported(what.to_owned()))
}

impl VisitorMut for Visitor<'_> {
    type Break = QueryError;

    fn pre_visit_statement(&mut self, _: &mut ast::Statement) -> ControlFlow<QueryError> {
        // The statement itself is a query; one inside of it writes.
        ControlFlow::Break(QueryError::NotASelect)
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<QueryError> {
        self.scope.enter(query);
        if !query.locks.is_empty() {
            return refuse("FOR UPDATE or FOR SHARE");
        }
        if query.for_clause.is_some() || query.settings.is_some() || query.format_clause.is_some() {
            return refuse("FOR, SETTINGS or FORMAT after a query");
        }
        if !query.pipe_operators.is_empty() {
            return refuse("a pipe operator");
        }
        match body_writes(&query.body) {
            true => ControlFlow::Break(QueryError::NotASelect),
            false => ControlFlow::Continue(()),
        }
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<QueryError> {
        self.scope.leave();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<QueryError> {
        if select.into.is_some() {
            return ControlFlow::Break(QueryError::NotASelect);
        }
        if !select.lateral_views.is_empty() || !select.connect_by.is_empty() {
            return refuse("LATERAL VIEW or CONNECT BY");
        }
        if select.prewhere.is_some() || select.top.is_some() {
            return refuse("PREWHERE or TOP");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<QueryError> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
            } => {
                if args.is_some() {
                    return refuse("a table function");
                }
                if sample.is_some() {
                    return refuse("a sample of a table");
                }
                if !with_hints.is_empty() || !index_hints.is_empty() || !partitions.is_empty() {
                    return refuse("a hint or partition after a table");
                }
                if json_path.is_some() || *with_ordinality {
                    return refuse("a path or ordinality after a table");
                }
                if name
                    .0
                    .iter()
                    .any(|part| part.as_ident().and_then(|i| i.quote_style) == Some('\''))
                {
                    return refuse("a table named by a string");
                }
                match version.take() {
                    Some(version) => self.at(name, alias, version),
                    None => ControlFlow::Continue(()),
                }
            }
            TableFactor::Derived { sample: Some(_), .. } => refuse("a sample of a subquery"),
            TableFactor::Derived { .. }
            | TableFactor::NestedJoin { .. }
            | TableFactor::UNNEST { .. } => ControlFlow::Continue(()),
            _ => refuse("this kind of table"),
        }
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<QueryError> {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(name) = &value.value
        {
            match self.parameters.value(name) {
                Ok(value) => *expr = value,
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    }
}

impl Visitor<'_> {
    /// Puts a name of its own in the place of a table at a moment, and keeps the name that columns
    /// are qualified with.
    fn at(
        &mut self,
        name: &mut ObjectName,
        alias: &mut Option<TableAlias>,
        version: TableVersion,
    ) -> ControlFlow<QueryError> {
        let moment = match Moment::parse(version, self.parameters) {
            Ok(moment) => moment,
            Err(error) => return ControlFlow::Break(error),
        };
        let Some(ident) = name.0.last().and_then(|part| part.as_ident()).cloned() else {
            return refuse("this kind of table name");
        };
        if name.0.len() == 1 && self.scope.is_with_query(&ident) {
            return refuse("a version of a WITH query");
        }
        let table = scope::normal(&ident);
        let pinned = format!("{table} {moment}");
        if let Some(last) = name.0.last_mut() {
            *last = ObjectNamePart::Identifier(Ident::with_quote('"', pinned.as_str()));
        }
        if alias.is_none() {
            *alias =
                Some(TableAlias { explicit: true, name: ident, columns: Vec::new(), at: None });
        }
        self.moments.insert(pinned, (table, moment));
        ControlFlow::Continue(())
    }
}

/// Whether a part of a query is a statement that writes, or a form that the planner does not know.
fn body_writes(body: &SetExpr) -> bool {
    match body {
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => true,
        SetExpr::SetOperation { left, right, .. } => body_writes(left) || body_writes(right),
        SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) | SetExpr::Table(_) => false,
    }
}
