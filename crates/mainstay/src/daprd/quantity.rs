//! Kubernetes quantities of bytes: `4Mi`, `512Ki`, `1G`, `4194304`.

const UNITS: [(&str, usize); 8] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("k", 1_000),
    ("K", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("", 1),
];

/// Reads a quantity of bytes.
pub(crate) fn bytes(text: &str) -> Result<usize, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, factor)| *factor);
    factor
        .zip(number.parse::<usize>().ok())
        .and_then(|(factor, number)| number.checked_mul(factor))
        .ok_or_else(|| {
            format!("`{text}` is not a quantity of bytes: write a number and Ki, Mi, Gi, k, M or G, like 4Mi")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities() {
        for (text, expected) in [
            ("4Mi", 4_194_304),
            ("512Ki", 524_288),
            ("1k", 1_000),
            ("77", 77),
            ("0", 0),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "Mi", "4 Mi", "-1", "4Xi", "99999999999999Gi"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
