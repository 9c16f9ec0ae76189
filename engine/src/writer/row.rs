//! A serde serializer that turns one struct or map into one value per column.

use raympp_types::{Schema, Value};
use serde::ser::{self, Impossible, Serialize, SerializeMap, SerializeStruct};
use std::collections::HashMap;
use std::fmt;

/// Values of one row, by column.
pub(super) struct RowSink {
    positions: HashMap<String, usize>,
    values: Vec<Value>,
    /// Where the last row had its i-th field: rows of one type have their fields in one order.
    order: Vec<(&'static str, Option<usize>)>,
    field: usize,
}

impl RowSink {
    pub(super) fn new(schema: &Schema) -> RowSink {
        let positions = schema.fields.iter().enumerate().map(|(i, field)| (field.name.clone(), i)).collect();
        RowSink { positions, values: vec![Value::Null; schema.fields.len()], order: Vec::new(), field: 0 }
    }

    pub(super) fn values(&self) -> &[Value] {
        &self.values
    }

    pub(super) fn values_mut(&mut self) -> &mut [Value] {
        &mut self.values
    }

    fn position(&mut self, name: &'static str) -> Option<usize> {
        let at = self.field;
        self.field += 1;
        match self.order.get(at) {
            Some((known, position)) if std::ptr::eq(*known, name) => *position,
            _ => {
                let position = self.positions.get(name).copied();
                self.order.truncate(at);
                self.order.push((name, position));
                position
            }
        }
    }
}

/// Fills the sink from a row; columns that the row does not name become NULL.
pub(super) fn serialize_row<T: Serialize + ?Sized>(row: &T, sink: &mut RowSink) -> Result<(), String> {
    sink.values.fill(Value::Null);
    sink.field = 0;
    row.serialize(RowSerializer { sink }).map_err(|error| error.0)
}

#[derive(Debug)]
struct RowError(String);

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RowError {}

impl ser::Error for RowError {
    fn custom<T: fmt::Display>(message: T) -> RowError {
        RowError(message.to_string())
    }
}

/// What a row and a cell treat alike: wrappers are seen through; sequences, tuples and enums with contents are neither.
macro_rules! neither_row_nor_cell {
    ($ok:ty, $refuse:ident) => {
        type Ok = $ok;
        type Error = RowError;
        type SerializeSeq = Impossible<$ok, RowError>;
        type SerializeTuple = Impossible<$ok, RowError>;
        type SerializeTupleStruct = Impossible<$ok, RowError>;
        type SerializeTupleVariant = Impossible<$ok, RowError>;
        type SerializeStructVariant = Impossible<$ok, RowError>;

        fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<$ok, RowError> {
            value.serialize(self)
        }
        fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: Name, value: &T) -> Result<$ok, RowError> {
            value.serialize(self)
        }
        fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, RowError> {
            $refuse("a sequence")
        }
        fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, RowError> {
            $refuse("a tuple")
        }
        fn serialize_tuple_struct(self, _: Name, _: usize) -> Result<Self::SerializeTupleStruct, RowError> {
            $refuse("a tuple")
        }
        fn serialize_newtype_variant<T: Serialize + ?Sized>(self, _: Name, _: u32, _: Name, _: &T) -> Result<$ok, RowError> {
            $refuse("an enum with contents")
        }
        fn serialize_tuple_variant(self, _: Name, _: u32, _: Name, _: usize) -> Result<Self::SerializeTupleVariant, RowError> {
            $refuse("an enum with contents")
        }
        fn serialize_struct_variant(self, _: Name, _: u32, _: Name, _: usize) -> Result<Self::SerializeStructVariant, RowError> {
            $refuse("an enum with contents")
        }
    };
}

/// Of a type or of one of its variants.
type Name = &'static str;

struct RowSerializer<'a> {
    sink: &'a mut RowSink,
}

fn not_a_row<T>(found: &str) -> Result<T, RowError> {
    Err(RowError(format!("a row is a struct or a map with a field per column; found {found}")))
}

macro_rules! refuse {
    ($found:literal: $($method:ident($type:ty)),*) => {
        $(fn $method(self, _: $type) -> Result<(), RowError> { not_a_row($found) })*
    };
}

impl<'a> ser::Serializer for RowSerializer<'a> {
    type SerializeMap = MapRow<'a>;
    type SerializeStruct = StructRow<'a>;

