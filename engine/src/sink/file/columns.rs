//! Columns as files hold them.

use super::super::encode::interval_texts;
use super::Format;
use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef};
use std::sync::Arc;

/// Schema of the files of a format. Parquet has no type for INTERVAL as SQL means it; there it is text.
pub(super) fn file_schema(schema: &SchemaRef, format: Format) -> SchemaRef {
    let field = |field: &Arc<Field>| match field.data_type() {
        ArrowType::Interval(_) if format == Format::Parquet => Field::new(field.name(), ArrowType::Utf8, true),
        _ => field.as_ref().clone(),
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

/// A column as files hold it, as far as a cast can't see to it: intervals as text.
pub(super) fn file_column(column: &ArrayRef, target: &ArrowType) -> Option<ArrayRef> {
    match (column.data_type(), target) {
        (ArrowType::Interval(_), ArrowType::Utf8) => interval_texts(column).map(|texts| Arc::new(texts) as ArrayRef),
        _ => cast(column, target).ok(),
    }
}

/// Names and types of columns, for comparison.
pub(super) fn signature(schema: &Schema) -> String {
    schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect::<Vec<_>>().join(", ")
}
