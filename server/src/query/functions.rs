//! Functions of statements: those of DataFusion, without the ones that make much out of nothing.
//! Their memory is not in any pool, so a few characters could take all there is.

use std::sync::Arc;

use deltalake::arrow::array::{Array, ArrayRef, AsArray};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::{DataType, FieldRef, Int64Type};
use deltalake::datafusion::common::{Result, exec_err};
use deltalake::datafusion::execution::{FunctionRegistry, SessionState};
use deltalake::datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

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
/// Texts as long as a number says.
const BOUNDED: [&str; 3] = ["repeat", "lpad", "rpad"];
/// Bytes that one call may make of one batch of rows.
const BATCH_BYTES: i64 = 64 * 1024 * 1024;
/// Bytes of one value that it may make.
const VALUE_BYTES: i64 = 64 * 1024;

/// Takes the unbounded functions out of a session.
pub(super) fn restrict(session: &mut SessionState) -> Result<()> {
    for name in REMOVED {
        session.deregister_udf(name)?;
    }
    for name in BOUNDED {
        let inner = session.udf(name)?;
        session.register_udf(Arc::new(ScalarUDF::new_from_impl(Bounded { inner })))?;
    }
    let tables: Vec<String> = session.table_functions().keys().cloned().collect();
    for name in tables {
        session.deregister_udtf(&name)?;
    }
    Ok(())
}

/// A function of a text and a number that says how long its result is.
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
        // A call over constants is carried out once, with one row, however many rows there are.
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        if let [text, length, ..] = args.args.as_slice() {
            let repeated = self.name() == "repeat";
            let length = cast(&length.to_array(rows)?, &DataType::Int64)?;
            let lengths = length.as_primitive::<Int64Type>();
            let texts = match repeated {
                true => Some(text.to_array(rows)?),
                false => None,
            };
            let mut total: i64 = 0;
            for row in (0..rows).filter(|row| lengths.is_valid(*row)) {
                let each = texts.as_ref().map_or(4, |texts| bytes(texts, row));
                let made = lengths.value(row).max(0).saturating_mul(each);
                total = total.saturating_add(made);
                if made > VALUE_BYTES || total > BATCH_BYTES {
                    return exec_err!(
                        "{} makes more than {VALUE_BYTES} bytes of one value, or more than \
                         {BATCH_BYTES} bytes of one batch of rows",
                        self.name()
                    );
                }
            }
        }
        self.inner.invoke_with_args(args)
    }
}

fn bytes(texts: &ArrayRef, row: usize) -> i64 {
    let length = match texts.data_type() {
        DataType::Utf8 => texts.as_string::<i32>().value(row).len(),
        DataType::LargeUtf8 => texts.as_string::<i64>().value(row).len(),
        DataType::Utf8View => texts.as_string_view().value(row).len(),
        _ => 4,
    };
    i64::try_from(length).unwrap_or(i64::MAX)
}
