//! The merged log: one line per line of output, the name of who wrote it in front.

use mainstay_api::wire::{LogLine, Stream};

use crate::render::clean::clean;
use crate::render::color::{Color, Palette};

/// The name in front of Mainstay's own lines.
const OWN_LABEL: &str = "mainstay";

/// Writes log lines for a screen.
#[derive(Clone, Debug)]
pub(crate) struct LogRenderer {
    apps: Vec<(String, u32)>,
    width: usize,
    palette: Palette,
    timestamps: bool,
}

impl LogRenderer {
    /// For these apps with their numbers of replicas, in the order of the manifest (which gives the colours).
    pub(crate) fn new(apps: Vec<(String, u32)>, palette: Palette, timestamps: bool) -> Self {
        let label_width = |(app, replicas): &(String, u32)| match replicas {
            0 | 1 => app.len(),
            many => app.len() + 1 + many.to_string().len(),
        };
        Self {
            width: apps
                .iter()
                .map(label_width)
                .max()
                .unwrap_or(0)
                .max(OWN_LABEL.len()),
            apps,
            palette,
            timestamps,
        }
    }

    /// A line of Mainstay's own.
    pub(crate) fn own(&self, text: &str) -> String {
        let label = format_args!("{OWN_LABEL:<width$} |", width = self.width);
        let line = format!("{} {text}", self.palette.paint(Color::BOLD, label));
        format!("{}\n", line.trim_end())
    }

    /// `line` for the screen, with its line break.
    pub(crate) fn line(&self, line: &LogLine) -> String {
        let place = self.apps.iter().position(|(app, _)| *app == line.app);
        let alone = place
            .and_then(|place| self.apps.get(place))
            .is_some_and(|(_, replicas)| *replicas <= 1);
        let label = if alone { &line.app } else { &line.replica };
        let color = place.map_or(Color::DIM, Color::of_name);
        let label = self
            .palette
            .paint(color, format_args!("{label:<width$} |", width = self.width));
        let time = if self.timestamps {
            format!("{} ", mainstay_base::rfc3339_millis(line.time_unix_ms))
        } else {
            String::new()
        };
        let text = clean(&line.text, self.palette.is_colored());
        match line.stream {
            Stream::Event => {
                let text = self.palette.paint(Color::BOLD, format_args!("• {text}"));
                format!("{time}{label} {text}\n")
            }
            // A colour that the app left on would run into the next line.
            Stream::Stdout | Stream::Stderr if text.contains('\x1b') => {
                format!("{time}{label} {text}\x1b[0m\n")
            }
            Stream::Stdout | Stream::Stderr => format!("{time}{label} {text}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::render::color::COLORED;

    fn line(app: &str, index: u32, stream: Stream, text: &str) -> LogLine {
        LogLine {
            number: 1,
            time_unix_ms: 1_795_180_448_250,
            app: app.to_owned(),
            replica: format!("{app}-{index}"),
            stream,
            text: text.to_owned(),
        }
    }

    fn lines(renderer: &LogRenderer) -> String {
        [
            line("storefront", 1, Stream::Stdout, "listening on 8080"),
            line("orders", 2, Stream::Stderr, "\x1b[31mno stock"),
            line(
                "orders",
                2,
                Stream::Event,
                "ended with exit code 1, restarts in 2s",
            ),
            line("stranger", 1, Stream::Stdout, "?"),
        ]
        .iter()
        .map(|line| renderer.line(line))
        .collect()
    }

    fn apps() -> Vec<(String, u32)> {
        vec![("storefront".to_owned(), 1), ("orders".to_owned(), 12)]
    }

    #[test]
    fn plain() {
        expect![[r"
            storefront | listening on 8080
            orders-2   | no stock
            orders-2   | • ended with exit code 1, restarts in 2s
            stranger-1 | ?
        "]]
        .assert_eq(&lines(&LogRenderer::new(apps(), Palette::PLAIN, false)));
    }

    #[test]
    fn with_time() {
        let renderer = LogRenderer::new(apps(), Palette::PLAIN, true);
        assert_eq!(
            renderer.line(&line("orders", 1, Stream::Stdout, "x")),
            "2026-11-20T13:14:08.250Z orders-1   | x\n"
        );
    }

    #[test]
    fn a_name_keeps_its_color_and_ends_that_of_the_text() {
        let shown = lines(&LogRenderer::new(apps(), COLORED, false));
        expect![[r#"
            "\u{1b}[36mstorefront |\u{1b}[0m listening on 8080\n\u{1b}[33morders-2   |\u{1b}[0m \u{1b}[31mno stock\u{1b}[0m\n\u{1b}[33morders-2   |\u{1b}[0m \u{1b}[1m• ended with exit code 1, restarts in 2s\u{1b}[0m\n\u{1b}[2mstranger-1 |\u{1b}[0m ?\n""#]]
        .assert_eq(&format!("{shown:?}"));
    }
}
