//! The log of a suspect's movement along the cameras, as a table and as a report that any browser shows. The report names no
//! address but files beside it.
use super::{Manifest, Moment, Stop, manifest::clock_words};
use std::{fmt::Write as _, io};

const COLUMNS: [&str; 12] = [
    "number",
    "camera",
    "entered_utc",
    "left_utc",
    "entered_local",
    "left_local",
    "seconds",
    "probability",
    "decision",
    "decided_by",
    "picture",
    "camera_clock_ahead_seconds",
];

/// The table. No cell is a formula to a spreadsheet.
///
/// # Errors
/// What the writer says.
pub fn movement_csv(stops: &[Stop]) -> io::Result<Vec<u8>> {
    let mut csv = csv::WriterBuilder::new().from_writer(Vec::new());
    csv.write_record(COLUMNS)?;
    for (number, stop) in (1..).zip(stops) {
        let (decision, by) = stop.decided();
        let cells = [
            format!("{number}"),
            stop.camera_name.clone(),
            stop.entered.utc.clone(),
            stop.left.utc.clone(),
            stop.entered.local.clone(),
            stop.left.local.clone(),
            format!("{:.3}", stop.seconds),
            format!("{:.3}", stop.probability),
            decision.to_owned(),
            by.to_owned(),
            stop.crop.clone().unwrap_or_default(),
            stop.clock_offset.map_or_else(|| clock_words(None), |seconds| format!("{seconds:.3}")),
        ];
        csv.write_record(cells.map(|cell| crate::audit::export::harmless(&cell)))?;
    }
    csv.into_inner().map_err(|e| io::Error::other(e.to_string()))
}

/// `text` as text of an HTML page.
struct Text<'a>(&'a str);

impl std::fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            c => f.write_char(c),
        })
    }
}

const STYLE: &str =
    "body{font:15px/1.45 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.45rem .7rem;border-bottom:1px solid #d5dae1}
