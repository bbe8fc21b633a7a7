//! PostgreSQL's own functions that need no session state, and its names for our types.

mod pg_typeof;
mod type_name;
mod version;

use datafusion_expr::ScalarUDF;

pub use type_name::pg_type_name;
pub use version::{POSTGRESQL_VERSION, version_text};

use crate::declaration::FunctionDoc;

pub(crate) const DOCS: &[&FunctionDoc] = &[&pg_typeof::DOC, &version::DOC];

pub(crate) fn functions() -> Vec<ScalarUDF> {
    vec![pg_typeof::PgTypeof::new().into(), version::Version::new().into()]
}
