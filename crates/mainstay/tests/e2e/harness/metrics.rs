//! Prometheus text, read back.

use std::collections::BTreeSet;

/// All samples of one scrape.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Names out of the `# TYPE` lines.
    pub names: BTreeSet<String>,
    samples: Vec<Sample>,
}

#[derive(Clone, Debug)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Metrics {
    /// Reads a scrape; panics on a line that is none.
    pub fn parse(text: &str) -> Self {
        let names = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
            .map(str::to_owned)
            .collect();
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty());
        let samples = lines
            .map(|line| sample(line).unwrap_or_else(|| panic!("no sample: {line}")))
            .collect();
        Self { names, samples }
    }

    /// The sum of all values of `name` whose labels include `labels`, in whole numbers.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let sum: f64 = self
            .samples
            .iter()
            .filter(|sample| sample.name == name)
            .filter(|sample| {
                labels.iter().all(|(key, value)| {
                    sample
                        .labels
                        .iter()
                        .any(|(name, text)| name == key && text == value)
                })
            })
            .map(|sample| sample.value)
            .sum();
        sum.round() as u64
    }
}

fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (series, ""),
    };
    // Label values of the tests hold neither commas nor quotes.
    let label = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        Some((name.to_owned(), value.trim_matches('"').to_owned()))
    };
    Some(Sample {
        name: name.to_owned(),
        labels: labels.split(',').filter_map(label).collect(),
        value: value.parse().ok()?,
    })
}
