//! Exports of the action log that can be read by people and programs, and checked anywhere: JSON lines or CSV.
//!
//! Both begin with what the export covers and the anchors known when it was made; then come the entries. A complete export
//! can be verified like the log itself; one that was filtered, entry by entry.
use super::{Anchor, Finding, Verifier};
use crate::model::{Action, ActionRecord, Hash, Link, Outcome, Timestamp};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, BufReader, Read, Write};

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
}

#[derive(Serialize, Deserialize)]
struct FirstLine {
    vigia_action_log: u32,
    #[serde(flatten)]
    export: Export,
}

const VERSION: u32 = 1;
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

/// Writes an export, entry by entry.
pub struct Writer<W: Write> {
    out: Out<W>,
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
        Ok(Self { out })
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// What the file says.
    pub fn entry(&mut self, record: &ActionRecord) -> io::Result<()> {
        match &mut self.out {
            Out::Jsonl(file) => writeln!(file, "{}", serde_json::to_string(record)?),
            Out::Csv(csv) => {
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

    /// Ends the file and returns it.
    ///
    /// # Errors
    /// What the file says.
    pub fn finish(self) -> io::Result<W> {
        match self.out {
            Out::Jsonl(mut file) => {
                file.flush()?;
                Ok(file)
            }
            Out::Csv(csv) => csv.into_inner().map_err(|e| io::Error::other(e.to_string())),
        }
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

/// Reads an export of either format and calls `entry` for each entry in the order of the file.
///
/// # Errors
/// [`ExportError`]: unreadable, or not an export.
pub fn read(file: impl Read, mut entry: impl FnMut(ActionRecord)) -> Result<Export, ExportError> {
    let mut file = BufReader::new(file);
    let start = file.fill_buf()?.first().copied();
    let malformed = |line: u64, why: &dyn std::fmt::Display| ExportError::Malformed { line, why: why.to_string() };
    let first = |line: u64, text: &str| {
        let first: FirstLine = serde_json::from_str(text).map_err(|e| malformed(line, &e))?;
        if first.vigia_action_log == VERSION {
            Ok(first.export)
        } else {
            Err(malformed(line, &"it was written by a newer version of Vigia"))
        }
    };
    if start == Some(b'{') {
        let mut export = None;
        for (line, text) in (1..).zip(file.lines()) {
            let text = text?;
            if export.is_none() {
                export = Some(first(line, &text)?);
            } else {
                entry(serde_json::from_str(&text).map_err(|e| malformed(line, &e))?);
            }
        }
        return export.ok_or_else(|| malformed(1, &"it is empty"));
    }
    let mut csv = csv::ReaderBuilder::new().from_reader(file);
    let broken = |e: csv::Error| malformed(e.position().map_or(1, csv::Position::line), &e);
    if csv.headers().map_err(broken)?.iter().ne(COLUMNS) {
        return Err(malformed(1, &"its columns are others"));
    }
    let mut export = None;
    for row in csv.into_records() {
        let row = row.map_err(broken)?;
        let line = row.position().map_or(0, csv::Position::line);
        let cell = |column: usize| original(row.get(column).unwrap_or_default());
        if export.is_none() {
            export = Some(first(line, cell(COLUMNS.len() - 1))?);
            continue;
        }
        entry(from_cells(cell).ok_or_else(|| malformed(line, &"a cell is not what its column holds"))?);
    }
    export.ok_or_else(|| malformed(1, &"it says not what it covers"))
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

/// Checks an export: as the log itself where it is complete, else entry by entry. Returns what it covers, how many entries
/// there are, and what is wrong.
///
/// # Errors
/// [`ExportError`]: unreadable, or not an export.
pub fn verify(file: impl Read) -> Result<(Export, u64, Vec<Finding>), ExportError> {
    let mut entries = Vec::new();
    let export = read(file, |entry| entries.push(entry))?;
    let mut verifier = Verifier::new(if export.complete { export.anchors.clone() } else { Vec::new() });
    let mut before = i64::MIN;
    for entry in &entries {
        if entry.log_id < before {
            verifier.reordered(entry);
        }
        before = before.max(entry.log_id);
    }
    entries.sort_by_key(|e| e.link.map(|l| (l.console, l.seq)));
    entries.iter().for_each(|entry| verifier.entry(entry));
    let (count, mut findings) = verifier.finish();
    if !export.complete {
        // Left out by the filter is not taken out.
        findings.retain(|f| !matches!(f.fault, super::Fault::Missing { .. }));
    }
    Ok((export, count, findings))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Fault, chain::tests::chain};
    use uuid::Uuid;

    fn written(format: Format, entries: &[ActionRecord], complete: bool) -> Vec<u8> {
        let last = entries.last().unwrap();
        let link = last.link.unwrap();
        let anchor = Anchor { console: link.console, seq: link.seq, hash: link.hash, at: last.timestamp };
        let export = Export { complete, made_at: Timestamp(7), anchors: vec![anchor] };
        let mut writer = Writer::begin(Vec::new(), format, &export).unwrap();
        entries.iter().for_each(|e| writer.entry(e).unwrap());
        writer.finish().unwrap()
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
            read(file.as_slice(), |e| back.push(e)).unwrap();
            assert_eq!(back, entries, "{format:?}");
            assert_eq!(verify(file.as_slice()).unwrap().2, [], "{format:?}");
        }
    }

    #[test]
    fn no_cell_of_a_table_is_a_formula_and_no_entry_breaks_into_two() {
        let entries = chain(Uuid::from_u128(3), 6);
        let text = String::from_utf8(written(Format::Csv, &entries, true)).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), entries.len() + 1);
        assert!(rows.iter().flatten().all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t', '\r'])), "{text}");
        let lines = String::from_utf8(written(Format::Jsonl, &entries, true)).unwrap();
        assert_eq!(lines.lines().count(), entries.len() + 1);
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
            let mut file = whole[..head(&whole)].to_vec();
            file.extend(&touched[head(&touched)..]);
            verify(file.as_slice()).unwrap().2.into_iter().map(|f| f.fault).collect()
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
        assert_eq!(verify(written(Format::Csv, &filtered, false).as_slice()).unwrap().2, []);
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
        assert!(verify(file.as_slice()).unwrap_err().to_string().contains("line 4"));
    }
}
