//! CSV by RFC 4180 with a header line. No value is an empty field, an empty text is `""`.

use std::sync::Arc;

use deltalake::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, LargeStringArray, RecordBatch,
    StringArray, StringBuilder, StringViewArray,
};
use deltalake::arrow::buffer::NullBuffer;
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::{
    DataType, FieldRef, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    SchemaRef, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use deltalake::arrow::json::writer::EncoderOptions;
use deltalake::arrow::util::display::{ArrayFormatter, FormatOptions};
use deltalake::datafusion::common::Result;

use super::values;

/// Lines of CSV.
pub struct Csv {
    schema: SchemaRef,
    begun: bool,
}

impl Csv {
    pub(super) fn new(schema: SchemaRef) -> Self {
        Self { schema, begun: false }
    }

    pub(super) fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        self.header(out);
        let fields = self.schema.fields().iter().zip(batch.columns());
        let flat = fields.map(|(field, column)| flat(field, column)).collect::<Result<Vec<_>>>()?;
        let columns = flat.iter().map(Column::of).collect::<Result<Vec<_>>>()?;
        let mut text = String::new();
        for row in 0..batch.num_rows() {
            for (place, column) in columns.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                column.write(row, &mut text, out)?;
            }
            out.push(b'\n');
        }
        Ok(())
    }

    pub(super) fn end(mut self, out: &mut Vec<u8>) -> Result<()> {
        self.header(out);
        Ok(())
    }

    fn header(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        for (place, field) in self.schema.fields().iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            field_of(field.name(), out);
        }
        out.push(b'\n');
    }
}

/// A column of a batch. Types that are stored have a way of their own; it is several times as fast.
struct Column<'a> {
    nulls: Option<NullBuffer>,
    values: Values<'a>,
}

enum Values<'a> {
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
    F32(&'a [f32]),
    F64(&'a [f64]),
    Bool(&'a BooleanArray),
    Text(&'a StringArray),
    LargeText(&'a LargeStringArray),
    TextView(&'a StringViewArray),
    Other(ArrayFormatter<'a>),
}

/// Only values are formatted: what is null is decided before.
const OPTIONS: FormatOptions<'static> = FormatOptions::new().with_display_error(false);

impl<'a> Column<'a> {
    fn of(array: &'a ArrayRef) -> Result<Self> {
        fn numbers<T: ArrowPrimitiveType>(array: &ArrayRef) -> &[T::Native] {
            array.as_primitive::<T>().values()
        }
        let values = match array.data_type() {
            DataType::Int8 => Values::I8(numbers::<Int8Type>(array)),
            DataType::Int16 => Values::I16(numbers::<Int16Type>(array)),
            DataType::Int32 => Values::I32(numbers::<Int32Type>(array)),
            DataType::Int64 => Values::I64(numbers::<Int64Type>(array)),
            DataType::UInt8 => Values::U8(numbers::<UInt8Type>(array)),
            DataType::UInt16 => Values::U16(numbers::<UInt16Type>(array)),
            DataType::UInt32 => Values::U32(numbers::<UInt32Type>(array)),
            DataType::UInt64 => Values::U64(numbers::<UInt64Type>(array)),
            DataType::Float32 => Values::F32(numbers::<Float32Type>(array)),
            DataType::Float64 => Values::F64(numbers::<Float64Type>(array)),
            DataType::Boolean => Values::Bool(array.as_boolean()),
            DataType::Utf8 => Values::Text(array.as_string()),
            DataType::LargeUtf8 => Values::LargeText(array.as_string()),
            DataType::Utf8View => Values::TextView(array.as_string_view()),
            _ => Values::Other(ArrayFormatter::try_new(array.as_ref(), &OPTIONS)?),
        };
        Ok(Self { nulls: array.logical_nulls(), values })
    }

    /// Appends one field; `text` is room to write in.
    fn write(&self, row: usize, text: &mut String, out: &mut Vec<u8>) -> Result<()> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return Ok(());
        }
        match &self.values {
            Values::I8(values) => whole(values[row], out),
            Values::I16(values) => whole(values[row], out),
            Values::I32(values) => whole(values[row], out),
            Values::I64(values) => whole(values[row], out),
            Values::U8(values) => whole(values[row], out),
            Values::U16(values) => whole(values[row], out),
            Values::U32(values) => whole(values[row], out),
            Values::U64(values) => whole(values[row], out),
            Values::F32(values) => double(values[row], out),
            Values::F64(values) => double(values[row], out),
            Values::Bool(values) => {
                out.extend_from_slice(if values.value(row) { b"true" } else { b"false" });
            }
            Values::Text(values) => field_of(values.value(row), out),
            Values::LargeText(values) => field_of(values.value(row), out),
            Values::TextView(values) => field_of(values.value(row), out),
            Values::Other(formatter) => {
                text.clear();
                formatter.value(row).write(text)?;
                field_of(text, out);
            }
        }
        Ok(())
    }
}

fn whole(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn double(value: impl ryu::Float, out: &mut Vec<u8>) {
    out.extend_from_slice(ryu::Buffer::new().format(value).as_bytes());
}

/// Appends a text, in quotes where it would be read as something else without them.
fn field_of(text: &str, out: &mut Vec<u8>) {
    // Looks at all bytes, which compiles to wide instructions, unlike a search that may end early.
    let special = |found: bool, byte: &u8| found | matches!(*byte, b',' | b'"' | b'\n' | b'\r');
    if !text.is_empty() && !text.as_bytes().iter().fold(false, special) {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    for (place, part) in text.split('"').enumerate() {
        if place > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(part.as_bytes());
    }
    out.push(b'"');
}

/// A column of lists, structs and the like as JSON texts: CSV has no nesting.
fn flat(field: &FieldRef, column: &ArrayRef) -> Result<ArrayRef> {
    if matches!(column.data_type(), DataType::Interval(_)) {
        return Ok(cast(column, &DataType::Utf8)?);
    }
    if !column.data_type().is_nested() {
        return Ok(Arc::clone(column));
    }
    let options = EncoderOptions::default().with_explicit_nulls(true);
    let one = [(Arc::clone(field), Arc::clone(column))];
    let mut encoders = values::encoders(&one, &options)?;
    let mut texts = StringBuilder::new();
    for row in 0..column.len() {
        let mut text = Vec::new();
        if let Some(encoder) = encoders.first_mut().filter(|encoder| !encoder.is_null(row)) {
            encoder.encode(row, &mut text);
            texts.append_value(String::from_utf8_lossy(&text));
        } else {
            texts.append_null();
        }
    }
    Ok(Arc::new(texts.finish()))
}
