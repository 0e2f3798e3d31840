//! Content negotiation: format and compression from the `Accept` and `Accept-Encoding` headers.

/// A format of the exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The text format. Version 1.0.0 differs from 0.0.4 only in quoted names, which are not used
    /// here.
    Text(TextVersion),
    /// OpenMetrics text.
    OpenMetrics(OpenMetricsVersion),
    /// Length-delimited `io.prometheus.client.MetricFamily` messages.
    Protobuf,
}

/// Versions of the text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the versions")]
pub enum TextVersion {
    V0_0_4,
    V1_0_0,
}

/// Versions of OpenMetrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the versions")]
pub enum OpenMetricsVersion {
    V0_0_1,
    V1_0_0,
}

/// The escaping of names outside the classic character set. There are no such names here, so the
/// requested value is only repeated in the `Content-Type` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the schemes' own names")]
pub enum Escaping {
    AllowUtf8,
    Underscores,
    Dots,
    Values,
}

impl Escaping {
    const ALL: [Self; 4] = [Self::AllowUtf8, Self::Underscores, Self::Dots, Self::Values];

    fn name(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }
}

/// A compression of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// None.
    Identity,
    /// gzip at level 1: higher levels cost several times as much for little.
    Gzip,
    /// zstd at level 1.
    Zstd,
}

impl Coding {
    /// The value of the `Content-Encoding` header, if any.
    pub fn header(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }

    /// The coding with the highest weight in an `Accept-Encoding` header, gzip before zstd.
    pub fn negotiate(accept_encoding: Option<&str>) -> Self {
        let mut best = (Self::Identity, 0);
        for item in accept_encoding.unwrap_or_default().split(',') {
            let Some((name, parameters)) = item_of(item) else {
                continue;
            };
            let weight = weight(&parameters);
            let coding = match name.as_str() {
                "gzip" | "x-gzip" => Self::Gzip,
                "zstd" => Self::Zstd,
                _ => continue,
            };
            if weight > best.1 || (weight == best.1 && weight > 0 && coding == Self::Gzip) {
                best = (coding, weight);
            }
        }
        best.0
    }
}

/// The format of the response, and its `Content-Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The format.
    pub format: Format,
    /// The requested escaping, if any.
    pub escaping: Option<Escaping>,
}

impl Negotiated {
    /// The known format with the highest weight in an `Accept` header, the first one of equals; the
    /// text format 0.0.4 if there is none.
    pub fn from_accept(accept: Option<&str>) -> Self {
        let mut best = Self {
            format: Format::Text(TextVersion::V0_0_4),
            escaping: None,
        };
        let mut best_weight = 0;
        for item in split_outside_quotes(accept.unwrap_or_default(), ',') {
            let Some((media_type, parameters)) = item_of(item) else {
                continue;
            };
            let weight = weight(&parameters);
            if weight <= best_weight {
                continue;
            }
            if let Some(format) = format_of(&media_type, &parameters) {
                let asked = find(&parameters, "escaping");
                best = Self {
                    format,
                    escaping: Escaping::ALL.into_iter().find(|one| {
                        asked.is_some_and(|asked| asked.eq_ignore_ascii_case(one.name()))
                    }),
                };
                best_weight = weight;
            }
        }
        best
    }

    /// The value of the `Content-Type` header.
    pub fn content_type(&self) -> String {
        let mut text = String::from(match self.format {
            Format::Text(TextVersion::V0_0_4) => "text/plain; version=0.0.4; charset=utf-8",
            Format::Text(TextVersion::V1_0_0) => "text/plain; version=1.0.0; charset=utf-8",
            Format::OpenMetrics(OpenMetricsVersion::V0_0_1) => {
                "application/openmetrics-text; version=0.0.1; charset=utf-8"
            }
            Format::OpenMetrics(OpenMetricsVersion::V1_0_0) => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8"
            }
            Format::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        });
        if let Some(escaping) = self.escaping {
            text.push_str("; escaping=");
            text.push_str(escaping.name());
        }
        text
    }
}

type Parameters = Vec<(String, String)>;

fn format_of(media_type: &str, parameters: &Parameters) -> Option<Format> {
    let version = find(parameters, "version");
    match media_type {
        "application/openmetrics-text" => match version {
            Some("1.0.0") => Some(Format::OpenMetrics(OpenMetricsVersion::V1_0_0)),
            None | Some("0.0.1") => Some(Format::OpenMetrics(OpenMetricsVersion::V0_0_1)),
            Some(_) => None,
        },
        "text/plain" => match version {
            None | Some("0.0.4") => Some(Format::Text(TextVersion::V0_0_4)),
            Some("1.0.0") => Some(Format::Text(TextVersion::V1_0_0)),
            Some(_) => None,
        },
        "text/*" | "*/*" => Some(Format::Text(TextVersion::V0_0_4)),
        "application/vnd.google.protobuf" => {
            let proto = find(parameters, "proto");
            let encoding = find(parameters, "encoding");
            let fits = proto.is_none_or(|proto| proto == "io.prometheus.client.MetricFamily")
                && encoding == Some("delimited");
            fits.then_some(Format::Protobuf)
        }
        _ => None,
    }
}

