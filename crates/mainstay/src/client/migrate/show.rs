//! How a migration is shown.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use mainstay_migrate::{Phase, Side, Status};

use crate::client::{print, print_json};
use crate::failure::Failure;
use crate::migration::in_manifest;
use crate::render::time::span;

/// How wide the bar is, in characters.
const BAR: u64 = 30;

/// Shows how it goes: a line that changes on a terminal, else a line for each phase and problem; with `--json` one for each
/// look that differs.
pub(super) struct Screen {
    is_json: bool,
    is_terminal: bool,
    last: Mutex<String>,
}

impl Screen {
    pub(super) const fn new(is_json: bool, is_terminal: bool) -> Self {
        Self {
            is_json,
            is_terminal,
            last: Mutex::new(String::new()),
        }
    }

    pub(super) fn show(&self, status: &Status) -> Result<(), Failure> {
        if self.is_json {
            let text = serde_json::to_string(status).unwrap_or_default();
            return if self.is_news(&text) {
                print_json(status)
            } else {
                Ok(())
            };
        }
        if self.is_terminal {
            let text = line(status);
            self.is_news(&text);
            return print(&format!("\r\x1b[K{text}"));
        }
        let mut text = phase(status.phase).to_owned();
        if let Some(problem) = &status.problem {
            let _ = write!(text, ": {}", problem.message);
        }
        if self.is_news(&text) {
            print(&(text + "\n"))
        } else {
            Ok(())
        }
    }

    pub(super) fn end(&self) -> Result<(), Failure> {
        if self.is_terminal && !self.is_json {
            print("\n")
        } else {
            Ok(())
        }
    }

    fn is_news(&self, text: &str) -> bool {
        let mut last = self
            .last
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_news = *last != text;
        text.clone_into(&mut last);
        is_news
    }
}

/// What it is doing, as people say it.
pub(super) const fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Preparing => "preparing",
        Phase::Copying => "copying",
        Phase::Following => "following",
        Phase::Verifying => "verifying",
        Phase::Ready => "ready",
        Phase::CuttingOver => "cutting over",
        Phase::FollowingBack => "cut over",
        Phase::BackingOut => "backing out",
        Phase::Finishing => "finishing",
        Phase::Finished => "finished",
        Phase::BackedOut => "backed out",
    }
}

/// One line: the bar where something has an end, else how far behind the follower is.
fn line(status: &Status) -> String {
    let mut text = format!("{:<12}", phase(status.phase));
    match (status.phase, status.keys_total) {
        (Phase::Copying | Phase::Verifying, Some(total)) => {
            let percent = (status.keys * 100).checked_div(total).unwrap_or(100);
            let filled = (status.keys * BAR).checked_div(total).unwrap_or(BAR);
            let bar: String = (0..BAR)
                .map(|place| if place < filled { '#' } else { '.' })
                .collect();
            let _ = write!(
                text,
                " [{bar}] {percent:>3} %  {} of {} keys",
                grouped(status.keys),
                grouped(total)
            );
        }
        (Phase::Copying | Phase::Verifying, None) => {
            let _ = write!(text, " {} keys", grouped(status.keys));
        }
        _ => {}
    }
    if let Some(rate) = status.keys_per_second {
        let _ = write!(text, "  {}/s", grouped(rate as u64));
    }
    if let Some(left) = status.time_left_ms {
        let _ = write!(text, "  {} left", span(Duration::from_millis(left)));
    }
    if let Some(lag) = status.lag_bytes {
        let _ = write!(text, "  {} behind", size(lag));
    }
    if let Some(problem) = &status.problem {
        let _ = write!(text, "  {}", problem.message);
    }
    text
}

/// Everything that is known, for `mainstay migrate status`.
pub(super) fn status(status: &Status) -> String {
    let in_use = |side: Side| if status.serves == side { "  (in use)" } else { "" };
    let mut text = format!(
        "{}\nfrom  {}{}\nto    {}{}\n",
        line(status).trim_end(),
        status.source,
        in_use(Side::Source),
        status.target,
        in_use(Side::Target)
    );
    if let Some(ranges) = status.verified_ranges {
        let _ = writeln!(text, "verified in {} ranges", grouped(ranges));
    }
    if status.phase != Phase::Finished && status.phase != Phase::BackedOut {
        text += &next(status);
    }
    text
}

/// What it came to, and what can be done next.
pub(super) fn next(status: &Status) -> String {
    let mut text = String::new();
    match status.phase {
        Phase::Ready => {
            let repaired = status.repaired_ranges.unwrap_or(0);
            if repaired > 0 {
                let _ = writeln!(text, "{repaired} ranges differed and were copied once more");
            }
            text += "the copy is complete and was found to be right; it is kept up to date\n\
                     next: `mainstay migrate cut-over` lets it take over, `mainstay migrate back-out` removes it\n";
        }
        Phase::FollowingBack => {
            if let Some(pause) = status.pause_ms {
                let _ = writeln!(
                    text,
                    "what is stored is in {} now; commits waited {pause} ms",
                    status.target
                );
            }
            let _ = writeln!(
                text,
                "write `store: {}` into the manifest before the next start\n\
                 next: `mainstay migrate finish` lets go of the old store, `mainstay migrate back-out` goes back to it \
                 without loss",
                in_manifest(&status.target_reference)
            );
        }
        Phase::Finished => {
            let _ = writeln!(
                text,
                "{} is the store now; {} is not used any more, and can be removed",
                status.target, status.source
            );
        }
        Phase::BackedOut => {
            let _ = writeln!(
                text,
                "{} is the store; the copy was removed. The manifest has to say `store: {}`",
                status.source,
                in_manifest(&status.source_reference)
            );
        }
        _ => {}
    }
    text
}

/// A number with a comma after each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes, as people read them.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{} KiB", bytes / 1_024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copying() -> Status {
        Status {
            phase: Phase::Copying,
            source: "the embedded store".to_owned(),
            target: "postgres://db:5432/shop, schema mainstay_shop".to_owned(),
            target_reference: "${DATABASE_URL}".to_owned(),
            source_reference: "embedded".to_owned(),
            serves: Side::Source,
            is_over: false,
            began_unix_ms: 1,
            keys: 621_000,
            keys_total: Some(1_000_000),
            copied_bytes: 7,
            keys_per_second: Some(84_120.4),
            time_left_ms: Some(4_500),
            lag_bytes: None,
            lag_ms: None,
            verified_ranges: None,
            repaired_ranges: None,
            pause_ms: None,
            problem: None,
        }
    }

    #[test]
    fn a_bar_with_rate_and_time_left() {
        assert_eq!(
            line(&copying()),
            "copying      [##################............]  62 %  621,000 of 1,000,000 keys  84,120/s  4.5s left"
        );
        let empty = Status {
            keys: 0,
            keys_total: Some(0),
            keys_per_second: None,
            time_left_ms: None,
            ..copying()
        };
        assert!(line(&empty).contains("100 %  0 of 0 keys"), "{}", line(&empty));
    }

    #[test]
    fn the_end_of_a_phase_says_what_comes_next() {
        let mut status = copying();
        status.phase = Phase::FollowingBack;
        status.pause_ms = Some(23);
        let text = next(&status);
        assert!(
            text.contains("waited 23 ms") && text.contains("store: ${DATABASE_URL}"),
            "{text}"
        );
        status.phase = Phase::Ready;
        assert!(next(&status).contains("cut-over"));
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345_678, "12,345,678"),
        ] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(
            (size(5), size(5_000), size(50_000_000)),
            ("5 B".into(), "4 KiB".into(), "47 MiB".into())
        );
    }
}
