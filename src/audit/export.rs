//! Exports of the action log that can be read by people and programs, and checked anywhere: JSON lines or CSV.
//!
//! Both begin with what the export covers and the anchors known when it was made; then come the entries, oldest first, and at
//! the end a seal: a hash over all of that. A complete export can be verified like the log itself; one that was filtered, entry
//! by entry. The seal also stands in the log, in the entry that records the export: whoever changes a file and seals it anew is
//! found out by asking the log (`vigia audit verify FILE --data-dir DIR`).
use super::{
    Anchor, Fault, Finding, Verifier,
    chain::{self, Place},
};
use crate::{
    model::{Action, ActionRecord, Hash, KeptAction, Link, Outcome, Timestamp},
    store::LogFilter,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::io::{self, BufRead, BufReader, Read, Write};
use uuid::Uuid;

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object a line.
    Jsonl,
    /// A table for spreadsheets. A cell that a spreadsheet would take for a formula (and one that begins with an apostrophe)
    /// gets an apostrophe before it: <https://owasp.org/www-community/attacks/CSV_Injection>. Line breaks are inside
    /// quotes.
    Csv,
}

/// Why a file is not an export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It cannot be read.
    #[error("the export cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is something else, or broken.
    #[error("line {line} of the export is not what Vigia writes: {why}")]
    Malformed {
        /// Counted from 1; in CSV the record's number.
        line: u64,
        /// What is wrong.
        why: String,
    },
}

/// What an export covers: its first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// Whether every entry of the log is in it.
    pub complete: bool,
    /// When it was made.
    pub made_at: Timestamp,
    /// The heads known then.
    pub anchors: Vec<Anchor>,
    /// Which entries were asked for.
    #[serde(default)]
    pub filter: LogFilter,
}

#[derive(Serialize, Deserialize)]
struct FirstLine {
    vigia_action_log: u32,
    #[serde(flatten)]
    export: Export,
}

/// The last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LastLine {
    vigia_action_log_end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct End {
    entries: u64,
    seal: Hash,
}

/// Stands for an entry that the store has and that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Unreadable {
    unreadable: String,
    log_id: Option<i64>,
    console: Option<Uuid>,
    seq: Option<i64>,
}

/// Files of version 1 have no seal and are in the order of `log_id`.
const VERSION: u32 = 2;
/// A text that is there and empty.
const EMPTY: &str = "(empty)";
const COLUMNS: [&str; 15] = [
    "log_id",
    "timestamp",
    "user_cc",
    "user_name",
    "action",
    "log_accessed",
    "outcome",
    "why",
    "target",
    "details",
    "console",
    "seq",
    "prev",
    "hash",
    "export",
];

/// The hash over what the export covers and every entry, in either format the same.
struct Seal {
    sha: Sha256,
    entries: u64,
}

impl Seal {
    fn of(first: &str) -> Self {
        let mut sha = Sha256::new();
        sha.update(b"vigia export of the action log, version 2");
        sha.update((first.len() as u64).to_be_bytes());
        sha.update(first);
        Self { sha, entries: 0 }
    }

    fn add(&mut self, kept: &KeptAction) {
        self.entries += 1;
        match &kept.entry {
            Ok(record) => {
                self.sha.update([1]);
                self.sha.update(chain::digest(record).0);
            }
            Err(why) => {
                let place = serde_json::to_string(&unreadable(kept, why)).unwrap_or_default();
                self.sha.update([0]);
                self.sha.update((place.len() as u64).to_be_bytes());
                self.sha.update(place);
            }
        }
    }

    fn end(self) -> End {
        End { entries: self.entries, seal: Hash(self.sha.finalize().into()) }
    }
}

fn unreadable(kept: &KeptAction, why: &str) -> Unreadable {
    Unreadable { unreadable: why.to_owned(), log_id: kept.log_id, console: kept.console, seq: kept.seq }
}

/// Writes an export, entry by entry.
pub struct Writer<W: Write> {
    out: Out<W>,
    seal: Seal,
}

enum Out<W: Write> {
    Jsonl(W),
    Csv(Box<csv::Writer<W>>),
}

