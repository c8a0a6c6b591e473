//! Items as they are written for a store outside the process, and the room they take in it.

use mainstay_state::{Etag, Item};

use super::Kept;
use crate::codec::{Codec, Reader, Writer};

const ABSENT: u8 = 0;
const PRESENT: u8 = 1;

/// The flags of a present one.
const EXPIRES: u8 = 1;
const TYPED: u8 = 2;

/// How many bytes an item takes, for [`LocalOptions::weigh`](crate::LocalOptions::weigh).
pub fn weigh(kept: &Kept) -> usize {
    let item = kept.as_ref().map_or(0, |item| {
        let typed = item.content_type.as_ref().map_or(0, String::len);
        item.value.len() + item.etag.as_str().len() + typed
    });
    size_of::<Kept>() + item
}

/// Writes items: `0`, or `1`, flags, the `ETag`, the value, then the expiry and the content type if there are any.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeptCodec;

impl Codec<Kept> for KeptCodec {
    fn encode(&self, kept: &Kept, writer: &mut Writer) {
        let Some(item) = kept else {
            return writer.u8(ABSENT);
        };
        writer.u8(PRESENT);
        let expires = item.expires_at_ms.map_or(0, |_| EXPIRES);
        writer.u8(expires | item.content_type.as_ref().map_or(0, |_| TYPED));
        writer.bytes(item.etag.as_str().as_bytes());
        writer.bytes(&item.value);
        if let Some(expires_at_ms) = item.expires_at_ms {
            writer.u64(expires_at_ms);
        }
        if let Some(content_type) = &item.content_type {
            writer.bytes(content_type.as_bytes());
        }
    }

    fn decode(&self, reader: &mut Reader) -> Option<Kept> {
        match reader.u8()? {
            ABSENT => return Some(None),
            PRESENT => {}
            _ => return None,
        }
        let flags = reader.u8()?;
        let mut item = Item {
            etag: Etag::new(text(reader)?)?,
            value: reader.bytes()?,
            content_type: None,
            expires_at_ms: None,
        };
        if flags & EXPIRES != 0 {
            item.expires_at_ms = Some(reader.u64()?);
        }
        if flags & TYPED != 0 {
            item.content_type = Some(text(reader)?);
        }
        (flags & !(EXPIRES | TYPED) == 0).then_some(Some(item))
    }
}

fn text(reader: &mut Reader) -> Option<String> {
    String::from_utf8(reader.bytes()?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::codec::Envelope;
    use crate::policy::Lifetime;

    fn envelope(value: Kept) -> Envelope<Kept> {
        let lifetime = Lifetime {
            ttl: std::time::Duration::from_secs(1),
            stale: std::time::Duration::ZERO,
        };
        Envelope {
            value,
            lifetime,
            salt: 1,
            epoch: 1,
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            present: bool,
            value: Vec<u8>,
            etag in "[^ ]{1,12}",
            content_type: Option<String>,
            expires_at_ms: Option<u64>,
        ) {
            let item = Item {
                value: value.into(),
                etag: Etag::new(etag).unwrap(),
                content_type,
                expires_at_ms,
            };
            let envelope = envelope(present.then_some(item));
            let written = envelope.encode("k", &KeptCodec);
            prop_assert_eq!(Envelope::decode("k", written.into(), &KeptCodec), Ok(Some(envelope)));
        }

        #[test]
        fn any_bytes_are_taken(bytes: Vec<u8>) {
            let written = Bytes::from(bytes);
            let _ = KeptCodec.decode(&mut Reader::of(written));
        }
    }
}
