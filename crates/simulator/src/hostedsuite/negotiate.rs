//! Which format an answer is written in, by ServiceStack's order of precedence:
//! suffix of the path, `callback` and `format`, Accept, the request's own
//! Content-Type, and HTML.

/// A format and what its Content-Type says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    /// The name of the function to call.
    Jsonp(String),
    /// `application/jsv`, or the `text/jsv` that the request itself was.
    Jsv(&'static str),
    Csv,
    Xml,
    Html,
}

const JSV: Format = Format::Jsv("application/jsv");

impl Format {
    pub(super) fn content_type(&self) -> &'static str {
        match self {
            Self::Json => "application/json; charset=utf-8",
            Self::Jsonp(_) => "text/javascript; charset=utf-8",
            Self::Jsv(content_type) => content_type,
            Self::Csv => "text/csv",
            Self::Xml => "application/xml",
            Self::Html => "text/html; charset=utf-8",
        }
    }

    /// By the name that suffixes and `?format=` use.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "json" => Self::Json,
            "jsv" => JSV,
            "csv" => Self::Csv,
            "xml" => Self::Xml,
            _ => return None,
        })
    }

    /// By exactly the media types that are registered; `text/jsv`, which the
    /// vendor's documentation names, is not one of them.
    fn accepted(media_type: &str) -> Option<Self> {
        Some(match media_type {
            "application/json" => Self::Json,
            "application/jsv" => JSV,
            "text/csv" => Self::Csv,
            "application/xml" => Self::Xml,
            "text/html" => Self::Html,
            _ => return None,
        })
    }

    fn of_request(content_type: &str) -> Option<Self> {
        let media_type = content_type.split(';').next()?.trim().to_ascii_lowercase();
        match media_type.as_str() {
            "text/jsv" => Some(Self::Jsv("text/jsv")),
            media_type => Self::accepted(media_type),
        }
    }
}

/// What a request says about the answer's format.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wishes<'a> {
    pub(super) suffix: Option<&'a str>,
    pub(super) callback: Option<&'a str>,
    pub(super) format: Option<&'a str>,
    pub(super) accept: Option<&'a str>,
    pub(super) content_type: Option<&'a str>,
}

pub(super) fn negotiate(wishes: &Wishes<'_>) -> Format {
    if let Some(format) = wishes.suffix.and_then(Format::named) {
        return format;
    }
    if let Some(callback) = wishes.callback.filter(|name| !name.is_empty()) {
        return Format::Jsonp(callback.to_owned());
    }
    if let Some(format) = wishes.format.and_then(Format::named) {
        return format;
    }
    let accept = wishes.accept.unwrap_or_default();
    // A blank after the comma stays part of the entry, which then matches
    // nothing, and weights are not read.
    let by_accept = (accept.split(',')).find_map(|entry| {
        let media_type = entry.split(';').next().unwrap_or_default();
        Format::accepted(media_type)
    });
    if let Some(format) = by_accept {
        return format;
    }
    let by_request = wishes
        .content_type
        .filter(|_| accept.contains("*/*"))
        .and_then(Format::of_request);
    by_request.unwrap_or(Format::Html)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_accept(accept: &str) -> Format {
        negotiate(&Wishes {
            accept: Some(accept),
            content_type: Some("application/json"),
            ..Wishes::default()
        })
    }

    #[test]
    fn the_order_of_precedence_holds() {
        let all = Wishes {
            suffix: Some("csv"),
            callback: Some("f"),
            format: Some("jsv"),
            accept: Some("application/json"),
            content_type: Some("application/json"),
        };
        let callback = Wishes {
            suffix: None,
            ..all
        };
        let format = Wishes {
            callback: None,
            ..callback
        };
        let accept = Wishes {
            format: Some("yaml"),
            ..format
        };
        assert_eq!(negotiate(&all), Format::Csv);
        assert_eq!(negotiate(&callback), Format::Jsonp("f".to_owned()));
        assert_eq!(negotiate(&format), JSV);
        assert_eq!(negotiate(&accept), Format::Json);
        assert_eq!(negotiate(&Wishes::default()), Format::Html);
    }

    #[test]
    fn accept_is_read_as_literally_as_there() {
        assert_eq!(by_accept("application/json"), Format::Json);
        assert_eq!(by_accept("application/json;q=0.1"), Format::Json);
        assert_eq!(by_accept("text/plain,application/jsv"), JSV);
        for html in [
            "text/jsv",
            "text/plain, application/json",
            "Application/JSON",
            "",
        ] {
            assert_eq!(by_accept(html), Format::Html, "{html}");
        }
    }

    #[test]
    fn anything_means_the_requests_own_type() {
        let own = |content_type| {
            negotiate(&Wishes {
                accept: Some("*/*"),
                content_type: Some(content_type),
                ..Wishes::default()
            })
        };
        assert_eq!(own("application/json; charset=utf-8"), Format::Json);
        assert_eq!(own("text/jsv"), Format::Jsv("text/jsv"));
        assert_eq!(own("application/x-www-form-urlencoded"), Format::Html);
    }
}
