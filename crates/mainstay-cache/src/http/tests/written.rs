//! Answers as bytes.

use super::*;

fn envelope(value: Stored) -> Envelope<Stored> {
    Envelope {
        value,
        lifetime: Lifetime {
            ttl: TTL,
            stale: STALE,
        },
        salt: 1,
        epoch: 2,
    }
}

#[tokio::test]
async fn an_answer_can_be_written_and_read() {
    let headers = [("x-a", "1"), ("x-a", "2"), ("etag", "\"e\""), ("age", "7")];
    let stored = stored(answer(404, &headers)).await;
    let envelope = envelope(stored.clone());
    let written = envelope.encode("k", &StoredCodec);
    let read = Envelope::decode("k", written.into(), &StoredCodec)
        .unwrap()
        .unwrap();
    assert_eq!(read.value, stored);
    assert_eq!(read.value.weigh(), stored.weigh());
}

/// Writes bytes as they are, so that what is read is not what was meant.
struct Garbage;

impl Codec<Vec<u8>> for Garbage {
    fn encode(&self, value: &Vec<u8>, writer: &mut crate::codec::Writer) {
        for byte in value {
            writer.u8(*byte);
        }
    }

    fn decode(&self, _: &mut crate::codec::Reader) -> Option<Vec<u8>> {
        None
    }
}

proptest! {
    #[test]
    fn any_bytes_are_taken_for_an_answer(status in 0_u64..1_000, headers in 0_u64..4, bytes: Vec<u8>) {
        let mut written: Vec<u8> = [status, 0, headers].iter().flat_map(|number| number.to_le_bytes()).collect();
        written.extend(bytes);
        let envelope = Envelope { value: written, lifetime: Lifetime { ttl: TTL, stale: STALE }, salt: 0, epoch: 0 };
        let read = Envelope::decode("k", envelope.encode("k", &Garbage).into(), &StoredCodec);
        let is_answer = matches!(&read, Ok(Some(read)) if u64::from(read.value.status().as_u16()) == status);
        prop_assert!(is_answer || matches!(read, Err(StoreError::Damaged)));
    }

    #[test]
    fn any_request_and_any_answer_are_judged(name in "[a-z-]{1,20}", value: Vec<u8>, known in "[\"W/*, a]{0,12}") {
        let names = ["cache-control", "vary", "expires", "age", "etag", "content-type", name.as_str()];
        let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        let mut request = get(&[("if-none-match", &known)]);
        let mut response = answer(200, &[("etag", "\"a\"")]);
        for name in names {
            request.headers_mut().insert(::http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.clone());
            response.headers_mut().insert(::http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.clone());
        }
        let _ = rules().plan(&request);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (loaded, _) = runtime.block_on(rules().take(response)).unwrap();
        if let (Loaded::Value(stored, _), Plan::Cached(request)) = (loaded, rules().plan(&request)) {
            let _ = served(&request, &stored, CacheStatus::Hit, Duration::MAX);
        }
    }
}
