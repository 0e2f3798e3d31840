//! Validation of what both APIs need to be reached: address, credentials, certificates, time-outs.

use std::time::Duration;

use serde::de::IgnoredAny;
use serde_saphyr::{Location, Spanned};
use url::{Host, Url};

use super::checker::{Checker, HOUR, MINUTE, SECOND, place_of};
use super::model::{Link, Tls};
use super::raw::{self, Text};
use super::secret::SecretSource;

/// What both APIs write alike.
pub(super) struct RawLink<'r> {
    url: Option<&'r Text>,
    example: &'static str,
    username: Option<&'r Text>,
    password: Option<&'r Spanned<IgnoredAny>>,
    password_file: Option<&'r Text>,
    password_env: Option<&'r Text>,
    tls: Option<&'r raw::Tls>,
    connect_timeout: Option<&'r Text>,
    timeout: Option<&'r Text>,
    max_body: Option<&'r Text>,
    stale_after: Option<&'r Text>,
}

impl<'r> From<&'r raw::HostedSuite> for RawLink<'r> {
    fn from(raw: &'r raw::HostedSuite) -> Self {
        Self {
            url: raw.url.as_ref(),
            example: "https://cpo.hostedsuite.com/api",
            username: raw.username.as_ref(),
            password: raw.password.as_ref(),
            password_file: raw.password_file.as_ref(),
            password_env: raw.password_env.as_ref(),
            tls: raw.tls.as_ref(),
            connect_timeout: raw.connect_timeout.as_ref(),
            timeout: raw.timeout.as_ref(),
            max_body: raw.max_body.as_ref(),
            stale_after: raw.stale_after.as_ref(),
        }
    }
}

impl<'r> From<&'r raw::PortSip> for RawLink<'r> {
    fn from(raw: &'r raw::PortSip) -> Self {
        Self {
            url: raw.url.as_ref(),
            example: "https://pbx.example.com:8887/api",
            username: raw.username.as_ref(),
            password: raw.password.as_ref(),
            password_file: raw.password_file.as_ref(),
            password_env: raw.password_env.as_ref(),
            tls: raw.tls.as_ref(),
            connect_timeout: raw.connect_timeout.as_ref(),
            timeout: raw.timeout.as_ref(),
            max_body: raw.max_body.as_ref(),
            stale_after: raw.stale_after.as_ref(),
        }
    }
}

pub(super) fn link(
    check: &mut Checker<'_>,
    at: Location,
    key: &str,
    raw: &RawLink<'_>,
) -> Option<Link> {
    let of = |name: &str| format!("{key}.{name}");
    let tls = tls(check, raw.tls, &of("tls"));
    let url = base_url(check, at, &of("url"), raw.url, raw.example);
    if let (Some(url), Some(text)) = (&url, raw.url)
        && url.scheme() == "http"
        && !is_loopback(url)
    {
        check.warning(
            Some(text.referenced),
            &of("url"),
            "is plain http: password and call records cross the network readable by anyone",
        );
    }
    let username = check
        .required(at, &of("username"), raw.username, "the user who signs in")
        .map(|text| text.value.clone());
    let password = password(check, at, key, raw);
    let stale_after = check.small(&of("stale_after"), raw.stale_after, 3, 1..=1_000);
    let connect_timeout = check.duration(
        &of("connect_timeout"),
        raw.connect_timeout,
        10 * SECOND,
        Duration::from_millis(100)..=5 * MINUTE,
    );
    let timeout = check.duration(
        &of("timeout"),
        raw.timeout,
        MINUTE,
        Duration::from_millis(100)..=HOUR,
    );
    let max_body = check.size(&of("max_body"), raw.max_body, 64 << 20, 64 << 10..=1 << 30);
    Some(Link {
        url: url?,
        username: username?,
        password: password?,
        tls,
        connect_timeout,
        timeout,
        max_body,
        stale_after,
    })
}

