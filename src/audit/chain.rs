//! The chain: every entry carries the hash of the one before it on the same console, and its own hash over all of its
//! fields. Whoever changes, takes out, puts in or exchanges an entry breaks it at that place.
//!
//! Pure and deterministic. What the chain alone cannot show is a cut at its end; [`super::anchor`] does.
use super::Anchor;
use crate::model::{Action, ActionRecord, Hash, KeptAction, Link};
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

/// A hash of everything in an entry, its link included.
pub(crate) fn digest(record: &ActionRecord) -> Hash {
    let link = record.link;
    let place = link.map_or((Uuid::nil(), 0, Hash::NONE), |l| (l.console, l.seq, l.prev));
    let mut sha = Sha256::new();
    sha.update(hash(record, place.0, place.1, place.2).0);
    sha.update(link.map_or(Hash::NONE, |l| l.hash).0);
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
    /// What else is known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
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
    /// The entry cannot be read.
    Unreadable,
    /// A column or field that is only searched by says something else than the entry.
    Misfiled,
    /// The log does not have the entry, because its store refused it; this console's journal still holds it.
    SetAside,
    /// The file is not what its own description and seal say, or has none.
    Unsealed,
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
            Fault::Forged => f.write_str("nothing but the log itself knows of what stands from here on: it was put in"),
            Fault::Reordered => f.write_str("stands out of order in the file"),
            Fault::Unreadable => f.write_str("cannot be read"),
            Fault::Misfiled => f.write_str("is filed under something else than it says"),
            Fault::SetAside => f.write_str("was refused by the log's store and waits in this console's journal"),
            Fault::Unsealed => f.write_str("the file was changed after it was made"),
        }?;
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        Ok(())
    }
}

/// All that the chain needs of an entry: small, so that millions can be held and sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Of the entry.
    pub log_id: i64,
    /// Where it stands; `None` for an entry in no chain.
    pub link: Option<Link>,
    /// Whether the entry's own hash fits.
    whole: bool,
}

impl Place {
    /// Of this entry.
    pub fn of(record: &ActionRecord) -> Self {
        let whole = record.link.is_some_and(|l| hash(record, l.console, l.seq, l.prev) == l.hash);
        Self { log_id: record.log_id, link: record.link, whole }
    }
}

/// Details of an entry of [`Action::BeginChain`]: where the console's chain before ended.
pub(crate) fn ended(head: Head) -> serde_json::Value {
    serde_json::json!({ "console": head.console, "seq": head.seq, "hash": head.hash })
}

/// What an entry of [`Action::BeginChain`] says of the chain before.
fn end_in(record: &ActionRecord) -> Option<Head> {
    let details = &record.details;
    Some(Head {
        console: details.get("console")?.as_str()?.parse().ok()?,
        seq: details.get("seq")?.as_i64()?,
        hash: Hash::parse(details.get("hash")?.as_str()?)?,
    })
}

/// The end of a chain as far as it was walked.
#[derive(Clone, Copy, Debug, Default)]
struct Walked {
    seq: i64,
    /// `None` behind an entry that cannot be read.
    hash: Option<Hash>,
}

/// Walks through all entries of a log, console by console and in the order of their places, and says what is wrong.
#[derive(Debug, Default)]
pub struct Verifier {
    walked: BTreeMap<Uuid, Walked>,
    /// What witnesses saw, by console and place: all of it, for one that came later must not cover up an earlier one.
    anchors: BTreeMap<(Uuid, i64), Vec<Hash>>,
    /// Chains that their consoles gave up: whatever no witness saw of them was put in.
    ended: Vec<Uuid>,
    /// The chain of the console that verifies, with what it knows of it.
    own: Option<Head>,
    /// Entries of that chain that are not in the log yet, by place, and whether the log's store refused them.
    waiting: BTreeMap<i64, (Place, bool)>,
    findings: Vec<Finding>,
    entries: u64,
}

impl Verifier {
    /// Knows what witnesses outside the log saw.
    pub fn new(anchors: impl IntoIterator<Item = Anchor>) -> Self {
        let mut verifier = Self::default();
        for Anchor { console, seq, hash, .. } in anchors {
            verifier.witness(Head { console, seq, hash });
        }
        verifier
    }

    fn witness(&mut self, head: Head) {
        self.anchors.entry((head.console, head.seq)).or_default().push(head.hash);
    }

    /// The chain of the console that verifies reached this far before the walk: it must at least reach there.
    pub fn own_end(&mut self, head: Head) {
        self.own = Some(head);
        if head.seq > 0 {
            self.witness(head);
        }
    }

    /// An entry of this console that still waits in its journal, and whether the log's store refused it: not missing from the
    /// log. To be told before the walk.
    pub fn waits(&mut self, record: &ActionRecord, refused: bool) {
        if let Some(link) = record.link {
            self.waiting.insert(link.seq, (Place::of(record), refused));
        }
    }

