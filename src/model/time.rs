//! Instants are UTC, in whole microseconds, from a clock that is handed in.
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    sync::{
        LazyLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// An instant: microseconds since 1970-01-01T00:00:00Z. Shown as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Seconds from `earlier` to `self`; negative when `earlier` is later.
    pub fn seconds_since(self, earlier: Self) -> f64 {
        (self.0 - earlier.0) as f64 / 1e6
    }

    /// The instant `d` later; saturates.
    pub fn plus(self, d: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The instant `d` earlier; saturates.
    pub fn minus(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
    }

    fn jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    /// `2026-11-22`, the day in UTC: by it the keys of objects are grouped.
    pub fn utc_day(self) -> String {
        self.jiff().strftime("%Y-%m-%d").to_string()
    }

    /// `14:03:22` in the zone of this machine, for people; with the offset from UTC where clocks are put back and that time is there
    /// twice: `01:30:00+01:00`.
    pub fn local_time(self) -> String {
        self.shown("%H:%M:%S", jiff::tz::TimeZone::system())
    }

    /// What a clock of a zone shows, in a format that ends with the time.
    fn shown(self, format: &str, zone: jiff::tz::TimeZone) -> String {
        let local = self.jiff().to_zoned(zone);
        let twice = local.time_zone().to_ambiguous_timestamp(local.datetime()).is_ambiguous();
        format!("{}{}", local.strftime(format), if twice { local.strftime("%:z").to_string() } else { String::new() })
    }

    /// `UTC+01:00`: the offset of this machine's zone at that instant.
    pub fn local_zone(self) -> String {
        self.jiff().to_zoned(jiff::tz::TimeZone::system()).strftime("UTC%:z").to_string()
    }

    /// `14:03:22 – 14:05:10`, from this instant until another one in the zone of this machine, for people; with the offsets from
    /// UTC, and the day where it is another, when clocks were changed in between: `01:50:00+01:00 – 01:10:00+00:00`.
    pub fn local_times_to(self, until: Self) -> String {
        self.times_to(until, &jiff::tz::TimeZone::system())
    }

    /// `2026-11-22 14:03:22 – 14:05:10`: the same with the day.
    pub fn local_stay_until(self, until: Self) -> String {
        format!("{} {}", self.local_day(), self.local_times_to(until))
    }

    /// `2026-11-22`, the day in the zone of this machine.
    pub fn local_day(self) -> String {
        self.jiff().to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d").to_string()
    }

    fn times_to(self, until: Self, zone: &jiff::tz::TimeZone) -> String {
        let (from, to) = (self.jiff().to_zoned(zone.clone()), until.jiff().to_zoned(zone.clone()));
        let twice = |at: &jiff::Zoned| zone.to_ambiguous_timestamp(at.datetime()).is_ambiguous();
        let plain = from.offset() == to.offset() && !twice(&from) && !twice(&to);
        let clock = if plain { "%H:%M:%S" } else { "%H:%M:%S%:z" };
        let day = if from.date() == to.date() { String::new() } else { to.strftime("%Y-%m-%d ").to_string() };
        format!("{} – {day}{}", from.strftime(clock), to.strftime(clock))
    }

    /// Seconds by which this machine's zone is ahead of UTC at this instant.
    pub fn local_offset(self) -> f64 {
        f64::from(jiff::tz::TimeZone::system().to_offset(self.jiff()).seconds())
    }

    /// `2026-11-22 14:03:22` in the zone of this machine, for people; with the offset as in [`local_time`](Self::local_time).
    pub fn local_date_time(self) -> String {
        self.shown("%Y-%m-%d %H:%M:%S", jiff::tz::TimeZone::system())
    }

    /// `2026-11-22 14:03:22.250 +00:00 [Europe/Lisbon]` in the zone of this machine: unambiguous also where clocks are put back.
    pub fn local_with_zone(self) -> String {
        let local = self.jiff().to_zoned(jiff::tz::TimeZone::system());
        let zone = local.time_zone().iana_name().map(|name| format!(" [{name}]")).unwrap_or_default();
        format!("{}{zone}", local.strftime("%Y-%m-%d %H:%M:%S%.3f %:z"))
    }

    /// `2026-11-22 14:03:22+01:00`: date, time and offset in the zone of this machine, for people to read and to change.
    pub fn local_with_offset(self) -> String {
        self.jiff().to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S%:z").to_string()
    }

    /// Reads what a person wrote: a date and a time, with an offset from UTC, else in the zone of this machine; `None` when it
    /// is neither.
    pub fn parse_local(text: &str) -> Option<Self> {
        let text = text.trim();
        Self::parse(text).or_else(|| Self::of_civil(text.parse().ok()?, &jiff::tz::TimeZone::system()))
    }

    /// The instant that the name of a file tells, such as `gate 2026-11-22 14.03.22.mp4`, `VID_20261122_140322.mov` or
    /// `2026-11-22T14:03:22Z.mkv`: in the zone of this machine unless a `Z` follows. `None` for other names.
    pub fn in_file_name(name: &str) -> Option<Self> {
        Self::in_file_name_of(name, &jiff::tz::TimeZone::system())
    }

    fn in_file_name_of(name: &str, zone: &jiff::tz::TimeZone) -> Option<Self> {
        // Runs of digits with what stands before each of them.
        let mut runs: Vec<(&str, &str)> = Vec::new();
        let mut rest = name;
        while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
            let (before, digits) = rest.split_at(start);
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            let (run, after) = digits.split_at(end);
            runs.push((before, run));
            rest = after;
        }
        (0..runs.len()).find_map(|i| {
            let mut runs = runs.get(i..)?.iter();
            let (date, used) = six(&mut runs)?;
            let [y, mo, d, h, mi, s] = date;
            let civil =
                jiff::civil::DateTime::new(i16::try_from(y).ok()?, mo as i8, d as i8, h as i8, mi as i8, s as i8, 0);
            let civil = civil.ok().filter(|t| (1990..2200).contains(&t.year()))?;
            let universal = name.get(used.as_ptr() as usize - name.as_ptr() as usize + used.len()..)?.starts_with('Z');
            let utc = jiff::tz::TimeZone::UTC;
            Self::of_civil(civil, if universal { &utc } else { zone })
        })
    }

    fn of_civil(civil: jiff::civil::DateTime, zone: &jiff::tz::TimeZone) -> Option<Self> {
        Some(Self(civil.to_zoned(zone.clone()).ok()?.timestamp().as_microsecond()))
    }

    /// Reads RFC 3339; `None` when it is not.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|t| Self(t.as_microsecond()))
    }
}

