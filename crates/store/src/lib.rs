//! CertificateStore on PostgreSQL and SQLite.