th{font-weight:600;color:#56606d}img{max-height:9rem;max-width:9rem;border-radius:4px}small{color:#56606d}
dl{display:grid;grid-template-columns:12rem 1fr;gap:.25rem 1rem}dt{color:#56606d}dd{margin:0;overflow-wrap:anywhere}";

/// The report, an HTML page.
pub fn movement_report(manifest: &Manifest) -> String {
    let mut page = String::new();
    let _ = report(manifest, &mut page); // writing to a string does not fail
    page
}

fn moment(m: &Moment) -> String {
    format!("{}<br><small>{}</small>", Text(&m.local), Text(&m.utc))
}

fn report(m: &Manifest, page: &mut String) -> std::fmt::Result {
    let label = m.suspect.as_ref().map_or("Clip", |s| s.label.as_str());
    writeln!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src 'self' file:; \
         media-src 'self' file:; style-src 'unsafe-inline'\">\n<title>{label}, {site}</title>\n<style>{STYLE}</style>\
         </head><body>\n<h1>{label}</h1>\n<p>A suspect is a label on an appearance. A match is <em>possible</em>, with a \
         probability, until a person has confirmed or rejected it; no one is identified by this report.</p>\n<dl>",
        label = Text(label),
        site = Text(&m.site),
    )?;
    let by = format!("{} {}", m.exported_by.0, m.exported_by.1);
    let mut rows = vec![("Site", m.site.as_str())];
    if let Some(s) = &m.suspect {
        rows.extend([
            ("Marked because", s.reason.as_str()),
            ("Marked by", &s.marked_by),
            ("Marked at", &s.marked_at.local),
        ]);
    }
    rows.extend([
        ("Exported at", m.made_at.local.as_str()),
        ("Exported by", by.trim()),
        ("Reason of the export", &m.reason),
        ("Recipient", &m.recipient),
        ("Model", &m.model),
        ("Program", &m.program),
    ]);
    for (term, what) in rows {
        writeln!(page, "<dt>{term}</dt><dd>{}</dd>", Text(what))?;
    }
    writeln!(page, "</dl>")?;
    if m.suspect.is_some() {
        writeln!(page, "<h2>Movement</h2>")?;
    }
    if m.suspect.is_none() {
        // a clip is about a time, not about anybody's way
    } else if m.stops.is_empty() {
        writeln!(page, "<p>Nowhere within what was exported.</p>")?;
    } else {
        writeln!(
            page,
            "<table><tr><th></th><th>Camera</th><th>Entered</th><th>Left</th><th>Probability</th><th>Decision</th>\
             <th>Camera's own clock</th><th>Picture</th></tr>"
        )?;
        for (number, stop) in (1..).zip(&m.stops) {
            let (decision, by) = stop.decided();
            let by = if by.is_empty() { String::new() } else { format!("<br><small>by {}</small>", Text(by)) };
            let crop = stop.crop.as_deref().map_or_else(
                || "<small>none kept</small>".to_owned(),
                |crop| format!("<img src=\"{}\" alt=\"picture of stop {number}\">", Text(crop)),
            );
            writeln!(
                page,
                "<tr><td>{number}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.0} %</td><td>{decision}{by}</td>\
                 <td>{}</td><td>{crop}</td></tr>",
                Text(&stop.camera_name),
                moment(&stop.entered),
                moment(&stop.left),
                stop.probability * 100.0,
                Text(&clock_words(stop.clock_offset)),
            )?;
        }
        writeln!(page, "</table>")?;
    }
    writeln!(page, "<h2>Videos</h2>")?;
    if m.clips.is_empty() {
        writeln!(page, "<p>There is no video in this package.</p>")?;
    } else {
        writeln!(
            page,
            "<table><tr><th>File</th><th>Camera</th><th>From</th><th>Until</th><th>Stream</th>\
             <th>Camera's own clock</th><th></th></tr>"
        )?;
        for clip in &m.clips {
            let camera = m.cameras.iter().find(|c| c.id == clip.camera).map_or("", |c| c.name.as_str());
            let drawn = clip.burnt_in.as_deref().map_or_else(String::new, |file| {
                format!("<br><a href=\"{0}\">{0}</a> <small>encoded anew, boxes drawn</small>", Text(file))
            });
            let clock = match clip.uploaded {
                true => "uploaded; its times follow from the start that was said then".to_owned(),
                false => clock_words(clip.clock_offset),
            };
            writeln!(
                page,
                "<tr><td><a href=\"{0}\">{0}</a>{drawn}</td><td>{1}</td><td>{2}</td><td>{3}</td><td>{4} {5}×{6}</td>\
                 <td>{clock}</td><td>{7}</td></tr>",
                Text(&clip.file),
                Text(camera),
                moment(&clip.from),
                moment(&clip.until),
                Text(&clip.codec),
                clip.width,
                clip.height,
                Text(clip.note.as_deref().unwrap_or_default()),
            )?;
        }
        writeln!(page, "</table>")?;
    }
    writeln!(page, "<h2>Missing video</h2>")?;
    if m.missing.is_empty() {
        writeln!(page, "<p>None: there is video of all the times above.</p>")?;
    } else {
        writeln!(page, "<table><tr><th>Camera</th><th>From</th><th>Until</th><th>Why</th></tr>")?;
        for gap in &m.missing {
            writeln!(
                page,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                Text(&gap.camera_name),
                moment(&gap.from),
                moment(&gap.until),
                Text(&gap.reason),
            )?;
        }
        writeln!(page, "</table>")?;
    }
    let clocks: Vec<_> = m.cameras.iter().map(|c| format!("{}: {}", c.name, clock_words(c.clock_offset))).collect();
    writeln!(
        page,
        "<h2>How to check this package</h2>\n<p><code>vigia verify PACKAGE --key KEY</code> tells whether any byte of it \
         was changed. Get the site's public key from the site, not from the package.</p>\n<p><small>Times are those of the \
         site's clock when the picture came in; nothing was corrected by a camera's own clock, which may be drawn into its \
         picture. Cameras' own clocks against the site's: {}.</small></p>\n</body></html>",
        Text(&if clocks.is_empty() { "no camera".to_owned() } else { clocks.join("; ") })
    )
}
