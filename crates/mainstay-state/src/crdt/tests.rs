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
            Step::Add(node, by) => copies[node].counter.add(NODES[node], by),
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
        assert!(Replicated::from_slice(wrong.as_bytes()).is_err(), "{wrong}");
    }
}
