//! What a site learned about views that overlap, which all of its consoles use.
use super::{
    CameraStore, StoreError,
    sql::{Row, json, sql},
};
use crate::model::CommonGround;

impl CameraStore {
    /// Records what two views share; of two versions the one learned later stays.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn put_ground(&self, ground: &CommonGround) -> Result<(), StoreError> {
        let upsert = sql("INSERT INTO grounds (camera, other, walks, ground, learned_at)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (camera, other) DO UPDATE SET walks = excluded.walks, ground = excluded.ground,
             learned_at = excluded.learned_at WHERE excluded.learned_at > grounds.learned_at")
        .bind(ground.cameras.0)
        .bind(ground.cameras.1)
        .bind(i64::from(ground.walks))
        .bind(json(ground)?)
        .bind(ground.learned_at);
        self.db.execute(upsert).await
    }

    /// Whatever is known of any two views, and of which it is not known any more.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn grounds(&self) -> Result<Vec<CommonGround>, StoreError> {
        let read = |row: &Row| row.json("ground");
        self.db.fetch(sql("SELECT * FROM grounds ORDER BY camera, other"), read).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Timestamp, store::sql::tests::backends};
    use uuid::Uuid;

    #[tokio::test]
    async fn the_version_of_two_views_that_was_learned_later_stays_exactly() {
        for fresh in backends() {
            let store = CameraStore::connect(&fresh.address).await.unwrap();
            let ground = |other, walks, second: i64| CommonGround {
                cameras: (Uuid::from_u128(1), Uuid::from_u128(other)),
                places: [1.1, 1e-17, -288.3, -0.002, 1.0 / 3.0, 7.0, 1.3e-5, -2e-9, 1.0],
                error: 0.1,
                walks,
                middle: (100.0, 200.0),
                spread: (1e-4, 0.0, 1e-4),
                learned_at: Timestamp(1_795_000_000_000_000 + second * 1_000_000),
            };
            let (old, new, other) = (ground(2, 6, 0), ground(2, 0, 60), ground(3, 7, 30));
            for ground in [&new, &old, &other] {
                store.put_ground(ground).await.unwrap();
            }
            assert_eq!(store.grounds().await.unwrap(), [new, other]);
        }
    }
}
