//! What a process did to files, from the record of its system calls (`strace -f -y -xx`).

use std::collections::HashMap;
use std::path::PathBuf;

/// Something that was done to a file or folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// It was opened, and made if it was not there.
    Open { path: PathBuf, truncates: bool },
    /// Bytes were written at a place, or to the end.
    Write {
        path: PathBuf,
        offset: Option<u64>,
        bytes: Vec<u8>,
    },
    /// Its length was set.
    SetLength { path: PathBuf, length: u64 },
    /// It has another name.
    Rename { from: PathBuf, to: PathBuf },
    /// Its name went.
    Remove { path: PathBuf },
    /// What was done to it is durable.
    Sync { path: PathBuf },
}

/// The system calls that change files. Those that are not understood below fail the test when they succeed.
pub(super) const CALLS: &str = "openat,open,creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,\
     rename,renameat,renameat2,unlink,unlinkat,link,linkat,fsync,fdatasync,sync_file_range,copy_file_range,sendfile,\
     mkdir,mkdirat";

/// Reads a record, in the order in which the calls came back.
pub(super) fn parse(text: &str) -> Vec<Operation> {
    let mut unfinished: HashMap<&str, &str> = HashMap::new();
    let mut operations = Vec::new();
    for line in text.lines() {
        let Some((process, rest)) = line.split_once(' ') else {
            continue;
        };
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix(" <unfinished ...>") {
            unfinished.insert(process, begun);
        } else if let Some(resumed) = rest.strip_prefix("<... ") {
            let begun = unfinished.remove(process).unwrap();
            let (_, end) = resumed.split_once(" resumed>").unwrap();
            operations.extend(parse_call(&format!("{begun}{end}")));
        } else {
            operations.extend(parse_call(rest));
        }
    }
    operations
}

fn parse_call(call: &str) -> Option<Operation> {
    let (name, rest) = call.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    if result.starts_with('-') || result.starts_with('?') {
        return None;
    }
    let arguments = arguments.trim_end().strip_suffix(')')?;
    let strings = strings(arguments);
    let path = |index: usize| PathBuf::from(String::from_utf8(strings[index].clone()).unwrap());
    let numbers = |index: usize| -> u64 { arguments.split(", ").nth(index).unwrap().parse().unwrap() };
    let written: usize = result.split(['<', ' ']).next().unwrap().parse().unwrap_or(0);
    let operation = match name {
        // Reading changes nothing.
        "openat" if !arguments.contains("O_CREAT") && !arguments.contains("O_TRUNC") => return None,
        // The folder that relative names start from is the first string, where there is one.
        "openat" => Operation::Open {
            path: path(strings.len().checked_sub(1).filter(|last| *last < 2).unwrap_or(1)),
            truncates: arguments.contains("O_TRUNC"),
        },
        "write" => Operation::Write {
            path: path(0),
            offset: None,
            bytes: strings[1][..written].to_vec(),
        },
        "pwrite64" => Operation::Write {
            path: path(0),
            offset: Some(numbers(3)),
            bytes: strings[1][..written].to_vec(),
        },
        "ftruncate" => Operation::SetLength {
            path: path(0),
            length: numbers(1),
        },
        "rename" => Operation::Rename {
            from: path(0),
            to: path(1),
        },
        // Made for new files alone, so it never shortens one.
        "fallocate" => Operation::SetLength {
            path: path(0),
            length: numbers(2) + numbers(3),
        },
        "renameat" | "renameat2" => Operation::Rename {
            from: path(1),
            to: path(3),
        },
        "unlink" => Operation::Remove { path: path(0) },
        "unlinkat" => Operation::Remove {
            path: path(strings.len() - 1),
        },
        "fsync" | "fdatasync" => Operation::Sync { path: path(0) },
        other => panic!("a system call that the model does not know: {other}({arguments:.200}) = {result}"),
    };
    Some(operation)
}

/// All strings and names of open files in a call, decoded.
fn strings(arguments: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut rest = arguments;
    while let Some(start) = rest.find(['"', '<']) {
        let close = if rest.as_bytes()[start] == b'"' { '"' } else { '>' };
        let inner = &rest[start + 1..];
        let end = inner.find(close).unwrap();
        let digits = inner[..end].split("\\x").skip(1);
        found.push(
            digits
                .map(|pair| u8::from_str_radix(&pair[..2], 16).unwrap())
                .collect(),
        );
        rest = &inner[end + 1..];
        assert!(!rest.starts_with("..."), "strace cut a string");
    }
    found
}
