//! Colours, and whether there are any.

use std::fmt::Display;
use std::io::IsTerminal;

/// An ANSI colour or weight (SGR parameter).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Color(&'static str);

impl Color {
    /// Heavier.
    pub(crate) const BOLD: Self = Self("1");
    /// Lighter.
    pub(crate) const DIM: Self = Self("2");
    /// Bad.
    pub(crate) const RED: Self = Self("31");
    /// Good.
    pub(crate) const GREEN: Self = Self("32");
    /// On its way, or worth a look.
    pub(crate) const YELLOW: Self = Self("33");

    /// Colours that tell names apart, on dark and light backgrounds; red is left to errors.
    const NAMES: [Self; 10] = [
        Self("36"),
        Self("33"),
        Self("32"),
        Self("35"),
        Self("34"),
        Self("96"),
        Self("93"),
        Self("92"),
        Self("95"),
        Self("94"),
    ];

    /// The colour of the name at this place of the manifest.
    pub(crate) fn of_name(place: usize) -> Self {
        Self::NAMES
            .get(place % Self::NAMES.len())
            .copied()
            .unwrap_or(Self::DIM)
    }
}

/// Whether to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Palette {
    colored: bool,
}

impl Palette {
    /// No colours.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self { colored: false };

    /// Colours when `stream` is a terminal and `NO_COLOR` is not set (no-color.org), or when `CLICOLOR_FORCE` is.
    pub(crate) fn of(stream: &impl IsTerminal) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let forced = set("CLICOLOR_FORCE");
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            colored: !set("NO_COLOR") && (forced || (stream.is_terminal() && !dumb)),
        }
    }

    /// Whether there are colours.
    pub(crate) const fn is_colored(self) -> bool {
        self.colored
    }

    /// `text` in `color`.
    pub(crate) fn paint(self, color: Color, text: impl Display) -> String {
        if self.colored {
            format!("\x1b[{}m{text}\x1b[0m", color.0)
        } else {
            text.to_string()
        }
    }
}

#[cfg(test)]
pub(crate) const COLORED: Palette = Palette { colored: true };
