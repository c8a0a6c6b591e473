//! What retries, circles and timeouts do along a path.

use expect_test::expect;

use super::check;

#[test]
fn retries_multiply() {
    check(
        "
        door a
        a x2
        b x2
        c x2
        d x2
        a -> b attempts=3
        b -> c attempts=3
        a -> c attempts=2
        c -> d attempts=3
        ",
        expect![[r#"
            amplification 27, load 1.73: door -> a -> b -> c -> d
        "#]],
    );
    check(
        "
        a x2
        b x2
        c x2
        d x2
        e x2
        a -> b attempts=3
        b -> c attempts=3
        c -> d attempts=3
        d -> e attempts=3
        ",
        expect![[r#"
            warning retry_amplification: a -> b -> c -> d -> e
              one call may become 3 x 3 x 3 x 3 = 81 calls of e; the retry budgets hold that to 2.07 times the load
              - retry only next to what fails: `maxRetries: 0` for a->b in a Resiliency file
              - take a layer out of the path
              - give a call on the path a fallback, so that its caller has nothing to retry
            amplification 81, load 2.07: a -> b -> c -> d -> e
        "#]],
    );
}

#[test]
fn circles_are_found_once() {
    check(
        "
        a x2 99% 1s
        b x2 99% 1s
        c x2 99% 1s
        a -> b
        b -> c
        c -> a
        b -> a
        ",
        expect![[r#"
            breach latency: b -> a
              b promises 1s, and its calls take c 1s + a 1s = 2s
              - promise less: 2s for b
              - make the calls at the same time (`parallel: true`): then they take 1s
              - answer without a, from a cache or later: the other calls take 1s
            warning call_cycle: a -> b -> a
              these services call each other in a circle: one request may go round until its deadline
              - take the call b->a out: hand over what is needed with the request
              - move what both need into a service of its own
              - make one of the calls after the answer, not before it
            warning call_cycle: c -> a -> b -> c
              these services call each other in a circle: one request may go round until its deadline
              - take the call b->c out: hand over what is needed with the request
              - move what both need into a service of its own
              - make one of the calls after the answer, not before it
        "#]],
    );
}

#[test]
fn times_that_do_not_fit() {
    check(
        "
        a x2
        b x2 1s max=20s
        c x2 1s max=8s
        d x2 3s
        a -> b timeout=5s
        b -> c timeout=6s deadline=10s
        a -> d timeout=1s attempts=3 wait=5s deadline=5s
        ",
        expect![[r#"
            warning gives_up_too_early: a -> b -> c
              a gives up on b after 5s, while b may wait 6s for c
              - let b promise a `max` of at least 6s
              - let c promise a `max` of at most 5s
              - give the call b->c a fallback, or a->b
            warning retries_never: a -> d
              a waits 5s before it calls d again, and the call may take 5s in all
              - wait less than 5s between attempts
              - take the retry policy out of the Resiliency file: the SLA gives one
              - let a promise a longer `max`
            warning cuts_off_answers: a -> d
              a waits 1s for an attempt, and d promises 99 of 100 answers within 3s
              - raise the timeout for d to at least 3s
              - take the timeout out of the Resiliency file: the SLA of d gives one
              - let d promise a p99 of at most 1s
            amplification 3, load 1.20: a -> d
        "#]],
    );
}
