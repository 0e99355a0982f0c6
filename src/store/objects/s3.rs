//! Objects in the private buckets of an S3 server, one bucket a room: `PREFIX-crops`, `PREFIX-videos`.
//!
//! Every object carries its SHA-256 as metadata, made before it left and compared with what comes back. What is sent is covered
//! by the signature of its request, so that the server refuses what changed on the way.
use super::{LOCKED_ROOM, Listed, Progress, blocking, changed_meanwhile, content_type, hash_of, hash_of_file, taken};
use crate::{
    model::{Clock as _, ClockOffset, Hash, SystemClock, Timestamp},
    store::{Address, StoreError, certificate_time, sqlite::io_error},
};
use aws_sdk_s3::{
    Client, Config,
    config::{
        BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
        StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig,
    },
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    operation::{get_object::GetObjectOutput, head_object::HeadObjectOutput},
    presigning::PresigningConfig,
    primitives::{ByteStream, DateTime},
    types::{
        BucketLocationConstraint, ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart,
        CreateBucketConfiguration, ObjectLockMode,
    },
};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use sha2::{Digest as _, Sha256};
use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    ops::Range,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use url::{Host, Url, form_urlencoded};
use uuid::Uuid;

/// How long the server may take to be found, and to begin its answer.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The same for a part of a file: 8 MiB go through a line of 2 Mbit/s in half of it.
const PART_WITHIN: Duration = Duration::from_secs(60);
/// A file longer than this is sent in parts of this length.
pub(super) const PART: u64 = 8 << 20;
/// The most parts of one object: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
const MAX_PARTS: u64 = 10_000;
/// An upload in parts that nobody goes on with is removed after this.
const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Clocks that differ by more may be why a request was refused.
const SKEW: Duration = Duration::from_secs(300);
const SHA256: &str = "sha256";

#[cfg(test)]
mod tests;

/// The buckets.
#[derive(Clone, Debug)]
pub(super) struct S3Buckets {
    client: Client,
    prefix: String,
    region: String,
    place: String,
    /// Those that are known to be there.
    ready: Arc<Mutex<HashSet<String>>>,
}

