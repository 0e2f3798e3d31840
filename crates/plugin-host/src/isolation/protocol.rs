//! The frames between callmeter and a child: a JSON message, followed by the bytes of a batch.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::writer::StreamWriter;
use callmeter_plugin_abi::{ErrorBox, Status};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::file::Trust;
use crate::plugin_answer::PluginAnswer;
use crate::status::PluginIdentity;

/// A frame larger than this is a fault.
const MAX_FRAME: u32 = 1 << 30;

/// Memory for a frame is taken in such steps as its bytes arrive, so that a false length costs
/// little. A batch of a thousand calls takes one.
const STEP: usize = 1 << 20;

/// A request to a child.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Load the plugin and create the instance. Sent once, first.
    Create(Box<Create>),
    /// Take a batch, which follows as bytes.
    Write {
        seq: u64,
        id: [u8; 16],
        attempt: u32,
        stream: u8,
    },
    /// Make durable what was taken.
    Flush { within_ms: u64 },
    /// Ask the call in progress to return. Has no reply.
    Cancel,
    /// End the instance and the process. Has no reply.
    Close,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Create {
    pub(crate) path: PathBuf,
    pub(crate) sha256: Option<String>,
    pub(crate) trust: Trust,
    pub(crate) name: String,
    pub(crate) config: String,
    pub(crate) log_level: i32,
    /// Only load the plugin and check the configuration; create nothing.
    pub(crate) check_only: bool,
}

/// A message from a child.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// To `Create`.
    Created(Result<PluginIdentity, String>),
    /// The answer to [`Request::Create`] with `check_only`: warnings, or why the settings are not
    /// valid.
    Checked(Result<Vec<String>, String>),
    /// To `Write` and `Flush`.
    Done {
        code: i32,
        reason: String,
        retry_after_ms: u64,
        durable: u64,
    },
    /// A line for the log, at any time.
    Log {
        level: i32,
        target: String,
        message: String,
    },
}

impl Reply {
    pub(crate) fn done(answer: PluginAnswer, durable: u64) -> Self {
        let (code, reason, after) = match answer {
            PluginAnswer::Ok => (Status::Ok as i32, String::new(), None),
            PluginAnswer::Retry { reason, after } => (Status::Retry as i32, reason, after),
            PluginAnswer::Reject { reason } => (Status::Reject as i32, reason, None),
            PluginAnswer::Fatal { reason } => (Status::Fatal as i32, reason, None),
            PluginAnswer::Unknown { code, reason } => (code, reason, None),
        };
        let after = after.map_or(0, |after| {
            u64::try_from(after.as_millis()).unwrap_or(u64::MAX)
        });
        Self::Done {
            code,
            reason,
            retry_after_ms: after,
            durable,
        }
    }
}

/// The answer in a `Done`.
pub(crate) fn answer(code: i32, reason: &str, retry_after_ms: u64) -> PluginAnswer {
    let mut error = ErrorBox::new();
    error.retry_after_ms = retry_after_ms;
    match PluginAnswer::new(code, &error) {
        PluginAnswer::Ok => PluginAnswer::Ok,
        PluginAnswer::Retry { after, .. } => PluginAnswer::Retry {
            reason: reason.to_owned(),
            after,
        },
        PluginAnswer::Reject { .. } => PluginAnswer::Reject {
            reason: reason.to_owned(),
        },
        PluginAnswer::Fatal { .. } => PluginAnswer::Fatal {
            reason: reason.to_owned(),
        },
        PluginAnswer::Unknown { code, .. } => PluginAnswer::Unknown {
            code,
            reason: reason.to_owned(),
        },
    }
}

/// Writes a frame: both lengths, the JSON, the bytes.
pub(crate) fn send(to: &mut impl Write, what: &impl Serialize, bytes: &[u8]) -> io::Result<()> {
    let json = serde_json::to_vec(what)?;
    let length = |length: usize| {
        let fits = u32::try_from(length)
            .ok()
            .filter(|length| *length <= MAX_FRAME);
        fits.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the frame is too large"))
    };
    let (json_len, bytes_len) = (length(json.len())?, length(bytes.len())?);
    let mut head = Vec::with_capacity(8 + json.len());
    head.extend_from_slice(&json_len.to_le_bytes());
    head.extend_from_slice(&bytes_len.to_le_bytes());
    head.extend_from_slice(&json);
    to.write_all(&head)?;
    to.write_all(bytes)?;
    to.flush()
}

