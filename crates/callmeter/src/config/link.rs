//! Validation of what both APIs need: address, credentials, certificates, time limits.

use std::time::Duration;

use url::{Host, Url};

use super::model::{Link, Proxy, Tls};
use super::no_proxy;
use super::secret::SecretSource;
use yaml_sections::{HOUR, MINUTE, SECOND, Section, Text};

/// Reads the keys of `api` that both APIs have. `example` is a valid address.
pub(super) fn link(api: &mut Section<'_>, example: &str) -> Option<Link> {
    let tls = api.section("tls").map(|mut section| tls(&mut section));
    let proxy = proxy(api);
    let url = base_url(api, example);
    if let Some(url) = &url
        && url.scheme() == "http"
        && !is_loopback(url)
    {
        api.problems().warning(
            api.place("url"),
            &api.key_of("url"),
            "is plain http: anyone on the network can read the password and the call records",
        );
    }
    let names_api = |url: &Url| {
        let mut segments = url.path_segments().into_iter().flatten();
        segments.any(|segment| segment.eq_ignore_ascii_case("api"))
    };
    if let Some(url) = &url
        && !names_api(url)
    {
        let message = format!("has no path of the API, as {example} has");
        api.problems()
            .warning(api.place("url"), &api.key_of("url"), message);
    }
    let username = api.required("username", "the user who signs in");
    let password = password(api);
    let stale_after = api.number("stale_after", 3, 1..=1_000);
    let least = Duration::from_millis(100);
    let connect_timeout = api.duration("connect_timeout", 10 * SECOND, least..=5 * MINUTE);
    let timeout = api.duration("timeout", MINUTE, least..=HOUR);
    let max_body = api.size("max_body", 64 << 20, 64 << 10..=1 << 30);
    Some(Link {
        url: url?,
        username: username?.value,
        password: password?,
        tls: tls?,
        proxy,
        connect_timeout,
        timeout,
        max_body,
        stale_after,
    })
}

fn password(api: &mut Section<'_>) -> Option<SecretSource> {
    let file = api.node("password_file").is_some();
    let variable = api.node("password_env").is_some();
    if api.node("password").is_some() {
        let hint = "put it into a file of its own and name that file as password_file";
        api.mistake(
            "password",
            "a secret must not be in the configuration file",
            Some(hint.to_owned()),
        );
        return None;
    }
    let (name, source): (_, fn(&Section<'_>, &Text) -> SecretSource) = match (file, variable) {
        (true, false) => ("password_file", |api, text| {
            SecretSource::File(api.path(text))
        }),
        (false, true) => ("password_env", |_, text| {
            SecretSource::Env(text.value.clone())
        }),
        (true, true) => {
            let hint = "keep one of the two";
            let message = "conflicts with password_file";
            api.mistake("password_env", message, Some(hint.to_owned()));
            return None;
        }
        (false, false) => {
            let hint = "name a file that contains the password, or a variable as password_env";
            api.mistake("password_file", "is missing", Some(hint.to_owned()));
            return None;
        }
    };
    let text = api.text(name)?;
    let source = source(api, &text);
    if !api.problems().connects {
        return Some(source);
    }
    match source.read() {
        Ok(_) => Some(source),
        Err(error) => {
            api.mistake(name, error.to_string(), None);
            None
        }
    }
}

fn base_url(api: &mut Section<'_>, example: &str) -> Option<Url> {
    let teach = format!("the base address, such as {example}");
    let text = api.required("url", &teach)?.value;
    let hint = Some(format!("write it like {example}"));
    let Ok(mut url) = Url::parse(text.trim()) else {
        api.mistake("url", format!("{text:?} is not an address"), hint);
        return None;
    };
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        let message = format!("{text:?} is neither an http nor an https address");
        api.mistake("url", message, hint);
        return None;
    }
    if !url.username().is_empty() || url.password().is_some() {
        // The text itself is not shown: it contains a password.
        let hint = "use username and password_file".to_owned();
        api.mistake("url", "contains credentials", Some(hint));
        return None;
    }
    if url.query().is_some() || url.fragment().is_some() {
        api.mistake("url", "contains a query or a fragment", hint);
        return None;
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Some(url)
}

/// Reads the keys of Prometheus' `http_config` about proxies.
fn proxy(api: &mut Section<'_>) -> Proxy {
    let from_environment = api.boolean("proxy_from_environment", false);
    let no_proxy = api.text("no_proxy").map(|text| text.value);
    let Some(text) = api.text("proxy_url").map(|text| text.value) else {
        if no_proxy.is_some() {
            let hint = "the environment has NO_PROXY for that";
            let hint = from_environment.then(|| hint.to_owned());
            api.mistake("no_proxy", "has no effect without proxy_url", hint);
        }
        return if from_environment {
            Proxy::Environment
        } else {
            Proxy::None
        };
    };
    if from_environment {
        let hint = Some("keep one of the two".to_owned());
        api.mistake("proxy_from_environment", "conflicts with proxy_url", hint);
    }
    let hint = Some("write it like http://proxy.example.com:3128".to_owned());
    let Ok(url) = Url::parse(text.trim()) else {
        api.mistake("proxy_url", format!("{text:?} is not an address"), hint);
        return Proxy::None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        // The text itself is not shown: it contains a password.
        let hint = "set HTTP_PROXY and HTTPS_PROXY with them, and proxy_from_environment: true";
        api.mistake("proxy_url", "contains credentials", Some(hint.to_owned()));
    } else if !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h")
        || !url.has_host()
        || url.path().len() > 1
        || url.query().is_some()
    {
        let message = format!("{text:?} is not the address of a proxy");
        api.mistake("proxy_url", message, hint);
    }
    if let Some(problem) = no_proxy.as_deref().and_then(no_proxy::problem) {
        let hint = "write names, addresses and networks, separated by commas";
        api.mistake("no_proxy", problem, Some(hint.to_owned()));
    }
    Proxy::Url(api_client::Proxy { url, no_proxy })
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn tls(section: &mut Section<'_>) -> Tls {
    let ca_file = section.text("ca_file").map(|text| section.path(&text));
    if let Some(path) = &ca_file
        && let Err(error) = api_client::Tls::new().ca_file(path).check()
    {
        section.mistake("ca_file", error.to_string(), None);
    }
    let server_name = section.text("server_name").map(|text| text.value);
    if let Some(name) = &server_name
        && let Err(error) = api_client::Tls::new().server_name(name).check()
    {
        section.mistake("server_name", error.to_string(), None);
    }
    let flag = "insecure_skip_verify";
    let insecure_skip_verify = section.boolean(flag, false);
    if insecure_skip_verify {
        section.problems().warning(
            section.place(flag),
            &section.key_of(flag),
            "the server's certificate is not checked: anyone on the network can read the password",
        );
        if ca_file.is_some() {
            let hint = "remove insecure_skip_verify".to_owned();
            let message = "has no effect with insecure_skip_verify";
            section.mistake("ca_file", message, Some(hint));
        }
    }
    Tls {
        ca_file,
        server_name,
        insecure_skip_verify,
    }
}
