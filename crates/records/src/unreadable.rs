//! The column `unreadable`: a JSON object from the API's name of a member to its original text.

use crate::reading::Reading;

/// Builds the object in a buffer that is reused for each record; empty while everything was
/// readable.
pub(crate) struct UnreadableJson<'b> {
    json: &'b mut String,
}

impl<'b> UnreadableJson<'b> {
    pub(crate) fn new(buffer: &'b mut String) -> Self {
        buffer.clear();
        Self { json: buffer }
    }

    /// Notes `reading` under `member` if its text could not be read.
    pub(crate) fn note<T: Copy>(&mut self, member: &str, reading: Reading<'_, T>) {
        if let Some(text) = reading.unreadable() {
            self.add(member, text);
        }
    }

    pub(crate) fn add(&mut self, member: &str, text: &str) {
        self.json.push(if self.json.is_empty() { '{' } else { ',' });
        push_string(self.json, member);
        self.json.push(':');
        push_string(self.json, text);
    }

    /// The object, or `None` if everything was readable.
    pub(crate) fn finish(self) -> Option<&'b str> {
        if self.json.is_empty() {
            return None;
        }
        self.json.push('}');
        Some(self.json)
    }
}

fn push_string(json: &mut String, text: &str) {
    // Writing a string into a `Vec` cannot fail.
    if let Ok(quoted) = serde_json::to_string(text) {
        json.push_str(&quoted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_of_what_could_not_be_read() {
        let mut buffer = String::from("left over");
        let mut json = UnreadableJson::new(&mut buffer);
        json.note("TalkTimeInSeconds", Reading::<i64>::Unreadable("Na\"N\n"));
        json.note("HoldTimeInSeconds", Reading::Known(1i64));
        json.note("StartTime", Reading::<i64>::Unreadable("32.13.2026"));
        insta::assert_snapshot!(json.finish().unwrap(), @r#"{"TalkTimeInSeconds":"Na\"N\n","StartTime":"32.13.2026"}"#);
        assert_eq!(UnreadableJson::new(&mut buffer).finish(), None);
    }
}