    neither_row_nor_cell!((), not_a_row);
    refuse!("a single value": serialize_bool(bool), serialize_i8(i8), serialize_i16(i16), serialize_i32(i32), serialize_i64(i64),
        serialize_u8(u8), serialize_u16(u16), serialize_u32(u32), serialize_u64(u64), serialize_f32(f32), serialize_f64(f64),
        serialize_char(char), serialize_str(&str), serialize_bytes(&[u8]), serialize_unit_struct(&'static str));

    fn serialize_none(self) -> Result<(), RowError> {
        not_a_row("nothing")
    }
    fn serialize_unit(self) -> Result<(), RowError> {
        not_a_row("nothing")
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), RowError> {
        not_a_row("an enum")
    }
    fn serialize_map(self, _: Option<usize>) -> Result<MapRow<'a>, RowError> {
        Ok(MapRow { sink: self.sink, position: None })
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<StructRow<'a>, RowError> {
        Ok(StructRow { sink: self.sink })
    }
}

struct StructRow<'a> {
    sink: &'a mut RowSink,
}

impl SerializeStruct for StructRow<'_> {
    type Ok = ();
    type Error = RowError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), RowError> {
        if let Some(position) = self.sink.position(name) {
            self.sink.values[position] = value.serialize(ValueSerializer)?;
        }
        Ok(())
    }

    fn end(self) -> Result<(), RowError> {
        Ok(())
    }
}

struct MapRow<'a> {
    sink: &'a mut RowSink,
    position: Option<usize>,
}

impl SerializeMap for MapRow<'_> {
    type Ok = ();
    type Error = RowError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), RowError> {
        self.position = match key.serialize(ValueSerializer)? {
            Value::Varchar(name) => self.sink.positions.get(&*name).copied(),
            other => return Err(RowError(format!("a column's name is a string; found {other}"))),
        };
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), RowError> {
        if let Some(position) = self.position.take() {
            self.sink.values[position] = value.serialize(ValueSerializer)?;
        }
        Ok(())
    }

    fn end(self) -> Result<(), RowError> {
        Ok(())
    }
}

/// One cell. Integers arrive as BIGINT, floats as DOUBLE PRECISION; what they become is the column's matter.
struct ValueSerializer;

fn no_cell<T>(found: &str) -> Result<T, RowError> {
    Err(RowError(format!("a column holds a number, a string, bytes, a boolean or nothing; found {found}")))
}

macro_rules! cell {
    ($($method:ident($type:ty) => |$v:ident| $value:expr),* $(,)?) => {
        $(fn $method(self, $v: $type) -> Result<Value, RowError> { Ok($value) })*
    };
}

impl ser::Serializer for ValueSerializer {
    type SerializeMap = Impossible<Value, RowError>;
    type SerializeStruct = Impossible<Value, RowError>;

    neither_row_nor_cell!(Value, no_cell);
    cell!(
        serialize_bool(bool) => |v| Value::Boolean(v),
        serialize_i8(i8) => |v| Value::BigInt(v.into()),
        serialize_i16(i16) => |v| Value::BigInt(v.into()),
        serialize_i32(i32) => |v| Value::BigInt(v.into()),
        serialize_i64(i64) => |v| Value::BigInt(v),
        serialize_u8(u8) => |v| Value::BigInt(v.into()),
        serialize_u16(u16) => |v| Value::BigInt(v.into()),
        serialize_u32(u32) => |v| Value::BigInt(v.into()),
        serialize_f32(f32) => |v| Value::Real(v),
        serialize_f64(f64) => |v| Value::Double(v),
        serialize_char(char) => |v| Value::Varchar(v.to_string().into()),
        serialize_str(&str) => |v| Value::Varchar(v.into()),
        serialize_bytes(&[u8]) => |v| Value::Bytea(v.into()),
    );

    fn serialize_u64(self, v: u64) -> Result<Value, RowError> {
        match i64::try_from(v) {
            Ok(v) => Ok(Value::BigInt(v)),
            Err(_) => Ok(Value::Varchar(v.to_string().into())),
        }
    }
    fn serialize_none(self) -> Result<Value, RowError> {
        Ok(Value::Null)
    }
    fn serialize_unit(self) -> Result<Value, RowError> {
        Ok(Value::Null)
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, RowError> {
        Ok(Value::Null)
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Value, RowError> {
        Ok(Value::Varchar(variant.into()))
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, RowError> {
        no_cell("a map")
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, RowError> {
        no_cell("a struct")
    }
}