    /// Hears what an entry says of a chain that ended; nothing where it is no such entry. To be told before the walk.
    pub fn hears(&mut self, record: &ActionRecord) {
        if record.action == Action::BeginChain
            && let Some(head) = end_in(record)
        {
            self.ended.push(head.console);
            self.witness(head);
        }
    }

    /// Looks at the next entry as it is kept: those of one console in the order of their places, consoles in any order.
    pub fn kept(&mut self, kept: &KeptAction) {
        let (console, seq, log_id) = (kept.console, kept.seq, kept.log_id);
        match &kept.entry {
            Ok(record) => self.entry(record),
            Err(why) => {
                self.entries += 1;
                self.tell(console, seq, log_id, Fault::Unreadable, Some(why.clone()));
                if let Some((console, seq)) = console.zip(seq) {
                    self.catch_up(console, seq);
                    let walked = self.walked.entry(console).or_default();
                    if seq > walked.seq {
                        let (from, count) = (walked.seq + 1, seq - walked.seq - 1);
                        *walked = Walked { seq, hash: None };
                        if count > 0 {
                            self.find(Some(console), Some(from), None, Fault::Missing { count });
                        }
                    }
                }
            }
        }
        if let Some(column) = &kept.misfiled {
            self.tell(console, seq, log_id, Fault::Misfiled, Some(column.clone()));
        }
    }

    /// Looks at the next entry: those of one console in the order of their places, consoles in any order.
    pub fn entry(&mut self, record: &ActionRecord) {
        self.place(Place::of(record));
    }

    /// Looks at the next entry's place.
    pub fn place(&mut self, place: Place) {
        self.entries += 1;
        let Some(link) = place.link else {
            return self.find(None, None, Some(place.log_id), Fault::Unchained);
        };
        self.catch_up(link.console, link.seq);
        if let Some((waiting, _)) = self.waiting_at(link.console, link.seq)
            && waiting.link != place.link
        {
            // The journal is the witness of what it has not delivered yet.
            self.find(Some(link.console), Some(link.seq), Some(place.log_id), Fault::Rewritten);
        }
        self.walk(place, link);
    }

    /// Goes on with what waits in the journal, up to before this place.
    fn catch_up(&mut self, console: Uuid, seq: i64) {
        if self.own.is_none_or(|own| own.console != console) {
            return;
        }
        while let Some(first) = self.waiting.first_entry().filter(|first| *first.key() < seq) {
            let (place, refused) = first.remove();
            let Some(link) = place.link else { continue };
            if link.seq <= self.walked.get(&console).map_or(0, |w| w.seq) {
                continue;
            }
            if refused {
                self.find(Some(console), Some(link.seq), Some(place.log_id), Fault::SetAside);
            }
            self.walk(place, link);
        }
    }

    fn waiting_at(&mut self, console: Uuid, seq: i64) -> Option<(Place, bool)> {
        self.own.filter(|own| own.console == console)?;
        self.waiting.remove(&seq)
    }

    fn walk(&mut self, place: Place, link: Link) {
        let Link { console, seq, prev, hash } = link;
        let before = *self.walked.entry(console).or_insert(Walked { seq: 0, hash: Some(Hash::NONE) });
        let find = |this: &mut Self, fault| this.find(Some(console), Some(seq), Some(place.log_id), fault);
        if seq <= before.seq {
            return find(self, Fault::Inserted);
        }
        if seq > before.seq + 1 {
            let missing = Fault::Missing { count: seq - before.seq - 1 };
            self.find(Some(console), Some(before.seq + 1), None, missing);
        }
        if !place.whole {
            find(self, Fault::Changed);
        } else if seq == before.seq + 1 && before.hash.is_some_and(|before| before != prev) {
            find(self, Fault::Moved);
        }
        if place.whole && self.anchors.get(&(console, seq)).is_some_and(|seen| seen.iter().any(|h| *h != hash)) {
            find(self, Fault::Rewritten);
        }
        // What follows is compared with what this entry says of itself, so that one change is one finding.
        self.walked.insert(console, Walked { seq, hash: Some(hash) });
    }

    /// Notes what is wrong with an entry's place in a file.
    pub fn reordered(&mut self, place: Place) {
        let (console, seq) = place.link.map(|l| (l.console, l.seq)).unzip();
        self.find(console, seq, Some(place.log_id), Fault::Reordered);
    }

    /// Notes what is wrong with a file as a whole.
    pub fn unsealed(&mut self, why: &str) {
        self.tell(None, None, None, Fault::Unsealed, Some(why.to_owned()));
    }

    /// The chain of `head.console` cannot reach beyond this: what its own console knows, asked after the walk.
    pub fn ends_at(&mut self, head: Head) {
        self.catch_up(head.console, i64::MAX);
        if self.walked.get(&head.console).is_some_and(|seen| seen.seq > head.seq) {
            self.find(Some(head.console), Some(head.seq + 1), None, Fault::Forged);
        }
    }