/// Year, month, day, hour, minute and second out of runs of digits (`20261122 140322`, `2026 11 22 14 03 22`, …), and the run
/// that ends with the second. Between date and time a blank, `T`, `t`, `_`, `-`, `.` or two of them may stand.
fn six<'a>(runs: &mut std::slice::Iter<'_, (&str, &'a str)>) -> Option<([u16; 6], &'a str)> {
    let mut found = [0; 6];
    let mut place = 0;
    let mut first = true;
    while place < 6 {
        let (before, mut run) = *runs.next()?;
        let separated = before.len() <= 2 && before.chars().all(|c| " Tt_-.:".contains(c));
        if !first && !separated {
            return None;
        }
        first = false;
        let whole = run;
        while !run.is_empty() {
            let (digits, rest) = run.split_at_checked(if place == 0 { 4 } else { 2 })?;
            *found.get_mut(place)? = digits.parse().ok()?;
            (run, place) = (rest, place + 1);
        }
        if place == 6 {
            return Some((found, whole));
        }
    }
    None
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", self.jiff())
    }
}

/// Where instants come from. One clock a site, handed to every room that needs one, so that tests turn it by hand.
pub trait Clock: Send + Sync + 'static {
    /// Now, UTC.
    fn now(&self) -> Timestamp;

    /// How much time has passed since some instant of this run. Never goes back and never jumps, whoever sets the clock: what
    /// [`now`](Self::now) says is compared with it.
    fn steady(&self) -> Duration;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// When this process first asked for the time, and how long the machine had been up then.
static BEGAN: LazyLock<(Instant, Option<Duration>)> = LazyLock::new(|| (Instant::now(), uptime()));
/// For how long the machine has slept since, microseconds.
static SLEPT: AtomicU64 = AtomicU64::new(0);
/// The time since the machine was started is told in hundredths of a second, and is read a moment after the other one.
const SLEEP: Duration = Duration::from_secs(1);

/// For how long the machine has been up, sleep included; `None` where the system does not tell.
fn uptime() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    Duration::try_from_secs_f64(text.split(' ').next()?.parse().ok()?).ok()
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn steady(&self) -> Duration {
        let (began, up) = *BEGAN;
        // In this order a thread that loses its turn in between makes less of a sleep, never one that was not.
        let (up_now, awake) = (uptime(), began.elapsed());
        // `Instant` stands still while the machine sleeps; the clock on the wall does not, and nobody has set it then.
        let slept = up.zip(up_now).and_then(|(before, now)| now.checked_sub(before)?.checked_sub(awake));
        if let Some(slept) = slept.filter(|slept| *slept > SLEEP) {
            let slept = u64::try_from(slept.as_micros()).unwrap_or(u64::MAX);
            // Smaller differences are the coarse reading's, so only another sleep makes it more.
            let _ = SLEPT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |known| {
                (slept > known.saturating_add(SLEEP.as_micros() as u64)).then_some(slept)
            });
        }
        awake.saturating_add(Duration::from_micros(SLEPT.load(Ordering::Relaxed)))
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug, Default)]
pub struct ManualClock {
    wall: AtomicI64,
    steady: AtomicU64,
}

impl ManualClock {
    /// A clock that shows `t`.
    pub fn at(t: Timestamp) -> Self {
        Self { wall: AtomicI64::new(t.0), steady: AtomicU64::new(0) }
    }

