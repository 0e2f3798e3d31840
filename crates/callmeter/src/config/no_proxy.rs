//! The entries of `no_proxy`: each must be able to match a host.

use std::net::IpAddr;

/// What is wrong with the first entry that matches nothing; `None` if all are good.
pub(super) fn problem(text: &str) -> Option<String> {
    let mut entries = text
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty());
    let Some(first) = entries.next() else {
        return Some("names no host".to_owned());
    };
    std::iter::once(first)
        .chain(entries)
        .find_map(|entry| Some(format!("{entry:?} {}", why(entry)?)))
}

/// Why an entry matches nothing.
fn why(entry: &str) -> Option<&'static str> {
    if entry.parse::<IpAddr>().is_ok() {
        return None;
    }
    if entry == "*" {
        return Some("means all hosts: leave out proxy_url instead");
    }
    if entry.contains("://") {
        return Some("is an address of the web, not a host");
    }
    if let Some((address, length)) = entry.split_once('/') {
        let most = match address.parse() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return Some("is no network such as 10.0.0.0/8"),
        };
        let is_length = length.parse::<u8>().is_ok_and(|length| length <= most);
        return (!is_length).then_some("is no network such as 10.0.0.0/8");
    }
    if entry.contains(':') {
        return Some("has a port: write the host alone");
    }
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !entry.chars().all(is_of_name) || entry.ends_with('.') {
        return Some("is no name of a host");
    }
    let is_of_digits = entry.chars().all(|c| c.is_ascii_digit() || c == '.');
    is_of_digits.then_some("is no address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_match_nothing_are_named() {
        let good = "localhost, .example.com,pbx-1.example.com,10.0.0.0/8,::1,fd00::/8, 192.0.2.7,";
        assert_eq!(problem(good), None);
        for bad in [
            "",
            " , ",
            "*",
            "*.example.com",
            "127.0.0.1:8080",
            "127.0.0.1/33",
            "::/129",
            "127.",
            "10.0",
            "!!",
            "http://example.com",
            "example.com/8",
            "example.com:443",
            "a b",
        ] {
            assert!(
                problem(&format!("example.com, {bad}")).is_some() || problem(bad).is_some(),
                "{bad}"
            );
        }
        assert_eq!(
            problem("a.b,c:1").unwrap(),
            r#""c:1" has a port: write the host alone"#
        );
    }
}
