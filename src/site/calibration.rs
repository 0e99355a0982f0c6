//! A site's own curve from likeness to probability: fitted to the matches that people confirmed and rejected, kept in the cameras
//! database, and used by all consoles of the site.
use super::{
    Shared, SiteError,
    records::{Actor, Records},
};
use crate::{
    follow::{Calibration, Curves, Gallery, Reliability},
    model::{Action, Decision, DescriptorKind, FittedCurve, Outcome, Sighting, Suspect, Timestamp},
    store::{StoreError, TrackletFilter},
    sync::Record,
};
use serde_json::json;
use std::time::Duration;

/// So many matches of either kind make a curve; fewer say too little.
const LEAST: usize = 20;
/// Decided matches of one suspect that are looked at, the newest.
const MOST: u32 = 10_000;

/// What the decisions about one kind of appearance vectors say.
#[derive(Clone, Debug)]
pub struct SiteCalibration {
    /// Of what vectors.
    pub kind: DescriptorKind,
    /// Confirmed matches whose looks are known, and how many are missing for a curve.
    pub confirmed: (usize, usize),
    /// The same of rejected ones.
    pub rejected: (usize, usize),
    /// How true the shipped curve is about them.
    pub shipped: Reliability,
    /// How true the curve fitted to the earlier half of the decisions is about the later half, and the shipped one about these.
    pub held_out: Option<(Reliability, Reliability)>,
    /// The curve fitted to all; in use from now on.
    pub curve: Option<FittedCurve>,
}

/// A match that somebody decided on: when, how alike, and whether it was the suspect.
type Decided = (Timestamp, f32, bool);

impl Records {
    /// Fits the site's curves anew, where there are decisions enough, and keeps them. Recorded as an entry, also where it fails.
    ///
    /// # Errors
    /// The store's or the journal's trouble.
    pub async fn calibrate(&self, who: Actor<'_>) -> Result<Vec<SiteCalibration>, SiteError> {
        let now = self.clock.now();
        let found = self.decided().await.map(|decided| {
            [DescriptorKind::ColourStripes, DescriptorKind::Learned]
                .map(|kind| {
                    let of_kind: Vec<Decided> = decided.iter().filter(|d| d.0 == kind).map(|d| d.1).collect();
                    fit(kind, &of_kind, now)
                })
                .to_vec()
        });
        let outcome = found.as_ref().map_or_else(|e| Outcome::Failed(e.to_string()), |_| Outcome::Succeeded);
        let mut entry = self.entry(who, Action::Calibrate, outcome);
        let fits = found.as_deref().unwrap_or_default();
        entry.details = json!(
            fits.iter()
                .map(|f| json!({
                    "kind": f.kind, "confirmed": f.confirmed.0, "rejected": f.rejected.0, "curve": f.curve,
                }))
                .collect::<Vec<_>>()
        );
        let mut records: Vec<Record> = fits.iter().filter_map(|f| f.curve.map(Record::Curve)).collect();
        records.push(Record::Action(entry));
        self.journal.append(&records).await?;
        self.delivery.flush().await;
        Ok(found?)
    }

    async fn decided(&self) -> Result<Vec<(DescriptorKind, Decided)>, StoreError> {
        let store = &self.stores.cameras;
        let mut all = Vec::new();
        for suspect in store.suspects().await? {
            for sighting in store.sightings(Some(suspect.id), MOST).await? {
                let same = match &sighting.decision {
                    Decision::Confirmed { .. } => true,
                    Decision::Rejected { .. } => false,
                    Decision::Origin | Decision::Pending | Decision::Withdrawn { .. } => continue,
                };
                let Some(look) = self.look_of(&sighting).await? else { continue };
                let when = sighting.decision.decided_at().unwrap_or_default();
                if let (Some(kind), Some(alike)) = (look.vectors().first().map(|v| v.kind), likeness(&suspect, &look)) {
                    all.push((kind, (when, alike, same)));
                }
            }
        }
        all.sort_by_key(|(_, (when, ..))| *when);
        Ok(all)
    }

