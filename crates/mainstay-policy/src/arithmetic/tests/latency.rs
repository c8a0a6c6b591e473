//! How long the calls of a service take together.

use expect_test::expect;

use super::check;

#[test]
fn latency_is_a_sum() {
    check(
        "
        shop 300ms
        orders 120ms
        catalog 100ms
        shop -> orders times=2
        shop -> catalog
        ",
        expect![[r#"
            breach latency: shop -> orders
              shop promises 300ms, and its calls take 2 x orders 120ms + catalog 100ms = 340ms
              - promise less: 340ms for shop
              - make the calls at the same time (`parallel: true`): then they take 240ms
              - answer without orders, from a cache or later: the other calls take 100ms
              - let orders promise 100ms
        "#]],
    );
}

#[test]
fn parallel_calls_take_as_long_as_the_longest() {
    check(
        "
        shop 200ms
        a 150ms
        b 120ms
        c 100ms
        shop -> a parallel
        shop -> b parallel
        shop -> c
        ",
        expect![[r#"
            breach latency: shop -> a
              shop promises 200ms, and its calls take c 100ms + max(a 150ms, b 120ms) = 250ms
              - promise less: 250ms for shop
              - make the calls at the same time (`parallel: true`): then they take 150ms
              - answer without a, from a cache or later: the other calls take 220ms; alone that is not enough
        "#]],
    );
}

#[test]
fn the_longest_time_may_break_alone() {
    check(
        "
        shop 1s max=2s
        slow 100ms max=5s
        shop -> slow
        ",
        expect![[r#"
            breach latency: shop -> slow
              shop promises 2s at most, and its calls take slow 5s
              - promise less: 5s for shop
              - answer without slow, from a cache or later: the other calls take 0
              - let slow promise 2s
        "#]],
    );
}
