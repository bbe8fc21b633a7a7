//! Functions that answer from the session: who it is, what it has set.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use parking_lot::Mutex;

use super::{CATALOG, Identity};
use crate::catalog::{Catalog, DEFAULT_SCHEMA};
use crate::error::{Error, Kind};
use crate::settings::Settings;

type Body = dyn Fn(&[ScalarValue]) -> Result<ScalarValue> + Send + Sync;

pub(super) fn session_functions(
    identity: &Identity,
    settings: &Arc<Mutex<Settings>>,
    catalog: &Arc<Catalog>,
) -> Vec<ScalarUDF> {
    let text = |value: &str| ScalarValue::Utf8(Some(value.to_string()));
    let constant = |name: &'static str, value: ScalarValue| {
        let data_type = value.data_type();
        function(name, vec![vec![]], data_type, Volatility::Stable, move |_| Ok(value.clone()))
    };
    let user = text(&identity.user);
    vec![
        constant("current_user", user.clone()),
        constant("session_user", user.clone()),
        constant("current_role", user.clone()),
        constant("user", user),
        constant("current_database", text(CATALOG)),
        constant("current_catalog", text(CATALOG)),
        constant("pg_backend_pid", ScalarValue::Int32(Some(identity.process_id))),
        constant("pg_is_in_recovery", ScalarValue::Boolean(Some(false))),
        // No advisory locks are ever held, so there are none to give back; pools ask at each check-in.
        constant("pg_advisory_unlock_all", ScalarValue::Utf8(None)),
        current_schema(settings, catalog),
        current_schemas(settings, catalog),
        current_setting(settings),
        set_config(settings),
    ]
}

fn current_schema(settings: &Arc<Mutex<Settings>>, catalog: &Arc<Catalog>) -> ScalarUDF {
    let (settings, catalog) = (Arc::clone(settings), Arc::clone(catalog));
    function("current_schema", vec![vec![]], DataType::Utf8, Volatility::Stable, move |_| {
        let path = search_path(&settings, &catalog);
        Ok(ScalarValue::Utf8(path.into_iter().next()))
    })
}

fn current_schemas(settings: &Arc<Mutex<Settings>>, catalog: &Arc<Catalog>) -> ScalarUDF {
    let (settings, catalog) = (Arc::clone(settings), Arc::clone(catalog));
    let list = DataType::new_list(DataType::Utf8, true);
    function("current_schemas", vec![vec![DataType::Boolean]], list, Volatility::Stable, move |arguments| {
        let mut names = search_path(&settings, &catalog);
        if matches!(arguments.first(), Some(ScalarValue::Boolean(Some(true)))) {
            names.insert(0, "pg_catalog".to_string());
        }
        let values: Vec<_> = names.into_iter().map(|name| ScalarValue::Utf8(Some(name))).collect();
        Ok(ScalarValue::List(ScalarValue::new_list_nullable(&values, &DataType::Utf8)))
    })
}

fn search_path(settings: &Mutex<Settings>, catalog: &Catalog) -> Vec<String> {
    let snapshot = catalog.snapshot();
    let path = settings.lock().value("search_path").unwrap_or_else(|| DEFAULT_SCHEMA.to_string());
    super::path_schemas(&path, &snapshot)
}

fn current_setting(settings: &Arc<Mutex<Settings>>) -> ScalarUDF {
    let settings = Arc::clone(settings);
    let signatures = vec![vec![DataType::Utf8], vec![DataType::Utf8, DataType::Boolean]];
    function("current_setting", signatures, DataType::Utf8, Volatility::Volatile, move |arguments| {
        let Some(ScalarValue::Utf8(Some(name))) = arguments.first() else { return Ok(ScalarValue::Utf8(None)) };
        let missing_ok = matches!(arguments.get(1), Some(ScalarValue::Boolean(Some(true))));
        match settings.lock().value(name) {
            Some(value) => Ok(ScalarValue::Utf8(Some(value))),
            None if missing_ok => Ok(ScalarValue::Utf8(None)),
            None => {
                Err(Error::new(Kind::UndefinedObject, format!("unrecognized configuration parameter \"{name}\""))
                    .into())
            }
        }
    })
}

fn set_config(settings: &Arc<Mutex<Settings>>) -> ScalarUDF {
    let settings = Arc::clone(settings);
    let signature = vec![vec![DataType::Utf8, DataType::Utf8, DataType::Boolean]];
    function("set_config", signature, DataType::Utf8, Volatility::Volatile, move |arguments| match arguments {
        [ScalarValue::Utf8(Some(name)), ScalarValue::Utf8(value), local] => {
            let mut settings = settings.lock();
            match value {
                Some(value) if matches!(local, ScalarValue::Boolean(Some(true))) => settings.set_local(name, value)?,
                Some(value) => settings.set(name, value)?,
                None => settings.reset(name)?,
            }
            Ok(ScalarValue::Utf8(settings.value(name)))
        }
        _ => Err(Error::new(Kind::NullValueNotAllowed, "the name of a parameter must not be null").into()),
    })
}

fn function(
    name: &'static str,
    signatures: Vec<Vec<DataType>>,
    return_type: DataType,
    volatility: Volatility,
    body: impl Fn(&[ScalarValue]) -> Result<ScalarValue> + Send + Sync + 'static,
) -> ScalarUDF {
    let types = signatures
        .into_iter()
        .map(|types| if types.is_empty() { TypeSignature::Nullary } else { TypeSignature::Exact(types) })
        .collect();
    let signature = Signature::one_of(types, volatility);
    ScalarUDF::new_from_impl(SessionFunction { name, signature, return_type, body: Arc::new(body) })
}

/// A function of one session. Equal names are equal functions: a session has each only once.
struct SessionFunction {
    name: &'static str,
    signature: Signature,
    return_type: DataType,
    body: Arc<Body>,
}

impl ScalarUDFImpl for SessionFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.return_type.clone())
    }

    fn return_field_from_args(
        &self,
        _arguments: datafusion::logical_expr::ReturnFieldArgs,
    ) -> Result<arrow::datatypes::FieldRef> {
        Ok(Arc::new(Field::new(self.name, self.return_type.clone(), true)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = &arguments.args;
        if values.iter().all(|value| matches!(value, ColumnarValue::Scalar(_))) {
            let scalars = row(values, 0)?;
            return Ok(ColumnarValue::Scalar((self.body)(&scalars)?));
        }
        let rows = (0..arguments.number_rows).map(|index| (self.body)(&row(values, index)?));
        let results = rows.collect::<Result<Vec<_>>>()?;
        let array: ArrayRef = if results.is_empty() {
            arrow::array::new_empty_array(&self.return_type)
        } else {
            ScalarValue::iter_to_array(results)?
        };
        Ok(ColumnarValue::Array(array))
    }
}

fn row(values: &[ColumnarValue], index: usize) -> Result<Vec<ScalarValue>> {
    let value = |value: &ColumnarValue| match value {
        ColumnarValue::Scalar(scalar) => Ok(scalar.clone()),
        ColumnarValue::Array(array) => ScalarValue::try_from_array(array, index),
    };
    values.iter().map(value).collect()
}

impl fmt::Debug for SessionFunction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SessionFunction").field("name", &self.name).finish()
    }
}

impl PartialEq for SessionFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for SessionFunction {}

impl Hash for SessionFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}
