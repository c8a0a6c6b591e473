//! Output at its worst.

use mainstay_host::{LogFilter, LogSource, ReplicaState};

use crate::support::{LIMIT, World, app, shell};

#[tokio::test]
async fn the_log_of_a_firehose_is_bounded_and_others_are_heard() {
    let world = World::start(vec![
        shell("loud", "yes a line of the firehose"),
        shell(
            "quiet",
            "for i in 1 2 3; do sleep 0.1; echo still here $i; done; sleep 1000",
        ),
    ]);
    world.until_line("still here 3").await;
    let mut lines = world.handle.logs(LogFilter {
        apps: vec![app("loud")],
        ..LogFilter::default()
    });
    let mut count = 0;
    while lines.next().await.is_some() {
        count += 1;
    }
    assert!((1..=10_000).contains(&count), "{count}");
    world.stop().await;
}

#[tokio::test]
async fn a_slow_reader_is_told_what_it_missed_and_goes_on() {
    let world = World::start(vec![shell(
        "loud",
        "sleep 0.1; yes x | head -n 50000; echo the end; sleep 1000",
    )]);
    let mut stream = world.handle.logs(LogFilter {
        follow: true,
        ..LogFilter::default()
    });
    // Not read until everything has been written.
    world.until_line("the end").await;
    let read = async {
        let mut told = false;
        while let Some(line) = stream.next().await {
            told |= line.source == LogSource::Note(app("loud"));
            if &*line.text == "the end" {
                return told;
            }
        }
        false
    };
    assert_eq!(tokio::time::timeout(LIMIT, read).await, Ok(true));
    world.stop().await;
    while stream.next().await.is_some() {}
}

#[tokio::test]
async fn long_lines_are_cut_and_bytes_that_are_no_text_are_replaced() {
    let script = "head -c 200000 /dev/zero | tr '\\0' x; echo; printf 'bad \\377 byte\\n'; printf unfinished";
    let world = World::start(vec![shell("odd", script)]);
    world.until_state("odd", ReplicaState::Completed).await;
    let lines = world.log().await;
    let long = lines.iter().find(|line| line.starts_with("odd-1 xxx")).unwrap();
    assert!(
        long.len() < 66_000 && long.ends_with("bytes more]"),
        "{}",
        long.len()
    );
    for text in ["odd-1 bad \u{fffd} byte", "odd-1 unfinished"] {
        assert!(lines.iter().any(|line| line == text), "{text}");
    }
    world.stop().await;
}

#[tokio::test]
async fn half_lines_of_two_replicas_are_not_mixed() {
    let mut spec = shell(
        "talk",
        "for i in $(seq 200); do printf \"$REPLICA says \"; printf \"$REPLICA $i\\n\"; done",
    );
    spec.replicas = 3;
    let world = World::start(vec![spec]);
    for index in 1..=3 {
        world
            .until("talk", index, |status| status.state == ReplicaState::Completed)
            .await;
    }
    let log = world.log().await;
    for replica in ["talk-1", "talk-2", "talk-3"] {
        let said: Vec<_> = log
            .iter()
            .filter(|line| line.starts_with(&format!("{replica} ")))
            .collect();
        let expected = (1..=200).map(|number| format!("{replica} {replica} says {replica} {number}"));
        assert!(
            said.into_iter().eq(expected.collect::<Vec<_>>().iter()),
            "{replica}"
        );
    }
    world.stop().await;
}

#[tokio::test]
async fn a_follower_comes_to_the_end_with_the_host() {
    let world = World::start(vec![shell("web", "echo hello; sleep 1000")]);
    world.until_line("hello").await;
    let mut stream = world.handle.logs(LogFilter {
        follow: true,
        tail: Some(0),
        ..LogFilter::default()
    });
    world.stop().await;
    let mut last = None;
    while let Ok(Some(line)) = tokio::time::timeout(LIMIT, stream.next()).await {
        last = Some(line.text.to_string());
    }
    assert_eq!(last.as_deref(), Some("stopped: killed by SIGTERM"));
}
