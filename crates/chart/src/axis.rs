//! The scale of a chart's values.

/// How values are placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Evenly from zero.
    Linear,
    /// Seconds by powers, with zero at the foot.
    Time,
}

pub(crate) struct Axis {
    pub(crate) scale: Scale,
    pub(crate) top: f64,
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From 0 to the greatest value.
    pub(crate) fn to(most: f64, scale: Scale) -> Self {
        match scale {
            Scale::Linear => Self::linear(most),
            Scale::Time => Self::time(most),
        }
    }

    pub(crate) fn linear(most: f64) -> Self {
        let most = if most > 0.0 { most } else { 1.0 };
        let rough = most / 4.0;
        let magnitude = 10f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * magnitude);
        let step = steps
            .into_iter()
            .find(|step| *step >= rough)
            .unwrap_or(rough);
        let count = (most / step).ceil().max(1.0);
        let mut ticks = vec![];
        let mut at = 0.0;
        while at <= count * step + step / 2.0 {
            ticks.push((at, number(at)));
            at += step;
        }
        Self {
            scale: Scale::Linear,
            top: count * step,
            ticks,
        }
    }

    pub(crate) fn time(most: f64) -> Self {
        let known = [
            (1.0, "1 s"),
            (10.0, "10 s"),
            (60.0, "1 min"),
            (600.0, "10 min"),
            (3_600.0, "1 h"),
            (36_000.0, "10 h"),
            (86_400.0, "1 day"),
            (864_000.0, "10 days"),
            (8_640_000.0, "100 days"),
        ];
        let above = known
            .iter()
            .position(|(at, _)| *at >= most)
            .unwrap_or(known.len() - 1);
        let last = above.max(2);
        let mut ticks = vec![(0.0, "0".to_owned())];
        ticks.extend(
            known[..=last]
                .iter()
                .map(|(at, text)| (*at, (*text).to_owned())),
        );
        Self {
            scale: Scale::Time,
            top: known[last].0,
            ticks,
        }
    }

    /// From 0 at the foot to 1 at the top.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => value / self.top,
            Scale::Time => (1.0 + value).log10() / (1.0 + self.top).log10(),
        };
        share.clamp(0.0, 1.0)
    }
}

/// A number as axes show it.
pub(crate) fn number(value: f64) -> String {
    let shorten = |by: f64, unit: &str| {
        let text = format!("{:.2}", value / by);
        let text = text.trim_end_matches('0').trim_end_matches('.');
        format!("{text}{unit}")
    };
    if value >= 1_000_000.0 {
        shorten(1_000_000.0, " M")
    } else if value >= 10_000.0 {
        shorten(1_000.0, " k")
    } else {
        shorten(1.0, "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_above_its_greatest_value_and_times_have_units() {
        let axis = Axis::linear(930.0);
        let ticks: Vec<&str> = axis.ticks.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(ticks, ["0", "250", "500", "750", "1000"]);
        let axis = Axis::time(5_000.0);
        assert_eq!(axis.ticks.last().unwrap().1, "10 h");
        assert!(axis.place(5_000.0) < 1.0);
        assert_eq!(
            [999.0, 12_500.0, 2_000_000.0].map(number),
            ["999", "12.5 k", "2 M"]
        );
    }
}
