//! Constants of a plan: how long one may be.

use deltalake::datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use deltalake::datafusion::logical_expr::{Expr, LogicalPlan, Operator};

use super::error::QueryError;

/// Bytes of one constant. It is repeated for each row of a batch, outside of any pool.
const CONSTANT_BYTES: usize = 64 * 1024;
/// Bytes of a pattern. Looking for it takes as many steps as its length times that of the text, and
/// is not interrupted.
const PATTERN_BYTES: usize = 1024;

/// Refuses long constants, once constant expressions are computed.
///
/// # Errors
/// [`QueryError::Invalid`].
pub(super) fn bounded(plan: &LogicalPlan) -> Result<(), QueryError> {
    let long = |expr: &Expr| longer(expr, CONSTANT_BYTES);
    match any(plan, long)? {
        true => Err(QueryError::Invalid(format!("a constant of more than {CONSTANT_BYTES} bytes"))),
        false => Ok(()),
    }
}

/// Refuses long patterns, before constant expressions are computed.
///
/// # Errors
/// [`QueryError::Invalid`].
pub(super) fn bounded_patterns(plan: &LogicalPlan) -> Result<(), QueryError> {
    let long = |expr: &Expr| match expr {
        Expr::Like(like) | Expr::SimilarTo(like) => longer(&like.pattern, PATTERN_BYTES),
        Expr::BinaryExpr(binary) => {
            let matches = matches!(
                binary.op,
                Operator::RegexMatch
                    | Operator::RegexIMatch
                    | Operator::RegexNotMatch
                    | Operator::RegexNotIMatch
                    | Operator::LikeMatch
                    | Operator::ILikeMatch
                    | Operator::NotLikeMatch
                    | Operator::NotILikeMatch
            );
            matches && longer(&binary.right, PATTERN_BYTES)
        }
        Expr::ScalarFunction(call) if call.name().starts_with("regexp_") => {
            call.args.get(1).is_some_and(|pattern| longer(pattern, PATTERN_BYTES))
        }
        _ => false,
    };
    match any(plan, long)? {
        true => Err(QueryError::Invalid(format!("a pattern of more than {PATTERN_BYTES} bytes"))),
        false => Ok(()),
    }
}

fn longer(expr: &Expr, bytes: usize) -> bool {
    matches!(expr, Expr::Literal(value, _) if value.size() > bytes)
}

/// Whether a plan has such an expression.
fn any(plan: &LogicalPlan, such: impl Fn(&Expr) -> bool) -> Result<bool, QueryError> {
    let mut found = false;
    let walked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                found |= such(expr);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    walked.map_err(|error| QueryError::of(error, 0))?;
    Ok(found)
}