impl<W: Write> Writer<W> {
    /// Begins the file.
    ///
    /// # Errors
    /// What the file says.
    pub fn begin(mut file: W, format: Format, export: &Export) -> io::Result<Self> {
        let first = serde_json::to_string(&FirstLine { vigia_action_log: VERSION, export: export.clone() })?;
        let out = match format {
            Format::Jsonl => {
                writeln!(file, "{first}")?;
                Out::Jsonl(file)
            }
            Format::Csv => {
                let mut csv = csv::WriterBuilder::new().from_writer(file);
                csv.write_record(COLUMNS)?;
                let mut cells = vec![""; COLUMNS.len() - 1];
                cells.push(&first);
                csv.write_record(cells)?;
                Out::Csv(Box::new(csv))
            }
        };
        Ok(Self { out, seal: Seal::of(&first) })
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// What the file says.
    pub fn entry(&mut self, record: &ActionRecord) -> io::Result<()> {
        self.kept(&whole(record.clone()))
    }

    /// Adds an entry as the log keeps it, readable or not.
    ///
    /// # Errors
    /// What the file says.
    pub fn kept(&mut self, kept: &KeptAction) -> io::Result<()> {
        self.seal.add(kept);
        match (&mut self.out, &kept.entry) {
            (Out::Jsonl(file), Ok(record)) => writeln!(file, "{}", serde_json::to_string(record)?),
            (Out::Jsonl(file), Err(why)) => writeln!(file, "{}", serde_json::to_string(&unreadable(kept, why))?),
            (Out::Csv(csv), Err(why)) => {
                let mut cells = vec![String::new(); COLUMNS.len() - 1];
                cells.push(serde_json::to_string(&unreadable(kept, why))?);
                csv.write_record(cells)?;
                Ok(())
            }
            (Out::Csv(csv), Ok(record)) => {
                let (outcome, why) = record.outcome.parts();
                let number = |n: Option<i64>| n.map(|n| n.to_string()).unwrap_or_default();
                let hash = |h: Option<Hash>| h.map(|h| h.to_string()).unwrap_or_default();
                let link = record.link;
                // an empty target is told apart from none
                let target = record.target.as_ref().map(|t| if t.is_empty() { EMPTY } else { t.as_str() });
                let cells = [
                    record.log_id.to_string(),
                    record.timestamp.to_string(),
                    record.user_cc.clone(),
                    record.user_name.clone(),
                    record.action.as_str().to_owned(),
                    number(record.log_accessed),
                    outcome.to_owned(),
                    why.unwrap_or_default().to_owned(),
                    target.unwrap_or_default().to_owned(),
                    record.details.to_string(),
                    link.map(|l| l.console.to_string()).unwrap_or_default(),
                    number(link.map(|l| l.seq)),
                    hash(link.map(|l| l.prev)),
                    hash(link.map(|l| l.hash)),
                    String::new(),
                ];
                csv.write_record(cells.map(|cell| harmless(&cell)))?;
                Ok(())
            }
        }
    }

    /// Ends the file; returns it with its seal.
    ///
    /// # Errors
    /// What the file says.
    pub fn finish(self) -> io::Result<(W, Hash)> {
        let end = self.seal.end();
        let last = serde_json::to_string(&LastLine { vigia_action_log_end: end })?;
        let file = match self.out {
            Out::Jsonl(mut file) => {
                writeln!(file, "{last}")?;
                file
            }
            Out::Csv(mut csv) => {
                let mut cells = vec![""; COLUMNS.len() - 1];
                cells.push(&last);
                csv.write_record(cells)?;
                csv.into_inner().map_err(|e| io::Error::other(e.to_string()))?
            }
        };
        Ok((file, end.seal))
    }
}

/// A cell that no spreadsheet takes for a formula.
pub(crate) fn harmless(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\'']) { format!("'{cell}") } else { cell.to_owned() }
}

/// The cell that [`harmless`] was given.
fn original(cell: &str) -> &str {
    cell.strip_prefix('\'').unwrap_or(cell)
}

/// What [`read`] found around the entries.
struct Frame {
    export: Export,
    version: u32,
    /// The end as it stands in the file.
    end: Option<End>,
    /// The end as it should be.
    due: End,
}

/// A line that is no entry.
enum Other {
    Unreadable(Unreadable),
    End(End),
}

impl Other {
    fn parse(text: &str) -> Option<Self> {
        let end = || serde_json::from_str::<LastLine>(text).ok().map(|last| Self::End(last.vigia_action_log_end));
        serde_json::from_str(text).ok().map(Self::Unreadable).or_else(end)
    }
}

