//! Hostnames and their numbers. Models keep what they know of a name by its number, so that a
//! million domains cost a few arrays and no table of names.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::ops::ControlFlow;
use std::sync::Mutex;

use dps_domain::DomainId;
use uuid::Uuid;

use crate::models::tally::locked;

/// Where customers point.
pub const TARGET: &str = "edge.platform.net";

/// The numbers of all hostnames: by a pattern in a simulation, by a list in tests.
#[derive(Debug)]
pub struct NameBook(Kind);

#[derive(Debug)]
enum Kind {
    Pattern(Pattern),
    List(Mutex<List>),
}

/// Names that tell their number.
#[derive(Debug)]
struct Pattern {
    per_registered_domain: u32,
    /// All numbers, in the order of their hostnames.
    order: Vec<u32>,
}

/// Names of any form, numbered as they appear.
#[derive(Debug, Default)]
struct List {
    by_number: Vec<String>,
    by_hostname: BTreeMap<String, u32>,
}

impl NameBook {
    /// As many names as a simulation has domains. `per_registered_domain` of them share a
    /// registered domain.
    pub fn pattern(domains: u32, per_registered_domain: u32) -> Self {
        let mut pattern = Pattern {
            per_registered_domain: per_registered_domain.max(1),
            order: vec![],
        };
        let mut order: Vec<u32> = (0..domains).collect();
        order.sort_by_cached_key(|number| pattern.hostname(*number));
        pattern.order = order;
        Self(Kind::Pattern(pattern))
    }

    /// A list without names; it takes in every name that it is asked for.
    pub fn list() -> Self {
        Self(Kind::List(Mutex::default()))
    }

    /// The number of a hostname; `None` if it is not a name of the pattern.
    pub fn number(&self, hostname: &str) -> Option<u32> {
        match &self.0 {
            Kind::Pattern(pattern) => pattern.number(hostname),
            Kind::List(list) => Some(locked(list).number(hostname)),
        }
    }

    /// The hostname with a number; `None` if no name has it.
    pub fn hostname(&self, number: u32) -> Option<String> {
        match &self.0 {
            Kind::Pattern(pattern) => Some(pattern.hostname(number)),
            Kind::List(list) => locked(list).by_number.get(number as usize).cloned(),
        }
    }

    /// Visits the numbers of all hostnames after the given one, in the order of hostnames.
    pub fn visit_after(
        &self,
        hostname: Option<&str>,
        visit: impl FnMut(u32) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match &self.0 {
            Kind::Pattern(pattern) => {
                let is_before = |number: &u32| {
                    hostname.is_some_and(|hostname| pattern.hostname(*number).as_str() <= hostname)
                };
                let from = pattern.order.partition_point(is_before);
                pattern.order[from..].iter().copied().try_for_each(visit)
            }
            Kind::List(list) => {
                let after = hostname.map_or(Unbounded, Excluded);
                let found: Vec<u32> = {
                    let list = locked(list);
                    let found = list.by_hostname.range::<str, _>((after, Unbounded));
                    found.map(|(_, number)| *number).collect()
                };
                found.into_iter().try_for_each(visit)
            }
        }
    }

    /// How many names are known from the start.
    fn names(&self) -> usize {
        match &self.0 {
            Kind::Pattern(pattern) => pattern.order.len(),
            Kind::List(_) => 0,
        }
    }
}

impl Pattern {
    fn hostname(&self, number: u32) -> String {
        let owner = number / self.per_registered_domain;
        format!("s{number}.c{owner}.example")
    }

    fn number(&self, hostname: &str) -> Option<u32> {
        let (first, _) = hostname.strip_prefix('s')?.split_once('.')?;
        let number: u32 = first.parse().ok()?;
        ((number as usize) < self.order.len()).then_some(number)
    }
}

impl List {
    fn number(&mut self, hostname: &str) -> u32 {
        if let Some(number) = self.by_hostname.get(hostname) {
            return *number;
        }
        let number = u32::try_from(self.by_number.len()).unwrap_or(u32::MAX);
        self.by_number.push(hostname.to_owned());
        self.by_hostname.insert(hostname.to_owned(), number);
        number
    }
}

/// A value for each name, by the number that the [`NameBook`] gave it.
#[derive(Debug)]
pub(crate) struct PerName<T> {
    values: Vec<T>,
    initial: T,
}

impl<T: Copy> PerName<T> {
    /// Every name has the initial value.
    pub(crate) fn new(book: &NameBook, initial: T) -> Self {
        Self {
            values: vec![initial; book.names()],
            initial,
        }
    }

    /// The value of a name.
    pub(crate) fn get(&self, number: u32) -> T {
        let value = self.values.get(number as usize);
        value.copied().unwrap_or(self.initial)
    }

    /// The value of a name, to be changed.
    pub(crate) fn get_mut(&mut self, number: u32) -> &mut T {
        let index = number as usize;
        if index >= self.values.len() {
            self.values.resize(index + 1, self.initial);
        }
        &mut self.values[index]
    }

    /// All values, in the order of numbers.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.values.iter()
    }

    /// All values, to be changed, in the order of numbers.
    pub(crate) fn iter_mut(&mut self) -> std::slice::IterMut<'_, T> {
        self.values.iter_mut()
    }
}

/// The Cabinet's identifier of a domain.
pub fn id(number: u32) -> DomainId {
    DomainId::from_uuid(Uuid::from_u128(u128::from(number) + 1))
}

/// The number of an identifier.
pub fn number_of_id(id: DomainId) -> Option<u32> {
    u32::try_from(id.as_uuid().as_u128().checked_sub(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_after(book: &NameBook, hostname: Option<&str>) -> Vec<String> {
        let mut names = vec![];
        let _all = book.visit_after(hostname, |number| {
            names.extend(book.hostname(number));
            ControlFlow::Continue(())
        });
        names
    }

    #[test]
    fn a_pattern_and_a_list_number_names_and_visit_them_in_their_order() {
        let pattern = NameBook::pattern(12, 2);
        let name = pattern.hostname(11).unwrap();
        assert_eq!(name, "s11.c5.example");
        assert_eq!(pattern.number(&name), Some(11));
        assert_eq!(pattern.number("s12.c6.example"), None, "beyond the last");
        assert_eq!(pattern.number("shop.example.com"), None);
        assert_eq!(
            names_after(&pattern, Some("s8.c4.example")),
            ["s9.c4.example"]
        );
        assert_eq!(names_after(&pattern, None).len(), 12);

        let list = NameBook::list();
        for name in ["c.example", "a.example", "b.example", "a.example"] {
            assert!(list.number(name).is_some());
        }
        assert_eq!(list.number("a.example"), Some(1));
        assert_eq!(list.hostname(3), None);
        assert_eq!(
            names_after(&list, Some("a.example")),
            ["b.example", "c.example"]
        );
    }
}
