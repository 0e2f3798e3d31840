//! Signatures as Standard Webhooks describes them: HMAC-SHA256 over id, time and body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::config::ConfigError;
use crate::secret::Secret;

/// What marks a secret that is written in Base64.
const PREFIX: &str = "whsec_";

/// The version that some services write before a secret.
const VERSION: &str = "v1,";

/// What marks the keys of asymmetric signatures.
const ASYMMETRIC: [&str; 3] = ["whsk_", "whpk_", "v1a,"];

/// Fewer bytes than this can be guessed.
const SHORTEST: usize = 16;

/// The keys that requests are signed with.
#[derive(Clone, Default)]
pub(crate) struct Signer {
    keys: Vec<Hmac<Sha256>>,
}

impl Signer {
    /// `whsec_…` is Base64, as Standard Webhooks writes it; other secrets are the key as they are.
    pub(crate) fn new(secrets: &[Secret]) -> Result<Self, ConfigError> {
        let key = |secret: &Secret| {
            let text = plain(secret.expose())?;
            let bytes = match text.strip_prefix(PREFIX) {
                Some(encoded) => STANDARD
                    .decode(encoded)
                    .map_err(|_| ConfigError::Secret("what follows `whsec_` is not Base64"))?,
                None => text.as_bytes().to_vec(),
            };
            if bytes.len() < SHORTEST {
                return Err(ConfigError::Secret("it has fewer than 16 bytes"));
            }
            Hmac::new_from_slice(&bytes).map_err(|_| ConfigError::Secret("it is no key"))
        };
        let keys = secrets.iter().map(key).collect::<Result<_, _>>()?;
        Ok(Self { keys })
    }

    /// The value of `webhook-signature`: one signature for each secret. `None` without secrets.
    pub(crate) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> Option<String> {
        let signatures = self.keys.iter().map(|key| {
            let mut mac = key.clone();
            mac.update(id.as_bytes());
            mac.update(b".");
            mac.update(timestamp.to_string().as_bytes());
            mac.update(b".");
            mac.update(body);
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        });
        let signatures: Vec<String> = signatures.collect();
        (!signatures.is_empty()).then(|| signatures.join(" "))
    }
}

/// The secret without what does not belong to it. A secret that was copied wrongly is refused:
/// receivers would refuse every request that is signed with it.
fn plain(secret: &str) -> Result<&str, ConfigError> {
    let text = secret.trim_start_matches('\u{feff}').trim();
    if ASYMMETRIC.iter().any(|mark| text.starts_with(mark)) {
        return Err(ConfigError::Secret(
            "it is a key for asymmetric signatures; requests are signed with a shared secret",
        ));
    }
    let text = match text.strip_prefix(VERSION) {
        Some(rest) if rest.starts_with(PREFIX) => rest,
        Some(_) => {
            return Err(ConfigError::Secret("`whsec_` must follow `v1,`"));
        }
        None => text,
    };
    let is_invisible =
        |c: char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{feff}');
    if text.contains(is_invisible) {
        return Err(ConfigError::Secret(
            "it contains a line break or an invisible character",
        ));
    }
    Ok(text)
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({} secrets)", self.keys.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks reference libraries.
    #[test]
    fn a_known_signature() {
        let signer = Signer::new(&["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()]).unwrap();
        let signature = signer.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(
            signature.unwrap(),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_mark_or_a_version_before_a_secret_does_not_belong_to_it() {
        let sign = |secret: &str| Signer::new(&[secret.into()]).unwrap().sign("a", 1, b"{}");
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        for written in [
            format!("\u{feff}{secret}"),
            format!("v1,{secret}"),
            format!("\u{feff}v1,{secret}\r\n"),
        ] {
            assert_eq!(sign(&written), sign(secret), "{written:?}");
        }
        assert_eq!(sign("\u{feff}0123456789abcdef"), sign("0123456789abcdef"));
    }

    #[test]
    fn several_secrets_give_several_signatures() {
        let secrets = ["0123456789abcdef".into(), "fedcba9876543210".into()];
        let signature = Signer::new(&secrets).unwrap().sign("a", 1, b"{}").unwrap();
        assert_eq!(signature.split(' ').count(), 2);
        assert_eq!(Signer::default().sign("a", 1, b"{}"), None);
    }

    #[test]
    fn secrets_that_cannot_be_are_refused_unseen() {
        for secret in [
            "short",
            "whsec_???",
            "whsec_c2hvcnQ=",
            "v1,0123456789abcdef",
            "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "v1a,whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "0123456789abcdef\n0123456789abcdef",
            "0123456789\u{200b}abcdef",
        ] {
            let error = Signer::new(&[secret.into()]).unwrap_err().to_string();
            assert!(!error.contains(secret), "{error}");
        }
    }
}
