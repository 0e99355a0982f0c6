//! What the map shows beyond the newest sightings: the whole movement of one suspect, read from the store when it is asked for.
//! Each reading is an entry.
use super::{Shared, SightingView};
use crate::{
    model::{Action, Outcome, Rights, SuspectId, User},
    sync::Record,
};
use std::{path::PathBuf, sync::Arc};

/// Stays that are read at most, the newest.
pub const MOST: u32 = 20_000;

/// What the screen asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapCommand {
    /// Every stay of a suspect, however long ago.
    Movement(SuspectId),
}

/// What the map shows.
#[derive(Clone, Debug, Default)]
pub struct MapState {
    /// The archive of tiles under it; a plain grid where there is none.
    pub tiles: Option<PathBuf>,
    /// The movement that was read last.
    pub movement: Option<Arc<Movement>>,
}

/// The stays of one suspect where the user may look.
#[derive(Clone, Debug)]
pub struct Movement {
    /// Who.
    pub suspect: SuspectId,
    /// All stays, rejected ones too, without pictures; or why they cannot be read.
    pub stays: Result<Vec<SightingView>, String>,
    /// There are more than [`MOST`]: the earliest are left out.
    pub is_cut_off: bool,
}

/// A movement, and the rights it was read with: it is shown to no others.
pub(super) type Read = (Arc<Movement>, Rights);

