//! Arrivals, losses, new connections, steps of the clock, events and failures of the disk in any order.
use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug, PartialEq)]
struct Picture {
    n: usize,
    run: u64,
    position: Duration,
    at: Timestamp,
    key: bool,
    kind: u8,
    bytes: usize,
}

impl Arrival for Picture {
    fn run(&self) -> u64 {
        self.run
    }
    fn position(&self) -> Duration {
        self.position
    }
    fn at(&self) -> Timestamp {
        self.at
    }
    fn is_key(&self) -> bool {
        self.key
    }
    fn bytes(&self) -> usize {
        self.bytes
    }
    fn offset(&self) -> Option<ClockOffset> {
        None
    }
    fn is_alike(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

/// A camera, a clock and a disk that are all made up; what became of each packet.
struct World {
    course: Course<Picture>,
    now: Duration,
    wall: i64,
    run: u64,
    sent: Vec<Picture>,
    /// Whole files, and the one under way.
    files: Vec<(Vec<Picture>, Option<Timestamp>)>,
    open: Option<Vec<Picture>>,
    holes: Vec<(Option<Timestamp>, Timestamp, Option<Why>)>,
    told: Vec<Step<Picture>>,
    disk_fails: bool,
    lost: bool,
}

const SECOND: i64 = 1_000_000;

impl World {
    fn new(events_only: bool) -> Self {
        let plan = Plan {
            segment: Duration::from_secs(2),
            events_only,
            pre_roll: Duration::from_secs(1),
            post_roll: Duration::from_secs(1),
        };
        Self {
            course: Course::new(plan),
            now: Duration::ZERO,
            wall: 1_000 * SECOND,
            run: 1,
            sent: Vec::new(),
            files: Vec::new(),
            open: None,
            holes: Vec::new(),
            told: Vec::new(),
            disk_fails: false,
            lost: false,
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.wall += time.as_micros() as i64;
    }

    fn packet(&mut self, after_ms: u64, key: bool) -> usize {
        self.sized(after_ms, key, 1000)
    }

    fn sized(&mut self, after_ms: u64, key: bool, bytes: usize) -> usize {
        self.pass(Duration::from_millis(after_ms));
        let (n, at) = (self.sent.len(), Timestamp(self.wall));
        let picture = Picture { n, run: self.run, position: self.now, at, key, kind: 0, bytes };
        self.sent.push(picture.clone());
        let lost = std::mem::take(&mut self.lost);
        let steps = self.course.packet(picture, lost, self.now);
        self.take(steps);
        n
    }

    fn event(&mut self, at: Timestamp) {
        let steps = self.course.event(at);
        self.take(steps);
    }

    fn take(&mut self, steps: Vec<Step<Picture>>) {
        for step in steps {
            match step {
                Step::Finish(at) => self.files.push((self.open.take().expect("a file is under way"), at)),
                Step::Begin(_) | Step::Write(_) if self.disk_fails => {
                    // What was written before stays in a file that is rescued later.
                    self.files.extend(self.open.take().map(|file| (file, None)));
                    self.course.failed(self.now);
                    return;
                }
                Step::Begin(picture) => {
                    assert!(self.open.is_none(), "one file at a time");
                    assert!(picture.key, "a file begins with a key frame");
                    self.open = Some(vec![picture]);
                }
                Step::Write(picture) => self.open.as_mut().expect("a file is under way").push(picture),
                Step::Resumed { last, at, why } => self.holes.push((last, at, why)),
                told => self.told.push(told),
            }
        }
    }

    fn all_files(&self) -> Vec<&Vec<Picture>> {
        self.files.iter().map(|(file, _)| file).chain(&self.open).collect()
    }

    fn in_files(&self) -> Vec<usize> {
        self.all_files().into_iter().flatten().map(|p| p.n).collect()
    }
}

#[derive(Clone, Debug)]
enum Happens {
    Packet { after_ms: u64, key: bool },
    Lost,
    Reconnect { after_ms: u64 },
    ClockSet { seconds: i64 },
    Disk { fails: bool },
    Silence,
    Event { ago_ms: u64 },
    Cut,
    Unwatched(bool),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        20 => (prop_oneof![9 => 20u64..80, 1 => 400u64..6000], prop::bool::weighted(0.2))
            .prop_map(|(after_ms, key)| Happens::Packet { after_ms, key }),
        1 => Just(Happens::Lost),
        1 => (0u64..4000).prop_map(|after_ms| Happens::Reconnect { after_ms }),
        1 => (-4000i64..4000).prop_map(|seconds| Happens::ClockSet { seconds }),
        1 => any::<bool>().prop_map(|fails| Happens::Disk { fails }),
        1 => Just(Happens::Silence),
        1 => (0u64..9000).prop_map(|ago_ms| Happens::Event { ago_ms }),
        1 => Just(Happens::Cut),
        1 => any::<bool>().prop_map(Happens::Unwatched),
    ]
}

fn play(world: &mut World, all: &[Happens], clock: bool) {
    for happens in all {
        match *happens {
            Happens::Packet { after_ms, key } => drop(world.packet(after_ms, key)),
            Happens::Lost => world.lost = true,
            Happens::Reconnect { after_ms } => {
                world.pass(Duration::from_millis(after_ms));
                world.run += 1;
            }
            Happens::ClockSet { seconds } if clock => world.wall += seconds * SECOND,
            Happens::ClockSet { .. } => {}
            Happens::Disk { fails } => world.disk_fails = fails,
            Happens::Silence => {
                let steps = world.course.silence();
                world.take(steps);
            }
            Happens::Event { ago_ms } => {
                let at = Timestamp(world.wall).minus(Duration::from_millis(ago_ms));
                world.event(at);
            }
            Happens::Cut => world.course.cut(),
            Happens::Unwatched(yes) => world.course.unwatched(yes),
        }
    }
    // All is well at last: whatever is missing has been told by then.
    world.disk_fails = false;
    world.pass(Duration::from_secs(20));
    world.run += 1;
    world.packet(40, true);
    world.packet(40, false);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_packet_is_in_one_file_or_in_a_hole_that_is_told(all in prop::collection::vec(happens(), 0..120)) {
        let mut world = World::new(false);
        play(&mut world, &all, false);
        let mut there = world.in_files();
        let n = there.len();
        there.sort_unstable();
        there.dedup();
        prop_assert_eq!(n, there.len(), "no packet is in two files");
        for picture in world.sent.iter().filter(|p| !there.contains(&p.n)) {
            let told = world.holes.iter().find(|(last, at, _)| last.is_none_or(|l| l < picture.at) && picture.at < *at);
            prop_assert!(told.is_some(), "{picture:?} is lost, holes {:?}", world.holes);
            prop_assert!(told.is_some_and(|(.., why)| why.is_some()), "packets came, so it was not the camera: {told:?}");
        }
        // A hole lies between pictures that are there, never over one.
        for (last, at, _) in &world.holes {
            for picture in world.all_files().into_iter().flatten() {
                let inside = last.is_none_or(|l| picture.at > l) && picture.at < *at;
                prop_assert!(!inside, "{picture:?} lies in a hole from {last:?} to {at:?}");
            }
        }
        // Files follow each other, and tile where they say so.
        let files = world.all_files();
        for (one, next) in files.iter().zip(files.iter().skip(1)) {
            prop_assert!(one.last().zip(next.first()).is_some_and(|(a, b)| a.n < b.n));
        }
        for ((file, end), next) in world.files.iter().zip(files.iter().skip(1)) {
            let (last, first) = (file.last().map(|p| p.n), next.first());
            // Where the next file could not be begun the picture that was to begin it lies in a hole.
            if let (Some(end), Some(first)) = (end, first.filter(|first| last == first.n.checked_sub(1))) {
                prop_assert_eq!(first.at, *end);
            }
        }
    }

    #[test]
    fn a_clock_that_is_set_loses_nothing(all in prop::collection::vec(happens(), 0..120)) {
        let quiet = |h: &Happens| !matches!(h, Happens::Lost | Happens::Disk { .. } | Happens::Silence | Happens::Reconnect { .. });
        let all: Vec<_> = all.into_iter().filter(quiet).collect();
        let mut world = World::new(false);
        world.packet(40, true);
        play(&mut world, &all, true);
        prop_assert_eq!(world.in_files(), (0..world.sent.len()).collect::<Vec<_>>());
        // Within a file wall time and the stream part by no more than one group of pictures can hold.
        for file in world.all_files() {
            let keys: Vec<_> = file.iter().filter(|p| p.key).collect();
            for (a, b) in keys.iter().zip(keys.iter().skip(1)) {
                let apart = b.at.seconds_since(a.at) - (b.position - a.position).as_secs_f64();
                prop_assert!(apart.abs() <= JUMP, "a file goes on over a step of {apart} s");
            }
        }
    }

    #[test]
    fn around_an_event_everything_is_kept(
        all in prop::collection::vec(happens(), 0..120), ago_ms in 0u64..9000,
    ) {
        let quiet = |h: &Happens| !matches!(h, Happens::Lost | Happens::Disk { .. } | Happens::ClockSet { .. });
        let all: Vec<_> = all.into_iter().filter(quiet).collect();
        let mut world = World::new(true);
        play(&mut world, &all, false);
        let event = Timestamp(world.wall).minus(Duration::from_millis(ago_ms));
        world.event(event);
        for _ in 0..20 {
            world.packet(40, false);
        }
        let there = world.in_files();
        let (from, until) = (event.minus(Duration::from_secs(1)), event.plus(Duration::from_secs(1)));
        // What can be decoded: it comes after a key frame of its connection.
        for picture in world.sent.iter().filter(|p| p.at >= from && p.at <= until) {
            let decodable = world.sent[..=picture.n].iter().rev().take_while(|p| p.run == picture.run).any(|p| p.key);
            if decodable && !all.iter().any(|h| matches!(h, Happens::Silence)) {
                prop_assert!(there.contains(&picture.n), "{picture:?} around the event at {event} is not there");
            }
        }
    }
}

#[test]
fn one_picture_in_five_seconds_is_one_stretch_of_video() {
    let mut world = World::new(false);
    world.packet(0, true);
    for n in 1..40 {
        world.packet(5000, n % 12 == 0);
    }
    assert_eq!(world.in_files().len(), 40);
    assert_eq!(world.holes.len(), 1, "only its beginning is told: {:?}", world.holes);
    assert_eq!(world.course.pace(), Duration::from_secs(5));
}

#[test]
fn a_trouble_that_is_over_names_nothing_later() {
    let mut world = World::new(false);
    world.packet(0, true);
    world.lost = true;
    world.packet(40, true);
    world.run += 1;
    world.packet(5000, true);
    let whys: Vec<_> = world.holes.iter().map(|(.., why)| why.clone()).collect();
    assert_eq!(whys, [None, Some(Why::Slow), None], "the camera was away, the disk was not slow any more");
}

#[test]
fn a_clock_that_is_set_is_told_where_the_next_file_begins() {
    let mut world = World::new(false);
    world.packet(0, true);
    world.packet(40, false);
    let last = world.sent[1].at;
    world.wall += 3600 * SECOND;
    world.packet(40, false);
    assert_eq!(world.holes.len(), 1, "the file goes on to the next key frame");
    world.packet(40, true);
    assert_eq!(world.holes[1..], [(Some(last), world.sent[3].at, None)]);
    assert_eq!(world.in_files(), [0, 1, 2, 3]);
}

#[test]
fn rare_key_frames_are_told_once_a_connection_and_a_file_without_one_ends() {
    let mut world = World::new(false);
    for n in 0..400 {
        world.packet(100, n % 120 == 0);
    }
    assert_eq!(world.told, [Step::KeyFramesRare(12)]);
    let mut world = World::new(false);
    world.packet(0, true);
    for _ in 0..4000 {
        world.packet(1000, false);
    }
    assert_eq!(world.course.state(), &State::Waiting(Some(Why::NoKeyFrame)));
    assert_eq!(world.in_files().len(), 3601);
    let last = world.sent[3600].at;
    world.packet(1000, true);
    assert_eq!(
        world.holes.last().map(|(from, _, why)| (*from, why.clone())),
        Some((Some(last), Some(Why::NoKeyFrame)))
    );
}

#[test]
fn what_waits_for_an_event_is_bounded_and_that_is_told() {
    let mut world = World::new(true);
    for n in 0..600 {
        world.sized(100, n % 10 == 0, 4 << 20);
        assert!(world.course.kept_bytes <= PRE_ROLL_BYTES + (4 << 20));
    }
    assert!(matches!(world.told.as_slice(), [Step::PreRollCut(5..=6)]), "{:?}", world.told);
}