/// Reads an export of either format and calls `entry` for each entry in the order of the file.
fn read(file: impl Read, mut entry: impl FnMut(KeptAction)) -> Result<Frame, ExportError> {
    let mut file = BufReader::new(file);
    let start = file.fill_buf()?.first().copied();
    let malformed = |line: u64, why: &dyn std::fmt::Display| ExportError::Malformed { line, why: why.to_string() };
    let first = |line: u64, text: &str| {
        let first: FirstLine = serde_json::from_str(text).map_err(|e| malformed(line, &e))?;
        if (1..=VERSION).contains(&first.vigia_action_log) {
            Ok((first, Seal::of(text)))
        } else {
            Err(malformed(line, &"it was written by a newer version of Vigia"))
        }
    };
    let mut begun: Option<(FirstLine, Seal)> = None;
    let mut end = None;
    // Whatever comes behind the end counts, too: the seal will not fit.
    let mut take = |seal: &mut Seal, kept: KeptAction| {
        seal.add(&kept);
        entry(kept);
    };
    if start == Some(b'{') {
        for (line, text) in (1..).zip(file.lines()) {
            let text = text?;
            let Some((_, seal)) = &mut begun else {
                begun = Some(first(line, &text)?);
                continue;
            };
            match serde_json::from_str::<ActionRecord>(&text) {
                Ok(record) => take(seal, whole(record)),
                Err(e) => match Other::parse(&text) {
                    Some(Other::Unreadable(place)) => take(seal, not_whole(place)),
                    Some(Other::End(found)) => end = Some(found),
                    None => return Err(malformed(line, &e)),
                },
            }
        }
        let (first, seal) = begun.ok_or_else(|| malformed(1, &"it is empty"))?;
        return Ok(Frame { export: first.export, version: first.vigia_action_log, end, due: seal.end() });
    }
    let mut csv = csv::ReaderBuilder::new().from_reader(file);
    let broken = |e: csv::Error| malformed(e.position().map_or(1, csv::Position::line), &e);
    if csv.headers().map_err(broken)?.iter().ne(COLUMNS) {
        return Err(malformed(1, &"its columns are others"));
    }
    for row in csv.into_records() {
        let row = row.map_err(broken)?;
        let line = row.position().map_or(0, csv::Position::line);
        let cell = |column: usize| original(row.get(column).unwrap_or_default());
        let beside = cell(COLUMNS.len() - 1);
        let Some((_, seal)) = &mut begun else {
            begun = Some(first(line, beside)?);
            continue;
        };
        match Other::parse(beside) {
            Some(Other::Unreadable(place)) => take(seal, not_whole(place)),
            Some(Other::End(found)) => end = Some(found),
            None => {
                let record = from_cells(cell).ok_or_else(|| malformed(line, &"a cell is not what its column holds"))?;
                take(seal, whole(record));
            }
        }
    }
    let (first, seal) = begun.ok_or_else(|| malformed(1, &"it says not what it covers"))?;
    Ok(Frame { export: first.export, version: first.vigia_action_log, end, due: seal.end() })
}

/// The entry as the store would give it.
fn whole(record: ActionRecord) -> KeptAction {
    KeptAction {
        log_id: Some(record.log_id),
        console: record.link.map(|l| l.console),
        seq: record.link.map(|l| l.seq),
        entry: Ok(record),
        misfiled: None,
    }
}

fn not_whole(place: Unreadable) -> KeptAction {
    let Unreadable { unreadable, log_id, console, seq } = place;
    KeptAction { log_id, console, seq, entry: Err(unreadable), misfiled: None }
}

fn from_cells<'a>(cell: impl Fn(usize) -> &'a str) -> Option<ActionRecord> {
    let number = |text: &str| if text.is_empty() { Some(None) } else { text.parse::<i64>().ok().map(Some) };
    Some(ActionRecord {
        log_id: cell(0).parse().ok()?,
        timestamp: Timestamp::parse(cell(1))?,
        user_cc: cell(2).to_owned(),
        user_name: cell(3).to_owned(),
        action: Action::parse(cell(4))?,
        log_accessed: number(cell(5))?,
        outcome: Outcome::of_parts(cell(6), cell(7).to_owned())?,
        target: match cell(8) {
            "" => None,
            EMPTY => Some(String::new()),
            text => Some(text.to_owned()),
        },
        details: serde_json::from_str(cell(9)).ok()?,
        link: if cell(10).is_empty() {
            None
        } else {
            Some(Link {
                console: cell(10).parse().ok()?,
                seq: cell(11).parse().ok()?,
                prev: Hash::parse(cell(12))?,
                hash: Hash::parse(cell(13))?,
            })
        },
    })
}

/// The finding about a file whose seal no entry of the site's log names.
pub fn unknown() -> Finding {
    let detail = Some("the site's log knows of no export with this seal".to_owned());
    Finding { console: None, seq: None, log_id: None, fault: Fault::Unsealed, detail }
}

