//! The demo's output: lines, and on a terminal a table that is updated.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use super::story::Scene;

/// Standard output, as a terminal or as a stream of lines.
pub(super) struct Show {
    terminal: bool,
    /// Lines of the living table that are on the screen now.
    drawn: usize,
}

impl Show {
    pub(super) fn new() -> Self {
        Self {
            terminal: std::io::stdout().is_terminal(),
            drawn: 0,
        }
    }

    /// One line.
    pub(super) fn line(&mut self, text: &str) {
        self.drawn = 0;
        write(&format!("{text}\n"));
    }

    /// Several lines.
    pub(super) fn lines(&mut self, texts: &[String]) {
        for text in texts {
            self.line(text);
        }
    }

    /// A domain changed: on a terminal the table is drawn anew in its place, elsewhere a line says
    /// what changed.
    pub(super) fn progress(&mut self, scenes: &[Scene], changed: &Scene, at: Duration) {
        if !self.terminal {
            let code = changed.code.as_deref().unwrap_or("");
            write(&format!(
                "  {:>7.3} s  {:<24} {:<17} {code}\n",
                at.as_secs_f64(),
                changed.host,
                changed.status
            ));
            return;
        }
        let table = table(scenes);
        let mut text = String::new();
        if self.drawn > 0 {
            // Up to the table's first line, and clear from there.
            text = format!("\x1b[{}A\x1b[J", self.drawn);
        }
        text.push_str(&table);
        self.drawn = table.lines().count();
        write(&text);
    }

    /// The final table; on a terminal it takes the place of the living one.
    pub(super) fn table(&mut self, scenes: &[Scene]) {
        if self.drawn > 0 {
            write(&format!("\x1b[{}A\x1b[J", self.drawn));
        }
        self.drawn = 0;
        write(&table(scenes));
    }
}

/// Fits into 80 columns, so that no line is broken and the living table can be found again on the
/// screen.
fn table(scenes: &[Scene]) -> String {
    let row = |host: &str, status: &str, code: &str, seconds: &str, fingerprint: &str| {
        let text = format!("{host:<23}{status:<17}{code:<21}{seconds:>7}  {fingerprint:<9}");
        format!("{}\n", text.trim_end())
    };
    let mut text = row("domain", "status", "code", "seconds", "served");
    text.push_str(&"─".repeat(79));
    text.push('\n');
    for scene in scenes {
        let seconds = scene
            .seconds_to_active
            .map(|seconds| format!("{seconds:.3}"));
        let fingerprint = scene.fingerprint.as_deref().and_then(|text| text.get(..9));
        text.push_str(&row(
            &scene.host,
            &scene.status,
            scene.code.as_deref().unwrap_or_default(),
            seconds.as_deref().unwrap_or_default(),
            fingerprint.unwrap_or_default(),
        ));
    }
    text
}

/// A closed pipe ends the show, not the program.
fn write(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
