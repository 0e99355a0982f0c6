//! What every backend of the objects does, on a real folder and a real S3 server.
use super::{folder::TEMPORARY, s3::PART, *};
use crate::servers::{self, S3};
use std::{fs, io, sync::Mutex};

pub(super) const KEY: &str = "crops/2026-11-22/a.jpg";

pub(super) async fn s3(server: &S3) -> ObjectStore {
    ObjectStore::connect(&Address::parse(&server.prefix()).unwrap()).await.unwrap()
}

/// Both backends, empty, and a folder that lives as long as the test.
pub(super) async fn backends() -> (tempfile::TempDir, [ObjectStore; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let folder = ObjectStore::open(dir.path().join("objects")).unwrap();
    (dir, [folder, s3(servers::s3()).await])
}

/// Bytes that differ from place to place, so that exchanged or missing parts are found.
pub(super) fn bytes(length: u64, seed: u64) -> Vec<u8> {
    (0..length).map(|n| (n.wrapping_mul(2_654_435_761).wrapping_add(seed * 97) >> 13) as u8).collect()
}

/// Regression 12 of the old system: what is stored decodes, and shows what was there.
#[tokio::test]
async fn a_stored_crop_decodes_to_the_picture_that_was_stored() {
    let (_dir, stores) = backends().await;
    let crop = image::RgbImage::from_fn(24, 48, |x, y| image::Rgb([(x * 10) as u8, (y * 5) as u8, 77]));
    let mut png = io::Cursor::new(Vec::new());
    crop.write_to(&mut png, image::ImageFormat::Png).unwrap();
    for store in stores {
        store.put("crops/a.png", png.get_ref().clone(), "image/png").await.unwrap();
        let bytes = store.get("crops/a.png").await.unwrap().unwrap();
        assert_eq!(image::load_from_memory(&bytes).unwrap().into_rgb8(), crop);
        assert_eq!(store.get("crops/b.png").await.unwrap(), None);
        assert_eq!(store.get("nothing/b.png").await.unwrap(), None);
    }
}

#[tokio::test]
async fn an_object_never_changes() {
    let (dir, stores) = backends().await;
    let other = dir.path().join("other");
    fs::write(&other, "two").unwrap();
    for store in stores {
        store.put(KEY, b"one".to_vec(), "image/jpeg").await.unwrap();
        store.put(KEY, b"one".to_vec(), "image/jpeg").await.unwrap();
        let error = store.put(KEY, b"two".to_vec(), "image/jpeg").await.unwrap_err();
        assert!(error.is_bad_record(), "{error}");
        let error = store.put_file(KEY, &other, &|_| ()).await.unwrap_err();
        assert!(error.is_bad_record(), "{error}");
        assert_eq!(store.get(KEY).await.unwrap().unwrap(), b"one");
    }
    assert_eq!(fs::read_dir(dir.path().join("objects").join(TEMPORARY)).unwrap().count(), 0);
}

/// Of two consoles that store under one key at once, one is told.
#[tokio::test]
async fn two_writers_of_one_key_do_not_both_win() {
    let store = s3(servers::s3()).await;
    for n in 0..8 {
        let key = format!("crops/{n}.jpg");
        let (a, b) = tokio::join!(
            store.put(&key, b"one".to_vec(), "image/jpeg"),
            store.put(&key, b"two".to_vec(), "image/jpeg")
        );
        let won = store.get(&key).await.unwrap().unwrap();
        assert_eq!((a.is_ok(), b.is_ok()), (won == b"one", won == b"two"), "{a:?} {b:?}");
    }
}

#[tokio::test]
async fn keys_cannot_leave_the_store() {
    let (dir, stores) = backends().await;
    let long = format!("crops/{}.jpg", "x".repeat(MAX_KEY));
    let bad = [
        "../a.jpg",
        "crops/../../a.jpg",
        "/etc/a.jpg",
        "crops//a.jpg",
        "crops/",
        "",
        ".",
        "..",
        ".tmp/a.jpg",
        "crops/.a.jpg",
        "crops\\a.jpg",
        "crops/a b.jpg",
        "crops/ä.jpg",
        "crops/a\0.jpg",
        "C:/a.jpg",
        "a.jpg",
        "crops/a",
        "crops/a.exe",
        &long,
    ];
    for store in stores {
        for key in bad {
            assert!(store.put(key, b"x".to_vec(), "image/jpeg").await.unwrap_err().is_bad_record(), "{key:?}");
            assert!(store.get(key).await.unwrap_err().is_bad_record(), "{key:?}");
            assert!(store.delete(key).await.unwrap_err().is_bad_record(), "{key:?}");
            assert_eq!(key_of_url(&url_of_key(key)), None, "{key:?}");
        }
        for prefix in ["", "..", "../x", "crops/../x", "/", ".tmp"] {
            assert!(store.list(prefix, None, 10).await.unwrap_err().is_bad_record(), "{prefix:?}");
        }
        assert!(store.put(KEY, b"x".to_vec(), "video/mp4").await.unwrap_err().is_bad_record());
    }
    assert!(!dir.path().join("a.jpg").exists());
    assert_eq!(key_of_url(&url_of_key(KEY)), Some(KEY));
    assert_eq!(key_of_url(KEY), None);
}

#[tokio::test]
async fn files_of_all_lengths_come_back_whole_and_in_pieces() {
    let (dir, stores) = backends().await;
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    for store in stores {
        for (n, length) in [0, 1, PART, PART + 1, 2 * PART + 12_345].into_iter().enumerate() {
            let (key, bytes) = (format!("videos/{n}.mkv"), bytes(length, 1));
            fs::write(&from, &bytes).unwrap();
            let told = Mutex::new(Vec::new());
            store.put_file(&key, &from, &|done| told.lock().unwrap().push(done)).await.unwrap();
            store.put_file(&key, &from, &|_| ()).await.unwrap();
            let told = told.into_inner().unwrap();
            assert!(told.is_sorted() && told.last() == Some(&length), "{told:?}");

            assert!(store.get_to_file(&key, &to).await.unwrap());
            assert!(fs::read(&to).unwrap() == bytes, "{key} of {length} bytes came back otherwise");
            for (start, end) in
                [(0, 10), (length / 2, length / 2 + 100), (length, length + 5), (length + 9, length + 99)]
            {
                let part = store.get_range(&key, start..end).await.unwrap().unwrap();
                let expected = &bytes[start.min(length) as usize..end.min(length) as usize];
                assert!(part == expected, "{key}: {start}..{end} of {length}");
            }
        }
        assert!(!store.get_to_file("videos/none.mkv", &to).await.unwrap());
        assert_eq!(store.get_range("videos/none.mkv", 0..4).await.unwrap(), None);
        let error = store.put_file("videos/x.mkv", &dir.path().join("absent"), &|_| ()).await.unwrap_err();
        assert!(error.to_string().contains("absent"), "{error}");
    }
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[tokio::test]
async fn lists_are_in_order_and_continue_and_deleted_objects_are_gone() {
    let (_dir, stores) = backends().await;
    for store in stores {
        assert_eq!(store.list("crops", None, 10).await.unwrap(), []);
        let keys = ["crops/1/a.jpg", "crops/1/b.jpg", "crops/10/a.jpg", "crops/2/a.jpg"];
        for key in keys {
            store.put(key, b"abc".to_vec(), "image/jpeg").await.unwrap();
        }
        store.put("frames/1/a.jpg", b"abc".to_vec(), "image/jpeg").await.unwrap();
        let names = async |prefix, after, limit| {
            let listed = store.list(prefix, after, limit).await.unwrap();
            assert!(listed.iter().all(|o| o.size == 3), "{listed:?}");
            listed.into_iter().map(|o| o.key).collect::<Vec<_>>()
        };
        assert_eq!(names("crops", None, 10).await, keys);
        assert_eq!(names("crops/1", None, 10).await, keys[..3]);
        assert_eq!(names("crops/1/", None, 10).await, keys[..2]);
        assert_eq!(names("crops", None, 3).await, keys[..3]);
        assert_eq!(names("crops", Some(keys[1]), 10).await, keys[2..]);

        store.delete(keys[1]).await.unwrap();
        store.delete(keys[1]).await.unwrap();
        assert_eq!(store.get(keys[1]).await.unwrap(), None);
        assert_eq!(names("crops/1/", None, 10).await, keys[..1]);
    }
}

#[tokio::test]
async fn what_an_interrupted_write_left_is_removed_and_never_seen() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join(TEMPORARY)).unwrap();
    fs::write(dir.path().join(TEMPORARY).join("half"), "ha").unwrap();
    ObjectStore::open(dir.path()).unwrap();
    assert_eq!(fs::read_dir(dir.path().join(TEMPORARY)).unwrap().count(), 0);
}
