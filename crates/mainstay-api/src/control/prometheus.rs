//! Metrics as Prometheus text, version 0.0.4.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;

use http::HeaderValue;
use mainstay_base::metric::{BUCKET_BOUNDS_SECONDS, Collect, Descriptor, Histogram, Kind, Visitor};

/// What the text is.
pub(super) const CONTENT_TYPE: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Writes every metric of `collectors`; one without values is still announced.
pub(super) fn write(collectors: &[Arc<dyn Collect>]) -> String {
    let mut writer = Writer::default();
    for collector in collectors {
        collector.collect(&mut writer);
        for descriptor in collector.descriptors() {
            writer.announce(descriptor);
        }
    }
    writer.text
}

#[derive(Default)]
struct Writer {
    text: String,
    announced: HashSet<&'static str>,
}

// Writing to a string cannot fail, so the results of `write!` are dropped.
impl Writer {
    /// `HELP` and `TYPE`, before the first value.
    fn announce(&mut self, descriptor: &'static Descriptor) {
        let Descriptor { name, help, kind, .. } = descriptor;
        if !self.announced.insert(name) {
            return;
        }
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One line: name with suffix, labels, value.
    fn sample(
        &mut self,
        (descriptor, suffix): (&Descriptor, &str),
        labels: &[&str],
        le: Option<f64>,
        value: f64,
    ) {
        let _ = write!(self.text, "{}{suffix}", descriptor.name);
        let mut separator = '{';
        for (name, value) in descriptor.labels.iter().zip(labels) {
            let _ = write!(self.text, "{separator}{name}=\"");
            escape(&mut self.text, value);
            self.text.push('"');
            separator = ',';
        }
        if let Some(bound) = le {
            let _ = write!(self.text, "{separator}le=\"");
            number(&mut self.text, bound);
            self.text.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
        self.text.push(' ');
        number(&mut self.text, value);
        self.text.push('\n');
    }
}

impl Visitor for Writer {
    fn value(&mut self, descriptor: &'static Descriptor, labels: &[&str], value: f64) {
        self.announce(descriptor);
        self.sample((descriptor, ""), labels, None, value);
    }

    fn histogram(&mut self, descriptor: &'static Descriptor, labels: &[&str], histogram: &Histogram) {
        self.announce(descriptor);
        let bounds = BUCKET_BOUNDS_SECONDS.into_iter().chain([f64::INFINITY]);
        let mut total = 0;
        for (bound, count) in bounds.zip(histogram.counts()) {
            total += count;
            self.sample((descriptor, "_bucket"), labels, Some(bound), total as f64);
        }
        self.sample((descriptor, "_sum"), labels, None, histogram.sum_seconds());
        self.sample((descriptor, "_count"), labels, None, total as f64);
    }
}

fn escape(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            character => text.push(character),
        }
    }
}

fn number(text: &mut String, value: f64) {
    let _ = if value == f64::INFINITY {
        write!(text, "+Inf")
    } else if value == f64::NEG_INFINITY {
        write!(text, "-Inf")
    } else {
        write!(text, "{value}")
    };
}

#[cfg(test)]
mod tests;
