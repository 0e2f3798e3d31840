//! Any text is valid or has mistakes at places in it, never a panic. What is shown of it is YAML.

#![no_main]

use std::path::Path;

use callmeter::config::{check_text, redacted};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // Devices would make the result depend on the machine, and may hang.
    if text.contains("/dev") || text.contains("/proc") {
        return;
    }
    // The line breaks of YAML.
    let is_break = |c: &char| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let lines = text.chars().filter(is_break).count() as u64;
    match check_text(Path::new("fuzz.yml"), text) {
        Ok(_) => {
            let shown = redacted(text).expect("a valid text can be shown");
            redacted(&shown).expect("what is shown is YAML");
        }
        Err(error) => {
            assert!(!error.problems().is_empty());
            for problem in error.problems() {
                let line = problem.place.map_or(1, |place| place.line);
                assert!(line <= lines + 2, "{problem}: {lines} line breaks");
            }
        }
    }
});
