//! What the policies cost a call, in process. Target: at most 150 ns and no allocation.

mod pipeline;

use criterion::{Criterion, criterion_group, criterion_main};
use mainstay_base::{Clock, SplitMix64, SystemClock};
use pipeline::Pipeline;

fn policy(criterion: &mut Criterion) {
    let pipeline = Pipeline::new();
    let rng = &mut SplitMix64::new(1);
    assert!(pipeline.call(rng), "the pipeline lets calls through");
    criterion.bench_function("policy/whole pipeline", |bencher| {
        bencher.iter(|| pipeline.call(rng));
    });
    let clock = SystemClock::new();
    criterion.bench_function("policy/of which two clock readings", |bencher| {
        bencher.iter(|| (clock.now(), clock.now()));
    });
}

criterion_group!(benches, policy);
criterion_main!(benches);
