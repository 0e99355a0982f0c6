//! The chain: every entry carries the hash of the one before it on the same console, and its own hash over all of its
//! fields. Whoever changes, takes out, puts in or exchanges an entry breaks it at that place.
//!
//! Pure and deterministic. What the chain alone cannot show is a cut at its end; [`super::anchor`] does.
use super::Anchor;
use crate::model::{ActionRecord, Hash, Link};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, fmt};
use uuid::Uuid;

/// Separates these hashes from every other use of SHA-256.
const DOMAIN: &[u8] = b"vigia action log, version 1";

/// The end of a console's chain: what the next entry is linked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Whose.
    pub console: Uuid,
    /// Of the newest entry; 0 before the first.
    pub seq: i64,
    /// Of the newest entry; [`Hash::NONE`] before the first.
    pub hash: Hash,
}

impl Head {
    /// A chain without entries.
    pub fn new(console: Uuid) -> Self {
        Self { console, seq: 0, hash: Hash::NONE }
    }

    /// The link of `record` as the next entry; the head moves to it.
    pub fn link(&mut self, record: &ActionRecord) -> Link {
        let (console, seq, prev) = (self.console, self.seq + 1, self.hash);
        let hash = hash(record, console, seq, prev);
        (self.seq, self.hash) = (seq, hash);
        Link { console, seq, prev, hash }
    }
}

/// SHA-256 over the domain, the place in the chain and every field of the entry. Each part is preceded by its length, and each
/// absent one told apart from an empty one, so that no two entries have the same bytes.
fn hash(record: &ActionRecord, console: Uuid, seq: i64, prev: Hash) -> Hash {
    let mut sha = Sha256::new();
    let mut part = |bytes: Option<&[u8]>| {
        sha.update([u8::from(bytes.is_some())]);
        sha.update((bytes.map_or(0, <[u8]>::len) as u64).to_be_bytes());
        sha.update(bytes.unwrap_or_default());
    };
    let (outcome, why) = record.outcome.parts();
    part(Some(DOMAIN));
    part(Some(console.as_bytes()));
    part(Some(&seq.to_be_bytes()));
    part(Some(&prev.0));
    part(Some(&record.log_id.to_be_bytes()));
    part(Some(record.user_cc.as_bytes()));
    part(Some(record.user_name.as_bytes()));
    part(Some(record.action.as_str().as_bytes()));
    part(record.log_accessed.map(i64::to_be_bytes).as_ref().map(|b| b.as_slice()));
    part(Some(&record.timestamp.0.to_be_bytes()));
    part(Some(outcome.as_bytes()));
    part(why.map(str::as_bytes));
    part(record.target.as_deref().map(str::as_bytes));
    part(Some(record.details.to_string().as_bytes())); // keys in order, numbers in one way of writing
    Hash(sha.finalize().into())
}

/// What is wrong at one place of the log.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// Whose chain; `None` for an entry that belongs to none.
    pub console: Option<Uuid>,
    /// Where in that chain.
    pub seq: Option<i64>,
    /// Which entry, when there is one.
    pub log_id: Option<i64>,
    /// What.
    #[serde(flatten)]
    pub fault: Fault,
}

/// Kinds of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "fault")]
pub enum Fault {
    /// The entry is not what was written: its hash does not fit.
    Changed,
    /// Entries are not there.
    Missing {
        /// How many.
        count: i64,
    },
    /// There are several entries for one place.
    Inserted,
    /// The entry is whole, but was not written after the one that now stands before it.
    Moved,
    /// The end of the chain was cut off.
    Truncated {
        /// How many entries are known to be gone.
        count: i64,
    },
    /// The entry stands in no chain: written before there was one, or by somebody else than Vigia.
    Unchained,
    /// A witness outside the log saw another entry here: the chain was written anew.
    Rewritten,
    /// The console never wrote so far.
    Forged,
    /// The file lists the entry out of order.
    Reordered,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(console) = self.console {
            write!(f, "console {console}")?;
        }
        if let Some(seq) = self.seq {
            write!(f, ", place {seq}")?;
        }
        if let Some(log_id) = self.log_id {
            write!(f, "{}entry {log_id}", if self.console.is_some() { ", " } else { "" })?;
        }
        f.write_str(": ")?;
        match self.fault {
            Fault::Changed => f.write_str("changed after it was written"),
            Fault::Missing { count: 1 } => f.write_str("one entry was taken out here"),
            Fault::Missing { count } => write!(f, "{count} entries were taken out from here on"),
            Fault::Inserted => f.write_str("there is more than one entry for this place: one was put in"),
            Fault::Moved => f.write_str("was not written after the entry that now stands before it"),
            Fault::Truncated { count } => {
                write!(f, "the end of the log was cut off: at least {count} entries are gone")
            }
            Fault::Unchained => f.write_str("stands in no chain: older than the chain, or not written by Vigia"),
            Fault::Rewritten => f.write_str("a witness outside the log saw another entry here"),
            Fault::Forged => f.write_str("the console never wrote this entry"),
            Fault::Reordered => f.write_str("stands out of order in the file"),
        }
    }
}

