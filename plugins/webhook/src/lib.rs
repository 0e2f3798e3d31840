//! callmeter's webhook output: posts records as JSON, signed as [Standard Webhooks] describes it.
//!
//! A batch is one request, or several of at most `batch` records. Each has an id (`webhook-id` and
//! `Idempotency-Key`) that stays the same however often it is sent, also after a restart, so that a
//! receiver can tell a repetition. Only 2xx counts as delivered; codes from 400 to 499 refuse a
//! batch for good, but for 408, 409, 425 and 429; everything else is tried again later, as
//! `Retry-After` says.
//!
//! Personal data (names and numbers of callers, notes and the like) is sent as `[redacted]` unless
//! `reveal` lists it.
//!
//! [Standard Webhooks]: https://www.standardwebhooks.com

mod body;
mod circuit;
mod config;
mod redact;
mod secret;
mod sender;
mod sign;
mod tls;

use std::time::Instant;

use callmeter_plugin_sdk::{Batch, Deadline, Durable, Fail, Fatal, Host, Outcome, OutputPlugin};

use crate::body::{Body, Selection};
use crate::circuit::Circuit;
pub use crate::config::{CircuitConfig, Config, Header, Proxy, SecretItem, Span};
pub use crate::secret::Secret;
use crate::sender::{Sender, Sent};

/// The output.
#[derive(Debug)]
pub struct Webhook {
    host: Host,
    sender: Sender,
    circuit: Circuit,
    batch: usize,
    fields: Option<Vec<String>>,
    reveal: Vec<String>,
    /// A batch of which some requests were accepted and not all: its id, and the first row that is
    /// left.
    begun: Option<([u8; 16], usize)>,
}

impl OutputPlugin for Webhook {
    const NAME: &'static str = "webhook";
    const CONFIG_SCHEMA: Option<&'static str> = Some(config::SCHEMA);
    type Config = Config;

    fn check(config: &Config) -> Result<(), Fatal> {
        Sender::client(config)?;
        Ok(())
    }

    fn create(host: Host, config: Config) -> Result<Self, Fatal> {
        Ok(Self {
            sender: Sender::new(host.clone(), &config)?,
            host,
            circuit: Circuit::new(config.circuit.failures, config.circuit.pause.0),
            batch: config.batch,
            fields: config.fields,
            reveal: config.reveal,
            begun: None,
        })
    }

    fn write(&mut self, batch: Batch) -> Outcome {
        let selection = Selection::new(&batch, self.fields.as_deref(), &self.reveal);
        let mut from = match self.begun {
            Some((id, row)) if id == batch.id() => row,
            _ => 0,
        };
        while from < batch.len() {
            let to = from.saturating_add(self.batch).min(batch.len());
            let id = request_id(&batch, from, to);
            let body = Body {
                batch: &batch,
                selection: &selection,
                rows: from..to,
                id: &id,
            };
            let body = serde_json::to_vec(&body).map_err(Fail::reject)?;
            self.post(&id, body)?;
            from = to;
            self.begun = Some((batch.id(), from));
        }
        self.begun = None;
        Ok(())
    }

    /// What `write` accepted the receiver has.
    fn flush(&mut self, _: Deadline) -> Result<Durable, Fail> {
        Ok(Durable::All)
    }
}

impl Webhook {
    fn post(&mut self, id: &str, body: Vec<u8>) -> Outcome {
        if let Some(left) = self.circuit.closed_in(Instant::now()) {
            let reason = format!(
                "{} failed too often; it is left alone",
                self.sender.origin()
            );
            return Err(Fail::retry(reason).after(left));
        }
        match self.sender.post(id, body) {
            Sent::Accepted => {
                self.circuit.succeeded();
                Ok(())
            }
            // It answers, and says what it thinks: that is no failure of the server.
            Sent::Refused { reason } => {
                self.circuit.succeeded();
                Err(Fail::reject(reason))
            }
            Sent::Cancelled => Err(Fail::retry("callmeter cancelled the request")),
            Sent::Later { reason, after } => {
                if self.circuit.failed(Instant::now()) {
                    let origin = self.sender.origin();
                    self.host.warn(format_args!(
                        "{origin} fails again and again and is left alone for a while: {reason}"
                    ));
                }
                let fail = Fail::retry(reason);
                Err(match after {
                    Some(after) => fail.after(after),
                    None => fail,
                })
            }
        }
    }
}

/// The batch's id; with the rows' places when the batch takes several requests, so that another
/// `batch` in the configuration gives other ids.
fn request_id(batch: &Batch, from: usize, to: usize) -> String {
    let id = batch.id_hex();
    if (from, to) == (0, batch.len()) {
        id
    } else {
        format!("{id}-{from}-{to}")
    }
}

callmeter_plugin_sdk::export!(Webhook);

#[cfg(test)]
mod tests;
