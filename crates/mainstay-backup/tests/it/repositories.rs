//! What every repository promises, for a folder and for a bucket.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use mainstay_backup::repository::{
    Folder, Place, Repository, RepositoryError, S3Options, Trouble, repository,
};
use mainstay_backup::test_server::{BUCKET, available, shared};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

async fn write(repository: &dyn Repository, name: &str, parts: &[Bytes]) -> Result<(), RepositoryError> {
    let mut upload = repository.create(name).await?;
    for part in parts {
        upload.write(part.clone()).await?;
    }
    let staged = upload.complete().await?;
    repository.publish(&staged, name).await
}

async fn read(repository: &dyn Repository, name: &str) -> Result<Vec<u8>, RepositoryError> {
    let mut download = repository.open(name).await?;
    let mut content = Vec::new();
    while let Some(bytes) = download.next().await? {
        content.extend_from_slice(&bytes);
    }
    Ok(content)
}

async fn listed(repository: &dyn Repository) -> Vec<(String, u64)> {
    let objects = repository.list().await.expect("a list");
    objects
        .into_iter()
        .map(|object| (object.name, object.bytes))
        .collect()
}

/// Bytes that differ from place to place.
fn noise(length: usize) -> Bytes {
    let mut state = 1_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..length).map(next).collect::<Vec<u8>>().into()
}

fn trouble(outcome: Result<impl Sized, RepositoryError>) -> Trouble {
    match outcome {
        Ok(_) => panic!("it went well"),
        Err(error) => error.trouble,
    }
}

