//! A model call as the planner sees it: which model, on what, returning which type.
//!
//! The type of the expression and the call that the planner lifts come from one reading of the literals, so the two
//! cannot disagree.

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{Result, ScalarValue, internal_err};
use datafusion_expr::{Expr, ReturnFieldArgs};

use super::ai_query::AiQuery;
use super::embed::Embed;
use super::error_struct::error_struct;
use super::literals::Literals;
use super::port::ModelPort;
use crate::declaration::FunctionDoc;
use crate::error::FunctionError;
use crate::pg::pg_type_name;

/// The functions that call a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModelFunction {
    AiQuery,
    Embed,
}

impl ModelFunction {
    pub fn name(self) -> &'static str {
        self.doc().name
    }

    /// The names of the arguments in positional order, for named notation (`failOnError => false`); to be compared
    /// without regard to case, a missing one to be passed as NULL.
    pub fn parameters(self) -> Vec<&'static str> {
        self.doc().arguments.iter().map(|argument| argument.name).collect()
    }

    pub(super) fn doc(self) -> &'static FunctionDoc {
        match self {
            ModelFunction::AiQuery => &super::ai_query::DOC,
            ModelFunction::Embed => &super::embed::DOC,
        }
    }

    /// Where the request stands among the arguments.
    fn request_index(self) -> usize {
        match self {
            ModelFunction::AiQuery => 1,
            ModelFunction::Embed => 0,
        }
    }
}

/// A call of a model function, its literals read and checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelCall {
    pub function: ModelFunction,
    /// The model's name as written, or the default embedding model's.
    pub model: String,
    /// What the model is given, row by row.
    pub request: Expr,
    /// The type to cast the result to, where the call asks for one.
    pub return_type: Option<DataType>,
    /// Whether a row that fails fails the statement. Else the call returns [`error_struct`].
    pub fail_on_error: bool,
    /// The type of the whole call: of the model's output, cast and wrapped as the fields above say.
    pub data_type: DataType,
}

/// Reads `expression` as a call of a model function of ours; `None` where it is anything else (calls further inside
/// are not looked for). An error where a literal is missing or wrong, or the model unknown.
pub fn parse_call(expression: &Expr) -> Result<Option<ModelCall>> {
    let Expr::ScalarFunction(call) = expression else {
        return Ok(None);
    };
    let implementation = call.func.inner();
    let (function, models) = if let Some(own) = implementation.downcast_ref::<AiQuery>() {
        (ModelFunction::AiQuery, own.models())
    } else if let Some(own) = implementation.downcast_ref::<Embed>() {
        (ModelFunction::Embed, own.models())
    } else {
        return Ok(None);
    };
    let literals: Vec<_> = call.args.iter().map(literal).collect();
    let Literals { model, return_type, fail_on_error } = Literals::read(function, models, &literals)?;
    let Some(request) = call.args.get(function.request_index()).cloned() else {
        return internal_err!("{} has no request", function.name());
    };
    let data_type = result_type(function, models, &model, return_type.as_ref(), fail_on_error)?;
    Ok(Some(ModelCall { function, model, request, return_type, fail_on_error, data_type }))
}

/// The field of a call with these arguments. Always nullable: NULL in, NULL out.
pub(super) fn return_field(
    function: ModelFunction,
    models: &dyn ModelPort,
    arguments: &ReturnFieldArgs,
) -> Result<FieldRef> {
    let literals = Literals::read(function, models, arguments.scalar_arguments)?;
    if function == ModelFunction::Embed
        && let Some(text) = arguments.arg_fields.first()
        && !is_text(text.data_type())
    {
        let found = pg_type_name(text.data_type());
        let error = FunctionError::ArgumentType { function: function.name(), position: 1, expected: "TEXT", found };
        return Err(error.into());
    }
    let Literals { model, return_type, fail_on_error } = literals;
    let data_type = result_type(function, models, &model, return_type.as_ref(), fail_on_error)?;
    Ok(Field::new(function.name(), data_type, true).into())
}

fn result_type(
    function: ModelFunction,
    models: &dyn ModelPort,
    model: &str,
    return_type: Option<&DataType>,
    fail_on_error: bool,
) -> Result<DataType> {
    let output = models.output_type(model)?;
    if function == ModelFunction::Embed && !is_embedding(&output) {
        let found = pg_type_name(&output);
        return Err(FunctionError::NotAnEmbedding { model: model.to_string(), found }.into());
    }
    let result = return_type.cloned().unwrap_or(output);
    Ok(if fail_on_error { result } else { error_struct(result) })
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}

fn is_embedding(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            field.data_type().is_floating()
        }
        _ => false,
    }
}

