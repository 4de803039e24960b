//! Pages of panels with lines over days.

use crate::axis::{Axis, Scale};
use crate::svg::{count, escaped, put};

/// Colours that people of every kind of colour vision can distinguish (Okabe and Ito), the
/// strongest first. Each line also has a dash pattern of its own.
const COLOURS: [&str; 7] = [
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000",
];
const DASHES: [&str; 7] = ["", "7 3", "2 3", "9 3 2 3", "", "4 2", "1 2"];

const WIDTH: f64 = 1_200.0;
const LEFT: f64 = 92.0;
const RIGHT: f64 = 190.0;
const HEAD: f64 = 78.0;
const MARKS: f64 = 16.0;
const PANEL: f64 = 190.0;
const GAP: f64 = 46.0;
const FOOT: f64 = 52.0;
/// Text with a rim of the paper's colour, to be read across the lines of marks.
const RIMMED: &str = "stroke=\"#fff\" stroke-width=\"3\" paint-order=\"stroke\"";

/// A page of panels with one time axis.
#[derive(Debug, Clone)]
pub struct Page {
    /// Above all.
    pub title: String,
    /// Below the title.
    pub subtitle: String,
    /// The length of the time axis.
    pub days: f64,
    /// Stretches shaded in all panels, with what they are.
    pub marks: Vec<(String, f64, f64)>,
    /// From top to bottom.
    pub panels: Vec<Panel>,
}

/// One panel.
#[derive(Debug, Clone)]
pub struct Panel {
    /// The quantity that it shows, with the unit.
    pub title: String,
    /// How values are placed and written.
    pub scale: Scale,
    /// Its lines.
    pub lines: Vec<Line>,
    /// A level that matters, with its name.
    pub level: Option<(String, f64)>,
}

/// One line.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Days and values; a missing value breaks the line.
    pub points: Vec<(f64, Option<f64>)>,
}

impl Panel {
    fn axis(&self) -> Axis {
        let values = self.lines.iter().flat_map(|line| &line.points);
        let values = values.filter_map(|(_, value)| *value);
        let most = values
            .chain(self.level.iter().map(|(_, at)| *at))
            .fold(0.0, f64::max);
        Axis::to(most, self.scale)
    }
}

