//! Times, spans and numbers in words, as people read them.

use std::fmt::Write as _;

use jiff::Timestamp;
use maud::{Markup, html};

pub(super) fn optional(time: Option<Timestamp>, now: Timestamp, none: &str) -> Markup {
    time.map_or_else(|| html! { (none) }, |time| moment(time, now))
}

/// A time relative to now; the exact time is its tooltip.
pub(super) fn moment(time: Timestamp, now: Timestamp) -> Markup {
    let seconds = time.as_second() - now.as_second();
    let span = span_of(seconds.unsigned_abs());
    let words = match seconds {
        0 => "now".to_owned(),
        ..0 => format!("{span} ago"),
        1.. => format!("in {span}"),
    };
    let exact = format!("{time:.0}");
    html! { time datetime=(exact) title=(exact) { (words) } }
}

/// A time span in its largest unit, or in two units if one is too coarse.
pub(super) fn span_of(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: u64, unit: &str, small: u64, smaller: &str| match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {smaller}"),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..600 => two(minutes, "min", seconds % 60, "s"),
        600..3_600 => format!("{minutes} min"),
        3_600..86_400 => two(hours, "h", minutes % 60, "min"),
        _ => two(
            days,
            if days == 1 { "day" } else { "days" },
            hours % 24,
            "h",
        ),
    }
}

pub(super) fn plural(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A number with its thousands separated.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

pub(super) fn size(bytes: u64) -> String {
    let mut text = String::new();
    let mut whole = bytes;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if whole < 10_240 {
            break;
        }
        whole /= 1024;
        unit = larger;
    }
    let _ = write!(text, "{} {unit}", number(whole));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_numbers() {
        assert_eq!(span_of(7), "7 s");
        assert_eq!(span_of(60), "1 min");
        assert_eq!(span_of(75), "1 min 15 s");
        assert_eq!(span_of(1_000), "16 min");
        assert_eq!(span_of(3_600 * 5 + 120), "5 h 2 min");
        assert_eq!(span_of(86_400 * 3), "3 days");
        assert_eq!(number(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(number(12), "12");
        assert_eq!(size(10_000), "10\u{202f}000 B");
        assert_eq!(size(50 << 20), "50 MiB");
    }
}
