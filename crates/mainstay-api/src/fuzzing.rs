//! What the fuzz targets in `fuzz/` call: private parsers together with what must hold for every input.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use mainstay_mesh::Target;

use crate::http::route::Route;
use crate::http::target;

/// Decodes a request: a line with method and path, a line with the query, lines with headers (`name: value`).
///
/// # Panics
/// When something does not hold that must.
pub fn invocation(request: &str) {
    let mut lines = request.lines();
    let (method, path) = lines
        .next()
        .and_then(|line| line.split_once(' '))
        .unwrap_or_default();
    let query = lines.next().filter(|query| !query.is_empty());
    let mut headers = HeaderMap::new();
    for (name, value) in lines.take(8).filter_map(|line| line.split_once(": ")) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    let method = Method::from_bytes(method.as_bytes()).unwrap_or_default();
    let first = Route::of(&method, path);
    assert_eq!(
        first,
        Route::of(&method, path),
        "a route depends on the request alone"
    );

    let Ok(invocation) = target::decode(path, query, &headers) else {
        return;
    };
    assert!(!invocation.id.is_empty(), "a callee without a name");
    match &invocation.target {
        Target::Name(name) => assert!(!name.is_empty(), "a callee without a name"),
        Target::Replica(replica) => unreachable!("nobody can name {replica}"),
        Target::Url(url) => assert!(url.starts_with("http://") || url.starts_with("https://"), "{url}"),
    }
    let passed_on = invocation.path_and_query.as_str();
    assert!(passed_on.starts_with('/'), "not a path: {passed_on}");
    assert!(
        passed_on.bytes().all(|byte| byte > b' ' && byte != 0x7f),
        "splits the request line: {passed_on:?}"
    );
    assert_eq!(
        passed_on.parse().ok(),
        Some(invocation.path_and_query.clone()),
        "means something else to the callee"
    );
    let invented = query.is_none() && invocation.path_and_query.query().is_some();
    assert!(!invented, "a part of the path became a query: {passed_on}");
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_seeds_of_the_fuzz_target_hold() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/invocation");
        let seeds: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
        assert!(!seeds.is_empty());
        for seed in seeds {
            super::invocation(&std::fs::read_to_string(seed.unwrap().path()).unwrap());
        }
    }
}
