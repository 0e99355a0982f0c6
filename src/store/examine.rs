//! What the servers of a site's stores are like: whether each answers, over TLS or not, and what the account may do there. Changes
//! nothing on them.
use super::{Address, Addresses, ObjectStore, StoreError, SuspectStore, actions, sql};

/// One store, looked at.
#[derive(Clone, Debug)]
pub struct Examined {
    /// `users`, `cameras`, `action log`, `objects`, `suspect state`.
    pub store: &'static str,
    /// Where it is, without credentials.
    pub place: String,
    /// What it is like, or what is wrong, in words.
    pub found: Result<String, String>,
}

/// Looks at the stores that have an address of their own; the others are files in the data folder.
pub async fn examine(addresses: &Addresses) -> Vec<Examined> {
    let Addresses { users, cameras, action_logs, objects, suspects } = addresses;
    let named = [
        ("users", users),
        ("cameras", cameras),
        ("action log", action_logs),
        ("objects", objects),
        ("suspect state", suspects),
    ];
    let mut examined = Vec::new();
    for (store, address) in named {
        if let Some(address) = address {
            let found = examine_one(store, address).await.map_err(|e| e.to_string());
            examined.push(Examined { store, place: address.to_string(), found });
        }
    }
    examined
}

async fn examine_one(store: &str, address: &Address) -> Result<String, StoreError> {
    if address.path().is_some() || address.scheme() == "memory" {
        return Ok("kept on this machine".to_owned());
    }
    match store {
        "users" | "cameras" => sql::examine(address).await,
        "action log" => actions::examine(address).await,
        "objects" => {
            ObjectStore::connect(address).await?.list("frames/", None, 1).await?;
            let encrypted = encryption(address, address.scheme() == "s3");
            Ok(format!("answers, {encrypted}; the account may read (whether it may store is not tried)"))
        }
        _ => {
            SuspectStore::connect(address)?.mark().await?;
            let encrypted = encryption(address, address.scheme() == "rediss");
            Ok(format!("answers, {encrypted}; the account may read (whether it may write is not tried)"))
        }
    }
}

/// The connection in words.
pub(super) fn encryption(address: &Address, encrypted: bool) -> &'static str {
    let host = url::Url::parse(address.secret()).ok().and_then(|url| url.host_str().map(str::to_owned));
    let here = host.is_some_and(|host| ["127.0.0.1", "localhost", "[::1]"].contains(&host.as_str()));
    match (encrypted, here) {
        (true, _) => "encrypted",
        (false, true) => "not encrypted, on this machine",
        (false, false) => "NOT ENCRYPTED: everybody on the way can read along",
    }
}
