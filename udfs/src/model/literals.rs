//! The arguments of a model call that must be literals, because they decide the type of the result.

use arrow::datatypes::DataType;
use datafusion_common::{DataFusionError, Result, ScalarValue};

use super::call::ModelFunction;
use super::ddl_type::parse_ddl_type;
use super::port::ModelPort;
use crate::error::FunctionError;
use crate::pg::pg_type_name;

/// What the literals say, defaults filled in.
pub(super) struct Literals {
    pub(super) model: String,
    pub(super) return_type: Option<DataType>,
    pub(super) fail_on_error: bool,
}

impl Literals {
    /// `arguments` holds `None` where an argument is not a literal. Optional ones may be missing or NULL.
    pub(super) fn read(
        function: ModelFunction,
        models: &dyn ModelPort,
        arguments: &[Option<&ScalarValue>],
    ) -> Result<Self> {
        check_count(function, arguments.len())?;
        let at = |index| Argument { function, index, value: arguments.get(index).copied() };
        match function {
            ModelFunction::AiQuery => {
                let endpoint = at(0);
                let Some(model) = endpoint.text()? else {
                    let error = FunctionError::NullArgument { function: function.name(), argument: endpoint.name() };
                    return Err(error.into());
                };
                Ok(Self {
                    model: model.to_string(),
                    return_type: at(2).text()?.map(parse_ddl_type).transpose()?,
                    fail_on_error: at(3).boolean()?.unwrap_or(true),
                })
            }
            ModelFunction::Embed => {
                let model = match at(1).text()? {
                    Some(model) => model.to_string(),
                    None => models.default_embedding()?,
                };
                Ok(Self { model, return_type: None, fail_on_error: true })
            }
        }
    }
}

fn check_count(function: ModelFunction, found: usize) -> Result<()> {
    let arguments = function.doc().arguments;
    let required = arguments.iter().filter(|argument| !argument.optional).count();
    if (required..=arguments.len()).contains(&found) {
        return Ok(());
    }
    let expected = format!("{required} to {}", arguments.len());
    Err(FunctionError::ArgumentCount { function: function.name(), expected, found }.into())
}

/// One argument: `value` is `None` where it is missing, `Some(None)` where it is not a literal.
struct Argument<'a> {
    function: ModelFunction,
    index: usize,
    value: Option<Option<&'a ScalarValue>>,
}

impl<'a> Argument<'a> {
    /// `None` where the argument is missing or NULL.
    fn text(&self) -> Result<Option<&'a str>> {
        match self.literal()? {
            None => Ok(None),
            Some(value) => value.try_as_str().ok_or_else(|| self.wrong_type("TEXT", value)),
        }
    }

    /// `None` where the argument is missing or NULL.
    fn boolean(&self) -> Result<Option<bool>> {
        match self.literal()? {
            None => Ok(None),
            Some(ScalarValue::Boolean(value)) => Ok(*value),
            Some(value) => Err(self.wrong_type("BOOLEAN", value)),
        }
    }

    fn literal(&self) -> Result<Option<&'a ScalarValue>> {
        match self.value {
            None | Some(Some(ScalarValue::Null)) => Ok(None),
            Some(Some(value)) => Ok(Some(value)),
            Some(None) => {
                Err(FunctionError::NotLiteral { function: self.function.name(), argument: self.name() }.into())
            }
        }
    }

    fn name(&self) -> &'static str {
        self.function.doc().arguments.get(self.index).map_or("", |argument| argument.name)
    }

    fn wrong_type(&self, expected: &'static str, value: &ScalarValue) -> DataFusionError {
        let found = pg_type_name(&value.data_type());
        let (function, position) = (self.function.name(), self.index + 1);
        FunctionError::ArgumentType { function, position, expected, found }.into()
    }
}
