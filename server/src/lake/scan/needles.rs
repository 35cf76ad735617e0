//! What is looked for.

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::{AhoCorasick, BuildError};

/// Bytes of the shortest text that is looked for: shorter ones are everywhere.
const SHORTEST: usize = 3;

/// Something that must not be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needle {
    /// What a report calls it, such as `email`: it says nothing of a person.
    pub name: String,
    /// It is found where all of these are, in one row of a table or one other object.
    pub parts: Vec<String>,
    /// Whether upper and lower case are the same.
    pub any_case: bool,
}

impl Needle {
    /// One text, as it is written.
    pub fn exact(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), parts: vec![text.to_owned()], any_case: false }
    }

    /// One text in any case, such as an e-mail.
    pub fn any_case(name: &str, text: &str) -> Self {
        Self { any_case: true, ..Self::exact(name, text) }
    }

    /// Several texts that mean somebody together only, such as a name and a birthday.
    pub fn together(name: &str, texts: &[&str]) -> Self {
        let parts = texts.iter().map(|text| (*text).to_owned()).collect();
        Self { name: name.to_owned(), parts, any_case: true }
    }
}

/// What cannot be looked for.
#[derive(Debug, thiserror::Error)]
pub enum NeedleError {
    /// A text that is found everywhere.
    #[error("{0}: a text of fewer than {SHORTEST} bytes cannot be looked for")]
    TooShort(String),
    /// Too many, or too long.
    #[error("what is to be looked for: {0}")]
    Build(#[from] BuildError),
}

/// All that is looked for at once, however many: one pass over the bytes.
#[derive(Debug)]
pub struct Needles {
    needles: Vec<Needle>,
    exact: AhoCorasick,
    folded: AhoCorasick,
    /// Which part of which needle each pattern is.
    of_exact: Vec<Part>,
    of_folded: Vec<Part>,
    longest: usize,
}

/// A part of a needle, by their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    pub needle: usize,
    pub part: usize,
}

impl Needles {
    /// Makes them ready.
    ///
    /// # Errors
    /// [`NeedleError::TooShort`], [`NeedleError::Build`].
    pub fn new(needles: Vec<Needle>) -> Result<Self, NeedleError> {
        let (mut exact, mut of_exact) = (Vec::new(), Vec::new());
        let (mut folded, mut of_folded) = (Vec::new(), Vec::new());
        for (needle, it) in needles.iter().enumerate() {
            if it.parts.is_empty() {
                return Err(NeedleError::TooShort(it.name.clone()));
            }
            for (part, text) in it.parts.iter().enumerate() {
                if text.len() < SHORTEST {
                    return Err(NeedleError::TooShort(it.name.clone()));
                }
                let of = Part { needle, part };
                if !it.any_case {
                    exact.push(text.clone());
                    of_exact.push(of);
                    continue;
                }
                // Letters beyond ASCII are folded by their other forms.
                for form in BTreeSet::from([text.clone(), text.to_lowercase(), text.to_uppercase()])
                {
                    folded.push(form);
                    of_folded.push(of);
                }
            }
        }
        let longest = exact.iter().chain(&folded).map(String::len).max().unwrap_or_default();
        let build = |texts: &[String], any_case| {
            AhoCorasick::builder().ascii_case_insensitive(any_case).build(texts)
        };
        Ok(Self {
            exact: build(&exact, false)?,
            folded: build(&folded, true)?,
            needles,
            of_exact,
            of_folded,
            longest,
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.needles.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.needles.is_empty()
    }

    /// Whether one of them is in a text, whole.
    pub fn are_in(&self, text: &str) -> bool {
        let mut found = BTreeSet::new();
        self.search(text.as_bytes(), &mut found);
        let mut parts = BTreeMap::<usize, usize>::new();
        for part in found {
            *parts.entry(part.needle).or_default() += 1;
        }
        parts.into_iter().any(|(needle, parts)| parts == self.parts(needle))
    }

    /// What a report calls one.
    pub(super) fn name(&self, needle: usize) -> &str {
        self.needles.get(needle).map_or("", |needle| needle.name.as_str())
    }

    /// How many parts one has.
    pub(super) fn parts(&self, needle: usize) -> usize {
        self.needles.get(needle).map_or(0, |needle| needle.parts.len())
    }

    /// Bytes of the longest text.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// The parts that are in these bytes.
    pub(super) fn search(&self, bytes: &[u8], found: &mut BTreeSet<Part>) {
        for (automaton, of) in [(&self.exact, &self.of_exact), (&self.folded, &self.of_folded)] {
            for hit in automaton.find_overlapping_iter(bytes) {
                found.extend(of.get(hit.pattern().as_usize()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(needles: &Needles, text: &str) -> Vec<(usize, usize)> {
        let mut found = BTreeSet::new();
        needles.search(text.as_bytes(), &mut found);
        found.into_iter().map(|part| (part.needle, part.part)).collect()
    }

    #[test]
    fn each_is_found_in_its_own_way() {
        let needles = Needles::new(vec![
            Needle::any_case("email", "Änne@Example.com"),
            Needle::exact("subject_id", "0abc"),
            Needle::together("person", &["Anne Lee", "1970-01-01"]),
        ])
        .unwrap();
        assert_eq!(found(&needles, "x änne@example.COM"), [(0, 0)]);
        assert_eq!(found(&needles, "ÄNNE@EXAMPLE.COM"), [(0, 0)]);
        assert_eq!(found(&needles, "0ABC"), []);
        assert_eq!(found(&needles, "00abc"), [(1, 0)]);
        assert_eq!(found(&needles, "1970-01-01, ANNE LEE"), [(2, 0), (2, 1)]);
        assert_eq!(found(&needles, "anne@example.com"), []);
    }

    #[test]
    fn a_text_holds_a_needle_by_all_its_parts() {
        let needles = Needles::new(vec![
            Needle::any_case("email", "ada@x.c"),
            Needle::together("person", &["Anne Lee", "1970-01-01"]),
        ])
        .unwrap();
        for (text, is_in) in [
            ("it is ADA@x.c", true),
            ("anne lee", false),
            ("1970-01-01 of anne lee", true),
            ("1970-01-01", false),
            ("", false),
        ] {
            assert_eq!(needles.are_in(text), is_in, "{text}");
        }
    }

    #[test]
    fn one_inside_of_another_is_found_too() {
        let all = ["abcd", "bcd", "cde"].map(|text| Needle::exact(text, text));
        let needles = Needles::new(all.to_vec()).unwrap();
        assert_eq!(found(&needles, "-abcde-"), [(0, 0), (1, 0), (2, 0)]);
    }

    #[test]
    fn what_is_everywhere_is_refused() {
        let error = Needles::new(vec![Needle::exact("name", "ab")]).unwrap_err();
        assert!(error.to_string().starts_with("name: "), "{error}");
    }
}