impl Shared {
    /// Reads what the map asks for.
    pub(super) async fn map_command(&self, user: &User, command: MapCommand) {
        let MapCommand::Movement(suspect) = command;
        let rights = self.board.lock().rights.clone();
        let read = self.records.stores.cameras.sightings(Some(suspect), MOST + 1).await;
        let mut is_cut_off = false;
        let stays = read.map_err(|e| e.to_string()).map(|mut stays| {
            is_cut_off = stays.len() > MOST as usize;
            stays.truncate(MOST as usize); // newest first
            stays.retain(|s| rights.allow(s.camera));
            stays.into_iter().map(|sighting| SightingView { sighting, crop: None }).collect::<Vec<_>>()
        });
        let outcome = stays.as_ref().map_or_else(|why| Outcome::Failed(why.clone()), |_| Outcome::Succeeded);
        let mut entry = self.records.entry((&user.cc, &user.name), Action::ReadMovement, outcome);
        entry.target = Some(suspect.to_string());
        entry.details = serde_json::json!({ "suspect": suspect, "stays": stays.as_ref().ok().map(Vec::len) });
        if self.commit(&[Record::Action(entry)], "The movement is not shown: the reading was not recorded").await {
            self.board.lock().movement = Some((Arc::new(Movement { suspect, stays, is_cut_off }), rights));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        model::{Action, Camera, CameraId, Decision, FieldOfView, Outcome, Sighting, Timestamp, TrackId},
        site::{
            AdminCommand, CameraEdit, CameraStatus, Command, MapCommand, RecordMode, Site,
            recording::tests::{footage, open, wait},
        },
        store::{LogFilter, NewUser, cameras},
    };
    use std::{sync::Arc, time::Duration};
    use uuid::Uuid;

    const PASSWORD: &str = "correct horse battery staple";

    /// What the map knows of the movement of the one suspect, asked for now.
    fn stays(site: &Site) -> usize {
        let before = site.state().map.movement;
        let suspect = wait("the suspect", || site.state().suspects.first().map(|v| v.suspect.id));
        site.send(Command::Map(MapCommand::Movement(suspect)));
        let read = wait("the movement", || {
            let now = site.state().map.movement?;
            before.as_ref().is_none_or(|before| !Arc::ptr_eq(before, &now)).then_some(now)
        });
        read.stays.as_ref().unwrap().len()
    }

    #[test]
    fn a_movement_is_whole_within_the_rights_and_each_reading_is_an_entry() {
        let folder = tempfile::tempdir().unwrap();
        let (data, video) = (folder.path().join("data"), folder.path().join("a.mkv"));
        footage(&video);
        let gate: CameraId = {
            let site = open(&data, &video, RecordMode::Never);
            let gate = site.shared.cameras.paths()[0].camera.id;
            let yard =
                Camera { id: Uuid::now_v7(), url: "test:".to_owned(), configured: false, ..cameras::tests::camera() };
            let store = &site.shared.records.stores.cameras;
            site.shared.runtime.block_on(async {
                site.shared.records.delivery.flush().await; // the gate comes first
                store.upsert_camera(&yard).await.unwrap();
                let expires_at = Timestamp(4_000_000_000_000_000);
                let suspect = crate::model::Suspect { expires_at, ..cameras::tests::suspect(gate, "Suspect 1") };
                store.put_suspect(&suspect).await.unwrap();
                for n in 0..700_i64 {
                    let entered_at = Timestamp(1_795_000_000_000_000 + n * 60_000_000);
                    let sighting = Sighting {
                        id: Uuid::now_v7(),
                        camera: if n % 2 == 0 { gate } else { yard.id },
                        track: TrackId(n as u64),
                        entered_at,
                        last_seen_at: entered_at,
                        left_at: Some(entered_at),
                        decision: Decision::Origin,
                        ..cameras::tests::sighting(&suspect)
                    };
                    store.put_sighting(&sighting).await.unwrap();
                }
                let by = ("1", "Ana Sousa");
                let user = |cc: &str, is_admin| NewUser {
                    cc: cc.to_owned(),
                    name: format!("User {cc}"),
                    email: format!("{cc}@police.example"),
                    password: PASSWORD.to_owned(),
                    is_admin,
                };
                site.shared.records.add_user(by, user("1", true)).await.unwrap();
                let operator = site.shared.records.add_user(by, user("2", false)).await.unwrap();
                let granted = [gate].into();
                site.shared.records.set_user_cameras(by, "2", &granted, operator.version).await.unwrap();
                site.shared.records.delivery.flush().await;
            });
            gate
        };
        let site = open(&data, &video, RecordMode::Never);
        site.send(Command::Login { cc: "1".to_owned(), password: PASSWORD.to_owned() });
        wait("the cameras", || (site.state().cameras.len() == 2).then_some(()));
        assert!(site.state().sightings.len() <= 500, "the board has the newest only");
        assert_eq!(stays(&site), 700);

        // A camera of the configuration file is placed here, and changed in nothing else.
        wait("its pictures", || (site.state().cameras[0].status == CameraStatus::Live).then_some(()));
        let ask = |edit: CameraEdit| {
            let before = site.state().admin.answers;
            site.send(Command::Administer(AdminCommand::EditCamera { id: gate, edit }));
            wait("the answer", || (site.state().admin.answers > before).then(|| site.state().admin.answer.clone()))
        };
        let refused = ask(CameraEdit { name: Some("Quay".to_owned()), ..CameraEdit::default() });
        assert!(refused.unwrap().unwrap_err().contains("configuration file"));
        let edit = CameraEdit { location: Some((38.7, -9.1)), heading: Some(200.0), ..CameraEdit::default() };
        ask(edit).unwrap().unwrap();
        let view = site.state().cameras.into_iter().find(|v| v.camera.id == gate).unwrap();
        assert_eq!((view.camera.location, view.camera.name.as_str()), (Some((38.7, -9.1)), "Gate"));
        assert_eq!(view.camera.field_of_view, Some(FieldOfView::towards(200.0)));
        assert_ne!(view.status, CameraStatus::Connecting, "the stream went on");

        site.send(Command::Logout);
        wait("the logout", || site.state().cameras.is_empty().then_some(()));
        assert!(site.state().map.movement.is_none(), "nobody is shown anything");
        site.send(Command::Login { cc: "2".to_owned(), password: PASSWORD.to_owned() });
        wait("the one camera", || (site.state().cameras.len() == 1).then_some(()));
        assert_eq!(stays(&site), 350, "those at the gate");
        drop(site);

        let site = open(&data, &video, RecordMode::Never);
        let filter = LogFilter { action: Some(Action::ReadMovement), ..LogFilter::default() };
        let log = site.shared.runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(10), site.shared.records.delivery.flush()).await.unwrap();
            site.shared.records.stores.actions.page(&filter, None, 10).await.unwrap()
        });
        let told: Vec<_> = log.iter().map(|e| (e.user_cc.as_str(), &e.outcome, e.details["stays"].as_u64())).collect();
        assert_eq!(told, [("2", &Outcome::Succeeded, Some(350)), ("1", &Outcome::Succeeded, Some(700))]);
    }
}
