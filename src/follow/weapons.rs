//! From flickering findings of knives and guns to weapons: one is there when it was found on several of a few frames at one place,
//! and somebody holds it when it stays at that person's hands. Pure: time is what the frames say.
use crate::model::{Class, Detection, Rect, Timestamp, TrackId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// When a weapon counts, and what becomes of whoever holds one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WeaponConfig {
    /// Findings of knives below this score do not count.
    pub knife: f32,
    /// Findings of guns below this score do not count.
    pub gun: f32,
    /// A weapon is there when it was found on this many…
    pub hits: u32,
    /// …of so many analysed frames in a row, at one place.
    pub window: u32,
    /// A weapon not found for so long, seconds, is gone; the next is another one.
    pub forget_s: f64,
    /// Whoever holds one is proposed as a suspect.
    pub propose: bool,
    /// An operator decides on a proposal within this time, seconds.
    pub decide_within_s: f64,
    /// What becomes of a proposal on which nobody decided in time.
    pub undecided: Undecided,
    /// For how long a proposed suspect that is confirmed is followed, hours.
    pub follow_hours: f64,
}

/// What becomes of a proposal on which nobody decided in time. Until then the person is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Undecided {
    /// The follow ends, with an entry in the action log.
    #[default]
    Drop,
    /// The follow goes on as a proposal until it expires.
    Keep,
}

impl Default for WeaponConfig {
    fn default() -> Self {
        Self {
            knife: 0.45,
            gun: 0.45,
            hits: 3,
            window: 6,
            forget_s: 10.0,
            propose: true,
            decide_within_s: 300.0,
            undecided: Undecided::Drop,
            follow_hours: 24.0,
        }
    }
}

/// A hand is at most this far from its region beside the body, in heights of the person.
const REACH: f32 = 0.15;
/// Findings belong to one weapon when their centres are no further apart than this, in sizes of the larger box, for each frame's
/// worth of movement.
const ONE_PLACE: f32 = 2.0;
/// Two findings of one class at the same hands are one weapon, however it is swung.
const SAME_HOLDER: f32 = 6.0;

/// What is new about a weapon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeaponSeen {
    /// The best finding so far.
    pub weapon: Detection,
    /// Who holds it, where that is clear.
    pub holder: Option<TrackId>,
    /// The weapon itself is new; else only its holder is.
    pub is_new: bool,
}

/// The weapons of one camera.
#[derive(Clone, Debug)]
pub struct Weapons {
    config: WeaponConfig,
    candidates: Vec<Candidate>,
}

#[derive(Clone, Debug)]
struct Candidate {
    /// The newest finding.
    last: Detection,
    best: Detection,
    last_seen: Timestamp,
    /// Found or not, on the last frames.
    history: VecDeque<bool>,
    /// On how many frames it was at whose hands.
    hands: BTreeMap<TrackId, u32>,
    told: bool,
    holder_told: Option<TrackId>,
}

impl Weapons {
    /// No weapon yet.
    pub fn new(config: WeaponConfig) -> Self {
        Self { config, candidates: Vec::new() }
    }

    /// Another connection: whatever was in view is forgotten.
    pub fn reset(&mut self) {
        self.candidates.clear();
    }

    /// Takes the findings of one analysed frame with the people on it. Each weapon is told once, and each with its holder once.
    pub fn step(&mut self, at: Timestamp, found: &[Detection], people: &[(TrackId, Rect)]) -> Vec<WeaponSeen> {
        let c = self.config;
        self.candidates.retain(|w| at.seconds_since(w.last_seen).abs() <= c.forget_s);
        let mut open: Vec<bool> = vec![true; self.candidates.len()];
        let least = |class: Class| if class == Class::Gun { c.gun } else { c.knife };
        let counts = |d: &&Detection| d.class != Class::Person && d.score >= least(d.class);
        for weapon in found.iter().filter(counts) {
            let holder = holder_of(weapon.rect, people);
            let near = self
                .candidates
                .iter()
                .zip(&open)
                .enumerate()
                .filter(|(_, (w, open))| **open && w.last.class == weapon.class)
                .filter_map(|(i, (w, _))| Some((i, w.distance(weapon, holder)?)))
                .min_by(|a, b| a.1.total_cmp(&b.1))
                .map(|(i, _)| i);
            let place = near.unwrap_or_else(|| {
                open.push(true);
                self.candidates.push(Candidate::new(*weapon, at));
                self.candidates.len() - 1
            });
            if let (Some(w), Some(open)) = (self.candidates.get_mut(place), open.get_mut(place)) {
                *open = false;
                w.last = *weapon;
                w.last_seen = at;
                if weapon.score > w.best.score {
                    w.best = *weapon;
                }
                if let Some(holder) = holder {
                    *w.hands.entry(holder).or_default() += 1;
                }
            }
        }
        let mut news = Vec::new();
        for (w, missed) in self.candidates.iter_mut().zip(open) {
            w.history.push_back(!missed);
            if w.history.len() > c.window.max(1) as usize {
                w.history.pop_front();
            }
            let hits = w.history.iter().filter(|hit| **hit).count();
            if !w.told && hits < c.hits.max(1) as usize {
                continue;
            }
            let holder = w.holder(people);
            let news_of_holder = holder.filter(|_| w.holder_told.is_none());
            if !w.told || news_of_holder.is_some() {
                news.push(WeaponSeen { weapon: w.best, holder: news_of_holder, is_new: !w.told });
                w.told = true;
                w.holder_told = w.holder_told.or(news_of_holder);
            }
        }
        news
    }

