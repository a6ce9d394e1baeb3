//! Signatures by the Standard Webhooks specification, symmetric scheme: `v1,` and HMAC-SHA256 over
//! `id.timestamp.body` in base64, one for each secret. Pure.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{digest, hmac};
use sandbar_types::{Name, Offset, PartitionId};

use crate::catalog::Secret;

/// Signs with all secrets of a webhook.
#[derive(Clone, Debug, Default)]
pub struct Signer {
    keys: Vec<hmac::Key>,
}

impl Signer {
    /// # Errors
    /// When a secret is malformed; documents are checked before.
    pub fn new(secrets: &[Secret]) -> Result<Self, String> {
        let keys = secrets.iter().map(|secret| {
            let key = secret.key()?;
            Ok(hmac::Key::new(hmac::HMAC_SHA256, &key))
        });
        Ok(Self {
            keys: keys.collect::<Result<_, String>>()?,
        })
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The value of `webhook-signature`: a signature for each secret, with spaces between.
    /// `timestamp` is in seconds since the epoch.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let head = format!("{id}.{timestamp}.");
        let mut value = String::with_capacity(self.keys.len() * 48);
        for key in &self.keys {
            let mut context = hmac::Context::with_key(key);
            context.update(head.as_bytes());
            context.update(body);
            if !value.is_empty() {
                value.push(' ');
            }
            value.push_str("v1,");
            STANDARD.encode_string(context.sign(), &mut value);
        }
        value
    }
}

/// Where an event lies.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub partition: &'a PartitionId,
    pub offset: Offset,
}

/// Where an event lies, and which it is.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    pub place: Option<Place<'a>>,
    pub source: &'a str,
    pub id: &'a str,
}

/// The `webhook-id` of a request with these events to this subscription: the same over attempts and
/// restarts. Source and id are part of it because a topic that is deleted and made again counts its
/// offsets from 0. Without dots, which the signed text has between its parts.
#[must_use]
pub fn webhook_id<'a>(
    subscription: &Name,
    events: impl IntoIterator<Item = Identity<'a>>,
) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    // No name and no attribute holds a line feed, so the parts cannot run into one another.
    context.update(subscription.as_str().as_bytes());
    for event in events {
        context.update(b"\n");
        if let Some(place) = event.place {
            context.update(place.partition.topic.as_str().as_bytes());
            context.update(b"\n");
            context.update(&place.partition.partition.to_le_bytes());
            context.update(&place.offset.to_le_bytes());
        }
        context.update(event.source.as_bytes());
        context.update(b"\n");
        context.update(event.id.as_bytes());
    }
    let digest = context.finish();
    let mut id = String::with_capacity(36);
    id.push_str("msg_");
    for byte in &digest.as_ref()[..16] {
        for digit in [byte >> 4, byte & 15] {
            id.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"];
        let signer = Signer::new(&secrets.map(|text| Secret(text.to_owned()))).expect("a secret");
        let signature = signer.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_secret_has_a_signature_of_its_own() {
        let secrets = [
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
        ];
        let secrets = secrets.map(|text| Secret(text.to_owned()));
        let both = Signer::new(&secrets).expect("secrets").sign("msg", 1, b"x");
        let each = secrets.map(|secret| {
            let signer = Signer::new(&[secret]).expect("a secret");
            signer.sign("msg", 1, b"x")
        });
        assert_eq!(both, each.join(" "));
        assert_ne!(each[0], each[1]);
    }

    #[test]
    fn an_id_tells_events_apart_and_stays() {
        let subscription = Name::new("s").expect("a name");
        let partition = PartitionId::new(Name::new("t").expect("a name"), 1);
        let other = PartitionId::new(Name::new("t").expect("a name"), 2);
        let in_partition = |partition, offset, id| Identity {
            place: Some(Place { partition, offset }),
            source: "/s",
            id,
        };
        let identity = |offset, id| in_partition(&partition, offset, id);
        let of = |events: &[Identity<'_>]| webhook_id(&subscription, events.iter().copied());
        let one = of(&[identity(7, "a")]);
        assert_eq!(one, of(&[identity(7, "a")]));
        assert_eq!(one.len(), 36);
        assert!(!one.contains('.'));
        for different in [
            of(&[identity(8, "a")]),
            of(&[identity(7, "b")]),
            of(&[identity(7, "a"), identity(8, "a")]),
            of(&[in_partition(&other, 7, "a")]),
            webhook_id(&Name::new("r").expect("a name"), [identity(7, "a")]),
        ] {
            assert_ne!(one, different);
        }
    }
}
