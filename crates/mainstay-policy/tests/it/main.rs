//! What the mechanisms cost together: a call through all of them allocates nothing.

// `cfg(test)` tells the lints that everything in them is a test.
#[cfg(test)]
mod overload;
#[cfg(test)]
mod simulation;

#[path = "../../benches/pipeline/mod.rs"]
mod pipeline;

use pipeline::Pipeline;

#[test]
fn a_call_through_the_whole_pipeline_allocates_nothing() {
    let pipeline = Pipeline::new();
    let rng = &mut mainstay_base::SplitMix64::new(1);
    for _ in 0..1_000 {
        pipeline.call(rng);
    }
    let allocations = allocation_counter::measure(|| {
        for _ in 0..10_000 {
            pipeline.call(rng);
        }
    });
    assert_eq!(allocations.count_total, 0);
}
