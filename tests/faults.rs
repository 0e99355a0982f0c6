//! What happens when servers and the console itself are killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests fail as tests do
mod servers;

use mongodb::bson::{Document, doc};
use sqlx::{Connection as _, Executor as _, PgConnection};

/// The servers of the tests themselves: each keeps what it was told when it is killed, and comes back at the same address.
#[tokio::test]
async fn the_servers_come_back_with_their_data() {
    let postgres = servers::Postgres::start();
    let address = postgres.database();
    PgConnection::connect(&address).await.unwrap().execute("CREATE TABLE kept AS SELECT 7 AS n").await.unwrap();
    postgres.kill();
    assert!(PgConnection::connect(&address).await.is_err());
    postgres.restart();
    let mut db = PgConnection::connect(&address).await.unwrap();
    assert_eq!(sqlx::query_scalar::<_, i32>("SELECT n FROM kept").fetch_one(&mut db).await.unwrap(), 7);

    let mongo = servers::Mongo::start();
    let address = mongo.database();
    let kept = async |address: &str| mongodb::Client::with_uri_str(address).await.unwrap().default_database().unwrap();
    kept(&address).await.collection::<Document>("kept").insert_one(doc! { "n": 7 }).await.unwrap();
    mongo.kill();
    mongo.restart();
    let limited = mongo.restricted(&address, "kept");
    let kept = kept(&limited).await.collection::<Document>("kept");
    assert_eq!(kept.find_one(doc! {}).await.unwrap().unwrap().get_i32("n").unwrap(), 7);
    kept.insert_one(doc! { "n": 8 }).await.unwrap();
    assert!(kept.delete_one(doc! {}).await.is_err(), "the limited account may delete");

    let redis = servers::Redis::start();
    let told =
        async |address: &str| redis::Client::open(address).unwrap().get_multiplexed_async_connection().await.unwrap();
    redis::cmd("SET").arg("kept").arg(7).exec_async(&mut told(&redis.address()).await).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await; // it writes once a second
    redis.kill();
    redis.restart();
    let n: i32 = redis::cmd("GET").arg("kept").query_async(&mut told(&redis.address()).await).await.unwrap();
    assert_eq!(n, 7);
    let mut limited = told(&redis.restricted()).await;
    assert!(redis::cmd("FLUSHALL").exec_async(&mut limited).await.is_err(), "the limited account may flush");

    let s3 = servers::S3::start();
    s3.kill();
    s3.restart(); // returns when what it had is there
}
