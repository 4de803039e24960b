//! Figures within web pages. A style sheet gives them their colours.

use crate::axis::{Axis, Scale, number};
use crate::svg::{count, escaped, put};

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const FOOT: f64 = 26.0;
/// Share of its place that a bar takes.
const BAR: f64 = 0.7;

/// A figure with a title and a description for people who do not see it.
#[derive(Debug, Clone)]
pub struct Figure<'a> {
    /// Its name in the page; letters, digits and hyphens.
    pub id: &'a str,
    /// Its title.
    pub title: &'a str,
    /// The quantities that it shows and their latest values.
    pub description: &'a str,
    /// The drawing.
    pub shape: Shape<'a>,
}

/// The drawing of a figure.
#[derive(Debug, Clone)]
pub enum Shape<'a> {
    /// Curves over one axis. Curve number `n` has the class `curve-n`, counted from 1.
    Curves {
        /// The curves.
        curves: Vec<Curve>,
        /// Labels of the axis: a place from 0 to 1, and the text.
        labels: Vec<(f64, String)>,
    },
    /// Bars side by side.
    Bars(Vec<Bar<'a>>),
}

/// A curve.
#[derive(Debug, Clone)]
pub struct Curve {
    /// Places from 0 to 1, and values; a missing value breaks the curve.
    pub points: Vec<(f64, Option<f64>)>,
}

/// A bar.
#[derive(Debug, Clone, Copy)]
pub struct Bar<'a> {
    /// The text below it.
    pub label: &'a str,
    /// Its height.
    pub value: f64,
    /// A further class, such as one for a warning; empty for none.
    pub class: &'a str,
}

impl Figure<'_> {
    /// The drawing as an element of a page.
    pub fn to_svg(&self) -> String {
        let id = escaped(self.id);
        let mut svg = format!(
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
             aria-labelledby=\"{id}-title {id}-desc\">\
             <title id=\"{id}-title\">{}</title><desc id=\"{id}-desc\">{}</desc>",
            escaped(self.title),
            escaped(self.description)
        );
        let axis = Axis::to(self.largest(), Scale::Linear);
        for (value, text) in &axis.ticks {
            let at = y(&axis, *value);
            let line = format!(
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{}\" y2=\"{at:.1}\"/>\
                 <text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                at + 4.0
            );
            put(&mut svg, &line);
        }
        match &self.shape {
            Shape::Curves { curves, labels } => draw_curves(&mut svg, &axis, curves, labels),
            Shape::Bars(bars) => draw_bars(&mut svg, &axis, bars),
        }
        svg.push_str("</svg>");
        svg
    }

    fn largest(&self) -> f64 {
        let values: Vec<f64> = match &self.shape {
            Shape::Curves { curves, .. } => {
                let points = curves.iter().flat_map(|curve| &curve.points);
                points.filter_map(|(_, value)| *value).collect()
            }
            Shape::Bars(bars) => bars.iter().map(|bar| bar.value).collect(),
        };
        values.into_iter().fold(0.0, f64::max)
    }
}

fn x(place: f64) -> f64 {
    LEFT + (WIDTH - LEFT - RIGHT) * place.clamp(0.0, 1.0)
}

fn y(axis: &Axis, value: f64) -> f64 {
    TOP + (HEIGHT - TOP - FOOT) * (1.0 - axis.place(value))
}

fn draw_label(svg: &mut String, at: f64, anchor: &str, text: &str) {
    let label = format!(
        "<text class=\"tick\" x=\"{at:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
        HEIGHT - 6.0,
        escaped(text)
    );
    put(svg, &label);
}

fn draw_curves(svg: &mut String, axis: &Axis, curves: &[Curve], labels: &[(f64, String)]) {
    for (place, text) in labels {
        let anchor = if *place > 0.95 { "end" } else { "middle" };
        draw_label(svg, x(*place), anchor, text);
    }
    for (index, curve) in curves.iter().enumerate() {
        let mut path = String::new();
        let mut pen_is_down = false;
        for (place, value) in &curve.points {
            let Some(value) = value else {
                pen_is_down = false;
                continue;
            };
            let letter = if pen_is_down { 'L' } else { 'M' };
            let point = format!("{letter}{:.1} {:.1}", x(*place), y(axis, *value));
            put(&mut path, &point);
            pen_is_down = true;
        }
        let number = index + 1;
        put(
            svg,
            &format!("<path class=\"curve curve-{number}\" d=\"{path}\"/>"),
        );
    }
}

fn draw_bars(svg: &mut String, axis: &Axis, bars: &[Bar<'_>]) {
    let places = count(bars.len().max(1));
    for (index, bar) in bars.iter().enumerate() {
        let middle = x((count(index) + 0.5) / places);
        let width = (WIDTH - LEFT - RIGHT) / places * BAR;
        let (top, foot) = (y(axis, bar.value), y(axis, 0.0));
        let class = escaped(bar.class);
        let (label, value) = (escaped(bar.label), number(bar.value));
        let rect = format!(
            "<rect class=\"bar {class}\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{:.1}\" rx=\"2\">\
             <title>{label}: {value}</title></rect>",
            middle - width / 2.0,
            foot - top
        );
        put(svg, &rect);
        draw_label(svg, middle, "middle", bar.label);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(shape: Shape<'_>) -> String {
        let figure = Figure {
            id: "orders",
            title: "Orders & <more>",
            description: "of \"today\"",
            shape,
        };
        figure.to_svg()
    }

    #[test]
    fn a_figure_has_a_title_and_a_description_and_no_colours_of_its_own() {
        let bars = [("Mon", 3.0), ("<Tue>", 5.0)];
        let bars = bars.map(|(label, value)| Bar {
            label,
            value,
            class: "",
        });
        let svg = figure(Shape::Bars(bars.into()));
        assert!(svg.contains("<title id=\"orders-title\">Orders &amp; &lt;more&gt;</title>"));
        assert!(svg.contains("<desc id=\"orders-desc\">of &quot;today&quot;</desc>"));
        assert!(svg.contains("&lt;Tue&gt;: 5"), "{svg}");
        assert_eq!(svg.matches("class=\"bar ").count(), 2);
        for word in ["style=", "fill=", "stroke="] {
            assert!(!svg.contains(word), "{word}");
        }
    }

    #[test]
    fn a_missing_value_breaks_a_curve_and_no_value_is_an_empty_figure() {
        let curve = Curve {
            points: vec![(0.0, Some(1.0)), (0.5, None), (1.0, Some(3.0))],
        };
        let svg = figure(Shape::Curves {
            curves: vec![curve, Curve { points: vec![] }],
            labels: vec![(0.0, "then".into()), (1.0, "now".into())],
        });
        let path = svg.split("curve-1\" d=\"").nth(1).unwrap();
        let path = path.split('"').next().unwrap();
        assert_eq!(path.matches('M').count(), 2, "{path}");
        assert!(svg.contains("curve-2\" d=\"\""), "{svg}");
        assert!(figure(Shape::Bars(vec![])).ends_with("</svg>"));
    }
}