async fn keeps_its_promises(repository: &dyn Repository) {
    assert_eq!(listed(repository).await, []);
    assert_eq!(trouble(read(repository, "none").await), Trouble::NotFound);
    repository.remove("none").await.expect("no error");

    for (name, length) in [("empty", 0), ("small", 10), ("large", 21 * 1_024 * 1_024)] {
        let content = noise(length);
        let parts: Vec<Bytes> = content
            .chunks(3_000_000)
            .map(|part| content.slice_ref(part))
            .collect();
        write(repository, name, &parts).await.expect("written");
        assert!(
            read(repository, name).await.expect("readable") == content,
            "{name}"
        );
    }
    let again = write(repository, "small", &[noise(3)]).await;
    assert_eq!(trouble(again), Trouble::Exists);
    assert_eq!(read(repository, "small").await.expect("readable"), noise(10));

    repository.put("note", "one".into()).await.expect("put");
    repository.put("note", "two".into()).await.expect("put again");
    assert_eq!(read(repository, "note").await.expect("readable"), b"two");

    let mut given_up = repository.create("given-up").await.expect("begun");
    given_up.write(noise(20_000_000)).await.expect("written");
    given_up.abort().await;
    let large = 21 * 1_024 * 1_024;
    let expected = [("empty", 0), ("large", large), ("note", 3), ("small", 10)];
    let expected = expected.map(|(name, bytes)| (name.to_owned(), bytes));
    assert_eq!(listed(repository).await, expected);

    repository.remove("large").await.expect("removed");
    assert_eq!(trouble(read(repository, "large").await), Trouble::NotFound);
    for name in ["", ".hidden", "a/b", "a b", "ä"] {
        assert_eq!(trouble(repository.create(name).await), Trouble::Name, "{name}");
        assert_eq!(
            trouble(repository.put(name, Bytes::new()).await),
            Trouble::Name,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_folder_keeps_its_promises() {
    let folder = tempfile::tempdir().expect("a folder");
    let inside = folder.path().join("new/inside");
    let repository = Folder::new(&inside);
    keeps_its_promises(&repository).await;

    std::fs::write(inside.join(".x.0.unfinished"), "left behind").expect("a file");
    repository.clean().await.expect("cleaned");
    assert_eq!(crate::model::names(&inside), ["empty", "note", "small"]);
}

#[tokio::test]
async fn a_bucket_keeps_its_promises() {
    if !available() {
        return;
    }
    let server = shared().await;
    let options = server.options();
    let prefix = format!("s3://{BUCKET}/some/prefix");
    keeps_its_promises(&*repository(&prefix, &options).expect("a place")).await;
    // Objects beside the prefix are none of it.
    let some = repository(&format!("s3://{BUCKET}/some"), &options).expect("a place");
    some.put("beside", "1".into()).await.expect("put");
    assert_eq!(listed(&*some).await, [("beside".to_owned(), 1)]);
}

#[tokio::test]
async fn a_bucket_that_is_not_ours_is_told() {
    if !available() {
        return;
    }
    let server = shared().await;
    let wrong = S3Options {
        secret_key: Some("guessed".to_owned()),
        ..server.options()
    };
    let refused = |outcome| match trouble(outcome) {
        Trouble::Refused(reason) => reason,
        other => panic!("{other}"),
    };
    let ours = repository(&format!("s3://{BUCKET}/refused"), &wrong).expect("a place");
    let reason = refused(ours.put("a", Bytes::new()).await);
    assert!(reason.starts_with("SignatureDoesNotMatch"), "{reason}");
    assert!(!reason.contains("guessed"), "{reason}");
    let reason = refused(ours.list().await.map(drop));
    assert!(reason.starts_with("SignatureDoesNotMatch"), "{reason}");
    let none = repository("s3://another", &server.options()).expect("a place");
    let reason = refused(none.put("a", Bytes::new()).await);
    assert!(reason.starts_with("NoSuchBucket"), "{reason}");

    let nobody = Place::parse("s3://b/a", &S3Options::default()).map(drop);
    let nobody = nobody.expect_err("without credentials").to_string();
    assert!(nobody.contains("AWS_ACCESS_KEY_ID"), "{nobody}");
}

/// Passes bytes on to a server, and cuts each of the first connections after so many bytes of an answer.
async fn cutting(port: u16, cuts: Vec<usize>) -> (u16, Arc<AtomicU32>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let connections = Arc::new(AtomicU32::new(0));
    let count = connections.clone();
    tokio::spawn(async move {
        let mut cuts = cuts.into_iter();
        while let Ok((client, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let left = cuts.next().unwrap_or(usize::MAX);
            tokio::spawn(pass_on(client, port, left));
        }
    });
    (address.port(), connections)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test stands in the way of the connection"
)]
async fn pass_on(client: TcpStream, port: u16, mut left: usize) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let mut buffer = vec![0; 64 * 1_024];
    while left > 0 {
        let Ok(count @ 1..) = from_server.read(&mut buffer).await else {
            break;
        };
        let passed = count.min(left);
        if to_client.write_all(&buffer[..passed]).await.is_err() {
            break;
        }
        left -= passed;
    }
    up.abort();
}

#[tokio::test]
async fn connections_that_break_are_gone_on_with() {
    if !available() {
        return;
    }
    let server = shared().await;
    let content = noise(20_000_000);
    let direct = repository(&format!("s3://{BUCKET}/broken"), &server.options()).expect("a place");
    write(&*direct, "large", std::slice::from_ref(&content))
        .await
        .expect("written");

    // Before the head, in the head, in the body again and again, and at last not any more.
    let (port, connections) = cutting(server.port(), vec![0, 10, 1_000_000, 300, 5_000_000, 7_000_000]).await;
    let options = S3Options {
        endpoint: Some(format!("http://127.0.0.1:{port}")),
        ..server.options()
    };
    let cut = repository(&format!("s3://{BUCKET}/broken"), &options).expect("a place");
    assert!(read(&*cut, "large").await.expect("readable") == content);
    assert!(connections.load(Ordering::Relaxed) >= 7);

    // Uploads: the answers to some parts are lost, so they are sent again.
    let (port, _) = cutting(server.port(), vec![usize::MAX, 0, 0, 20, usize::MAX]).await;
    let options = S3Options {
        endpoint: Some(format!("http://127.0.0.1:{port}")),
        ..server.options()
    };
    let cut = repository(&format!("s3://{BUCKET}/broken"), &options).expect("a place");
    cut.put("small", "x".into()).await.expect("put");
    let cut = repository(&format!("s3://{BUCKET}/broken"), &options).expect("a place");
    write(&*cut, "again", std::slice::from_ref(&content))
        .await
        .expect("written");
    assert!(read(&*direct, "again").await.expect("readable") == content);
}
