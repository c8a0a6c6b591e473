//! The generator against a small server of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use super::generator::spread;
use super::response::{Response, parse};
use super::{Class, Schedule, get, run};

/// Answers each request on each connection with what `answer` makes of it; an empty answer closes the connection.
fn serve(answer: fn(&str) -> &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut chunk = [0; 1024];
                while let Ok(count @ 1..) = stream.read(&mut chunk) {
                    let answer = answer(std::str::from_utf8(&chunk[..count]).unwrap());
                    if answer.is_empty() || stream.write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

fn schedule(address: SocketAddr, paths: &[&'static str]) -> Schedule {
    let class = |path: &&'static str| Class {
        weight: 1,
        bytes: get(path, "test", &[("x", "y")]),
    };
    Schedule {
        address,
        classes: paths.iter().map(class).collect(),
        rate: 1_000.0,
        duration: Duration::from_millis(200),
        connections: 4,
        timeout: Duration::from_secs(5),
    }
}

#[test]
fn answers_are_counted_by_class_and_kind() {
    let address = serve(|request| match request.split_whitespace().nth(1) {
        Some("/good") => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        Some("/fallback") => "HTTP/1.1 200 OK\r\nMainstay-Fallback: static\r\ncontent-length: 0\r\n\r\n",
        Some("/shed") => "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        Some("/wrong") => "HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
        _ => "",
    });
    let report = run(&schedule(
        address,
        &["/good", "/fallback", "/shed", "/wrong", "/gone"],
    ))
    .unwrap();
    let kinds = |index: usize| {
        let it = &report.classes[index];
        [
            it.offered,
            it.good,
            it.fallbacks,
            it.refused,
            it.failed,
            it.timed_out,
            it.broken,
        ]
    };
    assert_eq!(kinds(0), [40, 40, 0, 0, 0, 0, 0]);
    assert_eq!(kinds(1), [40, 40, 40, 0, 0, 0, 0]);
    assert_eq!(kinds(2), [40, 0, 0, 40, 0, 0, 0]);
    assert_eq!(kinds(3), [40, 0, 0, 0, 40, 0, 0]);
    assert_eq!(kinds(4), [40, 0, 0, 0, 0, 0, 40]);
    assert_eq!(report.intervals.len(), 1);
    assert_eq!(
        (
            report.intervals[0].offered,
            report.intervals[0].good,
            report.arrived()
        ),
        (200, 80, 80)
    );
    assert_eq!(report.all().good_latency.total(), 80);
    assert_eq!(report.all().other_latency.total(), 80);
}

#[test]
fn a_silent_server_costs_its_timeout_and_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut schedule = schedule(listener.local_addr().unwrap(), &["/"]);
    schedule.timeout = Duration::from_millis(50);
    let all = run(&schedule).unwrap().all();
    assert_eq!(
        (all.offered, all.timed_out, all.good, all.broken),
        (200, 200, 0, 0)
    );
}

#[test]
fn nobody_listening_is_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut schedule = schedule(address, &["/"]);
    schedule.timeout = Duration::from_millis(50);
    let all = run(&schedule).unwrap().all();
    assert_eq!((all.offered, all.good), (200, 0));
    assert_eq!(all.timed_out + all.broken, 200);
}

#[test]
fn classes_are_spread_evenly() {
    assert_eq!(spread(&[1]), [0]);
    let sequence = spread(&[1, 3]);
    assert_eq!(sequence.iter().filter(|class| **class == 0).count(), 1);
    let sequence = spread(&[10, 90]);
    let rare: Vec<usize> = (0..100).filter(|index| sequence[*index] == 0).collect();
    assert_eq!(rare.len(), 10);
    assert!(rare.windows(2).all(|pair| pair[1] - pair[0] == 10), "{rare:?}");
}

#[test]
fn an_answer_ends_where_its_framing_says() {
    let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
    for end in 0..whole.len() {
        assert_eq!(parse(&whole[..end]).unwrap(), None, "{end}");
    }
    assert_eq!(
        parse(whole).unwrap(),
        Some(Response {
            status: 200,
            is_fallback: false,
            closes: false
        })
    );
    assert!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc").is_err());
    assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    assert!(parse(b"SSH-2.0-x\r\n").is_err());
    assert!(parse(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().is_some());
}