    /// The weapons that were told before or just now and are found on the frame of `at`.
    pub fn standing(&self, at: Timestamp) -> impl Iterator<Item = Detection> {
        self.candidates.iter().filter(move |w| w.told && w.last_seen == at).map(|w| w.last)
    }

    /// What was told last could not be recorded: it will be told again.
    pub fn untell(&mut self, seen: &WeaponSeen) {
        for w in self.candidates.iter_mut().filter(|w| w.best == seen.weapon) {
            w.told &= !seen.is_new;
            if seen.holder.is_some() {
                w.holder_told = None;
            }
        }
    }
}

impl Candidate {
    fn new(weapon: Detection, at: Timestamp) -> Self {
        Self {
            last: weapon,
            best: weapon,
            last_seen: at,
            history: VecDeque::new(),
            hands: BTreeMap::new(),
            told: false,
            holder_told: None,
        }
    }

    /// How far a finding is from where this weapon was; `None` when it is another one.
    fn distance(&self, found: &Detection, holder: Option<TrackId>) -> Option<f32> {
        let ((ax, ay), (bx, by)) = (self.last.rect.center(), found.rect.center());
        let size = |r: &Rect| r.w.max(r.h);
        let distance = (ax - bx).hypot(ay - by) / size(&self.last.rect).max(size(&found.rect)).max(1.0);
        let same_hands = holder.is_some_and(|h| self.hands.contains_key(&h));
        (distance <= if same_hands { SAME_HOLDER } else { ONE_PLACE }).then_some(distance)
    }

    /// Whoever had it at the hands most often, on two frames at least and still in view.
    fn holder(&self, people: &[(TrackId, Rect)]) -> Option<TrackId> {
        let in_view = |id: &TrackId| people.iter().any(|(p, _)| p == id);
        let likely = self.hands.iter().filter(|(id, n)| **n >= 2 && in_view(id));
        likely.max_by_key(|(id, n)| (**n, std::cmp::Reverse(**id))).map(|(id, _)| *id)
    }
}

