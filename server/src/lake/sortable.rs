//! Sorting by a function that is not defined for every number. DataFusion asks such a function how its
//! result is ordered, and it answers with an error where its argument may be out of its domain; so no sort
//! by `sqrt(x)` was believed, and plans with one in several partitions were refused ("does not satisfy
//! order requirements", datafusion-functions `math/monotonicity.rs`).

use std::sync::Arc;

use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::common::Result;
use deltalake::datafusion::execution::{FunctionRegistry, SessionState};
use deltalake::datafusion::logical_expr::interval_arithmetic::Interval;
use deltalake::datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use deltalake::datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// Those that have a domain.
const PARTIAL: [&str; 8] = ["acos", "acosh", "asin", "atanh", "ln", "log10", "log2", "sqrt"];

/// Makes the results of all functions sortable.
///
/// # Errors
/// If one of them is not there.
pub(super) fn sortable(session: &mut SessionState) -> Result<()> {
    for name in PARTIAL {
        let inner = session.udf(name)?;
        session.register_udf(Arc::new(ScalarUDF::new_from_impl(Partial { inner })))?;
    }
    Ok(())
}

/// A function that is not defined for every number.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Partial {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Partial {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    /// Out of its domain its result has no order.
    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        Ok(self.inner.output_ordering(inputs).unwrap_or(SortProperties::Unordered))
    }

    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        self.inner.evaluate_bounds(inputs)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.invoke_with_args(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}
