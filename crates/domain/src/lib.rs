//! Types, state machine and policies of a custom domain: pure, no I/O, no clock.