    /// Time passes.
    pub fn advance(&self, d: Duration) {
        self.wall.fetch_add(i64::try_from(d.as_micros()).unwrap_or(i64::MAX), Ordering::Relaxed);
        self.steady.fetch_add(u64::try_from(d.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Somebody sets the clock by so many microseconds, forward or back. No time passes.
    pub fn step(&self, by: i64) {
        self.wall.fetch_add(by, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.wall.load(Ordering::Relaxed))
    }

    fn steady(&self) -> Duration {
        Duration::from_micros(self.steady.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_reads_back_what_it_shows() {
        let t = Timestamp(1_763_820_000_123_456);
        assert_eq!(Timestamp::parse(&t.to_string()), Some(t));
        assert!(t.to_string().ends_with('Z'));
        assert_eq!(Timestamp::parse("yesterday"), None);
        assert_eq!(Timestamp::parse_local(&t.local_with_offset()), Some(Timestamp(1_763_820_000_000_000)));
    }

    #[test]
    fn what_a_person_writes_is_local_unless_an_offset_says_otherwise() {
        let utc = Timestamp::parse("2026-11-22T14:03:22Z");
        assert_eq!(Timestamp::parse_local(" 2026-11-22 15:03:22+01:00 "), utc);
        assert_eq!(Timestamp::parse_local("2026-11-22 14:03:22Z"), utc);
        assert!(Timestamp::parse_local("2026-11-22 14:03").is_some());
        for nonsense in ["", "2026-11-31 14:03", "14:03", "soon"] {
            assert_eq!(Timestamp::parse_local(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_stay_over_a_change_of_clocks_is_never_seen_to_run_backwards() {
        let lisbon = jiff::tz::TimeZone::get("Europe/Lisbon").unwrap();
        let shown = |from: &str, until: &str| {
            let [from, until] = [from, until].map(|text| Timestamp::parse(text).unwrap());
            from.times_to(until, &lisbon)
        };
        let plain = shown("2026-07-22T13:03:22Z", "2026-07-22T13:05:10Z");
        assert_eq!(plain, "14:03:22 – 14:05:10");
        // Summer time ends at 01:00 UTC, when clocks go from 02:00 back to 01:00.
        let back = shown("2026-10-25T00:50:00Z", "2026-10-25T01:10:00Z");
        assert_eq!(back, "01:50:00+01:00 – 01:10:00+00:00");
        // It begins at 01:00 UTC, when they go from 01:00 to 02:00.
        let forward = shown("2026-03-29T00:59:00Z", "2026-03-29T01:01:00Z");
        assert_eq!(forward, "00:59:00+00:00 – 02:01:00+01:00");
        let midnight = shown("2026-11-22T23:59:00Z", "2026-11-23T00:01:00Z");
        assert_eq!(midnight, "23:59:00 – 2026-11-23 00:01:00");
    }

    #[test]
    fn a_time_that_is_there_twice_is_shown_with_its_offset() {
        let shown = |text: &str| {
            let lisbon = jiff::tz::TimeZone::get("Europe/Lisbon").unwrap();
            Timestamp::parse(text).unwrap().shown("%Y-%m-%d %H:%M:%S", lisbon)
        };
        assert_eq!(shown("2026-10-25T00:30:00Z"), "2026-10-25 01:30:00+01:00");
        assert_eq!(shown("2026-10-25T01:30:00Z"), "2026-10-25 01:30:00+00:00");
        assert_eq!(shown("2026-10-25T02:00:00Z"), "2026-10-25 02:00:00");
        assert_eq!(shown("2026-07-22T13:03:22Z"), "2026-07-22 14:03:22");
        for text in ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"] {
            let at = Timestamp::parse(text).unwrap();
            assert_eq!(Timestamp::parse_local(&shown(text)), Some(at), "what is shown can be typed");
        }
    }

    #[test]
    fn names_of_files_tell_when_they_start() {
        let lisbon = jiff::tz::TimeZone::get("Europe/Lisbon").unwrap();
        let of = |name: &str| Timestamp::in_file_name_of(name, &lisbon).map(|t| t.to_string());
        let summer = Some("2026-07-22T13:03:22.000000Z".to_owned());
        for name in [
            "gate 2026-07-22 14.03.22.mp4",
            "VID_20260722_140322.mov",
            "ch01_20260722140322.avi",
            "2026-07-22T13:03:22Z.mkv",
            "cam2-20260722T130322Z-part.ts",
            "DVR_7_2026-07-22_14-03-22.avi",
        ] {
            assert_eq!(of(name), summer, "{name}");
        }
        for name in
            ["vtest.avi", "20260722.mp4", "clip 1234567890.mp4", "2026-13-22 14.03.22.mp4", "0012-07-22_14-03-22.mp4"]
        {
            assert_eq!(of(name), None, "{name}");
        }
        // The hour that the end of summer time repeats is taken as the first of both, the one it leaves out as the hour after.
        assert_eq!(of("2026-10-25 01.30.00.mp4").as_deref(), Some("2026-10-25T00:30:00.000000Z"));
        assert_eq!(of("2026-03-29 01.30.00.mp4").as_deref(), Some("2026-03-29T01:30:00.000000Z"));
    }
}