/// Reads a frame; `None` at the end.
pub(crate) fn receive<T: DeserializeOwned>(
    from: &mut impl Read,
) -> io::Result<Option<(T, Vec<u8>)>> {
    let mut json_len = [0; 4];
    let mut bytes_len = [0; 4];
    match from.read_exact(&mut json_len) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    from.read_exact(&mut bytes_len)?;
    let json = body(from, u32::from_le_bytes(json_len))?;
    let bytes = body(from, u32::from_le_bytes(bytes_len))?;
    Ok(Some((serde_json::from_slice(&json)?, bytes)))
}

fn body(from: &mut impl Read, length: u32) -> io::Result<Vec<u8>> {
    if length > MAX_FRAME {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the frame is too large",
        ));
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let received = bytes.len();
        bytes.resize(length.min(received + STEP), 0);
        from.read_exact(bytes.get_mut(received..).unwrap_or_default())?;
    }
    Ok(bytes)
}

/// A batch as Arrow IPC, preceded by its schema.
pub(crate) fn encode(
    records: &RecordBatch,
    into: &mut Vec<u8>,
) -> Result<(), arrow_schema::ArrowError> {
    into.clear();
    let mut writer = StreamWriter::try_new(into, &records.schema())?;
    writer.write(records)?;
    writer.finish()
}

/// Decodes what [`encode`] wrote. The batch uses the memory of the bytes.
pub(crate) fn decode(bytes: Vec<u8>) -> Result<RecordBatch, String> {
    let mut bytes = Buffer::from(bytes);
    match StreamDecoder::new().decode(&mut bytes) {
        Ok(Some(records)) => Ok(records),
        Ok(None) => Err("there is no batch".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int64Array, RecordBatch, StringArray};

    use super::{Reply, Request, STEP, decode, encode, receive, send};

    #[test]
    fn a_batch_leads_back() {
        let texts: StringArray = (0..50_000).map(|n| Some("x".repeat(n % 60))).collect();
        let numbers: Int64Array = (0..50_000).map(|n| (n % 7 > 0).then_some(n)).collect();
        let columns = [
            ("text", Arc::new(texts) as Arc<dyn arrow_array::Array>),
            ("number", Arc::new(numbers)),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let (mut encoded, mut wire) = (Vec::new(), Vec::new());
        encode(&batch, &mut encoded).unwrap();
        assert!(encoded.len() > STEP);
        send(&mut wire, &Request::Close, &encoded).unwrap();
        let (_, received) = receive::<Request>(&mut wire.as_slice()).unwrap().unwrap();
        assert_eq!(decode(received).unwrap(), batch);
        for cut in [0, 1, 100, 1_000, encoded.len() / 2] {
            assert!(decode(encoded[..cut].to_vec()).is_err(), "{cut}");
        }
    }

    #[test]
    fn frames_lead_back() {
        let mut wire = Vec::new();
        send(&mut wire, &Request::Flush { within_ms: 5 }, b"").unwrap();
        send(
            &mut wire,
            &Request::Write {
                seq: 1,
                id: [7; 16],
                attempt: 2,
                stream: 3,
            },
            b"abc",
        )
        .unwrap();
        let mut wire = wire.as_slice();
        let (first, bytes) = receive::<Request>(&mut wire).unwrap().unwrap();
        assert!(matches!(first, Request::Flush { within_ms: 5 }) && bytes.is_empty());
        let (second, bytes) = receive::<Request>(&mut wire).unwrap().unwrap();
        assert!(matches!(
            second,
            Request::Write {
                seq: 1,
                attempt: 2,
                stream: 3,
                ..
            }
        ));
        assert_eq!(bytes, b"abc");
        assert!(receive::<Request>(&mut wire).unwrap().is_none());
    }

    #[test]
    fn a_frame_cut_off_or_too_large_is_an_error() {
        let mut wire = Vec::new();
        send(&mut wire, &Request::Cancel, b"bytes").unwrap();
        for cut in 4..wire.len() {
            assert!(receive::<Request>(&mut &wire[..cut]).is_err(), "{cut}");
        }
        let huge = [0xff; 64];
        assert!(receive::<Reply>(&mut huge.as_slice()).is_err());
    }
}
