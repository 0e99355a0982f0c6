//! `vigia calibrate`: how true the probabilities of possible matches are, on the demo footage and at this site, the site's own curve, and
//! what it learned of views that overlap.
use super::{
    prerequisites, simulate, site,
    views::{Seen, look},
};
use crate::{
    follow::{Calibration, Gallery, Reliability},
    model::{Descriptor, DescriptorKind, Rect, TrackId},
    site::SiteCalibration,
    vision::{Appearance, Compute, Detector, DetectorConfig, DeviceChoice},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::ExitCode,
};

/// Flags of `vigia calibrate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Measure the shipped curve on the demo footage instead, and say what curve would fit it
    #[arg(long)]
    footage: bool,
    /// Folder of the trained weights, for --footage
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    #[command(flatten)]
    site: site::Args,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.footage {
        on_footage(args)?;
    } else {
        let office = args.site.office()?;
        for found in office.calibrate()? {
            at_site(&found);
        }
        let grounds = office.grounds()?;
        for ([one, other], ground) in &grounds {
            println!(
                "{one} and {other} share ground: {} people who walked through both views agree, feet are {:.2} heights beside where they should be (learned {})",
                ground.walks, ground.error, ground.learned_at
            );
        }
        if grounds.is_empty() {
            println!(
                "no ground that two views share is known: a running console learns it from whoever walks through views that [[overlap]] names"
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn name(kind: DescriptorKind) -> &'static str {
    match kind {
        DescriptorKind::ColourStripes => "colour stripes",
        DescriptorKind::Learned => "learned appearance",
    }
}

fn at_site(found: &SiteCalibration) {
    let ((confirmed, more_confirmed), (rejected, more_rejected)) = (found.confirmed, found.rejected);
    println!("{}: {confirmed} matches confirmed, {rejected} rejected, whose looks are kept", name(found.kind));
    if confirmed + rejected > 0 {
        print("  the shipped curve on them", &found.shipped);
    }
    match (&found.curve, &found.held_out) {
        (Some(curve), Some((own, shipped))) => {
            print("  fitted to the earlier half of the decisions, on the later half", own);
            println!("  the shipped curve on that half: ECE {:.3}", shipped.ece);
            println!(
                "  in use at this site from now on: log-odds {:.2} × similarity {:+.2}; a running console takes it up within a minute",
                curve.slope, curve.intercept
            );
        }
        _ => println!(
            "  no curve of its own yet: {more_confirmed} confirmed and {more_rejected} rejected matches are missing; the shipped one is used"
        ),
    }
}

fn print(what: &str, reliability: &Reliability) {
    println!("{what}: ECE {:.3}", reliability.ece);
    for bin in &reliability.bins {
        println!("    said {:.2}  was {:.2}  of {} pairs", bin.said, bin.is, bin.pairs);
    }
}

/// A frame of the demo footage, microseconds.
const FRAME: i64 = 100_000;
/// Boxes of two cameras that overlap more (IoU, in the footage) are of one person, those that overlap less than the second are of two.
const SAME: f32 = 0.5;
const APART: f32 = 0.1;
/// On so many frames it must be so.
const FRAMES: u32 = 3;
/// Frames between the looks of a pair.
const BETWEEN: u32 = 15;
/// Looks of either side.
const LOOKS: usize = 3;
/// One chance in so many that a candidate is the suspect.
const PRIOR: f64 = 1.0 / 8.0;

type Key = (usize, TrackId);

/// A track in one of the demo's views: its boxes in the footage, and its good looks.
#[derive(Default)]
struct Tracked {
    boxes: BTreeMap<u32, Rect>,
    looks: Vec<(u32, Descriptor)>,
}

/// Without any ground truth: the demo's windows overlap, so a box that two cameras see at the same place of the footage is one person, and
/// two boxes at different places of one frame are two. Looks of a pair are at least 1.5 s apart. Fitted to pairs of the first
/// half of the footage, told of the second.
fn on_footage(args: &Args) -> anyhow::Result<()> {
    let models = prerequisites::models_dir(args.models.as_deref());
    let compute = Compute::choose(DeviceChoice::Auto, 1)?;
    let detector = Detector::load(&models, compute, DetectorConfig::default())?;
    let appearance = Appearance::load(&models, compute)?;
    let mut views = Vec::new();
    for camera in simulate::demo_cameras()? {
        views.push(look(&camera.file, 2, FRAME, &detector, &appearance)?);
    }
    let pairs = pairs_of(&tracked(&views));
    let half = views.first().and_then(|v| v.get(v.len() / 2)).map_or(0, |seen| seen.frame);
    let of = |first: bool| -> Vec<(f32, bool)> {
        pairs.iter().filter(|p| (p.0 < half) == first).map(|p| (p.1, p.2)).collect()
    };
    let (first, second) = (of(true), of(false));
    let same = |pairs: &[(f32, bool)]| pairs.iter().filter(|p| p.1).count();
    println!(
        "{}: {} and {} pairs in the halves of the footage, {} and {} of one person (counted as one in eight)",
        appearance.name(),
        first.len(),
        second.len(),
        same(&first),
        same(&second)
    );
    let told = |what: &str, curve: Calibration| {
        let said: Vec<(f32, bool)> = second.iter().map(|(s, same)| (curve.probability(*s), *same)).collect();
        print(what, &Reliability::of(&said, PRIOR));
    };
    told("shipped curve, second half", Calibration::shipped(appearance.kind()));
    if let Some(curve) = Calibration::fit(&first, PRIOR) {
        told("fitted to the first half, second half", curve);
        println!("log-odds {:.2} × similarity {:+.2}", curve.slope, curve.offset);
    }
    if let Some(curve) = Calibration::fit(&pairs.iter().map(|p| (p.1, p.2)).collect::<Vec<_>>(), PRIOR) {
        println!("fitted to both: log-odds {:.2} × similarity {:+.2}", curve.slope, curve.offset);
    }
    Ok(())
}

fn tracked(views: &[Vec<Seen>]) -> BTreeMap<Key, Tracked> {
    let windows = simulate::demo_windows();
    let mut all: BTreeMap<Key, Tracked> = BTreeMap::new();
    for (view, (frames, window)) in views.iter().zip(windows).enumerate() {
        for seen in frames {
            for (track, look) in seen.people.iter().filter(|(t, _)| t.measured_at == t.at) {
                let tracked = all.entry((view, track.id)).or_default();
                let r = track.rect;
                tracked.boxes.insert(seen.frame, Rect::new(r.x + window.x, r.y + window.y, r.w, r.h));
                tracked.looks.extend(look.clone().map(|look| (seen.frame, look)));
            }
        }
    }
    all
}

/// Frame of the first look, similarity, and whether it is one person, of all pairs of which that is known.
fn pairs_of(all: &BTreeMap<Key, Tracked>) -> Vec<(u32, f32, bool)> {
    // Who is whom: tracks joined where they are at the same place.
    let keys: Vec<Key> = all.keys().copied().collect();
    let mut person: BTreeMap<Key, Key> = keys.iter().map(|key| (*key, *key)).collect();
    let mut apart: BTreeSet<(Key, Key)> = BTreeSet::new();
    for (n, (a, one)) in all.iter().enumerate() {
        for (b, other) in all.iter().skip(n + 1) {
            let common: Vec<f32> =
                one.boxes.iter().filter_map(|(frame, r)| Some(r.iou(other.boxes.get(frame)?))).collect();
            let count = |test: &dyn Fn(f32) -> bool| common.iter().filter(|iou| test(**iou)).count() as u32;
            let (near, far) = (count(&|iou| iou >= SAME), count(&|iou| iou < APART));
            if a.0 != b.0 && near >= FRAMES && far == 0 {
                let (x, y) = (root(&person, *a), root(&person, *b));
                person.insert(x.max(y), x.min(y));
            } else if near == 0 && far >= FRAMES {
                apart.insert((*a, *b));
            }
        }
    }
    let mut strangers: BTreeSet<(Key, Key)> = BTreeSet::new();
    for (a, b) in &apart {
        let (x, y) = (root(&person, *a), root(&person, *b));
        strangers.insert((x.min(y), x.max(y)));
    }
    let mut pairs = Vec::new();
    for (a, one) in all {
        for (b, other) in all.iter().filter(|(b, _)| *b != a) {
            let (x, y) = (root(&person, *a), root(&person, *b));
            let same = x == y;
            if !same && !strangers.contains(&(x.min(y), x.max(y))) {
                continue; // nobody knows
            }
            // The first is the suspect, who was marked on its first looks; what comes later is compared.
            let known: Vec<_> = one.looks.iter().take(2 * LOOKS).collect();
            let Some((last, _)) = known.last().filter(|_| known.len() >= LOOKS) else { continue };
            let later: Vec<_> = other.looks.iter().filter(|(frame, _)| *frame >= last + BETWEEN).collect();
            if later.len() < LOOKS {
                continue;
            }
            let mut gallery = Gallery::default();
            for (_, look) in known {
                gallery.add(look, 12);
            }
            let likeness: Vec<f32> = later.iter().take(8).filter_map(|(_, look)| gallery.nearest(look)).collect();
            pairs.push((*last, likeness.iter().sum::<f32>() / likeness.len().max(1) as f32, same));
        }
    }
    pairs
}

fn root(person: &BTreeMap<Key, Key>, mut key: Key) -> Key {
    while let Some(up) = person.get(&key).filter(|up| **up != key) {
        key = *up;
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DescriptorKind;

    fn track(x: f32, frames: std::ops::Range<u32>, direction: usize) -> Tracked {
        let mut vector = vec![0.0f32; 4];
        vector[direction] = 1.0;
        let look = Descriptor { kind: DescriptorKind::Learned, vector: vector.into() };
        Tracked {
            boxes: frames.clone().map(|f| (f, Rect::new(x, 0.0, 30.0, 90.0))).collect(),
            looks: frames.map(|f| (f, look.clone())).collect(),
        }
    }

    #[test]
    fn one_place_is_one_person_two_places_are_two_and_of_the_rest_nothing_is_known() {
        let all = BTreeMap::from([
            ((0, TrackId(1)), track(100.0, 0..60, 0)),
            ((1, TrackId(1)), track(102.0, 20..80, 0)),
            ((1, TrackId(2)), track(300.0, 0..90, 1)),
            ((2, TrackId(1)), track(500.0, 200..260, 2)), // never beside the others
        ]);
        let pairs = pairs_of(&all);
        let (same, other): (Vec<_>, Vec<_>) = pairs.iter().copied().partition(|p| p.2);
        assert!(!same.is_empty() && same.iter().all(|p| p.1 > 0.99), "{pairs:?}");
        assert!(!other.is_empty() && other.iter().all(|p| p.1 < 0.01), "{pairs:?}");
        assert!(pairs.iter().all(|p| p.0 < 100), "{pairs:?}");
    }
}