/// What [`verify`] found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What the file says it covers.
    pub export: Export,
    /// How many entries there are.
    pub entries: u64,
    /// The seal that fits what is in the file.
    pub seal: Hash,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Checks an export: as the log itself where it is complete, else entry by entry. Holds about a hundred bytes an entry.
///
/// # Errors
/// [`ExportError`]: unreadable, or not an export.
pub fn verify(file: impl Read) -> Result<Checked, ExportError> {
    let mut places: Vec<Place> = Vec::new();
    let mut broken: Vec<KeptAction> = Vec::new();
    let mut begun: Vec<ActionRecord> = Vec::new();
    // Which of the two orders the file should have is known when it was read.
    let (mut out_of_time, mut out_of_number) = (Vec::new(), Vec::new());
    let (mut newest, mut largest) = ((Timestamp(i64::MIN), i64::MIN), i64::MIN);
    let Frame { export, version, end, due } = read(file, |kept| match kept.entry {
        Ok(record) => {
            let place = Place::of(&record);
            let at = (record.timestamp, record.log_id);
            if at < newest {
                out_of_time.push(place);
            }
            if record.log_id < largest {
                out_of_number.push(place);
            }
            newest = newest.max(at);
            largest = largest.max(record.log_id);
            places.push(place);
            if record.action == Action::BeginChain {
                begun.push(record);
            }
        }
        Err(_) => broken.push(kept),
    })?;
    let mut verifier = Verifier::new(export.anchors.clone());
    begun.iter().for_each(|record| verifier.hears(record));
    let reordered = if version == 1 { out_of_number } else { out_of_time };
    reordered.into_iter().for_each(|place| verifier.reordered(place));
    places.sort_by_key(|p| p.link.map(|l| (l.console, l.seq)));
    broken.sort_by_key(|k| k.console.zip(k.seq));
    let mut broken = broken.iter().peekable();
    for place in &places {
        let at = place.link.map(|l| (l.console, l.seq));
        while let Some(kept) = broken.next_if(|kept| kept.console.zip(kept.seq) <= at) {
            verifier.kept(kept);
        }
        verifier.place(*place);
    }
    broken.for_each(|kept| verifier.kept(kept));
    if version > 1 {
        match end {
            None => verifier.unsealed("its end is missing"),
            Some(end) if end != due => verifier.unsealed("its seal does not fit what is in it"),
            Some(_) => {}
        }
    }
    let (entries, mut findings) = verifier.finish();
    if !export.complete {
        // Left out by the filter is not taken out.
        findings.retain(|f| !matches!(f.fault, Fault::Missing { .. } | Fault::Truncated { .. } | Fault::Forged));
    }
    Ok(Checked { export, entries, seal: due.seal, findings })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::chain::tests::chain;

    fn written(format: Format, entries: &[ActionRecord], complete: bool) -> Vec<u8> {
        let last = entries.last().unwrap();
        let link = last.link.unwrap();
        let anchor = Anchor { console: link.console, seq: link.seq, hash: link.hash, at: last.timestamp };
        let filter = LogFilter::default();
        let export = Export { complete, made_at: Timestamp(7), anchors: vec![anchor], filter };
        let mut writer = Writer::begin(Vec::new(), format, &export).unwrap();
        entries.iter().for_each(|e| writer.entry(e).unwrap());
        writer.finish().unwrap().0
    }

    #[test]
    fn both_formats_read_back_word_for_word_and_verify() {
        let mut entries = chain(Uuid::from_u128(3), 12);
        entries[4].target = Some(String::new());
        let mut head = crate::audit::Head::new(Uuid::from_u128(3));
        for entry in &mut entries {
            entry.link = Some(head.link(entry));
        }
        for format in [Format::Jsonl, Format::Csv] {
            let file = written(format, &entries, true);
            let mut back = Vec::new();
            read(file.as_slice(), |e| back.push(e.entry.unwrap())).unwrap();
            assert_eq!(back, entries, "{format:?}");
            assert_eq!(verify(file.as_slice()).unwrap().findings, [], "{format:?}");
        }
    }

    #[test]
    fn no_cell_of_a_table_is_a_formula_and_no_entry_breaks_into_two() {
        let entries = chain(Uuid::from_u128(3), 6);
        let text = String::from_utf8(written(Format::Csv, &entries, true)).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), entries.len() + 2);
        assert!(rows.iter().flatten().all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t', '\r'])), "{text}");
        let lines = String::from_utf8(written(Format::Jsonl, &entries, true)).unwrap();
        assert_eq!(lines.lines().count(), entries.len() + 2);
    }

    #[test]
    fn an_export_that_was_touched_is_found_out() {
        let entries = chain(Uuid::from_u128(3), 9);
        let faults = |entries: &[ActionRecord], format: Format| -> Vec<Fault> {
            // the anchor is that of the whole export
            let whole = written(format, &chain(Uuid::from_u128(3), 9), true);
            let touched = written(format, entries, true);
            let first = |file: &[u8]| file.iter().position(|b| *b == b'\n').unwrap() + 1;
            let head = |file: &[u8]| {
                let one = first(file);
                if format == Format::Csv { one + first(&file[one..]) } else { one }
            };
            let end = |file: &[u8]| file[..file.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
            let mut file = whole[..head(&whole)].to_vec();
            file.extend(&touched[head(&touched)..end(&touched)]);
            file.extend(&whole[end(&whole)..]);
            let mut found: Vec<_> = verify(file.as_slice()).unwrap().findings.into_iter().map(|f| f.fault).collect();
            // Whatever is touched breaks the seal, too.
            assert_eq!(found.contains(&Fault::Unsealed), entries != chain(Uuid::from_u128(3), 9));
            found.retain(|f| *f != Fault::Unsealed);
            found
        };
        for format in [Format::Jsonl, Format::Csv] {
            assert_eq!(faults(&entries, format), []);
            assert_eq!(faults(&entries[..6], format), [Fault::Truncated { count: 3 }]);
            let mut swapped = entries.clone();
            swapped.swap(2, 3);
            assert_eq!(faults(&swapped, format), [Fault::Reordered]);
            let mut without = entries.clone();
            without.remove(4);
            assert_eq!(faults(&without, format), [Fault::Missing { count: 1 }]);
            let mut changed = entries.clone();
            changed[1].user_cc = "9".to_owned();
            assert_eq!(faults(&changed, format), [Fault::Changed]);
        }
        let filtered: Vec<_> = entries.iter().step_by(2).cloned().collect();
        assert_eq!(verify(written(Format::Csv, &filtered, false).as_slice()).unwrap().findings, []);
    }

    /// A file that says of itself that it leaves entries out could hide that some were taken out.
    #[test]
    fn what_a_file_says_of_itself_cannot_be_changed_and_its_end_cannot_be_cut_off() {
        let entries = chain(Uuid::from_u128(3), 9);
        for format in [Format::Jsonl, Format::Csv] {
            let text = String::from_utf8(written(format, &entries, true)).unwrap();
            let filtered = text.replacen("true", "false", 1);
            assert_ne!(filtered, text);
            let without = |n: usize| -> String {
                filtered.lines().enumerate().filter(|(i, _)| *i != n).map(|(_, line)| format!("{line}\n")).collect()
            };
            for touched in [filtered.clone(), without(5), without(filtered.lines().count() - 1)] {
                let found = verify(touched.as_bytes()).unwrap().findings;
                assert!(found.iter().any(|f| f.fault == Fault::Unsealed), "{format:?}: {found:?}");
            }
        }
    }

    #[test]
    fn an_entry_that_could_not_be_read_stays_a_finding_at_its_place() {
        let entries = chain(Uuid::from_u128(3), 5);
        let last = entries[4].link.unwrap();
        let anchor = Anchor { console: last.console, seq: last.seq, hash: last.hash, at: Timestamp(1) };
        for format in [Format::Jsonl, Format::Csv] {
            let filter = LogFilter::default();
            let export = Export { complete: true, made_at: Timestamp(7), anchors: vec![anchor], filter };
            let mut writer = Writer::begin(Vec::new(), format, &export).unwrap();
            for (n, entry) in entries.iter().enumerate() {
                let mut kept = whole(entry.clone());
                if n == 2 {
                    kept.entry = Err("details: no JSON".to_owned());
                }
                writer.kept(&kept).unwrap();
            }
            let checked = verify(writer.finish().unwrap().0.as_slice()).unwrap();
            let found: Vec<_> = checked.findings.iter().map(|f| (f.seq, f.fault)).collect();
            assert_eq!((checked.entries, found), (5, vec![(Some(3), Fault::Unreadable)]), "{format:?}");
        }
    }

    #[test]
    fn another_file_is_refused_with_its_line() {
        for (text, word) in [("", "covers"), ("a,b\n1,2\n", "columns"), ("{\"x\":1}\n", "line 1")] {
            let error = verify(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(word) || error.contains("columns"), "{text:?}: {error}");
        }
        let entries = chain(Uuid::from_u128(3), 3);
        let mut file = written(Format::Jsonl, &entries, true);
        file.truncate(file.len() - 20);
        assert!(verify(file.as_slice()).unwrap_err().to_string().contains("line 5"));
    }
}
