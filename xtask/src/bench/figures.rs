//! Figures of several rounds, and how they are told.

use std::fmt;

/// One figure, once per round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds(pub(crate) Vec<f64>);

impl Rounds {
    /// The middle one (the mean of the middle two); zero without any.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => 0.0,
            count if count % 2 == 1 => sorted[count / 2],
            count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
        }
    }

    fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn max(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// This figure divided by another's of the same round.
    pub(crate) fn over(&self, other: &Self) -> Self {
        Self(
            self.0
                .iter()
                .zip(&other.0)
                .map(|(mine, theirs)| mine / theirs)
                .collect(),
        )
    }

    /// This figure less another's of the same round.
    pub(crate) fn minus(&self, other: &Self) -> Self {
        Self(
            self.0
                .iter()
                .zip(&other.0)
                .map(|(mine, theirs)| mine - theirs)
                .collect(),
        )
    }

    /// All of them, in order.
    pub(crate) fn raw(&self) -> String {
        self.0
            .iter()
            .map(|value| shown(*value))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

impl fmt::Display for Rounds {
    /// `median (min–max)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("–"),
            [one] => f.write_str(&shown(*one)),
            _ => write!(
                f,
                "{} ({}–{})",
                shown(self.median()),
                shown(self.min()),
                shown(self.max())
            ),
        }
    }
}

/// Three significant digits, more only before the point.
pub(crate) fn shown(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// A demand and what was found.
pub(crate) struct Target {
    /// `CPU per request against Envoy`.
    pub(crate) what: String,
    pub(crate) found: f64,
    pub(crate) bound: Bound,
    /// `x`, `%`, ` s`.
    pub(crate) unit: &'static str,
}

/// Which side of the figure is good.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    fn is_met(&self) -> bool {
        match self.bound {
            Bound::AtMost(bound) => self.found <= bound,
            Bound::AtLeast(bound) => self.found >= bound,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, bound) = match self.bound {
            Bound::AtMost(bound) => ("≤", bound),
            Bound::AtLeast(bound) => ("≥", bound),
        };
        let verdict = if self.is_met() { "met" } else { "MISSED" };
        let unit = self.unit;
        write!(
            f,
            "{}: {}{unit} (wanted {sign} {bound}{unit}): {verdict}",
            self.what,
            shown(self.found)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_told_by_their_middle_and_ends() {
        assert_eq!(Rounds(vec![3.0, 1.0, 2.0]).to_string(), "2.00 (1.00–3.00)");
        assert_eq!(shown(Rounds(vec![400.0, 2.0]).median()), "201");
        assert_eq!(Rounds(vec![12.34]).to_string(), "12.3");
        assert_eq!(Rounds::default().to_string(), "–");
        let (mine, theirs) = (Rounds(vec![1.0, 3.0]), Rounds(vec![2.0, 4.0]));
        assert_eq!(
            (mine.over(&theirs).0, mine.minus(&theirs).0),
            (vec![0.5, 0.75], vec![-1.0, -1.0])
        );
    }

    #[test]
    fn a_target_says_whether_it_is_met() {
        let target = |found, bound| {
            Target {
                what: "CPU".into(),
                found,
                bound,
                unit: "x",
            }
            .to_string()
        };
        assert_eq!(
            target(0.5, Bound::AtMost(0.5)),
            "CPU: 0.500x (wanted ≤ 0.5x): met"
        );
        assert_eq!(
            target(94.9, Bound::AtLeast(95.0)),
            "CPU: 94.9x (wanted ≥ 95x): MISSED"
        );
    }
}