/// The person whose hand region is nearest to the weapon, within reach. Hands are beside the body between shoulder and thigh, or before
/// the chest: the box from 20 % to 75 % of the height, half as wide again.
fn holder_of(weapon: Rect, people: &[(TrackId, Rect)]) -> Option<TrackId> {
    let (x, y) = weapon.center();
    let reach = |person: &Rect| {
        let hands = Rect::new(person.x - 0.25 * person.w, person.y + 0.2 * person.h, 1.5 * person.w, 0.55 * person.h);
        let dx = (hands.x - x).max(x - hands.right()).max(0.0);
        let dy = (hands.y - y).max(y - hands.bottom()).max(0.0);
        dx.hypot(dy) / person.h.max(1.0)
    };
    // Of two within whose reach it is, the one to whose middle it is nearer.
    let middle = |person: &Rect| (x - person.center().0).abs() / person.h.max(1.0);
    people
        .iter()
        .map(|(id, person)| (*id, reach(person), middle(person)))
        .filter(|(_, reach, _)| *reach <= REACH)
        .min_by(|a, b| a.1.total_cmp(&b.1).then(a.2.total_cmp(&b.2)))
        .map(|(id, ..)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: (TrackId, Rect) = (TrackId(1), Rect::new(100.0, 100.0, 60.0, 160.0));
    const FAR: (TrackId, Rect) = (TrackId(2), Rect::new(400.0, 100.0, 60.0, 160.0));

    fn knife(x: f32, score: f32) -> Detection {
        Detection { rect: Rect::new(x, 180.0, 20.0, 12.0), score, class: Class::Knife }
    }

    /// What is told of these frames, a fifth of a second apart.
    fn run(weapons: &mut Weapons, from: i64, frames: &[Option<Detection>]) -> Vec<(i64, WeaponSeen)> {
        let people = [NEAR, FAR];
        let step = |(i, found): (usize, &Option<Detection>)| {
            let i = from + i as i64;
            weapons
                .step(Timestamp(i * 200_000), found.as_slice(), &people)
                .into_iter()
                .map(move |seen| (i, seen))
                .collect()
        };
        frames.iter().enumerate().flat_map::<Vec<_>, _>(step).collect()
    }

    #[test]
    fn one_flickering_frame_tells_nothing() {
        let mut weapons = Weapons::new(WeaponConfig::default());
        let mut frames = vec![None; 60];
        for i in (0..60).step_by(10) {
            frames[i] = Some(knife(160.0, 0.9));
        }
        assert_eq!(run(&mut weapons, 0, &frames), []);
        // three findings, each somewhere else
        let elsewhere: Vec<_> = [10.0, 300.0, 600.0].map(|x| Some(knife(x, 0.9))).into();
        assert_eq!(run(&mut Weapons::new(WeaponConfig::default()), 0, &elsewhere), []);
        let weak = vec![Some(knife(160.0, 0.42)); 20];
        assert_eq!(run(&mut Weapons::new(WeaponConfig::default()), 0, &weak), []);
    }

    #[test]
    fn a_knife_that_stays_is_told_once_with_whoever_holds_it() {
        let mut weapons = Weapons::new(WeaponConfig::default());
        let mut frames = vec![Some(knife(160.0, 0.5)), None, Some(knife(163.0, 0.8)), None, Some(knife(158.0, 0.6))];
        frames.extend(vec![Some(knife(160.0, 0.7)); 100]);
        let told = run(&mut weapons, 0, &frames);
        let [(4, seen)] = told[..] else { panic!("{told:?}") };
        assert_eq!((seen.holder, seen.is_new, seen.weapon.score), (Some(TrackId(1)), true, 0.8));
        // gone for long, then there again: another weapon
        let again = run(&mut weapons, 200, &[Some(knife(420.0, 0.7)); 5]);
        assert!(matches!(again[..], [(_, WeaponSeen { holder: Some(TrackId(2)), is_new: true, .. })]), "{again:?}");
    }

    #[test]
    fn a_knife_on_a_table_has_no_holder_until_somebody_takes_it() {
        let mut weapons = Weapons::new(WeaponConfig::default());
        let told = run(&mut weapons, 0, &vec![Some(knife(280.0, 0.8)); 10]);
        assert!(matches!(told[..], [(2, WeaponSeen { holder: None, is_new: true, .. })]), "{told:?}");
        let carried: Vec<_> = (1..=8).map(|i| Some(knife(280.0 + 14.0 * i as f32, 0.7))).collect();
        let told = run(&mut weapons, 10, &carried);
        assert!(matches!(told[..], [(_, WeaponSeen { holder: Some(TrackId(2)), is_new: false, .. })]), "{told:?}");
    }

    #[test]
    fn a_weapon_stands_on_each_frame_that_shows_it_once_it_counts() {
        let mut weapons = Weapons::new(WeaponConfig::default());
        let mut frames = [Some(knife(160.0, 0.8)); 6];
        frames[4] = None;
        let stands = |(i, frame): (usize, &Option<Detection>)| {
            run(&mut weapons, i as i64, &[*frame]);
            weapons.standing(Timestamp(i as i64 * 200_000)).count()
        };
        assert_eq!(frames.iter().enumerate().map(stands).collect::<Vec<_>>(), [0, 0, 1, 1, 0, 1]);
    }

    #[test]
    fn what_could_not_be_recorded_is_told_again() {
        let mut weapons = Weapons::new(WeaponConfig::default());
        let told = run(&mut weapons, 0, &[Some(knife(160.0, 0.8)); 3]);
        weapons.untell(&told[0].1);
        let again = run(&mut weapons, 3, &[Some(knife(160.0, 0.7))]);
        assert_eq!(again.iter().map(|(_, seen)| *seen).collect::<Vec<_>>(), [told[0].1]);
    }
}