    /// The verdict: how many entries there were, and all that is wrong with them.
    pub fn finish(mut self) -> (u64, Vec<Finding>) {
        if let Some(own) = self.own {
            self.catch_up(own.console, i64::MAX);
        }
        // in the order of their places: the last of a console counts
        let newest: BTreeMap<Uuid, i64> = self.anchors.keys().copied().collect();
        for (console, seq) in newest {
            let seen = self.walked.get(&console).map_or(0, |w| w.seq);
            if seq > seen {
                self.find(Some(console), Some(seen + 1), None, Fault::Truncated { count: seq - seen });
            } else if seen > seq && self.ended.contains(&console) {
                self.find(Some(console), Some(seq + 1), None, Fault::Forged);
            }
        }
        (self.entries, self.findings)
    }

    fn find(&mut self, console: Option<Uuid>, seq: Option<i64>, log_id: Option<i64>, fault: Fault) {
        self.tell(console, seq, log_id, fault, None);
    }

    fn tell(
        &mut self,
        console: Option<Uuid>,
        seq: Option<i64>,
        log_id: Option<i64>,
        fault: Fault,
        detail: Option<String>,
    ) {
        self.findings.push(Finding { console, seq, log_id, fault, detail });
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
            verifier.own_end(head);
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

    #[test]
    fn what_waits_in_the_journal_is_not_missing_and_bears_witness() {
        let console = Uuid::from_u128(7);
        let log = chain(console, 6);
        let head = log[5].link.map(|l| Head { console, seq: l.seq, hash: l.hash }).unwrap();
        let found = |delivered: &[&ActionRecord], waiting: &[(&ActionRecord, bool)]| -> Vec<_> {
            let mut verifier = Verifier::default();
            verifier.own_end(head);
            waiting.iter().for_each(|(e, refused)| verifier.waits(e, *refused));
            delivered.iter().for_each(|e| verifier.entry(e));
            verifier.ends_at(head);
            verifier.finish().1.into_iter().map(|f| (f.seq, f.fault)).collect()
        };
        assert_eq!(found(&[&log[0], &log[1], &log[2]], &[(&log[3], false), (&log[4], false), (&log[5], false)]), []);
        // delivered while the log was being read
        let all: Vec<_> = log.iter().collect();
        assert_eq!(found(&all, &[(&log[4], false), (&log[5], false)]), []);
        let without_one = [&log[0], &log[1], &log[3], &log[4], &log[5]];
        assert_eq!(found(&without_one, &[(&log[2], true)]), [(Some(3), Fault::SetAside)]);
        assert_eq!(found(&without_one, &[]), [(Some(3), Fault::Missing { count: 1 })]);
        // somebody took the place of an entry that is still on its way
        let mut forged = ActionRecord { user_cc: "x".to_owned(), ..log[3].clone() };
        let before = log[2].link.unwrap();
        forged.link = Some(Head { console, seq: 3, hash: before.hash }.link(&forged));
        let faults =
            found(&[&log[0], &log[1], &log[2], &forged], &[(&log[3], true), (&log[4], false), (&log[5], false)]);
        assert_eq!(faults[0], (Some(4), Fault::Rewritten));
    }

    #[test]
    fn an_unreadable_entry_is_one_finding_at_its_place() {
        let console = Uuid::from_u128(7);
        let mut verifier = Verifier::default();
        for (n, entry) in (1..).zip(chain(console, 5)) {
            let entry = if n == 3 { Err("details: no JSON".to_owned()) } else { Ok(entry) };
            let log_id = Some(n * 10 + 7);
            verifier.kept(&KeptAction { log_id, console: Some(console), seq: Some(n), entry, misfiled: None });
        }
        let (count, findings) = verifier.finish();
        assert_eq!((count, findings.len()), (5, 1), "{findings:?}");
        assert_eq!((findings[0].seq, findings[0].log_id, findings[0].fault), (Some(3), Some(37), Fault::Unreadable));
        assert!(findings[0].to_string().contains("no JSON"));
    }

    /// The console began a new chain, because the log held more of the old one than its journal knew of.
    #[test]
    fn what_follows_the_end_of_a_chain_that_was_given_up_is_forged_unless_a_witness_saw_it() {
        let (old, new) = (Uuid::from_u128(7), Uuid::from_u128(8));
        let log = chain(old, 6);
        let known = log[3].link.map(|l| Head { console: old, seq: l.seq, hash: l.hash }).unwrap();
        let mut begun = ActionRecord { action: Action::BeginChain, details: ended(known), ..log[0].clone() };
        begun.link = Some(Head::new(new).link(&begun));
        let found = |anchors: &[Anchor]| -> Vec<_> {
            let mut verifier = Verifier::new(anchors.iter().copied());
            verifier.hears(&begun);
            log.iter().chain([&begun]).for_each(|e| verifier.entry(e));
            verifier.finish().1.into_iter().map(|f| (f.console, f.seq, f.fault)).collect()
        };
        assert_eq!(found(&[]), [(Some(old), Some(5), Fault::Forged)]);
        assert_eq!(found(&[anchor_of(&log[4])]), [(Some(old), Some(6), Fault::Forged)]);
        assert_eq!(found(&[anchor_of(&log[5])]), [], "a journal that was put back from a backup");
    }
}