fn password(
    check: &mut Checker<'_>,
    at: Location,
    key: &str,
    raw: &RawLink<'_>,
) -> Option<SecretSource> {
    if let Some(password) = raw.password {
        check.problem(
            Some(password.referenced),
            &format!("{key}.password"),
            "a secret stands in the configuration file",
            Some("put it into a file of its own and name that as password_file".to_owned()),
        );
        return None;
    }
    match (raw.password_file, raw.password_env) {
        (Some(file), None) => {
            let source = SecretSource::File(check.path(file));
            readable(check, file, &format!("{key}.password_file"), source)
        }
        (None, Some(variable)) => {
            let source = SecretSource::Env(variable.value.clone());
            readable(check, variable, &format!("{key}.password_env"), source)
        }
        (Some(_), Some(variable)) => {
            check.problem(
                Some(variable.referenced),
                &format!("{key}.password_env"),
                "stands beside password_file",
                Some("keep one of the two".to_owned()),
            );
            None
        }
        (None, None) => {
            check.problem(
                Some(at),
                &format!("{key}.password_file"),
                "is missing",
                Some(
                    "name a file that holds the password, or a variable by password_env".to_owned(),
                ),
            );
            None
        }
    }
}

fn readable(
    check: &mut Checker<'_>,
    text: &Text,
    key: &str,
    source: SecretSource,
) -> Option<SecretSource> {
    match source.read() {
        Ok(_) => Some(source),
        Err(error) => {
            check.problem(Some(text.referenced), key, error.to_string(), None);
            None
        }
    }
}

fn base_url(
    check: &mut Checker<'_>,
    at: Location,
    key: &str,
    text: Option<&Text>,
    example: &str,
) -> Option<Url> {
    let text = check.required(
        at,
        key,
        text,
        &format!("the base address, such as {example}"),
    )?;
    let hint = Some(format!("write it like {example}"));
    let at = Some(text.referenced);
    let Ok(mut url) = Url::parse(text.value.trim()) else {
        check.problem(at, key, format!("{:?} is not an address", text.value), hint);
        return None;
    };
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        let message = format!("{:?} is neither an http nor an https address", text.value);
        check.problem(at, key, message, hint);
        return None;
    }
    if !url.username().is_empty() || url.password().is_some() {
        // The text itself is not shown: it holds a password.
        let hint = Some("use username and password_file".to_owned());
        check.problem(at, key, "carries credentials", hint);
        return None;
    }
    if url.query().is_some() || url.fragment().is_some() {
        check.problem(at, key, "carries a query or a fragment", hint);
        return None;
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Some(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn tls(check: &mut Checker<'_>, raw: Option<&raw::Tls>, key: &str) -> Tls {
    let Some(raw) = raw else {
        return Tls::default();
    };
    let ca_file = raw.ca_file.as_ref().map(|text| {
        let path = check.path(text);
        if let Err(error) = std::fs::File::open(&path) {
            let message = format!("cannot read {}: {error}", path.display());
            check.problem(
                Some(text.referenced),
                &format!("{key}.ca_file"),
                message,
                None,
            );
        }
        path
    });
    let flag = format!("{key}.insecure_skip_verify");
    let insecure_skip_verify = check.boolean(&flag, raw.insecure_skip_verify.as_ref(), false);
    if insecure_skip_verify {
        check.warning(
            place_of(raw.insecure_skip_verify.as_ref()),
            &flag,
            "the server's certificate is not checked: anyone on the way can read the password",
        );
        if raw.ca_file.is_some() {
            check.problem(
                place_of(raw.ca_file.as_ref()),
                &format!("{key}.ca_file"),
                "has no effect beside insecure_skip_verify",
                Some("remove insecure_skip_verify".to_owned()),
            );
        }
    }
    Tls {
        ca_file,
        server_name: raw.server_name.as_ref().map(|text| text.value.clone()),
        insecure_skip_verify,
    }
}