/// The name, in lower case, and the parameters of an item in a header.
fn item_of(item: &str) -> Option<(String, Parameters)> {
    let mut parts = split_outside_quotes(item, ';');
    let name = parts.next()?.trim().to_ascii_lowercase();
    let parameters = parts
        .filter_map(|part| {
            let (name, value) = part.split_once('=')?;
            let value = value.trim().trim_matches('"');
            Some((name.trim().to_ascii_lowercase(), value.to_owned()))
        })
        .collect();
    (!name.is_empty()).then_some((name, parameters))
}

fn find<'a>(parameters: &'a Parameters, wanted: &str) -> Option<&'a str> {
    let found = parameters.iter().find(|(name, _)| name == wanted)?;
    Some(&found.1)
}

/// The weight in thousandths: 1000 by default, 0 if it is unreadable.
fn weight(parameters: &Parameters) -> u16 {
    let Some(text) = find(parameters, "q") else {
        return 1000;
    };
    let weight = text.parse::<f32>().unwrap_or(0.0).clamp(0.0, 1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 1000"
    )]
    let thousandths = (weight * 1000.0).round() as u16;
    thousandths
}

fn split_outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |letter| {
        quoted ^= letter == '"';
        letter == separator && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: Format = Format::Text(TextVersion::V0_0_4);
    const OPEN_METRICS: Format = Format::OpenMetrics(OpenMetricsVersion::V1_0_0);

    fn asked(accept: &str) -> Format {
        Negotiated::from_accept(Some(accept)).format
    }

    #[test]
    fn what_prometheus_2_asks_for() {
        // 2.42
        assert_eq!(
            asked(
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
            ),
            OPEN_METRICS
        );
        // with native histograms
        assert_eq!(
            asked(
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
            ),
            Format::Protobuf
        );
    }

    #[test]
    fn what_prometheus_3_asks_for() {
        let negotiated = Negotiated::from_accept(Some(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        ));
        assert_eq!(negotiated.format, OPEN_METRICS);
        assert_eq!(
            negotiated.content_type(),
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
        );
        let text = Negotiated::from_accept(Some("text/plain;version=1.0.0;escaping=underscores"));
        assert_eq!(
            text.content_type(),
            "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"
        );
    }

    #[test]
    fn anything_else_gets_text() {
        for accept in [
            "",
            "*/*",
            "text/html,application/xhtml+xml",
            "text/plain",
            "application/openmetrics-text;version=7",
            "application/vnd.google.protobuf;proto=x;encoding=delimited",
            "application/openmetrics-text;version=1.0.0;q=0",
        ] {
            assert_eq!(asked(accept), TEXT, "{accept}");
        }
        let negotiated = Negotiated::from_accept(None);
        assert_eq!(
            negotiated.content_type(),
            "text/plain; version=0.0.4; charset=utf-8"
        );
    }

    #[test]
    fn weights_decide_and_the_first_of_equals_wins() {
        assert_eq!(
            asked("text/plain;q=0.9, application/openmetrics-text;version=1.0.0"),
            OPEN_METRICS
        );
        assert_eq!(
            asked("text/plain, application/openmetrics-text;version=1.0.0"),
            TEXT
        );
        assert_eq!(asked("TEXT/PLAIN; Version=\"0.0.4\""), TEXT);
    }

    #[test]
    fn codings() {
        let coding = |text| Coding::negotiate(Some(text));
        assert_eq!(Coding::negotiate(None), Coding::Identity);
        assert_eq!(coding("gzip"), Coding::Gzip);
        assert_eq!(coding("zstd"), Coding::Zstd);
        assert_eq!(coding("zstd, gzip"), Coding::Gzip);
        assert_eq!(coding("zstd;q=1.0, gzip;q=0.5"), Coding::Zstd);
        assert_eq!(coding("gzip;q=0"), Coding::Identity);
        assert_eq!(coding("br, deflate, *"), Coding::Identity);
    }

    proptest! {
        #[test]
        fn no_header_panics(accept in "[ -~]*", encoding: String) {
            let _ = Negotiated::from_accept(Some(&accept)).content_type();
            let _ = Coding::negotiate(Some(&encoding));
        }
    }
}
