//! Cases in the cameras database: the facts that they are made of.
use super::{
    CameraStore, StoreError,
    sql::{Row, json, sql},
};
use crate::model::CaseFact;

impl CameraStore {
    /// Records what was done to a case. A fact never changes: delivered again it is there once.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn put_case_fact(&self, f: &CaseFact) -> Result<(), StoreError> {
        let insert = sql("INSERT INTO case_facts (id, case_id, made_at, made_by, made_by_name, fact)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING")
        .bind(f.id)
        .bind(f.case)
        .bind(f.at)
        .bind(&f.by)
        .bind(&f.by_name)
        .bind(json(&f.change)?);
        self.db.execute(insert).await
    }

    /// What was done to all cases, oldest first.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn case_facts(&self) -> Result<Vec<CaseFact>, StoreError> {
        let read = |row: &Row| {
            Ok(CaseFact {
                id: row.uuid("id")?,
                case: row.uuid("case_id")?,
                at: row.instant("made_at")?,
                by: row.get("made_by")?,
                by_name: row.get("made_by_name")?,
                change: row.json("fact")?,
            })
        };
        self.db.fetch(sql("SELECT * FROM case_facts ORDER BY made_at, id"), read).await
    }

    /// A text that changes with every bookmark, case and hold that changes: cheap to ask for, again and again. Bookmarks go by
    /// retention, too: their number alone could be the same again.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn casework_version(&self) -> Result<String, StoreError> {
        let counts = sql("SELECT
             (SELECT COUNT(id) || ' ' || COUNT(removed_at) || ' ' || COALESCE(CAST(MAX(made_at) AS TEXT), '') FROM bookmarks)
             || ' ' || (SELECT COUNT(*) FROM case_facts)
             || ' ' || (SELECT COUNT(id) || ' ' || COUNT(released_at) FROM holds) AS version");
        Ok(self.db.fetch(counts, |row| row.get("version")).await?.pop().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{CaseChange, Timestamp},
        store::sql::tests::backends,
    };
    use uuid::Uuid;

    #[tokio::test]
    async fn facts_read_back_in_their_order_and_never_change() {
        for fresh in backends() {
            let store = CameraStore::connect(&fresh.address).await.unwrap();
            let fact = |at: i64, text: &str| CaseFact {
                id: Uuid::now_v7(),
                case: Uuid::from_u128(1),
                at: Timestamp(1_795_000_000_000_000 + at),
                by: "1".to_owned(),
                by_name: "Ana Sousa".to_owned(),
                change: CaseChange::Note { text: text.to_owned() },
            };
            let (late, early) = (fact(9, "“ação”"), fact(3, "the first"));
            let before = store.casework_version().await.unwrap();
            store.put_case_fact(&late).await.unwrap();
            store.put_case_fact(&early).await.unwrap();
            let forged = CaseFact { change: CaseChange::Note { text: "another".to_owned() }, ..early.clone() };
            store.put_case_fact(&forged).await.unwrap();
            assert_eq!(store.case_facts().await.unwrap(), [early, late]);
            assert_ne!(store.casework_version().await.unwrap(), before);
        }
    }
}
