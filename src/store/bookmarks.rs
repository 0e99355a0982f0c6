//! Bookmarks in the cameras database.
use super::{
    CameraStore, StoreError,
    sql::{Row, sql},
};
use crate::model::Bookmark;

impl CameraStore {
    /// Records a bookmark, or that it was removed: one that was removed stays so, in whatever order its versions come.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] when its camera is not registered or it ends before it starts; otherwise the store's trouble.
    pub async fn put_bookmark(&self, b: &Bookmark) -> Result<(), StoreError> {
        let upsert = sql("INSERT INTO bookmarks
             (id, camera, starts_at, ends_at, words, case_id, made_by, made_by_name, made_at, removed_by, removed_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             ON CONFLICT (id) DO UPDATE SET removed_by = excluded.removed_by, removed_at = excluded.removed_at
             WHERE bookmarks.removed_at IS NULL")
        .bind(b.id)
        .bind(b.camera)
        .bind(b.from)
        .bind(b.until)
        .bind(&b.words)
        .bind(b.case)
        .bind(&b.made_by)
        .bind(&b.made_by_name)
        .bind(b.made_at)
        .bind(b.removed.as_ref().map(|(by, _)| by))
        .bind(b.removed.as_ref().map(|(_, at)| *at));
        self.db.execute(upsert).await
    }

    /// The bookmarks made last, removed ones too, newest first, at most `limit`.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn bookmarks(&self, limit: u32) -> Result<Vec<Bookmark>, StoreError> {
        let read = |row: &Row| {
            let removed = match row.instant_or_null("removed_at")? {
                Some(at) => Some((row.get("removed_by")?, at)),
                None => None,
            };
            Ok(Bookmark {
                id: row.uuid("id")?,
                camera: row.uuid_or_null("camera")?,
                from: row.instant("starts_at")?,
                until: row.instant("ends_at")?,
                words: row.get("words")?,
                case: row.uuid_or_null("case_id")?,
                made_by: row.get("made_by")?,
                made_by_name: row.get("made_by_name")?,
                made_at: row.instant("made_at")?,
                removed,
            })
        };
        self.db.fetch(sql("SELECT * FROM bookmarks ORDER BY made_at DESC, id DESC LIMIT $1").bind(limit), read).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::Timestamp,
        store::{cameras::tests::camera, sql::tests::backends},
    };
    use uuid::Uuid;

    #[tokio::test]
    async fn bookmarks_read_back_and_stay_removed() {
        for fresh in backends() {
            let store = CameraStore::connect(&fresh.address).await.unwrap();
            let camera = camera();
            let at = |s: i64| Timestamp(1_795_000_000_000_000 + s * 1_000_000);
            let put = Bookmark {
                id: Uuid::now_v7(),
                camera: Some(camera.id),
                from: at(0),
                until: at(5),
                words: "hands over a bag; “blue”".to_owned(),
                case: None,
                made_by: "1".to_owned(),
                made_by_name: "Ana Sousa".to_owned(),
                made_at: at(9),
                removed: None,
            };
            assert!(store.put_bookmark(&put).await.unwrap_err().is_bad_record(), "of an unknown camera");
            store.upsert_camera(&camera).await.unwrap();
            let backwards = Bookmark { until: at(-1), ..put.clone() };
            assert!(store.put_bookmark(&backwards).await.unwrap_err().is_bad_record());
            let everywhere = Bookmark {
                id: Uuid::now_v7(),
                camera: None,
                case: Some(Uuid::now_v7()),
                made_at: at(10),
                ..put.clone()
            };
            let before = store.casework_version().await.unwrap();
            store.put_bookmark(&put).await.unwrap();
            store.put_bookmark(&everywhere).await.unwrap();
            let version = store.casework_version().await.unwrap();
            assert_ne!(version, before);
            assert_eq!(store.bookmarks(9).await.unwrap(), [everywhere.clone(), put.clone()]);
            let gone = Bookmark { removed: Some(("2".to_owned(), at(20))), ..put.clone() };
            store.put_bookmark(&gone).await.unwrap();
            assert_ne!(store.casework_version().await.unwrap(), version);
            store.put_bookmark(&put).await.unwrap(); // delivered once more
            assert_eq!(store.bookmarks(9).await.unwrap(), [everywhere.clone(), gone]);
            assert_eq!(store.bookmarks(1).await.unwrap(), [everywhere]);
        }
    }
}