impl S3Buckets {
    pub(super) async fn connect(address: &Address) -> Result<Self, StoreError> {
        let place = address.to_string();
        let wrong = |detail: &str| StoreError::Misconfigured { place: place.clone(), detail: detail.to_owned() };
        let url = Url::parse(address.secret()).map_err(|_| wrong("its address cannot be read"))?;
        let host = url.host_str().filter(|h| !h.is_empty()).ok_or_else(|| wrong("its address names no host"))?;
        let scheme = match url.scheme() {
            "s3" => "https",
            _ if is_loopback(&url) => "http",
            _ => {
                return Err(wrong(
                    "s3+http:// is for a server on this machine: elsewhere use s3://, which is encrypted",
                ));
            }
        };
        let prefix = url.path().trim_matches('/').to_owned();
        if !is_prefix(&prefix) {
            return Err(wrong(
                "its address ends with a prefix for the names of buckets: 3 to 40 lower-case letters, digits and -",
            ));
        }
        let (key, secret) = (decoded(url.username()), decoded(url.password().unwrap_or_default()));
        if key.is_empty() || secret.is_empty() {
            return Err(wrong("its address needs the access key and the secret key of an account"));
        }
        let options: HashMap<String, String> = url.query_pairs().into_owned().collect();
        let region = options.get("region").cloned().unwrap_or_else(|| "us-east-1".to_owned());
        let mut tls = TlsContext::builder();
        if let Some(path) = options.get("ca") {
            tls = tls.with_trust_store(TrustStore::empty().with_pem_certificate(certificates(path)?));
        }
        let tls = tls.build().map_err(|_| wrong("TLS cannot be set up"))?;
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(tls)
            .build_https();
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http)
            .endpoint_url(format!("{scheme}://{host}{port}"))
            .force_path_style(true)
            .region(Region::new(region.clone()))
            .credentials_provider(Credentials::new(key, secret, None, None, "address"))
            .retry_config(RetryConfig::disabled()) // the delivery tries again
            .timeout_config(time_outs(ANSWER_WITHIN))
            .stalled_stream_protection(StalledStreamProtectionConfig::enabled().grace_period(ANSWER_WITHIN).build())
            // Checksums in trailers are not understood by every server; ours is in the metadata.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        let store = Self { client: Client::from_conf(config), prefix, region, place, ready: Arc::default() };
        // Whether it answers and knows the account is found out here and now.
        match store.client.head_bucket().bucket(store.bucket("frames")).send().await {
            Err(e) if status(&e) != Some(404) => Err(store.error(&e)),
            _ => Ok(store),
        }
    }

    pub(super) async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.put_once(key, bytes, None).await
    }

    pub(super) async fn put_locked(&self, key: &str, bytes: Vec<u8>, until: Timestamp) -> Result<bool, StoreError> {
        match self.put_once(key, bytes.clone(), Some(until)).await {
            Err(StoreError::Unavailable { detail, .. }) if no_locks(&detail) => self.put_once(key, bytes, None).await?,
            other => other?,
        }
        // What the server says counts, not what it was asked.
        let there = self.head(key).await?;
        Ok(there.is_some_and(|o| {
            o.object_lock_mode() == Some(&ObjectLockMode::Compliance)
                && o.object_lock_retain_until_date().is_some_and(|d| d.secs() >= seconds(until))
        }))
    }

    async fn put_once(&self, key: &str, bytes: Vec<u8>, lock: Option<Timestamp>) -> Result<(), StoreError> {
        let hash = hash_of(&bytes);
        // Not every server knows If-None-Match, so it is asked first; the condition stands for what comes in between.
        if let Some(there) = self.head(key).await? {
            return same(&there, hash, key);
        }
        let (room, name) = self.bucket_for(key).await?;
        let put = self
            .client
            .put_object()
            .bucket(&room)
            .key(name)
            .set_content_type(content_type(key).map(str::to_owned))
            .metadata(SHA256, hash.to_string())
            .if_none_match("*")
            .set_object_lock_mode(lock.map(|_| ObjectLockMode::Compliance))
            .set_object_lock_retain_until_date(lock.map(|t| DateTime::from_secs(seconds(t))))
            .set_checksum_algorithm(lock.map(|_| ChecksumAlgorithm::Sha256)) // S3 asks for one with a lock
            .body(ByteStream::from(bytes));
        match put.send().await {
            Err(e) if matches!(status(&e), Some(409 | 412)) => match self.head(key).await? {
                Some(there) => same(&there, hash, key),
                None => Err(self.error(&e)),
            },
            Err(e) => Err(self.bucket_error(&room, &e)),
            Ok(_) => Ok(()),
        }
    }

    pub(super) async fn put_file(&self, key: &str, file: &Path, progress: Progress<'_>) -> Result<(), StoreError> {
        let path = file.to_owned();
        let (hash, size) = blocking(file, move || hash_of_file(&path).map_err(|e| io_error(&path, &e))).await?;
        if size <= PART {
            let bytes = read_part(file, 0, size).await?;
            if hash_of(&bytes) != hash {
                return Err(changed_meanwhile(file));
            }
            self.put(key, bytes).await?;
        } else if let Some(there) = self.head(key).await? {
            same(&there, hash, key)?;
            self.verify(key).await?; // an earlier run may have ended before it did so
        } else {
            self.put_parts(key, file, hash, size, progress).await?;
        }
        progress(size);
        Ok(())
    }

    async fn put_parts(
        &self,
        key: &str,
        file: &Path,
        hash: Hash,
        size: u64,
        progress: Progress<'_>,
    ) -> Result<(), StoreError> {
        let (bucket, name) = self.bucket_for(key).await?;
        let begun = self.begun_upload(&bucket, name).await?;
        let resumed = begun.is_some();
        let (upload, there) = match begun {
            Some(upload) => {
                let there = self.parts(&bucket, name, &upload).await?;
                (upload, there)
            }
            None => (self.begin_upload(&bucket, name, key, hash).await?, HashMap::new()),
        };
        let (mut sha, mut done, mut parts) = (Sha256::new(), 0, Vec::new());
        let length = part_length(size);
        for number in 1.. {
            let bytes = read_part(file, done, length.min(size - done)).await?;
            sha.update(&bytes);
            done += bytes.len() as u64;
            let tag = match there.get(&number) {
                Some((tag, stored)) if *stored == bytes.len() as u64 => tag.clone(),
                _ => self.put_part(&bucket, name, &upload, number, bytes).await?,
            };
            parts.push(CompletedPart::builder().part_number(number).e_tag(tag).build());
            progress(done);
            if done == size {
                break;
            }
        }
        if Hash(sha.finalize().into()) != hash {
            self.abort(&bucket, name, &upload).await?;
            return Err(changed_meanwhile(file));
        }
        self.complete(&bucket, name, &upload, parts).await?;
        if resumed { self.verify(key).await } else { Ok(()) }
    }

    /// Parts of an earlier run may have come from another file, which their lengths do not tell: then the object goes again.
    async fn verify(&self, key: &str) -> Result<(), StoreError> {
        match self.read_through(key, |_| Ok(())).await {
            Err(StoreError::Damaged { .. }) => {
                self.delete(key).await?;
                Err(self.strange(&format!(
                    "parts of {key} that an earlier run stored were of another file; it starts again"
                )))
            }
            other => other.map(drop),
        }
    }

    async fn begin_upload(&self, bucket: &str, name: &str, key: &str, hash: Hash) -> Result<String, StoreError> {
        let begin = self
            .client
            .create_multipart_upload()
            .bucket(bucket)
            .key(name)
            .set_content_type(content_type(key).map(str::to_owned))
            .metadata(SHA256, hash.to_string());
        let begun = begin.send().await.map_err(|e| self.bucket_error(bucket, &e))?;
        begun.upload_id().map(str::to_owned).ok_or_else(|| self.strange("an upload without a number"))
    }

    /// The newest upload of this object that was begun and not ended.
    async fn begun_upload(&self, bucket: &str, name: &str) -> Result<Option<String>, StoreError> {
        let uploads = self.uploads(bucket, name).await?;
        let newest = uploads.into_iter().filter(|u| u.name == name).max_by_key(|u| u.begun);
        Ok(newest.map(|u| u.id))
    }

    async fn uploads(&self, bucket: &str, prefix: &str) -> Result<Vec<Upload>, StoreError> {
        let (mut uploads, mut key_marker, mut id_marker) = (Vec::new(), None, None);
        loop {
            let list = self.client.list_multipart_uploads().bucket(bucket).prefix(prefix);
            let page = list.set_key_marker(key_marker).set_upload_id_marker(id_marker).send().await;
            let page = page.map_err(|e| self.bucket_error(bucket, &e))?;
            uploads.extend(page.uploads().iter().filter_map(|u| {
                let begun = u.initiated().map(DateTime::secs).unwrap_or_default();
                Some(Upload { name: u.key()?.to_owned(), id: u.upload_id()?.to_owned(), begun })
            }));
            key_marker = page.next_key_marker().map(str::to_owned);
            id_marker = page.next_upload_id_marker().map(str::to_owned);
            if page.is_truncated() != Some(true) || key_marker.is_none() {
                return Ok(uploads);
            }
        }
    }

    /// Tag and length of the parts that are there, by number.
    async fn parts(&self, bucket: &str, name: &str, upload: &str) -> Result<HashMap<i32, (String, u64)>, StoreError> {
        let list = self.client.list_parts().bucket(bucket).key(name).upload_id(upload);
        let mut pages = list.into_paginator().items().send();
        let mut parts = HashMap::new();
        while let Some(part) = pages.next().await {
            let part = part.map_err(|e| self.error(&e))?;
            if let (Some(number), Some(tag), Some(size)) = (part.part_number(), part.e_tag(), part.size()) {
                parts.insert(number, (tag.to_owned(), size.unsigned_abs()));
            }
        }
        Ok(parts)
    }

    async fn put_part(
        &self,
        bucket: &str,
        name: &str,
        upload: &str,
        number: i32,
        bytes: Vec<u8>,
    ) -> Result<String, StoreError> {
        let part = self.client.upload_part().bucket(bucket).key(name).upload_id(upload).part_number(number);
        let slower = Config::builder().timeout_config(time_outs(PART_WITHIN));
        let sent = part.body(ByteStream::from(bytes)).customize().config_override(slower).send().await;
        let sent = sent.map_err(|e| self.error(&e))?;
        sent.e_tag().map(str::to_owned).ok_or_else(|| self.strange("a part without a tag"))
    }

    async fn complete(
        &self,
        bucket: &str,
        name: &str,
        upload: &str,
        parts: Vec<CompletedPart>,
    ) -> Result<(), StoreError> {
        let whole = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let complete = self.client.complete_multipart_upload().bucket(bucket).key(name).upload_id(upload);
        let slower = Config::builder().timeout_config(time_outs(PART_WITHIN));
        let complete = complete.multipart_upload(whole).if_none_match("*").customize().config_override(slower);
        complete.send().await.map(drop).map_err(|e| self.error(&e))
    }

    async fn abort(&self, bucket: &str, name: &str, upload: &str) -> Result<(), StoreError> {
        let abort = self.client.abort_multipart_upload().bucket(bucket).key(name).upload_id(upload);
        match abort.send().await {
            Err(e) if status(&e) != Some(404) => Err(self.error(&e)),
            _ => Ok(()),
        }
    }

    /// Removes the uploads in parts that were begun before `before` (seconds of Unix time); says how many.
    async fn abort_begun_before(&self, bucket: &str, before: i64) -> Result<usize, StoreError> {
        let mut aborted = 0;
        for upload in self.uploads(bucket, "").await?.iter().filter(|u| u.begun < before) {
            self.abort(bucket, &upload.name, &upload.id).await?;
            aborted += 1;
        }
        Ok(aborted)
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut bytes = Vec::new();
        let read = self.read_through(key, |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        });
        Ok(read.await?.map(|_| bytes))
    }

    pub(super) async fn get_to_file(&self, key: &str, file: &Path) -> Result<bool, StoreError> {
        let folder = file.parent().unwrap_or(Path::new("."));
        let beside = folder.join(format!(".{}", Uuid::new_v4()));
        let failed = |e: io::Error| io_error(file, &e);
        let mut to = tokio::fs::File::create_new(&beside).await.map_err(failed)?.into_std().await;
        let read = self.read_through(key, |piece| to.write_all(piece).map_err(failed)).await;
        let moved = match read {
            Ok(Some(_)) => to.sync_all().and_then(|()| fs::rename(&beside, file)).map(|()| true).map_err(failed),
            Ok(None) => Ok(false),
            Err(e) => Err(e),
        };
        if !matches!(moved, Ok(true)) {
            let _ = fs::remove_file(&beside);
        }
        moved
    }

    pub(super) async fn hash(&self, key: &str) -> Result<Option<Hash>, StoreError> {
        self.read_through(key, |_| Ok(())).await
    }

    /// Reads the whole object piece by piece and compares it with its SHA-256, which is the answer; `None` where it is not there.
    async fn read_through(
        &self,
        key: &str,
        mut each: impl FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<Option<Hash>, StoreError> {
        let Some(mut object) = self.ask_for(key, None).await? else { return Ok(None) };
        let stored = object.metadata().and_then(|m| m.get(SHA256)).and_then(|text| Hash::parse(text));
        let mut sha = Sha256::new();
        while let Some(piece) = object.body.next().await {
            let piece = piece.map_err(|_| self.broken_off())?;
            sha.update(&piece);
            each(&piece)?;
        }
        let hash = Hash(sha.finalize().into());
        match stored {
            Some(stored) if stored == hash => Ok(Some(hash)),
            Some(_) => Err(self.damaged(key, "its bytes do not have the checksum that was stored with it")),
            None => Err(self.damaged(key, "the checksum that Vigia stores with an object is missing")),
        }
    }

    pub(super) async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, StoreError> {
        if range.is_empty() {
            return Ok(self.head(key).await?.map(|_| Vec::new()));
        }
        let Some(object) = self.ask_for(key, Some(&range)).await? else {
            return Ok(self.head(key).await?.map(|_| Vec::new())); // it ends before the range begins
        };
        let bytes = object.body.collect().await.map_err(|_| self.broken_off())?;
        Ok(Some(bytes.to_vec()))
    }

    /// `None` where there is no object, or nothing of it in the range.
    async fn ask_for(&self, key: &str, range: Option<&Range<u64>>) -> Result<Option<GetObjectOutput>, StoreError> {
        let (bucket, name) = self.place_of(key);
        let range = range.map(|r| format!("bytes={}-{}", r.start, r.end - 1));
        match self.client.get_object().bucket(bucket).key(name).set_range(range).send().await {
            Ok(object) => Ok(Some(object)),
            Err(e) if matches!(status(&e), Some(404 | 416)) => Ok(None),
            Err(e) => Err(self.error(&e)),
        }
    }

    async fn head(&self, key: &str) -> Result<Option<HeadObjectOutput>, StoreError> {
        let (bucket, name) = self.place_of(key);
        match self.client.head_object().bucket(bucket).key(name).send().await {
            Ok(there) => Ok(Some(there)),
            Err(e) if status(&e) == Some(404) => Ok(None),
            Err(e) => Err(self.error(&e)),
        }
    }

    pub(super) async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        let (bucket, start) = self.place_of(prefix);
        let room = super::room_of(prefix);
        let after = after.and_then(|key| key.split_once('/')).filter(|(of, _)| *of == room).map(|(_, name)| name);
        let list = self.client.list_objects_v2().bucket(bucket).prefix(start).set_start_after(after.map(str::to_owned));
        let page = i32::try_from(limit.min(1000)).unwrap_or(1000);
        let mut objects = list.into_paginator().page_size(page).send();
        let mut listed = Vec::new();
        while let Some(page) = objects.next().await {
            match page {
                Ok(page) => listed.extend(page.contents().iter().filter_map(|o| {
                    let key = format!("{room}/{}", o.key()?);
                    super::is_key(&key).then(|| Listed { key, size: o.size().unwrap_or_default().unsigned_abs() })
                })),
                Err(e) if status(&e) == Some(404) => break, // no bucket yet
                Err(e) => return Err(self.error(&e)),
            }
            if listed.len() >= limit {
                break;
            }
        }
        listed.truncate(limit);
        Ok(listed)
    }

    /// The keys that start with `prefix` and were ever stored: also those hidden by a deletion since, which leaves a locked
    /// version where it is.
    pub(super) async fn list_ever(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let (bucket, start) = self.place_of(prefix);
        let room = super::room_of(prefix);
        let (mut keys, mut key, mut version) = (Vec::new(), None, None);
        loop {
            let list = self.client.list_object_versions().bucket(&bucket).prefix(start);
            let page = match list.set_key_marker(key).set_version_id_marker(version).send().await {
                Ok(page) => page,
                Err(e) if status(&e) == Some(404) => return Ok(keys), // no bucket yet
                Err(e) => return Err(self.error(&e)),
            };
            keys.extend(page.versions().iter().filter_map(|o| Some(format!("{room}/{}", o.key()?))));
            if page.is_truncated() != Some(true) {
                return Ok(keys);
            }
            key = page.next_key_marker().map(str::to_owned);
            version = page.next_version_id_marker().map(str::to_owned);
        }
    }

    pub(super) async fn rooms(&self) -> Result<Vec<String>, StoreError> {
        let start = self.bucket("");
        let (mut rooms, mut token) = (Vec::new(), None);
        loop {
            // Not every server knows the prefix: what else it names is left out here.
            let list = self.client.list_buckets().prefix(&start).set_continuation_token(token);
            let page = list.send().await.map_err(|e| self.error(&e))?;
            let names = page.buckets().iter().filter_map(|bucket| bucket.name()?.strip_prefix(&start));
            rooms.extend(names.map(str::to_owned));
            token = page.continuation_token().map(str::to_owned);
            if token.is_none() {
                return Ok(rooms);
            }
        }
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let (bucket, name) = self.place_of(key);
        match self.client.delete_object().bucket(bucket).key(name).send().await {
            Err(e) if status(&e) != Some(404) => Err(self.error(&e)),
            _ => Ok(()),
        }
    }

    pub(super) async fn presigned(&self, key: &str, life: Duration) -> Result<String, StoreError> {
        let (bucket, name) = self.place_of(key);
        let config = PresigningConfig::expires_in(life).map_err(|_| self.strange("a life that cannot be signed"))?;
        let signed = self.client.get_object().bucket(bucket).key(name).presigned(config).await;
        signed.map(|s| s.uri().to_owned()).map_err(|e| self.error(&e))
    }

    fn bucket(&self, room: &str) -> String {
        format!("{}-{room}", self.prefix)
    }

    /// Bucket and name in it.
    fn place_of<'a>(&self, key: &'a str) -> (String, &'a str) {
        let (room, name) = key.split_once('/').unwrap_or((key, ""));
        (self.bucket(room), name)
    }

    /// Like [`place_of`](Self::place_of), for writing: the bucket is made where it is missing.
    async fn bucket_for<'a>(&self, key: &'a str) -> Result<(String, &'a str), StoreError> {
        let (bucket, name) = self.place_of(key);
        if self.ready.lock().unwrap_or_else(PoisonError::into_inner).contains(&bucket) {
            return Ok((bucket, name));
        }
        match self.client.head_bucket().bucket(&bucket).send().await {
            Err(e) if status(&e) == Some(404) => self.make(&bucket, super::room_of(key) == LOCKED_ROOM).await?,
            Err(e) => return Err(self.error(&e)),
            Ok(_) => {}
        }
        let yesterday = jiff::Timestamp::now().as_second() - ABANDONED_AFTER.as_secs().cast_signed();
        if let Err(e) = self.abort_begun_before(&bucket, yesterday).await {
            tracing::warn!("abandoned uploads stay in {bucket}: {e}"); // they cost space, nothing else
        }
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).insert(bucket.clone());
        Ok((bucket, name))
    }

    /// Makes a bucket, which nobody but its account can read.
    async fn make(&self, bucket: &str, with_locks: bool) -> Result<(), StoreError> {
        // The region without a name of its own in requests: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
        let region = (self.region != "us-east-1").then(|| {
            let region = BucketLocationConstraint::from(self.region.as_str());
            CreateBucketConfiguration::builder().location_constraint(region).build()
        });
        let make = self.client.create_bucket().bucket(bucket).set_create_bucket_configuration(region);
        let mut made = make.clone().set_object_lock_enabled_for_bucket(with_locks.then_some(true)).send().await;
        if with_locks && matches!(&made, Err(e) if matches!(status(e), Some(400 | 501))) {
            made = make.send().await;
        }
        match made {
            // Another console was quicker, or the name belongs to somebody else, which this request would be refused for.
            Err(e) if status(&e) == Some(409) => {
                self.client.head_bucket().bucket(bucket).send().await.map(drop).map_err(|e| self.error(&e))
            }
            other => other.map(drop).map_err(|e| self.error(&e)),
        }
    }

    fn damaged(&self, key: &str, detail: &str) -> StoreError {
        StoreError::Damaged { place: format!("{key} in {}", self.place), detail: detail.to_owned() }
    }

    fn broken_off(&self) -> StoreError {
        self.strange("the answer broke off")
    }

    fn strange(&self, detail: &str) -> StoreError {
        StoreError::Unavailable { place: self.place.clone(), detail: detail.to_owned() }
    }

    /// A bucket that is gone is made again at the next try.
    fn bucket_error<E: ProvideErrorMetadata>(&self, bucket: &str, e: &SdkError<E>) -> StoreError {
        if status(e) == Some(404) {
            self.ready.lock().unwrap_or_else(PoisonError::into_inner).remove(bucket);
        }
        self.error(e)
    }

    /// Only the code of an answer is shown: a message may quote the access key.
    fn error<E: ProvideErrorMetadata>(&self, e: &SdkError<E>) -> StoreError {
        let now = SystemClock.now();
        let place = self.place.clone();
        let code = e.code().unwrap_or("no code");
        if let Some(detail) = skew(e, now) {
            return StoreError::Unavailable { place, detail };
        }
        match (e, status(e)) {
            (SdkError::TimeoutError(_), _) => StoreError::Unavailable { place, detail: "no answer".to_owned() },
            (SdkError::DispatchFailure(d), _) if d.is_timeout() => {
                StoreError::Unavailable { place, detail: "no answer".to_owned() }
            }
            (SdkError::DispatchFailure(d), _) => {
                let words = d.as_connector_error().map(|e| DisplayErrorContext(e).to_string());
                let of_time = words.and_then(|words| certificate_time(&words, now));
                let detail = of_time.unwrap_or_else(|| "no connection, or its certificate is not trusted".to_owned());
                StoreError::Unavailable { place, detail }
            }
            (_, Some(401 | 403)) if code.contains("Quota") => StoreError::Full { place },
            (_, Some(401)) => StoreError::Denied { place, detail: "it does not know the account".to_owned() },
            (_, Some(403)) => StoreError::Denied { place, detail: format!("the account may not do this ({code})") },
            (_, Some(507)) => StoreError::Full { place },
            (_, Some(status)) => StoreError::Unavailable { place, detail: format!("it answered {status} {code}") },
            (_, None) => StoreError::Unavailable { place, detail: "the request could not be made".to_owned() },
        }
    }
}

