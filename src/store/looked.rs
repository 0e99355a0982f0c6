//! Proof of looking: minute by minute what became of each camera's frames.
use super::{
    CameraStore, StoreError,
    sql::{Row, sql},
};
use crate::model::{CameraId, Looked, Timestamp};

impl CameraStore {
    /// Records one minute of one camera.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] when its camera is not registered; otherwise the store's trouble.
    pub async fn put_looked(&self, l: &Looked) -> Result<(), StoreError> {
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let upsert = sql("INSERT INTO looked
             (id, camera, minute, received, analysed, above_rate, overtaken, trouble, model)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (id) DO UPDATE SET received = excluded.received, analysed = excluded.analysed,
             above_rate = excluded.above_rate, overtaken = excluded.overtaken, trouble = excluded.trouble,
             model = excluded.model")
        .bind(l.id)
        .bind(l.camera)
        .bind(l.minute)
        .bind(count(l.received))
        .bind(count(l.analysed))
        .bind(count(l.above_rate))
        .bind(count(l.overtaken))
        .bind(&l.trouble)
        .bind(&l.model);
        self.db.execute(upsert).await
    }

    /// The minutes of one camera that begin in `from..until`, of all consoles, oldest first.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn looked(&self, camera: CameraId, from: Timestamp, until: Timestamp) -> Result<Vec<Looked>, StoreError> {
        let minutes =
            sql("SELECT * FROM looked WHERE camera = $1 AND minute >= $2 AND minute < $3 ORDER BY minute, id")
                .bind(camera)
                .bind(from)
                .bind(until);
        let count = |row: &Row, column: &str| Ok::<_, sqlx::Error>(row.get::<i64>(column)?.max(0).cast_unsigned());
        let read = |row: &Row| {
            Ok(Looked {
                id: row.uuid("id")?,
                camera: row.uuid("camera")?,
                minute: row.instant("minute")?,
                received: count(row, "received")?,
                analysed: count(row, "analysed")?,
                above_rate: count(row, "above_rate")?,
                overtaken: count(row, "overtaken")?,
                trouble: row.get("trouble")?,
                model: row.get("model")?,
            })
        };
        self.db.fetch(minutes, read).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{cameras::tests::camera, sql::tests::backends};
    use std::time::Duration;
    use uuid::Uuid;

    #[tokio::test]
    async fn the_minutes_of_a_camera_read_back_and_no_others() {
        for fresh in backends() {
            let store = CameraStore::connect(&fresh.address).await.unwrap();
            let cameras = [camera(), camera()];
            let t0 = Looked::minute_of(Timestamp(1_795_000_012_000_000));
            let mut all = Vec::new();
            for c in &cameras {
                for minute in 0..5 {
                    let l = Looked {
                        id: Uuid::new_v4(),
                        camera: c.id,
                        minute: t0.plus(Duration::from_secs(60 * minute)),
                        received: 600,
                        analysed: 300 + minute,
                        above_rate: 290,
                        overtaken: 10 - minute,
                        trouble: if minute == 3 { "stale".to_owned() } else { String::new() },
                        model: "NanoDet-g 5d0e".to_owned(),
                    };
                    assert!(
                        minute > 0 || store.put_looked(&l).await.unwrap_err().is_bad_record(),
                        "of an unknown camera"
                    );
                    store.upsert_camera(c).await.unwrap();
                    store.put_looked(&l).await.unwrap();
                    store.put_looked(&l).await.unwrap();
                    all.push(l);
                }
            }
            let until = t0.plus(Duration::from_secs(180));
            assert_eq!(store.looked(cameras[1].id, t0.plus(Duration::from_secs(60)), until).await.unwrap(), all[6..8]);
            assert_eq!(store.looked(Uuid::new_v4(), t0, until).await.unwrap(), []);
        }
    }
}
