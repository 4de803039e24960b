//! Wire types of the Cabinet API, contract v1.
