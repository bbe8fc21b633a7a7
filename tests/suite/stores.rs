//! Tables in a bucket: a server that speaks S3, and a proxy before it that loses answers.
//!
//! The S3 server is moto's, which `make setup-test` installs. Its conditional put looks and then writes, so that two at
//! the same moment may both succeed; the proxy lets one through after the other, as S3 does.

/// Lost answers, broken connections, busy servers: nothing is lost, and nothing counts twice.
mod faults;
/// An HTTP proxy that does what networks do.
mod proxy;
/// moto's server.
mod s3;
/// What one does with tables, in a bucket.
mod tables;
/// Two servers on one table, and a server that is killed.
mod writers;

/// Counts in table `n`: run twice, it shows.
const COUNT: &str = "MERGE INTO n USING (SELECT 1 AS step) AS s ON true WHEN MATCHED THEN UPDATE SET n = n + step";
