//! Any text is valid or has a mistake, never a panic, and no beginning of a text takes a protection
//! away from a server that runs with all of it.

#![no_main]

use callmeter::web::loses_protection;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &str)| {
    let (cut, text) = input;
    let cut = text.floor_char_boundary(usize::from(cut) % (text.len() + 1));
    let begun = &text[..cut];
    assert!(!loses_protection(text, begun), "{begun:?} of {text:?}");
});
