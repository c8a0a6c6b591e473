use proptest::prelude::*;

use super::*;

const NODES: [&str; 3] = ["a", "b", "c"];

/// What happens at one node.
#[derive(Clone, Debug)]
enum Step {
    Add(usize, i64),
    Write(usize, u8, u64),
    Put(usize, u8),
    Remove(usize, u8),
    /// A copy of the second node arrives at the first one.
    Merge(usize, usize),
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Copy {
    counter: Counter,
    register: Register,
    set: ObservedRemoveSet,
}

impl Copy {
    fn merge(&mut self, other: &Self) {
        self.counter.merge(&other.counter);
        self.register.merge(&other.register);
        self.set.merge(&other.set);
    }

    fn merged(&self, other: &Self) -> Self {
        let mut copy = self.clone();
        copy.merge(other);
        copy
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let node = || 0..NODES.len();
    prop_oneof![
        (node(), -100_i64..100).prop_map(|(node, by)| Step::Add(node, by)),
        (node(), any::<u8>(), 0_u64..50).prop_map(|(node, value, now)| Step::Write(node, value, now)),
        (node(), 0_u8..4).prop_map(|(node, element)| Step::Put(node, element)),
        (node(), 0_u8..4).prop_map(|(node, element)| Step::Remove(node, element)),
        (node(), node()).prop_map(|(to, from)| Step::Merge(to, from)),
    ]
}

fn run(steps: &[Step]) -> Vec<Copy> {
    let mut copies = vec![Copy::default(); NODES.len()];
    for step in steps {
        match *step {
            Step::Add(node, by) => copies[node].counter.add(NODES[node], by).unwrap(),
            Step::Write(node, value, now) => copies[node].register.set(NODES[node], value.to_string(), now),
            Step::Put(node, element) => copies[node].set.add(NODES[node], element.to_string()),
            Step::Remove(node, element) => {
                copies[node].set.remove(&element.to_string());
            }
            Step::Merge(to, from) => {
                let from = copies[from].clone();
                copies[to].merge(&from);
            }
        }
    }
    copies
}

proptest! {
    #[test]
    fn copies_converge(steps in proptest::collection::vec(any_step(), 0..60)) {
        let copies = run(&steps);
        let (a, b, c) = (&copies[0], &copies[1], &copies[2]);
        let all = a.merged(b).merged(c);
        prop_assert_eq!(&all, &c.merged(a).merged(b));
        prop_assert_eq!(&all, &a.merged(&b.merged(c)));
        prop_assert_eq!(&a.merged(b), &b.merged(a));
        prop_assert_eq!(&all.merged(&all), &all);
        prop_assert_eq!(&all.merged(b), &all);

        let sum: i64 = steps.iter().map(|step| if let Step::Add(_, by) = step { *by } else { 0 }).sum();
        prop_assert_eq!(all.counter.value(), i128::from(sum));
    }

    #[test]
    fn the_stored_form_comes_back(steps in proptest::collection::vec(any_step(), 0..30)) {
        let copy = run(&steps).swap_remove(0);
        for value in [Replicated::Counter(copy.counter), Replicated::Register(copy.register), Replicated::Set(copy.set)] {
            let bytes = value.to_vec().unwrap();
            prop_assert_eq!(Replicated::from_slice(&bytes).unwrap(), value);
        }
    }
}

#[test]
fn an_addition_that_was_not_seen_stays() {
    let mut here = ObservedRemoveSet::default();
    here.add("a", "tea");
    here.add("a", "milk");
    let mut there = here.clone();
    here.remove("tea");
    here.remove("milk");
    there.add("b", "tea");
    here.merge(&there);
    there.merge(&here);
    assert_eq!(here, there);
    // Milk was seen and removed; tea was added again meanwhile.
    assert_eq!(here.iter().collect::<Vec<_>>(), ["tea"]);
    assert!(here.contains("tea") && !here.contains("milk"));
    assert!(here.remove("tea") && !here.remove("tea"));
    there.merge(&here);
    assert_eq!(there.iter().count(), 0);
}

#[test]
fn a_write_that_saw_another_comes_after_it() {
    let mut here = Register::default();
    here.set("a", "first", 5_000);
    let mut there = here.clone();
    // Its wall clock is far behind.
    there.set("b", "second", 10);
    here.merge(&there);
    assert_eq!(here.value(), Some("second"));

    let (mut one, mut two) = (here.clone(), here.clone());
    one.set("a", "earlier", 6_000);
    two.set("b", "later", 7_000);
    two.merge(&one);
    one.merge(&two);
    assert_eq!((one.value(), two.value()), (Some("later"), Some("later")));
}

#[test]
fn kinds_do_not_mix() {
    let mut counter = Replicated::Counter(Counter::default());
    let error = counter
        .merge(&Replicated::Set(ObservedRemoveSet::default()))
        .unwrap_err();
    assert_eq!(error, InvalidReplicated::Kinds("counter", "set"));
    for wrong in [
        "",
        "7",
        "{}",
        r#"{"crdt": "list"}"#,
        r#"{"crdt": "counter", "nodes": 1}"#,
    ] {
        let marked = [MARK, wrong.as_bytes()].concat();
        assert!(Replicated::from_slice(&marked).is_err(), "{wrong}");
        assert!(Replicated::from_slice(wrong.as_bytes()).is_err(), "{wrong}");
    }
}

#[test]
fn a_counter_that_is_full_says_so() {
    let mut counter = Counter::default();
    for by in [i64::MAX, i64::MAX, 1, i64::MIN] {
        counter.add("a", by).unwrap();
    }
    assert_eq!(counter.value(), i128::from(u64::MAX) - (1 << 63));
    assert_eq!(counter.add("a", 1), Err(InvalidReplicated::Overflow));
    assert_eq!(counter.add("a", i64::MIN), Err(InvalidReplicated::Overflow));
    counter.add("a", -1).unwrap();
    counter.add("b", 1).unwrap();
    assert_eq!(counter.value(), i128::from(u64::MAX) - (1 << 63));
}

#[test]
fn values_are_read_as_their_users_write_them() {
    let author = Author::new("a", 7);
    let read = |changes: &[Change]| {
        let changed = changes
            .iter()
            .try_fold(None, |value, change| change.apply(value, &author).map(Some));
        String::from_utf8(changed.unwrap().unwrap().plain().to_vec()).unwrap()
    };
    let change = |kind, operation, value: &str| Change::read(kind, operation, value.as_bytes()).unwrap();
    let counted = [
        change("counter", None, "5"),
        change("counter", Some("decrement"), " 7 "),
        change("counter", Some("increment"), "-1"),
    ];
    assert_eq!(read(&counted), "-3");
    assert_eq!(read(&[change("register", None, "{\"n\": 1}")]), "{\"n\": 1}");
    let collected = [
        change("set", None, r#"["tea", 7, true, "tea"]"#),
        change("set", Some("add"), r#""milk \u0022x\u0022""#),
        change("set", Some("remove"), r#"["tea", "none"]"#),
    ];
    assert_eq!(read(&collected), r#"["milk \"x\"",7,true]"#);
    assert_eq!(read(&[change("set", Some("remove"), "1")]), "[]");
}

#[test]
fn mistakes_in_a_change_are_told() {
    for (kind, operation, value, told) in [
        ("list", None, "1", "`mainstay.crdt` is `list`"),
        ("counter", Some("add"), "1", "`mainstay.op` of a counter is `add`"),
        (
            "set",
            Some("increment"),
            "1",
            "`mainstay.op` of a set is `increment`",
        ),
        (
            "register",
            Some("add"),
            "1",
            "`mainstay.op` of a register is `add`",
        ),
        ("counter", None, "1.5", "a whole number"),
        ("counter", None, "9223372036854775808", "a whole number"),
        (
            "counter",
            Some("decrement"),
            "-9223372036854775808",
            "a whole number",
        ),
        ("counter", None, "", "a whole number"),
        ("set", None, "tea", "a text, a number"),
        ("set", None, "[[1]]", "a text, a number"),
        ("set", None, r#"{"a": 1}"#, "a text, a number"),
        ("set", None, "null", "a text, a number"),
    ] {
        let error = Change::read(kind, operation, value.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(error.contains(told), "{kind} {operation:?} {value}: {error}");
    }
    assert_eq!(
        Change::read("register", None, b"\xff"),
        Err(InvalidChange::Register)
    );
}

#[test]
fn only_values_of_the_same_kind_are_changed() {
    let author = Author::new("a", 7);
    let counter = Change::read("counter", None, b"1").unwrap();
    let value = counter.apply(None, &author).unwrap();
    let set = Change::read("set", None, b"1").unwrap();
    let refused = set.apply(Some(value), &author).unwrap_err();
    assert_eq!(refused.to_string(), "it is a counter, and no set");
}
