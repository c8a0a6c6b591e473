use super::*;

fn app(name: &str) -> AppId {
    AppId::new(name).unwrap()
}

fn output(name: &str, index: u32) -> LogSource {
    LogSource::Output(ReplicaId {
        app: app(name),
        index,
    })
}

fn buffer(max_lines: usize, max_bytes: usize) -> LogBuffer {
    LogBuffer::new([app("a"), app("b")].into_iter(), max_lines, max_bytes)
}

fn push(buffer: &LogBuffer, source: &LogSource, texts: &[&str]) {
    buffer.push(SystemTime::UNIX_EPOCH, source, texts.iter().copied());
}

fn texts(lines: &VecDeque<Arc<LogLine>>) -> Vec<String> {
    lines.iter().map(|line| line.text.to_string()).collect()
}

#[test]
fn apps_are_merged_in_the_order_of_arrival() {
    let buffer = buffer(100, 1 << 20);
    push(&buffer, &output("a", 1), &["1", "2"]);
    push(&buffer, &output("b", 1), &["3"]);
    push(&buffer, &output("a", 2), &["4"]);
    let (mut cursor, past) = buffer.open(&[], None);
    assert_eq!(texts(&past), ["1", "2", "3", "4"]);

    let mut ready = VecDeque::new();
    buffer.read(&mut cursor, &mut ready);
    assert!(ready.is_empty());
    push(&buffer, &output("b", 1), &["5"]);
    push(&buffer, &output("a", 1), &["6"]);
    buffer.read(&mut cursor, &mut ready);
    assert_eq!(texts(&ready), ["5", "6"]);
    assert!(ready.iter().map(|line| line.number).eq([5, 6]));
}

#[test]
fn a_filter_picks_apps_and_the_newest_lines() {
    let buffer = buffer(100, 1 << 20);
    for number in 0..10 {
        push(&buffer, &output("a", 1), &[&format!("a{number}")]);
        push(&buffer, &output("b", 1), &[&format!("b{number}")]);
    }
    assert_eq!(texts(&buffer.open(&[], Some(3)).1), ["b8", "a9", "b9"]);
    assert_eq!(texts(&buffer.open(&[app("a")], Some(3)).1), ["a7", "a8", "a9"]);
}

#[test]
fn lines_and_bytes_are_bounded_per_app() {
    let lines_bound = buffer(3, 1 << 20);
    push(&lines_bound, &output("b", 1), &["keeps its own room"]);
    push(&lines_bound, &output("a", 1), &["1", "2", "3", "4", "5"]);
    let (_, past) = lines_bound.open(&[], None);
    assert_eq!(texts(&past), ["keeps its own room", "3", "4", "5"]);

    let bytes_bound = buffer(1000, 1000);
    let long = "x".repeat(300);
    push(&bytes_bound, &output("a", 1), &[long.as_str(); 10]);
    assert_eq!(bytes_bound.open(&[], None).1.len(), 2);
    push(&bytes_bound, &output("a", 1), &[&"y".repeat(5000)]);
    assert_eq!(bytes_bound.open(&[], None).1.len(), 1);
}

#[test]
fn a_slow_reader_is_told_what_it_lost() {
    let buffer = buffer(2, 1 << 20);
    let (mut cursor, _) = buffer.open(&[], None);
    push(&buffer, &output("a", 1), &["1", "2", "3", "4", "5"]);
    let mut ready = VecDeque::new();
    buffer.read(&mut cursor, &mut ready);
    assert_eq!(
        texts(&ready),
        [
            "3 lines are missing here: this reader was too slow for them",
            "4",
            "5"
        ]
    );
    assert_eq!(ready[0].source, LogSource::Note(app("a")));
}

#[test]
fn a_batch_is_bounded_and_nothing_between_batches_is_lost() {
    let buffer = buffer(10_000, 1 << 20);
    let (mut cursor, _) = buffer.open(&[], None);
    for number in 0..BATCH * 3 {
        push(&buffer, &output("a", 1), &[&number.to_string()]);
    }
    let mut seen = Vec::new();
    loop {
        let mut ready = VecDeque::new();
        buffer.read(&mut cursor, &mut ready);
        assert!(ready.len() <= BATCH);
        if ready.is_empty() {
            break;
        }
        seen.extend(texts(&ready));
    }
    assert!(
        seen.into_iter()
            .eq((0..BATCH * 3).map(|number| number.to_string()))
    );
}

#[test]
fn the_last_output_is_that_of_one_replica_without_events() {
    let buffer = buffer(100, 1 << 20);
    push(&buffer, &output("a", 1), &["1", "2", "3"]);
    push(&buffer, &output("a", 2), &["other"]);
    let id = ReplicaId {
        app: app("a"),
        index: 1,
    };
    push(&buffer, &LogSource::Event(id.clone()), &["ended"]);
    let last = buffer.last_output(&id, 2);
    assert!(last.iter().map(|line| &*line.text).eq(["2", "3"]));
}
