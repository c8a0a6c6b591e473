//! `bench/RESULTS.md`: one section per bench, replaced as a whole by each full run.

use std::fmt::Write as _;

use anyhow::Result;

use super::figures::Target;
use crate::process::{output, root, tool};

const INTRODUCTION: &str = "# Measured\n\nWritten by `cargo xtask bench`; every section is replaced as a whole by \
                            a full run of its bench. Figures are medians of interleaved rounds with (minimum–maximum); \
                            all raw figures are below each table.\n";

/// What a bench found, as Markdown.
pub(crate) struct Section {
    name: &'static str,
    text: String,
}

impl Section {
    /// Begins with when and where.
    pub(crate) fn new(name: &'static str, versions: &[String]) -> Result<Self> {
        let mut text = format!("## {name}\n\n");
        writeln!(text, "{}.\n", machine()?)?;
        writeln!(text, "{}.\n", versions.join(", "))?;
        Ok(Self { name, text })
    }

    /// Adds a paragraph, a list or a table.
    pub(crate) fn add(&mut self, block: &str) {
        self.text.push_str(block.trim_end());
        self.text.push_str("\n\n");
    }

    /// Adds a table.
    pub(crate) fn table(&mut self, heads: &[&str], rows: &[Vec<String>]) {
        let mut text = format!("| {} |\n|{}\n", heads.join(" | "), "---|".repeat(heads.len()));
        for row in rows {
            text.push_str("| ");
            text.push_str(&row.join(" | "));
            text.push_str(" |\n");
        }
        self.add(&text);
    }

    /// Adds what was wanted and what was found.
    pub(crate) fn targets(&mut self, targets: &[Target]) {
        let lines: Vec<String> = targets.iter().map(|target| format!("- {target}")).collect();
        self.add(&lines.join("\n"));
    }

    /// Adds figures that only a doubting reader wants to see.
    pub(crate) fn raw(&mut self, title: &str, lines: &[String]) {
        self.add(&format!(
            "<details><summary>{title}</summary>\n\n```\n{}\n```\n\n</details>",
            lines.join("\n")
        ));
    }

    /// Prints it, and writes it down when the run was a full one.
    pub(crate) fn publish(&self, is_full: bool) -> Result<()> {
        println!("\n{}", self.text);
        let path = root().join("bench/RESULTS.md");
        if !is_full {
            println!("not written down: only a full run is");
            return Ok(());
        }
        let before = std::fs::read_to_string(&path).unwrap_or_else(|_| INTRODUCTION.to_owned());
        std::fs::write(&path, replaced(&before, self.name, &self.text))?;
        println!("written to bench/RESULTS.md");
        Ok(())
    }
}

/// `document` with the section called `name` replaced by `text`, or with `text` at its end.
fn replaced(document: &str, name: &str, text: &str) -> String {
    let heading = format!("## {name}\n");
    let begin = document
        .match_indices(&heading)
        .map(|(at, _)| at)
        .find(|at| *at == 0 || document[..*at].ends_with('\n'));
    let Some(begin) = begin else {
        return format!("{}\n\n{}\n", document.trim_end(), text.trim_end());
    };
    let rest = &document[begin + heading.len()..];
    let after = rest.find("\n## ").map_or("", |end| &rest[end + 1..]);
    format!(
        "{}\n\n{}\n\n{after}",
        document[..begin].trim_end(),
        text.trim_end()
    )
    .trim_end()
    .to_owned()
        + "\n"
}

/// Day, commit, processor, memory, kernel and how busy the machine was.
fn machine() -> Result<String> {
    let line = |program: &str, arguments: &[&str]| {
        output(tool(program).args(arguments)).map(|it| it.trim().to_owned())
    };
    let day = line("date", &["-u", "+%F %H:%M UTC"])?;
    let commit = line("git", &["describe", "--always", "--dirty"]).unwrap_or_else(|_| "no commit".to_owned());
    let kernel = line("uname", &["-sr"])?;
    let cpus = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or(": unknown processor");
    let memory = std::fs::read_to_string("/proc/meminfo")?;
    let kib = memory
        .split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse::<u64>().ok())
        .unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg")?;
    Ok(format!(
        "{day}, commit {commit}, {} cores of {}, {} GiB, {kernel}, load average at the end {}",
        std::thread::available_parallelism()?,
        model.trim_start_matches([':', ' ', '\t']),
        kib.div_ceil(1024 * 1024),
        load.split_whitespace().next().unwrap_or("unknown"),
    ))
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn a_section_is_replaced_and_the_others_stay() {
        let first = replaced("# Measured\n", "proxy", "## proxy\n\none\n");
        assert_eq!(first, "# Measured\n\n## proxy\n\none\n");
        let second = replaced(&first, "policy", "## policy\n\ntwo\n");
        assert_eq!(second, "# Measured\n\n## proxy\n\none\n\n## policy\n\ntwo\n");
        let again = replaced(&second, "proxy", "## proxy\n\nthree\n");
        assert_eq!(again, "# Measured\n\n## proxy\n\nthree\n\n## policy\n\ntwo\n");
        let last = replaced(&again, "policy", "## policy\n\nfour\n");
        assert_eq!(last, "# Measured\n\n## proxy\n\nthree\n\n## policy\n\nfour\n");
    }
}
