//! Every SQL function of Alluvia, one file each. A leaf: arrow and DataFusion's expression types, no I/O.
//!
//! In reading order: what documents a function, how it fails, then the families.

pub mod declaration;
pub mod docs;
pub mod error;

/// Model calls: stubs that carry a name, a type and their documentation; the planner lifts them into a plan node.
pub mod model;
/// PostgreSQL's own functions that need no session state.
pub mod pg;
/// What table functions are called and take; the planner opens them.
pub mod table;
/// Arithmetic on vectors, with the kernels that search shares.
pub mod vector;

#[cfg(test)]
mod testing;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_expr::ScalarUDF;

pub use declaration::{Example, FunctionDoc, Needs};
pub use docs::examples;
pub use error::FunctionError;
pub use model::{ModelCall, ModelFunction, ModelPort, error_struct, parse_call};

/// Every scalar function of ours. `models` answers what a model returns, from the statement's catalog snapshot.
///
/// Register these after DataFusion's own: `version`, `cosine_distance`, `inner_product` (with its alias
/// `dot_product`), `array_distance` and `list_distance` replace functions of the same name there.
pub fn functions(models: Arc<dyn ModelPort>) -> Vec<ScalarUDF> {
    [vector::functions(), model::functions(models), pg::functions()].concat()
}

/// The documentation of every function of ours, in the order of [`functions`].
pub fn documentation() -> Vec<&'static FunctionDoc> {
    [vector::DOCS, model::DOCS, pg::DOCS].concat()
}

/// The type that an untyped parameter (`$1`) takes as argument `position` (from 0) of `function`; `None` where the
/// function is not ours or takes any type there.
pub fn parameter_type(function: &str, position: usize) -> Option<DataType> {
    let named = |doc: &&FunctionDoc| doc.name == function || doc.aliases.contains(&function);
    let doc = documentation().into_iter().find(named)?;
    doc.arguments.get(position)?.data_type()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::testing::FixedModels;

    #[test]
    fn every_function_is_documented_once_and_every_name_is_unique() {
        let functions = functions(Arc::new(FixedModels::default()));
        let names: Vec<&str> = functions.iter().map(|function| function.name()).collect();
        let documented: Vec<&str> = documentation().iter().map(|doc| doc.name).collect();
        assert_eq!(names, documented);

        let mut seen = BTreeSet::new();
        for function in &functions {
            for name in std::iter::once(function.name()).chain(function.aliases().iter().map(String::as_str)) {
                assert!(seen.insert(name.to_string()), "{name} is declared twice");
            }
            assert!(function.documentation().is_some(), "{} has no documentation", function.name());
        }
    }

    #[test]
    fn every_file_is_declared_by_its_family() {
        for family in ["vector", "model", "pg", "table"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(family);
            let list = std::fs::read_to_string(folder.join("mod.rs")).unwrap();
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let stem = path.file_stem().unwrap().to_str().unwrap().to_string();
                assert!(stem == "mod" || list.contains(&format!("mod {stem};")), "{family}/{stem}.rs is in no list");
            }
        }
    }

    #[test]
    fn parameters_take_the_declared_types() {
        let vector = DataType::new_list(DataType::Float32, true);
        assert_eq!(parameter_type("cosine_distance", 1), Some(vector.clone()));
        assert_eq!(parameter_type("vector_l2_distance", 0), Some(vector));
        assert_eq!(parameter_type("embed", 0), Some(DataType::Utf8));
        assert_eq!(parameter_type("ai_query", 1), None);
        assert_eq!(parameter_type("cosine_distance", 2), None);
        assert_eq!(parameter_type("abs", 0), None);
    }
}
