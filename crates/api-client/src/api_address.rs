//! The URL that an API's paths are appended to.

use url::Url;

use crate::error::Error;

/// Reads a base URL: `http` or `https`, with a host, without credentials, query and fragment.
/// Slashes at its end are removed.
pub fn base_url(text: &str) -> Result<Url, Error> {
    let wrong = |problem: &str| {
        Err(Error::setup(format!(
            "the URL {problem}: write it like https://host.example/api"
        )))
    };
    let mut url = match Url::parse(text.trim()) {
        Ok(url) => url,
        Err(error) => return wrong(&format!("cannot be read ({error})")),
    };
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return wrong("does not start with http:// or https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("contains credentials, which belong in their own settings");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return wrong("has a query or fragment");
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalises_and_refuses() {
        let path = |text: &str| base_url(text).map(|url| url.path().to_owned());
        assert_eq!(path("https://host/api/").unwrap(), "/api");
        assert_eq!(path("https://host:8887/api").unwrap(), "/api");
        for bad in [
            "",
            "host/api",
            "ftp://host/api",
            "https://u:p@host/api",
            "https://host/api?x=1",
            "https://host/api#x",
        ] {
            let error = base_url(bad).unwrap_err().to_string();
            assert!(
                error.contains("like https://") && !error.contains("u:p"),
                "{error}"
            );
        }
    }
}
