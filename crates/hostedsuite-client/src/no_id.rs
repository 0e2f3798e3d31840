//! Ids that stand for none.

/// Whether an id is what systems write that have none: nothing, `null`, 0, or the GUID of zeros in
/// any of its spellings.
///
/// ```
/// use hostedsuite_client::is_no_id;
/// assert!(is_no_id("{00000000-0000-0000-0000-000000000000}"));
/// assert!(is_no_id(" null "));
/// assert!(!is_no_id("10"));
/// assert!(!is_no_id("x"));
/// ```
pub fn is_no_id(id: &str) -> bool {
    // The first character of nearly every other id shows that it is none of these.
    if let [first, ..] = id.as_bytes()
        && matches!(first, b'1'..=b'9' | b'a'..=b'm' | b'A'..=b'M')
    {
        return false;
    }
    let id = id.trim();
    let of_zeros = |c: char| matches!(c, '0' | '-' | '{' | '}' | '(' | ')' | 'x' | 'X' | ',');
    if !id.chars().all(of_zeros) {
        return id.eq_ignore_ascii_case("null");
    }
    id.contains('0') || !id.contains(|c: char| c.is_ascii_alphanumeric())
}
