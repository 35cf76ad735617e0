//! Functions of statements: those of DataFusion, without the ones that make much out of nothing.
//! Their memory is not in any pool, so a few characters could take all there is.

use std::sync::Arc;

use deltalake::arrow::datatypes::{DataType, FieldRef};
use deltalake::datafusion::common::Result;
use deltalake::datafusion::execution::{FunctionRegistry, SessionState};
use deltalake::datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::growth;
use super::joined::JoinedPlanner;

/// Lists as long as a number says.
const REMOVED: [&str; 8] = [
    "range",
    "generate_series",
    "array_repeat",
    "list_repeat",
    "array_resize",
    "list_resize",
    "spark_sequence",
    "sequence",
];
/// Takes the unbounded functions out of a session.
pub(super) fn restrict(session: &mut SessionState) -> Result<()> {
    for name in REMOVED {
        session.deregister_udf(name)?;
    }
    for name in growth::GROWING {
        let inner = session.udf(name)?;
        session.register_udf(Arc::new(ScalarUDF::new_from_impl(Bounded { inner })))?;
    }
    session.register_expr_planner(Arc::new(JoinedPlanner::new()))?;
    let tables: Vec<String> = session.table_functions().keys().cloned().collect();
    for name in tables {
        session.deregister_udtf(&name)?;
    }
    Ok(())
}

/// A function whose result may be longer than what it is given.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Bounded {
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

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.inner().coerce_types(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        growth::check(self.name(), &args.args, args.number_rows)?;
        self.inner.invoke_with_args(args)
    }
}
