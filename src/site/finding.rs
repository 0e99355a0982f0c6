//! A search among everybody seen, asked for on the command line: who looks like a suspect, or like the person on a picture.
use super::{
    SiteError,
    records::{Actor, Records},
};
use crate::{
    follow::{Curves, Gallery, Index, match_probability},
    model::{Action, CameraId, Descriptor, Outcome, SuspectId, Timestamp, TrackletId},
    store::{StoreError, TrackletFilter},
    sync::Record,
};
use serde_json::json;

/// Tracklets read from the store at once.
const PAGE: u32 = 1000;

/// Whom to look for, where and when.
#[derive(Clone, Debug)]
pub struct FindRequest {
    /// A suspect, by its gallery.
    pub suspect: Option<SuspectId>,
    /// How somebody looks who is no suspect; the file that shows it.
    pub looks: Option<(String, Vec<Descriptor>)>,
    /// On these cameras, by name or identity; on all where there are none.
    pub cameras: Vec<String>,
    /// Still in view at this instant or later.
    pub from: Timestamp,
    /// In view before this instant.
    pub until: Timestamp,
    /// At most so many.
    pub limit: usize,
}

/// One stay of somebody who may be the person.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Found {
    /// Which stay.
    pub tracklet: TrackletId,
    /// Where.
    pub camera: CameraId,
    /// Its name.
    pub camera_name: String,
    /// From when.
    pub from: String,
    /// To when.
    pub until: String,
    /// How probably it is the person: a possible match, never more.
    pub probability: f32,
    /// Object address of its picture.
    pub picture: String,
}

/// Why nothing was searched.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// There is no such suspect.
    #[error("there is no suspect {0}")]
    NoSuspect(SuspectId),
    /// There is no such camera.
    #[error("there is no camera {0}")]
    NoCamera(String),
    /// Nothing to compare with.
    #[error("the picture is too small to compare")]
    Blind,
    /// A store or the journal.
    #[error(transparent)]
    Site(#[from] SiteError),
}

impl From<StoreError> for FindError {
    fn from(error: StoreError) -> Self {
        Self::Site(error.into())
    }
}

impl Records {
    /// Whoever looks most like that person, the most probable first, and how many looks were compared. The search is an entry;
    /// what cannot be recorded is not told.
    ///
    /// # Errors
    /// [`FindError`], recorded.
    pub async fn find_people(&self, who: Actor<'_>, request: &FindRequest) -> Result<(Vec<Found>, usize), FindError> {
        self.delivery.flush().await;
        let done = self.search(request).await;
        let outcome = match &done {
            Ok(_) => Outcome::Succeeded,
            Err(FindError::Site(error)) => Outcome::Failed(error.to_string()),
            Err(error) => Outcome::Refused(error.to_string()),
        };
        let mut entry = self.entry(who, Action::FindPerson, outcome);
        entry.target = request.suspect.map(|id| id.to_string());
        entry.details = json!({
            "who": request.looks.as_ref().map(|(file, _)| file), "cameras": request.cameras,
            "from": request.from.to_string(), "until": request.until.to_string(),
            "compared": done.as_ref().ok().map(|(_, n)| n), "hits": done.as_ref().ok().map(|(found, _)| found.len()),
        });
        self.journal.append(&[Record::Action(entry)]).await.map_err(SiteError::from)?;
        done
    }

    async fn search(&self, request: &FindRequest) -> Result<(Vec<Found>, usize), FindError> {
        let store = &self.stores.cameras;
        let all = store.cameras().await?;
        let mut cameras = Vec::new();
        for wanted in &request.cameras {
            let camera = all.iter().find(|c| c.name == *wanted || c.id.to_string() == *wanted);
            cameras.push(camera.ok_or_else(|| FindError::NoCamera(wanted.clone()))?.id);
        }
        let mut looks = request.looks.iter().flat_map(|(_, looks)| looks.clone()).collect::<Vec<_>>();
        if let Some(id) = request.suspect {
            let suspect = store.suspects().await?.into_iter().find(|s| s.id == id);
            looks.extend(suspect.ok_or(FindError::NoSuspect(id))?.gallery);
        }
        if looks.is_empty() {
            return Err(FindError::Blind);
        }
        let mut index = Index::default();
        let mut filter = TrackletFilter {
            cameras: (!cameras.is_empty()).then_some(cameras),
            from: Some(request.from),
            until: Some(request.until),
            vectors: true,
            limit: PAGE,
            ..TrackletFilter::default()
        };
        loop {
            let page = store.tracklets(&filter).await?;
            page.iter().for_each(|t| index.put(t));
            match page.last() {
                Some(last) if page.len() == PAGE as usize => filter.before = Some((last.starts_at, last.id)),
                _ => break,
            }
        }
        let (curves, person) = (Curves::of(&store.curves().await?), Gallery::new(looks.clone()));
        let hits = index.search(&looks, request.limit.saturating_mul(4), |_| true);
        let mut found: Vec<Found> = hits
            .into_iter()
            .map(|hit| Found {
                tracklet: hit.stay.id,
                camera: hit.stay.camera,
                camera_name: all.iter().find(|c| c.id == hit.stay.camera).map(|c| c.name.clone()).unwrap_or_default(),
                from: hit.stay.starts_at.to_string(),
                until: hit.stay.ends_at.to_string(),
                probability: match_probability(&curves, &person, std::iter::empty(), &Gallery::new(hit.looks)),
                picture: hit.stay.crop_url,
            })
            .collect();
        found.sort_by(|a, b| b.probability.total_cmp(&a.probability).then(a.tracklet.cmp(&b.tracklet)));
        found.truncate(request.limit);
        Ok((found, index.len()))
    }
}
