//! The machine's services for all of our processes: settings, logs, signals, the clock, randomness
//! and bounded HTTP.
//!
//! A process first reads its [`settings`] from files and environment variables, by the rules of
//! .NET's configuration. Then it starts [`telemetry`], and takes from [`shutdown`] the token that
//! signals it to drain. It serves HTTP within the bounds of [`http_server`]. Callers show a
//! [`BearerToken`] or, by [`mutual_tls`], a certificate. The system clock and the operating
//! system's randomness are read here and nowhere else ([`clock`], [`randomness`]); other crates
//! wrap these functions in their ports. Types that settings are made of live here too:
//! [`HumanDuration`] and [`Secret`].

mod bearer_token;
pub mod clock;
mod duration;
pub mod exit;
pub mod exposition;
pub mod http_server;
mod log_throttle;
pub mod mutual_tls;
pub mod problem;
pub mod process;
pub mod randomness;
mod secret;
pub mod service_manager;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
mod token_guard;

pub use bearer_token::BearerToken;
pub use duration::{DurationError, HumanDuration, OutOfBounds};
pub use secret::{MASK, Secret, SecretError, TOKEN_RULE};
pub use token_guard::TokenGuard;
