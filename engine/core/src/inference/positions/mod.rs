//! What the rule does at each kind of node: the calls in its expressions become columns of its input, and its own
//! output columns keep their names, types and order.

mod aggregate;
mod filter;
mod join;
mod passing;
mod projection;
mod values;

pub(super) use aggregate::{aggregate, window};
pub(super) use filter::filter;
pub(super) use join::join;
pub(super) use passing::{limit, sort, subquery_alias};
pub(super) use projection::projection;
pub(super) use values::values;
