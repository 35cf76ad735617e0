//! `||` of texts as a function, so that its result is bounded like those of others.

use std::sync::Arc;

use deltalake::arrow::array::AsArray;
use deltalake::arrow::compute::cast;
use deltalake::arrow::compute::kernels::concat_elements::concat_elements_utf8;
use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::common::{DFSchema, Result, plan_err};
use deltalake::datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use deltalake::datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use deltalake::datafusion::sql::sqlparser::ast::BinaryOperator;

use super::growth;

/// Puts the function in the place of the operator.
#[derive(Debug)]
pub(super) struct JoinedPlanner(Arc<ScalarUDF>);

impl JoinedPlanner {
    pub fn new() -> Self {
        let signature = Signature::user_defined(Volatility::Immutable);
        Self(Arc::new(ScalarUDF::new_from_impl(Joined { signature })))
    }
}

impl ExprPlanner for JoinedPlanner {
    fn plan_binary_op(
        &self,
        raw: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        // Lists and bytes are joined by others.
        let text = |expr: &Expr| -> Result<bool> {
            let kind = expr.get_type(schema)?;
            Ok(kind.is_string() || matches!(kind, DataType::Dictionary(..)))
        };
        let other = |expr: &Expr| -> Result<bool> {
            let kind = expr.get_type(schema)?;
            Ok(!kind.is_nested() && !kind.is_binary())
        };
        let joins = raw.op == BinaryOperator::StringConcat
            && (text(&raw.left)? && other(&raw.right)? || other(&raw.left)? && text(&raw.right)?);
        Ok(match joins {
            true => PlannerResult::Planned(self.0.call(vec![raw.left, raw.right])),
            false => PlannerResult::Original(raw),
        })
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Joined {
    signature: Signature,
}

impl ScalarUDFImpl for Joined {
    fn name(&self) -> &str {
        "||"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let names: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(names.join(" || "))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [_, _] => Ok(vec![DataType::Utf8; 2]),
            _ => plan_err!("|| joins two texts"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        growth::check(self.name(), &args.args, args.number_rows)?;
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let [left, right] = args.args.as_slice() else {
            return plan_err!("|| joins two texts");
        };
        let texts = |arg: &ColumnarValue| {
            Ok::<_, deltalake::datafusion::common::DataFusionError>(cast(
                &arg.to_array(rows)?,
                &DataType::Utf8,
            )?)
        };
        let (left, right) = (texts(left)?, texts(right)?);
        let joined = concat_elements_utf8(left.as_string::<i32>(), right.as_string::<i32>())?;
        Ok(ColumnarValue::Array(Arc::new(joined)))
    }
}