/// Walks through all entries of a log, console by console and in the order of their places, and says what is wrong.
#[derive(Debug, Default)]
pub struct Verifier {
    heads: BTreeMap<Uuid, Head>,
    /// What witnesses saw, by console and place: all of it, for one that came later must not cover up an earlier one.
    anchors: BTreeMap<(Uuid, i64), Vec<Hash>>,
    findings: Vec<Finding>,
    entries: u64,
}

impl Verifier {
    /// Knows what witnesses outside the log saw.
    pub fn new(anchors: impl IntoIterator<Item = Anchor>) -> Self {
        let mut verifier = Self::default();
        for Anchor { console, seq, hash, .. } in anchors {
            verifier.anchors.entry((console, seq)).or_default().push(hash);
        }
        verifier
    }

    /// Looks at the next entry: those of one console in the order of their places, consoles in any order.
    pub fn entry(&mut self, record: &ActionRecord) {
        self.entries += 1;
        let Some(link) = record.link else {
            return self.find(None, None, Some(record.log_id), Fault::Unchained);
        };
        let Link { console, seq, .. } = link;
        let head = *self.heads.entry(console).or_insert_with(|| Head::new(console));
        let (console, at, id) = (Some(console), Some(seq), Some(record.log_id));
        if seq <= head.seq {
            return self.find(console, at, id, Fault::Inserted);
        }
        if seq > head.seq + 1 {
            self.find(console, Some(head.seq + 1), None, Fault::Missing { count: seq - head.seq - 1 });
        }
        let whole = hash(record, link.console, seq, link.prev) == link.hash;
        if !whole {
            self.find(console, at, id, Fault::Changed);
        } else if seq == head.seq + 1 && link.prev != head.hash {
            self.find(console, at, id, Fault::Moved);
        }
        if whole
            && self.anchors.get(&(link.console, seq)).is_some_and(|seen| seen.iter().any(|hash| *hash != link.hash))
        {
            self.find(console, at, id, Fault::Rewritten);
        }
        // What follows is compared with what this entry says of itself, so that one change is one finding.
        self.heads.insert(link.console, Head { console: link.console, seq, hash: link.hash });
    }

    /// Notes what is wrong with an entry's place in a file.
    pub fn reordered(&mut self, record: &ActionRecord) {
        let (console, seq) = record.link.map(|l| (l.console, l.seq)).unzip();
        self.find(console, seq, Some(record.log_id), Fault::Reordered);
    }

    /// The chain of `head.console` must end exactly here: what its own console knows.
    pub fn ends_at(&mut self, head: Head) {
        let seen = self.heads.get(&head.console).copied().unwrap_or(Head::new(head.console));
        if seen.seq > head.seq {
            self.find(Some(head.console), Some(head.seq + 1), None, Fault::Forged);
        } else if seen.seq == head.seq && seen.hash != head.hash {
            self.find(Some(head.console), Some(head.seq), None, Fault::Rewritten);
        } else {
            self.anchors.entry((head.console, head.seq)).or_default().push(head.hash);
        }
    }

    /// The verdict: how many entries there were, and all that is wrong with them.
    pub fn finish(mut self) -> (u64, Vec<Finding>) {
        // in the order of their places: the last of a console counts
        let newest: BTreeMap<Uuid, i64> = self.anchors.keys().copied().collect();
        for (console, seq) in newest {
            let seen = self.heads.get(&console).map_or(0, |h| h.seq);
            if seq > seen {
                self.find(Some(console), Some(seen + 1), None, Fault::Truncated { count: seq - seen });
            }
        }
        (self.entries, self.findings)
    }

