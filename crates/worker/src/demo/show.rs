//! What the demo prints: lines as they come, and on a terminal a table that lives.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};

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

    /// A domain changed: on a terminal the table is drawn anew in its place, elsewhere a line says what changed.
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
        let table = table(scenes).to_string();
        let mut text = String::new();
        if self.drawn > 0 {
            // Up to the table's first line, and clear from there.
            text = format!("\x1b[{}A\x1b[J", self.drawn);
        }
        text.push_str(&table);
        text.push('\n');
        self.drawn = table.lines().count();
        write(&text);
    }

    /// The final table; on a terminal it takes the place of the living one.
    pub(super) fn table(&mut self, scenes: &[Scene]) {
        if self.drawn > 0 {
            write(&format!("\x1b[{}A\x1b[J", self.drawn));
        }
        self.line(&table(scenes).to_string());
    }
}

fn table(scenes: &[Scene]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header([
        "domain",
        "what it is",
        "status",
        "code",
        "seconds to Active",
        "served fingerprint",
    ]);
    for scene in scenes {
        table.add_row([
            scene.host.clone(),
            scene.about.to_owned(),
            scene.status.clone(),
            scene.code.clone().unwrap_or_default(),
            scene
                .seconds_to_active
                .map(|seconds| format!("{seconds:.3}"))
                .unwrap_or_default(),
            scene
                .fingerprint
                .as_ref()
                .map(|text| text.chars().take(16).collect())
                .unwrap_or_default(),
        ]);
    }
    table
}

/// A closed pipe ends the show, not the program.
fn write(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
