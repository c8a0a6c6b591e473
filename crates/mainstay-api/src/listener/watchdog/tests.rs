use std::sync::Arc;

use super::*;

const HEAD: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(180);
const PARK: Duration = Duration::from_secs(1);
/// What is left of the idle timeout after the first look.
const REST: Duration = Duration::from_secs(179);

fn judge(protocol: Protocol) -> (Judge, Arc<Activity>) {
    let limits = Limits {
        head_timeout: HEAD,
        idle_timeout: IDLE,
        park_after: PARK,
        ..Limits::default()
    };
    (Judge::new(protocol, &limits), Arc::default())
}

#[test]
fn a_still_http1_connection_is_put_aside_after_its_last_movement() {
    let (mut judge, activity) = judge(Protocol::Http1);
    activity.record_read();
    drop(activity.begin(false));
    assert_eq!(judge.time_is_up(&activity), Verdict::LookAgain(PARK));
    assert_eq!(judge.time_is_up(&activity), Verdict::End(End::Parked));
}

#[test]
fn one_whose_request_body_may_still_come_is_asked_to_end_instead_and_cut_at_last() {
    let (mut judge, activity) = judge(Protocol::Http1);
    drop(activity.begin(true));
    assert_eq!(judge.time_is_up(&activity), Verdict::LookAgain(REST));
    assert_eq!(judge.time_is_up(&activity), Verdict::Drain(IDLE));
    assert_eq!(judge.time_is_up(&activity), Verdict::End(End::Cut));
}

#[test]
fn http2_is_not_put_aside() {
    let (mut judge, activity) = judge(Protocol::Http2);
    activity.record_read();
    assert_eq!(judge.time_is_up(&activity), Verdict::LookAgain(IDLE));
    assert_eq!(judge.time_is_up(&activity), Verdict::Drain(IDLE));
}

#[test]
fn a_request_that_waits_for_its_callee_is_left_alone() {
    let (mut judge, activity) = judge(Protocol::Http1);
    let _request = activity.begin(false);
    assert_eq!(judge.time_is_up(&activity), Verdict::LookAgain(REST));
    assert_eq!(judge.time_is_up(&activity), Verdict::LookAgain(IDLE));
    assert_eq!(judge.time_is_up(&activity), Verdict::LookAgain(IDLE));
}

#[test]
fn a_client_that_does_not_take_its_answer_is_cut() {
    let (mut judge, activity) = judge(Protocol::Http1);
    let _request = activity.begin(false);
    let _ = activity.record_write(Poll::<()>::Pending);
    assert_eq!(judge.time_is_up(&activity), Verdict::LookAgain(REST));
    assert_eq!(judge.time_is_up(&activity), Verdict::End(End::Stalled));
}

#[test]
fn a_head_has_its_time_and_the_next_one_its_own() {
    let (mut judge, activity) = judge(Protocol::Http1);
    activity.record_read();
    assert!(judge.is_new_slow_head(&activity));
    assert_eq!(judge.head_begun(&activity), Verdict::LookAgain(HEAD));
    assert!(!judge.is_new_slow_head(&activity));
    // It is finished in time, and the next one has begun when the timer runs out.
    drop(activity.begin(false));
    activity.record_read();
    assert_eq!(judge.time_is_up(&activity), Verdict::LookAgain(PARK));
    assert_eq!(judge.head_begun(&activity), Verdict::LookAgain(HEAD));
    activity.record_read();
    assert_eq!(judge.time_is_up(&activity), Verdict::End(End::HeadTimeout));
}

#[test]
fn a_connection_that_is_asked_to_end_is_not_put_aside() {
    let (mut judge, activity) = judge(Protocol::Http1);
    assert_eq!(judge.drain(), Verdict::Drain(IDLE));
    assert_eq!(judge.time_is_up(&activity), Verdict::End(End::Cut));
}
