//! What formats share: names of columns, and values as JSON.

use std::collections::HashSet;
use std::sync::Arc;

use deltalake::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use deltalake::arrow::compute::{CastOptions, cast_with_options};
use deltalake::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use deltalake::arrow::json::writer::{EncoderOptions, NullableEncoder, make_encoder};
use deltalake::arrow::util::display::FormatOptions;
use deltalake::datafusion::common::Result;

/// A value that has no form is an error, not null.
const STRICT: CastOptions<'static> =
    CastOptions { safe: false, format_options: FormatOptions::new() };

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
            // Arrow's own encoder writes the text of an error in the place of a time that has no
            // form, such as one after the year 262142; a cast fails.
            DataType::Interval(_)
            | DataType::Date32
            | DataType::Date64
            | DataType::Time32(_)
            | DataType::Time64(_)
            | DataType::Timestamp(..) => {
                let text = Field::new(field.name(), DataType::Utf8, true);
                Ok((
                    Arc::new(text) as FieldRef,
                    cast_with_options(column, &DataType::Utf8, &STRICT)?,
                ))
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
