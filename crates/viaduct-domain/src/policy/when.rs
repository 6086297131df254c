//! `when:` comparisons of tier and purpose, joined by `&&` and `||`. Nothing else: no variables,
//! no arithmetic, no parentheses, so that nothing can be absorbed or run away.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::tier::{PurposeFlag, Tier};

/// A condition on a project's tier and purpose; the empty one always holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct When {
    text: String,
    /// Any of these, each all of its comparisons; empty means always.
    any: Vec<Vec<Comparison>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Comparison {
    TierIs(Tier),
    TierIsNot(Tier),
    Purpose(PurposeFlag),
}

impl When {
    /// The condition that always holds.
    pub fn always() -> Self {
        Self::default()
    }

    /// Whether it holds for a project.
    pub fn holds(&self, tier: Tier, purposes: &BTreeSet<PurposeFlag>) -> bool {
        let holds = |comparison: &Comparison| match comparison {
            Comparison::TierIs(wanted) => tier == *wanted,
            Comparison::TierIsNot(other) => tier != *other,
            Comparison::Purpose(flag) => purposes.contains(flag),
        };
        self.any.is_empty() || self.any.iter().any(|all| all.iter().all(holds))
    }

    /// Whether it holds for every project.
    pub fn is_always(&self) -> bool {
        self.any.is_empty()
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for When {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.text)
    }
}

impl FromStr for When {
    type Err = String;
    /// Reads `tier == 'T1' && 'natural_person' in purpose`; `&&` binds tighter than `||`.
    fn from_str(text: &str) -> Result<Self, String> {
        let any = text
            .split("||")
            .map(|all| all.split("&&").map(comparison).collect::<Result<Vec<_>, _>>())
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { text: text.split_whitespace().collect::<Vec<_>>().join(" "), any })
    }
}

fn comparison(text: &str) -> Result<Comparison, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        ["tier", "==", tier] => Ok(Comparison::TierIs(quoted(tier)?.parse()?)),
        ["tier", "!=", tier] => Ok(Comparison::TierIsNot(quoted(tier)?.parse()?)),
        [flag, "in", "purpose"] => Ok(Comparison::Purpose(quoted(flag)?.parse()?)),
        _ => Err(format!(
            "`{}` is not a comparison: write `tier == 'T1'`, `tier != 'T3'` or \
             `'natural_person' in purpose`, joined by `&&` or `||`",
            words.join(" ")
        )),
    }
}

fn quoted(word: &str) -> Result<&str, String> {
    let inner = |quote| word.strip_prefix(quote).and_then(|rest: &str| rest.strip_suffix(quote));
    inner('\'')
        .or_else(|| inner('"'))
        .ok_or_else(|| format!("put quotes around `{word}`: `'{word}'`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_where_they_say() {
        let people = BTreeSet::from([PurposeFlag::NaturalPerson]);
        let none = BTreeSet::new();
        let when = |text: &str| text.parse::<When>().unwrap();
        assert!(When::always().holds(Tier::T3, &none));
        assert!(when("tier != 'T3'").holds(Tier::T1, &none));
        assert!(!when("tier != 'T3'").holds(Tier::T3, &none));
        let both = when("tier == 'T1'  && \"natural_person\" in purpose");
        assert!(both.holds(Tier::T1, &people));
        assert!(!both.holds(Tier::T2, &people));
        assert!(!both.holds(Tier::T1, &none));
        let either = when("tier == 'T1' || tier == 'T2' && 'natural_person' in purpose");
        assert!(either.holds(Tier::T1, &none));
        assert!(!either.holds(Tier::T2, &none));
        assert!(either.holds(Tier::T2, &people));
        assert_eq!(both.to_string(), "tier == 'T1' && \"natural_person\" in purpose");
    }

    #[test]
    fn anything_else_is_refused_in_words() {
        for (text, wanted) in [
            ("", "`` is not a comparison"),
            ("tier == T1", "put quotes around `T1`"),
            ("tier == 'T4'", "did you mean `T"),
            ("'natural_persons' in purpose", "did you mean `natural_person`?"),
            ("true || tier == 'T1'", "`true` is not a comparison"),
            ("kpi.live_share > 1", "is not a comparison"),
            ("tier == 'T1' &&", "`` is not a comparison"),
            ("(tier == 'T1')", "is not a comparison"),
        ] {
            let error = text.parse::<When>().unwrap_err();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
