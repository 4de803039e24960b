//! What every process of ours needs at its start: settings, logs, signals.
