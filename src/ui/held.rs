//! What must not move under somebody's hand: while a list or menu is open, or a button of the pointer is down, lists are drawn as they
//! were in the last pass before that.
use crate::site::{AdminState, CaseworkState, FindView, Job, SightingView, SiteState, SuspectView, UploadView};
use std::sync::Arc;

/// The lists of the screen, as they were drawn.
pub struct Lists {
    suspects: Vec<Arc<SuspectView>>,
    sightings: Vec<Arc<SightingView>>,
    casework: Arc<CaseworkState>,
    find: Option<Arc<FindView>>,
    uploads: Vec<UploadView>,
    jobs: Vec<Arc<Job>>,
    admin: Arc<AdminState>,
}

impl Lists {
    /// Those of this state.
    pub fn of(state: &SiteState) -> Self {
        Self {
            suspects: state.suspects.clone(),
            sightings: state.sightings.clone(),
            casework: Arc::clone(&state.casework),
            find: state.find.clone(),
            uploads: state.uploads.clone(),
            jobs: state.jobs.clone(),
            admin: Arc::clone(&state.admin),
        }
    }

    /// The state with these lists in the place of its own.
    pub fn put_into(&self, state: &SiteState) -> SiteState {
        SiteState {
            suspects: self.suspects.clone(),
            sightings: self.sightings.clone(),
            casework: Arc::clone(&self.casework),
            find: self.find.clone(),
            uploads: self.uploads.clone(),
            jobs: self.jobs.clone(),
            admin: Arc::clone(&self.admin),
            ..state.clone()
        }
    }
}

/// Whether somebody's hand is on the screen now.
pub fn is_touched(context: &egui::Context) -> bool {
    let pointer =
        context.input(|input| input.pointer.any_down() || input.pointer.any_pressed() || input.pointer.any_released());
    pointer || egui::Popup::is_any_open(context)
}
