//! Which console keeps the records of a camera: a lease by the clock of the shared database. Whoever holds it renews it; another
//! console gets it when it has run out, or when it can do more for the camera.
use super::{
    CameraStore, StoreError,
    sql::{json, sql},
};
use crate::model::{CameraId, Timestamp};
use serde::Serialize;

/// What a console can do for a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DutyWish {
    /// The camera.
    pub camera: CameraId,
    /// How much it can do; 0 is nothing.
    pub fitness: i64,
    /// Whether a lease of another console that has run out may be taken.
    pub patient: bool,
    /// Whether a lease of a console that can do less may be taken.
    pub insists: bool,
}

/// Who has the duty of a camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duty {
    /// The camera.
    pub camera: CameraId,
    /// The console's identity.
    pub console: String,
    /// What people call it.
    pub name: String,
    /// How much it can do.
    pub fitness: i64,
    /// Until when, unless it renews that, by the database's clock.
    pub until: Timestamp,
    /// When a console asked last for what is being recorded.
    pub cut_at: Option<Timestamp>,
}

impl CameraStore {
    /// Renews the duties of a console and takes those that it may have; then tells all that are held or were. Only where the store
    /// [is shared](Self::is_shared); a console that is alone needs no leave.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn renew_duties(&self, console: &str, name: &str, wishes: &[DutyWish]) -> Result<Vec<Duty>, StoreError> {
        if !self.is_shared() {
            return Ok(Vec::new());
        }
        // In one order at all consoles, so that none waits for another in a circle.
        let renew = sql("INSERT INTO duties (camera, console, name, fitness, until)
             SELECT wish.camera, $1, $2, wish.fitness, clock_timestamp() + INTERVAL '4 seconds'
             FROM jsonb_to_recordset($3) AS wish (camera UUID, fitness BIGINT, patient BOOLEAN, insists BOOLEAN)
             JOIN cameras ON cameras.id = wish.camera
             LEFT JOIN duties AS held ON held.camera = wish.camera
             WHERE held.camera IS NULL OR held.console = $1 OR (held.until < clock_timestamp() AND wish.patient)
                 OR (held.fitness < wish.fitness AND wish.insists)
             ORDER BY wish.camera
             ON CONFLICT (camera) DO UPDATE SET console = excluded.console, name = excluded.name,
             fitness = excluded.fitness, until = excluded.until
             WHERE duties.console = excluded.console OR duties.until < clock_timestamp()
                 OR duties.fitness < excluded.fitness")
        .bind(console)
        .bind(name)
        .bind(json(&wishes)?);
        self.db.execute(renew).await?;
        let all = sql("SELECT camera, console, name, fitness, until, cut_at FROM duties");
        self.db
            .fetch(all, |row| {
                Ok(Duty {
                    camera: row.uuid("camera")?,
                    console: row.get("console")?,
                    name: row.get("name")?,
                    fitness: row.get("fitness")?,
                    until: row.instant("until")?,
                    cut_at: row.instant_or_null("cut_at")?,
                })
            })
            .await
    }

    /// Asks whoever has the duty of a camera to make what is being recorded playable.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn ask_for_cut(&self, camera: CameraId) -> Result<(), StoreError> {
        let ask = "UPDATE duties SET cut_at = clock_timestamp() WHERE camera = $1";
        self.db.execute(sql(ask).bind(camera)).await
    }

    /// Lets go of all duties of a console.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn leave_duties(&self, console: &str) -> Result<(), StoreError> {
        if !self.is_shared() {
            return Ok(());
        }
        // In the order in which they are renewed, so that this and a console that takes them do not wait for each other.
        let leave = "DELETE FROM duties WHERE camera IN
             (SELECT camera FROM duties WHERE console = $1 ORDER BY camera FOR UPDATE)";
        self.db.execute(sql(leave).bind(console)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{cameras::tests::camera, sql::tests::backends};
    use std::{collections::BTreeMap, time::Duration};

    #[tokio::test]
    async fn one_console_has_the_duty_until_it_leaves_can_do_less_or_is_silent() {
        for fresh in backends() {
            let store = CameraStore::connect(&fresh.address).await.unwrap();
            let cameras = [camera(), camera()];
            for c in &cameras {
                store.upsert_camera(c).await.unwrap();
            }
            let ask = async |console: &str, fitness: [i64; 2], patient: bool| -> BTreeMap<CameraId, String> {
                let wish = |(c, fitness): (&crate::model::Camera, i64)| DutyWish {
                    camera: c.id,
                    fitness,
                    patient,
                    insists: console == "b",
                };
                let wishes: Vec<_> = cameras.iter().zip(fitness).map(wish).collect();
                let all = store.renew_duties(console, &format!("console {console}"), &wishes).await.unwrap();
                assert!(all.iter().all(|d| d.name == format!("console {}", d.console)));
                all.into_iter().map(|d| (d.camera, d.console)).collect()
            };
            if !fresh.is_server() {
                assert_eq!(ask("a", [2; 2], true).await, BTreeMap::new(), "nobody to agree with");
                continue;
            }
            let held = |first: &str, second: &str| {
                BTreeMap::from([(cameras[0].id, first.to_owned()), (cameras[1].id, second.to_owned())])
            };
            assert_eq!(ask("a", [2; 2], false).await, held("a", "a"));
            assert_eq!(ask("b", [2; 2], true).await, held("a", "a"), "renewed a moment ago");
            assert_eq!(ask("a", [2, 1], false).await, held("a", "a"), "nobody else is there");
            assert_eq!(ask("b", [2; 2], false).await, held("a", "b"), "it can do more for the second");
            assert_eq!(ask("a", [2, 3], false).await, held("a", "b"), "who does not insist waits");
            let second = async || {
                let all = store.renew_duties("b", "console b", &[]).await.unwrap();
                all.into_iter().find(|d| d.camera == cameras[1].id).unwrap()
            };
            assert_eq!(second().await.cut_at, None);
            store.ask_for_cut(cameras[1].id).await.unwrap();
            let asked = second().await;
            assert!(asked.cut_at.is_some() && asked.console == "b");
            assert_eq!(ask("b", [2; 2], true).await, held("a", "b"));
            assert_eq!(second().await.cut_at, asked.cut_at, "renewing asks for nothing");
            store.leave_duties("a").await.unwrap();
            assert_eq!(ask("b", [2; 2], false).await, held("b", "b"));
            tokio::time::sleep(Duration::from_millis(4200)).await; // b is silent
            assert_eq!(ask("a", [2; 2], false).await, held("b", "b"), "not yet");
            assert_eq!(ask("a", [2; 2], true).await, held("a", "a"));
            // of a camera that is not registered yet nobody has the duty
            let strange = DutyWish { camera: camera().id, fitness: 2, patient: true, insists: true };
            assert_eq!(store.renew_duties("a", "console a", &[strange]).await.unwrap().len(), 2);
        }
    }
}
