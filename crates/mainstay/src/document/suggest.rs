//! What the user may have meant.

/// The candidate that is closest to `word`, when it is close enough to be meant.
pub(crate) fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            let other = candidate.to_lowercase();
            let distance = strsim::damerau_levenshtein(&lower, &other);
            // One mistake in three letters; a beginning of the word counts as close as well.
            let allowed = word.len().max(candidate.len()) / 3;
            let prefix = lower.len() >= 3
                && other.len() >= 3
                && (other.starts_with(&lower) || lower.starts_with(&other));
            (distance, distance <= allowed || prefix, candidate)
        })
        .filter(|(_, close, _)| *close)
        .min_by_key(|(distance, _, _)| *distance)
        .map(|(_, _, candidate)| candidate)
}

/// Advice for an unknown word: the closest candidate, or all of them.
pub(crate) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(candidate) = closest(word, candidates.clone()) {
        return format!("did you mean `{candidate}`?");
    }
    let all: Vec<String> = candidates
        .into_iter()
        .map(|candidate| format!("`{candidate}`"))
        .collect();
    if all.is_empty() {
        "there is nothing to choose from".to_owned()
    } else {
        format!("known are {}", all.join(", "))
    }
}
