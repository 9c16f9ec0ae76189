//! Connector 'nexmark': the persons, auctions and bids of the Nexmark benchmark.
//!
//! The model is the public one (Tucker, Tufte, Papadimos, Maier: NEXMark, 2002, as refined by Apache Beam's generator): of 50 events one
//! is a person, three are auctions, 46 are bids; half of the bids go to the newest hot auction, and so on (see [`events`]). It is written
//! anew here because rows must be reachable by offset, differ by seed, and have exact timestamps however many there are.
//!
//! Options: all optional: `table` = person, auction or bid (bid), `rows` of that table (endless), `rate` rows a second (as fast as
//! they are asked for), `splits` (1), `seed` (42), `start` ('2024-01-01', or 'now'), `event_rate` events of all three tables per
//! second of event time (10,000), `keys` auctions in flight, which bids are spread over (100, as in the benchmark; ten times as many persons
//! are active, who bid and sell), `out_of_orderness` ('0s': event times go back by up to this much). Offsets count rows of the table. Three
//! streams with equal options fit together. How skewed references are is the model's own: see [`events`].

mod events;
mod letters;

use super::error::{Mistake, SourceError, SourceErrorKind};
use super::generator::{GeneratorSource, RowMaker, Shape};
use super::options::{OptionReader, bad_value};
use arrow::array::{ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringBuilder, TimestampMicrosecondArray};
use arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Schema as ArrowSchema, SchemaRef};
use events::{Event, Model, Table, Vocabulary};
use raympp_operators::expr::arrow_types::arrow_schema;
use raympp_operators::plan::StreamPlan;
use raympp_types::DataType;
use std::sync::Arc;

/// Events of all tables per second of event time unless told otherwise.
const EVENT_RATE: u64 = 10_000;

/// What holds the values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// BIGINT
    Number,
    /// VARCHAR from a list of strings.
    Listed,
    /// VARCHAR
    Text,
    /// TIMESTAMP or TIMESTAMPTZ
    Time,
}

impl Kind {
    fn takes(self, data_type: DataType) -> bool {
        match self {
            Kind::Number => data_type == DataType::BigInt,
            Kind::Listed | Kind::Text => data_type == DataType::Varchar,
            Kind::Time => data_type.is_timestamp(),
        }
    }
}

/// The generator as configured; readers share it.
pub(super) struct Nexmark {
    shape: Shape,
    model: Model,
    table: Table,
    /// Per declared column: its position in the table.
    positions: Vec<usize>,
    schema: SchemaRef,
    types: Vec<DataType>,
    vocabulary: Vocabulary,
}

impl Nexmark {
    /// A table of the benchmark as a stream.
    pub(super) fn source(stream: &StreamPlan) -> Result<GeneratorSource<Nexmark>, SourceError> {
        let mut options = OptionReader::new("nexmark", stream);
        let name = options.text("table").unwrap_or("bid");
        let table = Table::named(name).ok_or_else(|| bad_value("table", name, "person, auction or bid"))?;
        let mut shape = Shape::read(&mut options, EVENT_RATE)?;
        shape.follow_rate(&stream.options, table.events_per_row());
        let model = Model {
            auctions_in_flight: options.whole("keys", 1..=1_000_000)?.unwrap_or(Model::AUCTIONS_IN_FLIGHT),
            out_of_orderness_us: options.span_us("out_of_orderness", 0, 0)? as u64,
        };
        options.finish()?;
        let positions = positions(stream, table)?;
        let nexmark = Nexmark {
            schema: schema_of(stream, table, &positions),
            types: stream.schema.fields.iter().map(|field| field.data_type).collect(),
            vocabulary: Vocabulary::new(shape.seed),
            positions,
            shape,
            model,
            table,
        };
        Ok(GeneratorSource::new("nexmark", stream, nexmark))
    }
}

fn positions(stream: &StreamPlan, table: Table) -> Result<Vec<usize>, SourceError> {
    let position = |field: &raympp_types::Field| {
        let fits = |(name, kind): &(&str, Kind)| *name == field.name && kind.takes(field.data_type);
        table.columns().iter().position(fits).ok_or_else(|| {
            let columns: Vec<String> = table.columns().iter().map(|(name, kind)| format!("{name} {}", type_name(*kind))).collect();
            SourceError::new(
                SourceErrorKind::Type,
                format!("this table of connector 'nexmark' has no column {} {}", field.name, field.data_type),
            )
            .hint(format!("it has {}", columns.join(", ")))
            .mistake(Mistake::Column(field.name.clone()))
        })
    };
    stream.schema.fields.iter().map(position).collect()
}

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Number => "BIGINT",
        Kind::Listed | Kind::Text => "VARCHAR",
        Kind::Time => "TIMESTAMP",
    }
}

fn schema_of(stream: &StreamPlan, table: Table, positions: &[usize]) -> SchemaRef {
    let plain = arrow_schema(&stream.schema);
    let field = |(field, &position): (&Arc<ArrowField>, &usize)| match table.columns()[position].1 {
        Kind::Listed => ArrowField::new(field.name(), ArrowType::Dictionary(Box::new(ArrowType::Int32), Box::new(ArrowType::Utf8)), true),
        _ => field.as_ref().clone(),
    };
    Arc::new(ArrowSchema::new(plain.fields().iter().zip(positions).map(field).collect::<Vec<_>>()))
}

impl RowMaker for Nexmark {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn make(&self, split: u64, offset: u64, rows: usize) -> RecordBatch {
        let numbers: Vec<u64> = (offset..offset + rows as u64).map(|offset| self.shape.global(split, offset)).collect();
        let columns = self.positions.iter().zip(&self.types).map(|(&position, &data_type)| self.column(position, data_type, &numbers));
        RecordBatch::try_new(self.schema.clone(), columns.collect()).expect("columns of one length and of the schema's types")
    }
}

impl Nexmark {
    fn event(&self, row: u64) -> Event<'_> {
        Event { table: self.table, row, seed: self.shape.seed, model: self.model, vocabulary: &self.vocabulary }
    }

    fn column(&self, position: usize, data_type: DataType, rows: &[u64]) -> ArrayRef {
        let (name, kind) = self.table.columns()[position];
        match kind {
            Kind::Number => Arc::new(Int64Array::from_iter_values(rows.iter().map(|&row| self.event(row).number(name)))),
            Kind::Time => {
                let (start, rate) = (self.shape.start_us(), self.shape.event_rate);
                let times = rows.iter().map(|&row| start.saturating_add(self.event(row).time(name, rate)));
                let array = TimestampMicrosecondArray::from_iter_values(times);
                Arc::new(if data_type == DataType::TimestampTz { array.with_timezone("UTC") } else { array })
            }
            Kind::Listed => {
                let keys = Int32Array::from_iter_values(rows.iter().map(|&row| self.event(row).listed(name)));
                Arc::new(DictionaryArray::new(keys, self.vocabulary.list(name).clone()))
            }
            Kind::Text => {
                let mut builder = StringBuilder::with_capacity(rows.len(), rows.len() * 64);
                let mut text = String::new();
                for &row in rows {
                    text.clear();
                    self.event(row).text(name, &mut text);
                    builder.append_value(&text);
                }
                Arc::new(builder.finish())
            }
        }
    }
}