fn literal(expression: &Expr) -> Option<&ScalarValue> {
    match expression {
        Expr::Literal(value, _) => Some(value),
        Expr::Alias(alias) => literal(&alias.expr),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion_expr::{ColumnarValue, ScalarUDF, col, lit};

    use super::*;
    use crate::model::parse_ddl_type;
    use crate::testing::{FixedModels, invoke, return_field};

    fn functions() -> (ScalarUDF, ScalarUDF) {
        let models: Arc<dyn ModelPort> = Arc::new(FixedModels::default());
        let functions = super::super::functions(models);
        (functions[0].clone(), functions[1].clone())
    }

    fn refused(expression: &Expr) -> FunctionError {
        let error = parse_call(expression).unwrap_err();
        FunctionError::find(&error).cloned().unwrap_or_else(|| panic!("{error}"))
    }

    fn null() -> Expr {
        Expr::Literal(ScalarValue::Null, None)
    }

    #[test]
    fn reads_every_form_of_ai_query() {
        let (ai_query, _) = functions();
        let call = parse_call(&ai_query.call(vec![lit("churn"), col("age")])).unwrap().unwrap();
        assert_eq!((call.model.as_str(), &call.request, call.fail_on_error), ("churn", &col("age"), true));
        assert_eq!((call.return_type, call.data_type), (None, DataType::Float64));

        let typed = ai_query.call(vec![lit("churn"), col("age"), lit("FLOAT"), lit(false)]);
        let call = parse_call(&typed).unwrap().unwrap();
        assert_eq!(call.return_type, Some(DataType::Float32));
        assert_eq!(call.data_type, error_struct(DataType::Float32));

        let named = ai_query.call(vec![lit("churn"), col("age"), null(), lit(false)]);
        assert_eq!(parse_call(&named).unwrap().unwrap().data_type, error_struct(DataType::Float64));
        let defaults = ai_query.call(vec![lit("churn"), col("age"), null(), null()]);
        assert!(parse_call(&defaults).unwrap().unwrap().fail_on_error);
    }

    #[test]
    fn embed_takes_the_default_model() {
        let (_, embed) = functions();
        for arguments in [vec![col("body")], vec![col("body"), null()], vec![col("body"), lit("minilm")]] {
            let call = parse_call(&embed.call(arguments)).unwrap().unwrap();
            assert_eq!((call.function, call.model.as_str()), (ModelFunction::Embed, "minilm"));
            assert_eq!(call.data_type, DataType::new_list(DataType::Float32, true));
        }
        let wrong = refused(&embed.call(vec![col("body"), lit("churn")]));
        assert!(matches!(wrong, FunctionError::NotAnEmbedding { .. }));
    }

    #[test]
    fn refuses_what_is_not_a_literal() {
        let (ai_query, embed) = functions();
        let not_literal = |argument| FunctionError::NotLiteral { function: "ai_query", argument };
        assert_eq!(refused(&ai_query.call(vec![col("m"), col("x")])), not_literal("endpoint"));
        assert_eq!(refused(&ai_query.call(vec![lit("churn"), col("x"), col("t")])), not_literal("returnType"));
        assert_eq!(refused(&ai_query.call(vec![lit("churn"), col("x"), null(), col("f")])), not_literal("failOnError"));
        assert!(matches!(refused(&embed.call(vec![col("x"), col("m")])), FunctionError::NotLiteral { .. }));
        assert!(matches!(refused(&ai_query.call(vec![null(), col("x")])), FunctionError::NullArgument { .. }));
        let few = refused(&ai_query.call(vec![lit("churn")]));
        assert_eq!(few.to_string(), "function ai_query takes 2 to 4 arguments, not 1");
        assert!(matches!(refused(&embed.call(vec![col("x"); 3])), FunctionError::ArgumentCount { found: 3, .. }));
        let wrong = refused(&ai_query.call(vec![lit("churn"), col("x"), null(), lit("no")]));
        assert!(matches!(wrong, FunctionError::ArgumentType { position: 4, expected: "BOOLEAN", .. }));
        let unknown = parse_call(&ai_query.call(vec![lit("nothing"), col("x")])).unwrap_err();
        assert!(unknown.to_string().contains("does not exist"));
    }

    #[test]
    fn other_expressions_are_not_calls() {
        let typeof_ = crate::pg::functions()[0].clone();
        assert_eq!(parse_call(&typeof_.call(vec![lit(1)])).unwrap(), None);
        assert_eq!(parse_call(&col("ai_query")).unwrap(), None);
    }

    #[test]
    fn the_planned_type_is_the_parsed_type_and_stubs_never_compute() {
        let (ai_query, embed) = functions();
        let scalar = |value: &str| ColumnarValue::Scalar(ScalarValue::from(value));
        let arguments = vec![scalar("churn"), scalar("x"), scalar("STRUCT<a: STRING>")];
        let field = return_field(&ai_query, &arguments).unwrap();
        assert_eq!(field.data_type(), &parse_ddl_type("struct<a string>").unwrap());
        assert!(field.is_nullable());
        let error = invoke(&ai_query, arguments).unwrap_err();
        assert!(error.to_string().contains("was not lifted"), "{error}");

        let number = return_field(&embed, &[ColumnarValue::Scalar(ScalarValue::from(1))]).unwrap_err();
        assert!(matches!(FunctionError::find(&number), Some(FunctionError::ArgumentType { position: 1, .. })));
    }

    #[test]
    fn functions_are_equal_by_the_snapshot_they_ask() {
        let models: Arc<dyn ModelPort> = Arc::new(FixedModels::default());
        let first = super::super::functions(Arc::clone(&models));
        assert_eq!(first, super::super::functions(models));
        assert_ne!(first, super::super::functions(Arc::new(FixedModels::default())));
        assert_eq!(ModelFunction::AiQuery.parameters(), ["endpoint", "request", "returnType", "failOnError"]);
    }
}
