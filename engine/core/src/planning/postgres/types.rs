//! SQL's names of types: timestamps are kept to the microsecond, and names that mean nothing here are refused plainly.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::error::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{DataType as SqlType, TimezoneInfo};
use parking_lot::Mutex;

use crate::error::{Error, Kind};
use crate::settings::Settings;

/// Reads type names for one session, whose time zone is that of its `timestamptz`.
#[derive(Debug)]
pub(crate) struct Types {
    settings: Arc<Mutex<Settings>>,
}

impl Types {
    pub fn new(settings: Arc<Mutex<Settings>>) -> Self {
        Self { settings }
    }
}

impl TypePlanner for Types {
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        let micros = |zone| DataType::Timestamp(TimeUnit::Microsecond, zone);
        let planned = match sql_type {
            // What it is where somebody asks for nanoseconds.
            SqlType::Timestamp(Some(9), _) => return Ok(None),
            SqlType::Timestamp(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) | SqlType::Datetime(_) => {
                micros(None)
            }
            SqlType::Timestamp(_, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone) => {
                micros(self.settings.lock().value("TimeZone").map(Arc::from))
            }
            SqlType::CharacterVarying(_)
            | SqlType::CharVarying(_)
            | SqlType::Character(_)
            | SqlType::Char(_)
            | SqlType::Nvarchar(_) => DataType::Utf8,
            SqlType::Uuid | SqlType::JSON | SqlType::JSONB => {
                return Err(Error::unsupported(format!("the type {}", sql_type.to_string().to_lowercase()))
                    .with_hint("Use text.")
                    .into());
            }
            SqlType::Custom(name, _) => return Err(unknown(&name.to_string())),
            _ => return Ok(None),
        };
        Ok(Some(Arc::new(Field::new("", planned, true))))
    }
}

fn unknown(name: &str) -> datafusion::error::DataFusionError {
    match name.to_lowercase().as_str() {
        "serial" | "bigserial" | "smallserial" | "serial4" | "serial8" => {
            Error::unsupported(format!("the type {name}"))
                .with_hint("A Delta table has no sequences; use bigint and write the values.")
        }
        "money" | "inet" | "cidr" | "xml" | "point" | "oid" | "name" | "citext" | "hstore" | "tsvector"
        | "int4range" => Error::unsupported(format!("the type {name}")).with_hint("Use text, or numeric for money."),
        _ => Error::new(Kind::UndefinedObject, format!("type \"{name}\" does not exist")),
    }
    .into()
}
