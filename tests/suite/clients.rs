//! Drivers: the demo's statements through psql, psycopg, asyncpg, node's pg and tokio-postgres, and what tokio-postgres
//! finds when it uses the protocol to the full.

/// `tests/clients/cases.json` through every driver.
mod drivers;
/// COPY beside what PostgreSQL writes and says.
mod copy;
/// Typed parameters, arrays, NULLs, portals, transactions, errors, cancel requests in binary.
mod protocol;
/// Random statements that change rows, beside other engines.
mod sequences;
