//! The `traceparent` header.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_mesh::TraceContext;

fuzz_target!(|text: &[u8]| {
    let Some(context) = TraceContext::parse(text) else {
        return;
    };
    assert!(context.trace_id != 0 && context.span_id != 0);
    let text = std::str::from_utf8(&text[..55]).expect("only ASCII is accepted");
    assert_eq!(format!("{:032x}", context.trace_id), text[3..35]);
    assert_eq!(format!("{:016x}", context.span_id), text[36..52]);
});