/// An upload in parts that is not ended.
struct Upload {
    name: String,
    id: String,
    /// Seconds of Unix time.
    begun: i64,
}

fn status<E>(e: &SdkError<E>) -> Option<u16> {
    e.raw_response().map(|answer| answer.status().as_u16())
}

/// What a refusal has to do with the clocks: requests are signed with the time, and a server refuses what is a quarter of an hour from its
/// own. An answer to HEAD has no code, but every answer has the server's time.
fn skew<E: ProvideErrorMetadata>(e: &SdkError<E>, now: Timestamp) -> Option<String> {
    let answer = e.raw_response().filter(|answer| matches!(answer.status().as_u16(), 400 | 401 | 403))?;
    let theirs = jiff::fmt::rfc2822::parse(answer.headers().get("date")?).ok()?.timestamp();
    let offset = ClockOffset(now.0.saturating_sub(theirs.as_microsecond()));
    let told = matches!(e.code(), Some("RequestTimeTooSkewed" | "RequestExpired"));
    let far = offset.0.unsigned_abs() > SKEW.as_micros() as u64;
    (told || far).then(|| {
        format!("this console's clock is {offset} of the store's, and for that it refuses requests. Set the clock, or have it set by NTP")
    })
}

/// Servers without locks answer one of these to a request that asks for one.
fn no_locks(detail: &str) -> bool {
    ["InvalidRequest", "InvalidArgument", "NotImplemented", "ObjectLockConfigurationNotFoundError"]
        .iter()
        .any(|code| detail.contains(code))
}

