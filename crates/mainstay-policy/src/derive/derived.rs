//! A policy together with the reasons for each of its numbers.

use std::mem;

use super::Origin;

/// A policy and the reason for each of its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Derived<P, F> {
    /// The policy.
    pub policy: P,
    lines: Vec<Line<F>>,
}

/// One number of a policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Line<F> {
    /// Which number.
    pub field: F,
    /// What it is and why.
    pub reason: Reason,
    /// What it would be without the override.
    pub overridden: Option<Reason>,
}

/// Why a number is what it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// The number with its unit, as people write it.
    pub value: String,
    /// How it was reached: `2 x p99 = 2 x 120ms`.
    pub sum: String,
    /// Where its figures come from.
    pub origin: Origin,
}

/// A number of the policy `P`.
pub trait Field<P>: Copy + PartialEq {
    /// Renders its present value.
    fn show(self, policy: &P) -> String;
}

impl<P, F: Field<P>> Derived<P, F> {
    /// A policy without reasons yet.
    pub(super) const fn new(policy: P) -> Self {
        Self {
            policy,
            lines: Vec::new(),
        }
    }

    /// Every number, in the order of the table.
    pub fn lines(&self) -> &[Line<F>] {
        &self.lines
    }

    /// Gives the reason for a number that the policy has from its making.
    pub(super) fn because(mut self, field: F, sum: impl Into<String>, origin: Origin) -> Self {
        self.set(field, sum.into(), origin, |_| ());
        self
    }

    /// Changes a number. The first reason given for it is kept as what it would be otherwise.
    pub(crate) fn set(&mut self, field: F, sum: String, origin: Origin, change: impl FnOnce(&mut P)) {
        change(&mut self.policy);
        let reason = Reason {
            value: field.show(&self.policy),
            sum,
            origin,
        };
        match self.lines.iter_mut().find(|line| line.field == field) {
            Some(line) => {
                let before = mem::replace(&mut line.reason, reason);
                line.overridden.get_or_insert(before);
            }
            None => self.lines.push(Line {
                field,
                reason,
                overridden: None,
            }),
        }
    }
}