impl Page {
    /// The drawing.
    pub fn to_svg(&self) -> String {
        let rows = self.mark_rows();
        let depth = rows.iter().map(|row| row + 1).max().unwrap_or(0);
        let top = HEAD + MARKS * count(depth);
        let height = top + (PANEL + GAP) * count(self.panels.len()) + FOOT - GAP;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
             font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\" fill=\"#222\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
             <text x=\"{LEFT}\" y=\"30\" font-size=\"19\" font-weight=\"bold\">{}</text>\n\
             <text x=\"{LEFT}\" y=\"50\" fill=\"#555\">{}</text>\n",
            escaped(&self.title),
            escaped(&self.subtitle)
        );
        let foot = height - FOOT;
        self.draw_marks(&mut svg, &rows, top, foot);
        for (index, panel) in self.panels.iter().enumerate() {
            let panel_top = top + 18.0 + (PANEL + GAP) * count(index);
            self.draw_panel(&mut svg, panel, panel_top);
        }
        self.draw_days(&mut svg, foot);
        svg.push_str("</svg>\n");
        svg
    }

    fn x(&self, day: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (day / self.days).clamp(0.0, 1.0)
    }

    /// The row of each mark's label, so that labels do not run into each other.
    fn mark_rows(&self) -> Vec<usize> {
        let mut ends: Vec<f64> = vec![];
        let mut rows = vec![];
        for (label, from, _) in &self.marks {
            let begin = self.label_begin(label, *from);
            let end = begin + label_width(label) + 10.0;
            let row = ends.iter().position(|taken| *taken <= begin);
            let row = row.unwrap_or_else(|| {
                ends.push(0.0);
                ends.len() - 1
            });
            ends[row] = end;
            rows.push(row);
        }
        rows
    }

    fn label_begin(&self, label: &str, from: f64) -> f64 {
        self.x(from).min(WIDTH - 12.0 - label_width(label))
    }

    fn draw_marks(&self, svg: &mut String, rows: &[usize], top: f64, foot: f64) {
        for ((_, from, to), row) in self.marks.iter().zip(rows) {
            let (left, right) = (self.x(*from), self.x(*to));
            let width = (right - left).max(1.0);
            let text_y = HEAD + MARKS * count(*row) - 4.0;
            let line_from = text_y + 3.0;
            put(
                svg,
                &format!(
                    "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"#000\" fill-opacity=\"0.06\"/>\n\
                 <line x1=\"{left:.1}\" y1=\"{line_from:.1}\" x2=\"{left:.1}\" y2=\"{foot:.1}\" stroke=\"#999\" stroke-width=\"0.7\"/>\n",
                    foot - top,
                ),
            );
        }
        // Above the lines of all.
        for ((label, from, _), row) in self.marks.iter().zip(rows) {
            let (text_x, text_y) = (
                self.label_begin(label, *from),
                HEAD + MARKS * count(*row) - 4.0,
            );
            put(
                svg,
                &format!(
                    "<text x=\"{text_x:.1}\" y=\"{text_y:.1}\" font-size=\"11\" fill=\"#444\" {RIMMED}>{}</text>\n",
                    escaped(label)
                ),
            );
        }
    }

    fn draw_panel(&self, svg: &mut String, panel: &Panel, top: f64) {
        let axis = panel.axis();
        let height = PANEL - 18.0;
        let y = |value: f64| top + height * (1.0 - axis.place(value));
        let right = WIDTH - RIGHT;
        put(
            svg,
            &format!(
                "<text x=\"{LEFT}\" y=\"{:.1}\" font-weight=\"bold\" {RIMMED}>{}</text>\n",
                top - 8.0,
                escaped(&panel.title)
            ),
        );
        for (value, text) in &axis.ticks {
            let at = y(*value);
            put(
                svg,
                &format!(
                    "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\" stroke=\"#ddd\" stroke-width=\"0.7\"/>\n\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555\">{text}</text>\n",
                    LEFT - 8.0,
                    at + 4.0
                ),
            );
        }
        if let Some((name, level)) = &panel.level {
            let at = y(*level);
            put(
                svg,
                &format!(
                    "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\" stroke=\"#a00\" stroke-dasharray=\"5 4\"/>\n\
                 <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"11\" fill=\"#a00\" text-anchor=\"end\">{}</text>\n",
                    right - 4.0,
                    at - 4.0,
                    escaped(name)
                ),
            );
        }
        let mut points = panel.lines.iter().flat_map(|line| &line.points);
        if points.all(|(_, value)| value.is_none()) {
            put(
                svg,
                &format!(
                    "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#777\">nothing to show</text>\n",
                    f64::midpoint(LEFT, right),
                    top + height / 2.0
                ),
            );
        }
        for (index, line) in panel.lines.iter().enumerate() {
            let (colour, dash) = (COLOURS[index % COLOURS.len()], DASHES[index % DASHES.len()]);
            // The first line is seen below another that lies on it.
            let width = if index == 0 { 3.0 } else { 1.5 };
            let style = format!(
                "fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-dasharray=\"{dash}\""
            );
            put(
                svg,
                &format!(
                    "<path d=\"{}\" {style} stroke-linejoin=\"round\"/>\n",
                    self.path(line, &y)
                ),
            );
            let at = top + 8.0 + 18.0 * count(index);
            put(
                svg,
                &format!(
                    "<line x1=\"{:.1}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\" {style}/>\n\
                 <text x=\"{:.1}\" y=\"{:.1}\">{}</text>\n",
                    right + 14.0,
                    right + 42.0,
                    right + 50.0,
                    at + 4.0,
                    escaped(&line.name)
                ),
            );
        }
        put(
            svg,
            &format!(
                "<path d=\"M{LEFT} {top:.1}V{:.1}H{right}\" fill=\"none\" stroke=\"#444\"/>\n",
                top + height
            ),
        );
    }

    fn path(&self, line: &Line, y: &dyn Fn(f64) -> f64) -> String {
        let mut path = String::new();
        let mut pen_is_down = false;
        for (day, value) in &line.points {
            match value {
                Some(value) => {
                    let letter = if pen_is_down { 'L' } else { 'M' };
                    put(
                        &mut path,
                        &format!("{letter}{:.1} {:.1}", self.x(*day), y(*value)),
                    );
                    pen_is_down = true;
                }
                None => pen_is_down = false,
            }
        }
        path
    }

    fn draw_days(&self, svg: &mut String, foot: f64) {
        let steps = [1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 90.0, 180.0, 365.0];
        let step = steps
            .into_iter()
            .find(|step| self.days / step <= 13.0)
            .unwrap_or(365.0);
        let mut day = 0.0;
        while day <= self.days + 0.001 {
            let x = self.x(day);
            put(
                svg,
                &format!(
                    "<line x1=\"{x:.1}\" y1=\"{foot:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\" stroke=\"#444\"/>\n\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{day}</text>\n",
                    foot + 5.0,
                    foot + 19.0
                ),
            );
            day += step;
        }
        put(
            svg,
            &format!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">days since the beginning</text>\n",
                f64::midpoint(LEFT, WIDTH - RIGHT),
                foot + 38.0
            ),
        );
    }
}

/// About as wide as the text is drawn at 11 pixels.
fn label_width(label: &str) -> f64 {
    6.2 * count(label.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(marks: &[(&str, f64, f64)]) -> Page {
        let marks = marks
            .iter()
            .map(|(label, from, to)| ((*label).to_owned(), *from, *to));
        Page {
            title: "Orders & <more>".into(),
            subtitle: String::new(),
            days: 60.0,
            marks: marks.collect(),
            panels: vec![Panel {
                title: "orders per hour".into(),
                scale: Scale::Linear,
                lines: vec![Line {
                    name: "orders".into(),
                    points: vec![(0.0, Some(1.0)), (1.0, None), (2.0, Some(3.0))],
                }],
                level: None,
            }],
        }
    }

    #[test]
    fn what_is_written_is_escaped_and_a_missing_value_breaks_the_line() {
        let svg = page(&[]).to_svg();
        assert!(svg.contains("Orders &amp; &lt;more&gt;"), "{svg}");
        let path = svg
            .split("<path d=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        assert_eq!(path.matches('M').count(), 2, "{path}");
    }

    #[test]
    fn a_panel_without_a_value_says_so() {
        let mut page = page(&[]);
        assert!(!page.to_svg().contains("nothing to show"));
        page.panels[0].lines[0].points = vec![(1.0, None)];
        assert!(page.to_svg().contains("nothing to show"));
    }

    #[test]
    fn labels_that_would_run_into_each_other_stand_in_rows() {
        let crowded = page(&[
            ("CA away", 10.0, 11.0),
            ("Cabinet away", 11.0, 12.0),
            ("far", 50.0, 51.0),
        ]);
        assert_eq!(crowded.mark_rows(), [0, 1, 0]);
    }
}
