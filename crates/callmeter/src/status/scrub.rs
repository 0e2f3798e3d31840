//! Removes secrets from the texts of the status. Its numbers, times and words stay, so that what is
//! made of it is valid even if a password is `5` or `true`.

use super::overview::Status;

impl Status {
    /// The status with each text as `scrub` returns it.
    #[must_use]
    pub fn scrubbed(mut self, scrub: impl Fn(&str) -> String) -> Self {
        let change = |text: &mut String| *text = scrub(text);
        let change_optional = |text: &mut Option<String>| {
            if let Some(text) = text {
                change(text);
            }
        };
        change(&mut self.config.file);
        change_optional(&mut self.config.error);
        self.config.warnings.iter_mut().for_each(change);
        for account in &mut self.accounts {
            change(&mut account.name);
            for task in account.tasks.values_mut() {
                change_optional(&mut task.error);
                change_optional(&mut task.found);
            }
        }
        for output in &mut self.outputs {
            change(&mut output.name);
            change(&mut output.plugin);
            change_optional(&mut output.description);
            change_optional(&mut output.error);
        }
        change(&mut self.journal.path);
        change_optional(&mut self.journal.error);
        self
    }
}
