//! What formats share: names of columns, and values as JSON.

use std::collections::HashSet;
use std::sync::Arc;

use deltalake::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use deltalake::arrow::json::writer::{EncoderOptions, NullableEncoder, make_encoder};
use deltalake::datafusion::common::Result;

/// The columns with names that differ: a join may give two the same name, which objects and most
/// readers do not take. The second `a` is `a_2`.
pub(super) fn distinct(schema: &SchemaRef) -> SchemaRef {
    let mut names: HashSet<String> = HashSet::new();
    let given: HashSet<&String> = schema.fields().iter().map(|field| field.name()).collect();
    if given.len() == schema.fields().len() {
        return Arc::clone(schema);
    }
    let mut fields: Vec<FieldRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let mut name = field.name().clone();
        let mut count = 1;
        while names.contains(&name) || (count > 1 && given.contains(&name)) {
            count += 1;
            name = format!("{}_{count}", field.name());
        }
        names.insert(name.clone());
        fields.push(Arc::new(field.as_ref().clone().with_name(name)));
    }
    Arc::new(Schema::new(fields))
}

/// The batch under another schema of the same types.
pub(super) fn renamed(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = batch.columns().to_vec();
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

/// The columns of a batch in types that have a form in JSON; others become texts.
pub(super) fn writable(batch: &RecordBatch) -> Result<Vec<(FieldRef, ArrayRef)>> {
    let fields = batch.schema_ref().fields().iter();
    fields
        .zip(batch.columns())
        .map(|(field, column)| match field.data_type() {
            DataType::Interval(_) => {
                let text = Field::new(field.name(), DataType::Utf8, true);
                Ok((Arc::new(text) as FieldRef, cast(column, &DataType::Utf8)?))
            }
            _ => Ok((Arc::clone(field), Arc::clone(column))),
        })
        .collect()
}

/// Writes the values of columns as JSON.
pub(super) fn encoders<'a>(
    columns: &'a [(FieldRef, ArrayRef)],
    options: &'a EncoderOptions,
) -> Result<Vec<NullableEncoder<'a>>> {
    let encoder = |(field, column): &'a (FieldRef, ArrayRef)| {
        Ok(make_encoder(field, column.as_ref(), options)?)
    };
    columns.iter().map(encoder).collect()
}

/// Appends one value, `null` where there is none.
pub(super) fn value(encoder: &mut NullableEncoder<'_>, row: usize, out: &mut Vec<u8>) {
    match encoder.is_null(row) {
        true => out.extend_from_slice(b"null"),
        false => encoder.encode(row, out),
    }
}