    /// What the person of a sighting looked like, from the tracklet of that stay.
    async fn look_of(&self, sighting: &Sighting) -> Result<Option<Gallery>, StoreError> {
        let filter = TrackletFilter {
            cameras: Some(vec![sighting.camera]),
            from: Some(sighting.entered_at),
            until: Some(sighting.last_seen_at.plus(Duration::from_micros(1))),
            vectors: true,
            ..TrackletFilter::default()
        };
        let found = self.stores.cameras.tracklets(&filter).await?;
        let own = found.into_iter().find(|t| t.track == sighting.track && !t.gallery.is_empty());
        Ok(own.map(|t| Gallery::new(t.gallery)))
    }
}

/// How alike suspect and look were before the match taught the suspect's gallery what it looks like.
fn likeness(suspect: &Suspect, look: &Gallery) -> Option<f32> {
    let mut before = Gallery::new(suspect.gallery.clone());
    before.remove(look);
    before.similarity(look)
}

fn fit(kind: DescriptorKind, decided: &[Decided], now: Timestamp) -> SiteCalibration {
    let shipped = Calibration::shipped(kind);
    let pairs: Vec<(f32, bool)> = decided.iter().map(|(_, alike, same)| (*alike, *same)).collect();
    let confirmed = pairs.iter().filter(|p| p.1).count();
    let rejected = pairs.len() - confirmed;
    let enough = confirmed >= LEAST && rejected >= LEAST;
    let (earlier, later) = pairs.split_at(pairs.len() / 2); // decided in this order
    let held_out = enough.then(|| {
        let own = Calibration::refit(shipped, earlier);
        (reliability(own, later), reliability(shipped, later))
    });
    let own = Calibration::refit(shipped, &pairs);
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    SiteCalibration {
        kind,
        confirmed: (confirmed, LEAST.saturating_sub(confirmed)),
        rejected: (rejected, LEAST.saturating_sub(rejected)),
        shipped: reliability(shipped, &pairs),
        held_out,
        curve: enough.then_some(FittedCurve {
            kind,
            slope: own.slope.into(),
            intercept: own.offset.into(),
            confirmed: count(confirmed),
            rejected: count(rejected),
            fitted_at: now,
        }),
    }
}

/// Of pairs as they come: a share of one person as there is among them.
fn reliability(curve: Calibration, pairs: &[(f32, bool)]) -> Reliability {
    let said: Vec<(f32, bool)> = pairs.iter().map(|(s, same)| (curve.probability(*s), *same)).collect();
    let share = pairs.iter().filter(|p| p.1).count() as f64 / pairs.len().max(1) as f64;
    Reliability::of(&said, share)
}

impl Shared {
    /// Takes the site's own curves up, as they stand in the database; while it does not answer, the ones in use stay.
    pub(super) async fn load_curves(&self) {
        match self.records.stores.cameras.curves().await {
            Ok(fitted) => self.follower().set_curves(Curves::of(&fitted)),
            Err(error) => tracing::debug!("the site's own curves were not read: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_decisions_make_no_curve_and_say_how_many_are_missing() {
        let decided = |confirmed: usize, rejected: usize| -> Vec<Decided> {
            let of = |n: usize, alike: f32, same: bool| (0..n).map(move |i| (Timestamp(i as i64), alike, same));
            of(confirmed, 0.8, true).chain(of(rejected, 0.7, false)).collect()
        };
        let few = fit(DescriptorKind::Learned, &decided(20, 12), Timestamp(9));
        assert!(few.curve.is_none() && few.held_out.is_none());
        assert_eq!((few.confirmed, few.rejected), ((20, 0), (12, 8)));
        let enough = fit(DescriptorKind::Learned, &decided(20, 20), Timestamp(9));
        let curve = enough.curve.unwrap();
        assert_eq!((curve.confirmed, curve.rejected, curve.fitted_at), (20, 20, Timestamp(9)));
        assert!(fit(DescriptorKind::Learned, &[], Timestamp(9)).curve.is_none());
    }
}