fn same(there: &HeadObjectOutput, hash: Hash, key: &str) -> Result<(), StoreError> {
    match there.metadata().and_then(|m| m.get(SHA256)) {
        Some(stored) if *stored == hash.to_string() => Ok(()),
        _ => Err(taken(key)),
    }
}

/// Seconds of Unix time, not before `t`.
fn seconds(t: Timestamp) -> i64 {
    t.0.saturating_add(999_999).div_euclid(1_000_000)
}

/// Whole MiB, as few as the limit of parts allows.
fn part_length(size: u64) -> u64 {
    size.div_ceil(MAX_PARTS).next_multiple_of(1 << 20).max(PART)
}

async fn read_part(file: &Path, start: u64, length: u64) -> Result<Vec<u8>, StoreError> {
    let path = file.to_owned();
    blocking(file, move || {
        let read = || {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            file.take(length).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|e| io_error(&path, &e))?;
        if bytes.len() as u64 == length { Ok(bytes) } else { Err(changed_meanwhile(&path)) }
    })
    .await
}

fn time_outs(answer: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT_WITHIN).read_timeout(answer).build()
}

fn is_loopback(url: &Url) -> bool {
    // `url` does not look into the hosts of schemes that are not of the web.
    match url.host_str().map(Host::parse) {
        Some(Ok(Host::Domain(name))) => name == "localhost",
        Some(Ok(Host::Ipv4(ip))) => ip.is_loopback(),
        Some(Ok(Host::Ipv6(ip))) => ip.is_loopback(),
        _ => false,
    }
}

/// What can start the name of a bucket: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
fn is_prefix(prefix: &str) -> bool {
    (3..=40).contains(&prefix.len())
        && prefix.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && prefix.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// Without its percent signs. A + is a + there, unlike in forms.
fn decoded(text: &str) -> String {
    let form = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
    form_urlencoded::parse(form.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// The certificates in a file, which must hold at least one.
fn certificates(path: &str) -> Result<Vec<u8>, StoreError> {
    let pem = fs::read(path).map_err(|e| io_error(Path::new(path), &e))?;
    let mut found = CertificateDer::pem_slice_iter(&pem).peekable();
    if found.peek().is_some() && found.all(|c| c.is_ok()) {
        return Ok(pem);
    }
    Err(StoreError::Unavailable { place: path.to_owned(), detail: "it holds no certificate in PEM".to_owned() })
}
