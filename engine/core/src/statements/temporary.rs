//! What becomes of a session's temporary tables when it ends.

use super::target;
use crate::catalog::TableEntry;
use crate::planning::TemporaryRelation;
use crate::reading::discard_after_readers;
use crate::session::Session;

/// Forgets all temporary tables and views; their files go once no statement reads them.
pub(crate) async fn discard(session: &Session) {
    for table in session.temporary.take_tables() {
        discard_after_readers(&session.engine, table);
    }
}

/// What a transaction block leaves behind at its end.
pub(super) fn end_block(session: &Session, committed: bool) {
    for table in session.temporary.end_block(committed) {
        discard_after_readers(&session.engine, table);
    }
}

/// Gives a table that is written its temporary name. What had it before goes.
pub(super) fn name_table(session: &Session, table: TableEntry) {
    let name = table.name.clone();
    if target::in_block(session) {
        session.temporary.note_in_block(&name);
    }
    if let Some(TemporaryRelation::Table(replaced)) =
        session.temporary.put(&name, TemporaryRelation::Table(Box::new(table)))
    {
        discard_after_readers(&session.engine, *replaced);
    }
}
