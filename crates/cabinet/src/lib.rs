//! Reference Cabinet: source of truth for custom domains.
