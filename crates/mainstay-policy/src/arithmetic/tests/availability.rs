//! What a service needs, and what it can promise at most.

use expect_test::expect;

use super::check;

#[test]
fn promises_that_hold() {
    check(
        "
        door shop
        shop 99.8% 1s x2
        orders 99.9% 400ms x2
        catalog 99.95% 150ms x2
        payments 90% 300ms x2
        shop -> orders
        shop -> catalog times=2
        orders -> payments deadline=200ms else answer
        orders -> catalog
        ",
        expect![[""]],
    );
}

#[test]
fn availability_is_a_product() {
    check(
        "
        shop 99.9%
        orders 99.9%
        catalog 99.95%
        shop -> orders
        shop -> catalog
        ",
        expect![[r#"
            breach availability: shop -> orders
              shop promises 99.9%, and needs orders 99.9% x catalog 99.95% = 99.85005%
              - promise less: at most 99.85% for shop
              - give the call shop->orders a fallback: then shop can promise 99.95%
              - let orders promise 99.95%
        "#]],
    );
}

#[test]
fn what_two_callees_share_counts_once() {
    check(
        "
        shop 99.85%
        orders 99.9%
        catalog 99.9%
        database 99.95%
        shop -> orders
        shop -> catalog
        orders -> database
        catalog -> database
        ",
        expect![[r#"
            warning single_point_of_failure: database
              database runs as one replica, and shop, orders and catalog cannot do without it
              - run it twice: `replicas: 2` for database
              - give the calls to database a fallback
              - call database after the answer, not before it
        "#]],
    );
}

#[test]
fn a_substitute_takes_its_callee_out_but_not_what_both_need() {
    check(
        "
        shop 99.9%
        primary 99%
        secondary 98%
        database 99.5%
        shop -> primary else secondary
        shop -> secondary else answer
        primary -> database
        secondary -> database
        ",
        expect![[r#"
            breach availability: shop -> primary -> database
              shop promises 99.9%, and needs database 99.5%
              - promise less: at most 99.5% for shop
              - let database promise 99.9%
            warning single_point_of_failure: database
              database runs as one replica, and shop, primary and secondary cannot do without it
              - run it twice: `replicas: 2` for database
              - give the calls to database a fallback
              - call database after the answer, not before it
        "#]],
    );
}

#[test]
fn who_promises_nothing_is_looked_through() {
    check(
        "
        shop 99.9% 300ms
        gateway
        payments 99% 800ms
        shop -> gateway
        gateway -> payments
        ",
        expect![[r#"
            breach availability: shop -> gateway -> payments
              shop promises 99.9%, and needs payments 99%
              - promise less: at most 99% for shop
              - give the call shop->gateway a fallback: then shop can promise 100%
              - let payments promise 99.9%
            breach latency: shop -> gateway
              shop promises 300ms, and its calls take gateway 800ms
              - promise less: 800ms for shop
              - answer without gateway, from a cache or later: the other calls take 0
              - let gateway promise 300ms
            warning single_point_of_failure: payments
              payments runs as one replica, and shop and gateway cannot do without it
              - run it twice: `replicas: 2` for payments
              - give the calls to payments a fallback
              - call payments after the answer, not before it
        "#]],
    );
}

#[test]
fn one_raised_promise_is_not_enough() {
    check(
        "
        shop 99.99%
        a 99.9%
        b 99.9%
        shop -> a
        shop -> b
        ",
        expect![[r#"
            breach availability: shop -> a
              shop promises 99.99%, and needs a 99.9% x b 99.9% = 99.8001%
              - promise less: at most 99.8% for shop
              - give the call shop->b a fallback; alone that allows 99.9%, others are needed
              - let each of them promise more: 99.995% on its own
        "#]],
    );
}

#[test]
fn single_points_of_failure() {
    check(
        "
        door shop
        shop x2
        orders x2
        once
        unimportant
        background
        external payments
        shop -> orders
        orders -> payments
        orders -> once
        shop -> unimportant else answer
        background -> orders
        ",
        expect![[r#"
            warning single_point_of_failure: door -> shop -> orders -> once
              once runs as one replica, and requests from outside cannot do without it
              - run it twice: `replicas: 2` for once
              - give the calls to once a fallback
              - call once after the answer, not before it
            warning single_point_of_failure: door -> shop -> orders -> payments
              payments is outside of your hands, and requests from outside cannot do without it
              - give the calls to payments a fallback
              - name a second provider as the fallback of payments
              - call payments after the answer, not before it
        "#]],
    );
}