    fn find(&mut self, console: Option<Uuid>, seq: Option<i64>, log_id: Option<i64>, fault: Fault) {
        self.findings.push(Finding { console, seq, log_id, fault });
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::{Action, Outcome, Timestamp};
    use proptest::prelude::*;
    use serde_json::json;

    /// `count` entries of one console, linked.
    pub(crate) fn chain(console: Uuid, count: i64) -> Vec<ActionRecord> {
        let mut head = Head::new(console);
        (1..=count)
            .map(|n| {
                let mut record = ActionRecord {
                    log_id: n * 10 + i64::from(console.as_bytes()[15]),
                    user_cc: "12345678".to_owned(),
                    user_name: "Ana \"A\" Sousa, =1+1".to_owned(),
                    action: if n % 3 == 0 { Action::AccessLogs } else { Action::SelectSuspect },
                    log_accessed: (n % 3 == 0).then_some(n),
                    timestamp: Timestamp(1_795_000_000_000_000 + n),
                    outcome: if n % 2 == 0 { Outcome::Refused("no\nright".to_owned()) } else { Outcome::Succeeded },
                    target: (n % 4 != 0).then(|| "=cmd".to_owned()),
                    details: json!({ "n": n, "p": 0.1 * n as f64, "words": "à, \"b\"\r\n" }),
                    link: None,
                };
                record.link = Some(head.link(&record));
                record
            })
            .collect()
    }

    fn verify(entries: &[ActionRecord], anchors: &[Anchor]) -> Vec<Finding> {
        let mut verifier = Verifier::new(anchors.iter().copied());
        let mut entries: Vec<_> = entries.iter().collect();
        entries.sort_by_key(|e| e.link.map(|l| (l.console, l.seq)));
        entries.into_iter().for_each(|e| verifier.entry(e));
        verifier.finish().1
    }

    fn anchor_of(entry: &ActionRecord) -> Anchor {
        let link = entry.link.unwrap();
        Anchor { console: link.console, seq: link.seq, hash: link.hash, at: entry.timestamp }
    }

    #[test]
    fn a_whole_log_of_several_consoles_has_no_finding() {
        let mut all = chain(Uuid::from_u128(1), 30);
        all.extend(chain(Uuid::from_u128(2), 20));
        let anchors = [anchor_of(&all[29]), anchor_of(&all[10]), anchor_of(&all[49])];
        assert_eq!(verify(&all, &anchors), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever one does to the log, it is found, and where it was done.
        #[test]
        fn every_interference_is_found_at_its_place(
            count in 3i64..20, at in 0usize..20, other in 0usize..20, what in 0..9, text in "\\PC{0,8}",
        ) {
            let console = Uuid::from_u128(7);
            let whole = chain(console, count);
            let anchor = anchor_of(whole.last().unwrap());
            let (at, other) = (at % whole.len(), other % whole.len());
            let mut log = whole.clone();
            let place = at as i64 + 1;
            let expected = match what {
                0 => { log[at].user_cc.push_str(&text); log[at].user_name.push('x'); place }
                1 => { log[at].timestamp.0 += 1; place }
                2 => { log[at].outcome = Outcome::Failed(text); place }
                3 => { log[at].details = json!({ "n": text }); place }
                4 => { log.remove(at); place }
                5 => {
                    // exchanged: each stands where the other was
                    prop_assume!(at != other);
                    let (a, b) = (log[at].link.unwrap().seq, log[other].link.unwrap().seq);
                    log[at].link.as_mut().unwrap().seq = b;
                    log[other].link.as_mut().unwrap().seq = a;
                    place.min(other as i64 + 1)
                }
                6 => {
                    // put in, well linked to the one before, by somebody who knows how
                    let before = log[at].link.unwrap();
                    let mut head = Head { console, seq: before.seq, hash: before.hash };
                    let mut forged = log[at].clone();
                    forged.link = Some(head.link(&forged));
                    log.insert(at + 1, forged);
                    if at + 1 == whole.len() { return Ok(()) } // appended: see `ends_at`
                    place + 1
                }
                7 => { log.truncate(at); place }
                _ => {
                    // written anew from here on, all links well made
                    log[at].user_name = "Somebody Else".to_owned();
                    let before = at.checked_sub(1).map(|i| log[i].link.unwrap());
                    let mut head = before.map_or(Head::new(console), |l| Head { console, seq: l.seq, hash: l.hash });
                    for entry in &mut log[at..] {
                        entry.link = Some(head.link(entry));
                    }
                    count
                }
            };
            let findings = verify(&log, &[anchor]);
            prop_assert!(!findings.is_empty());
            prop_assert_eq!(findings[0].seq, Some(expected), "{:?}", findings);
        }
    }

    /// Whoever may add anchors, but not take any away, cannot make the true one disappear behind another for the same place.
    #[test]
    fn a_later_anchor_for_the_same_place_does_not_cover_up_the_first() {
        let console = Uuid::from_u128(7);
        let (whole, mut anew) = (chain(console, 5), chain(console, 5));
        let mut head = Head::new(console);
        for entry in &mut anew {
            entry.user_name = "Somebody Else".to_owned();
            entry.link = Some(head.link(entry));
        }
        let (seen, forged) = (anchor_of(&whole[4]), anchor_of(&anew[4]));
        for anchors in [[seen, forged], [forged, seen]] {
            let rewritten: Vec<_> = verify(&anew, &anchors).iter().map(|f| (f.seq, f.fault)).collect();
            assert_eq!(rewritten, [(Some(5), Fault::Rewritten)]);
        }
    }

    #[test]
    fn an_entry_beyond_what_the_console_wrote_is_forged_and_one_without_a_link_is_told() {
        let console = Uuid::from_u128(7);
        let log = chain(console, 5);
        let at = |n: usize| log[n - 1].link.map(|l| Head { console, seq: l.seq, hash: l.hash }).unwrap();
        let ending = |head: Head| {
            let mut verifier = Verifier::default();
            log.iter().for_each(|e| verifier.entry(e));
            verifier.ends_at(head);
            verifier.finish().1
        };
        assert_eq!(ending(at(5)), []);
        assert_eq!(ending(at(4))[0].fault, Fault::Forged);
        assert_eq!(ending(Head { seq: 8, ..at(5) })[0].fault, Fault::Truncated { count: 3 });
        let unlinked = ActionRecord { link: None, ..log[0].clone() };
        assert_eq!(verify(&[unlinked], &[])[0].fault, Fault::Unchained);
    }
}
