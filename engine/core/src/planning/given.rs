//! Tables that a statement hands to its own planning, under names that no text can hold.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::{Ident, ObjectName};

use super::CATALOG;
use super::overlay::{Overlay, OverlayCatalogs};
use crate::catalog::DEFAULT_SCHEMA;

/// Stands before a given table's name.
const GIVEN: char = '\u{1d}';

/// A copy of `state` that has these tables beside its own; [`given_name`] is how a query names them.
pub(crate) fn with_given(state: &SessionState, tables: Vec<(&str, Arc<dyn TableProvider>)>) -> SessionState {
    let mut state = state.clone();
    let overlay = Overlay::default();
    for (name, table) in tables {
        overlay.put(DEFAULT_SCHEMA, &format!("{GIVEN}{name}"), table);
    }
    if let Some(catalog) = state.catalog_list().catalog(CATALOG) {
        state.register_catalog_list(Arc::new(OverlayCatalogs::new(CATALOG, catalog, Arc::new(overlay))));
    }
    state
}

pub(crate) fn given_name(name: &str) -> ObjectName {
    let quoted = |part: &str| Ident::with_quote('"', part);
    ObjectName::from(vec![quoted(CATALOG), quoted(DEFAULT_SCHEMA), quoted(&format!("{GIVEN}{name}"))])
}
