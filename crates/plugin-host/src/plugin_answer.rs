//! A plugin's answer to a call, read from its status and its error box.

use std::time::Duration;

use callmeter_error_chain::one_line;
use callmeter_plugin_abi::{ErrorBox, Status};

/// The answer to a write or a flush.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PluginAnswer {
    Ok,
    Retry {
        reason: String,
        after: Option<Duration>,
    },
    Reject {
        reason: String,
    },
    Fatal {
        reason: String,
    },
    /// A number that the ABI does not define.
    Unknown {
        code: i32,
        reason: String,
    },
}

impl PluginAnswer {
    pub(crate) fn new(code: i32, error: &ErrorBox) -> Self {
        let reason = message(error);
        match Status::from_code(code) {
            Some(Status::Ok) => Self::Ok,
            Some(Status::Retry) => {
                let after = error.retry_after_ms;
                Self::Retry {
                    reason,
                    after: (after > 0).then(|| Duration::from_millis(after)),
                }
            }
            Some(Status::Reject) => Self::Reject { reason },
            Some(Status::Fatal) => Self::Fatal { reason },
            Some(Status::UnsupportedAbi) | None => Self::Unknown { code, reason },
        }
    }
}

/// The text of the error box. Neither its length nor its bytes can be trusted.
pub(crate) fn message(error: &ErrorBox) -> String {
    let len = usize::try_from(error.len)
        .unwrap_or(usize::MAX)
        .min(ErrorBox::MESSAGE_LEN);
    let text = String::from_utf8_lossy(error.msg.get(..len).unwrap_or(&error.msg));
    let text = one_line(&text);
    if text.is_empty() {
        "the plugin gives no reason".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use callmeter_plugin_abi::ErrorBox;

    use super::{PluginAnswer, message};

    #[test]
    fn a_box_of_nonsense_is_read_without_harm() {
        let mut error = ErrorBox::new();
        assert_eq!(message(&error), "the plugin gives no reason");
        error.len = u32::MAX;
        error.msg = [0xff; 1008];
        assert_eq!(message(&error).chars().count(), 1008);
        error.msg[..4].copy_from_slice(b"a\0b\x1b");
        error.len = 4;
        assert_eq!(message(&error), "ab");
        error.msg[..4].copy_from_slice(b"a\r\nb");
        assert_eq!(message(&error), "a b");
    }

    #[test]
    fn statuses_are_told_apart() {
        let mut error = ErrorBox::new();
        error.retry_after_ms = 1_500;
        let reason = "the plugin gives no reason".to_owned();
        assert_eq!(PluginAnswer::new(0, &error), PluginAnswer::Ok);
        let after = Some(Duration::from_millis(1_500));
        assert_eq!(
            PluginAnswer::new(1, &error),
            PluginAnswer::Retry {
                reason: reason.clone(),
                after
            }
        );
        assert_eq!(
            PluginAnswer::new(2, &error),
            PluginAnswer::Reject {
                reason: reason.clone()
            }
        );
        assert_eq!(
            PluginAnswer::new(3, &error),
            PluginAnswer::Fatal {
                reason: reason.clone()
            }
        );
        for code in [4, 5, -1, i32::MAX] {
            let reason = reason.clone();
            assert_eq!(
                PluginAnswer::new(code, &error),
                PluginAnswer::Unknown { code, reason }
            );
        }
    }
}
