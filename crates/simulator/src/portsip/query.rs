//! The parameters of a list: `filter`, `search`, `orderby`, `skip` and `top`.
//!
//! The language is OData's without the `$`: `prefix eq '49'`, `startswith(prefix,
//! '4') and price_1 lt 0.05`, `orderby=price_1 desc, prefix`. Texts are
//! in single quotes, in which a quote is doubled; `and` binds closer than `or`.

use std::cmp::Ordering;
use std::sync::Arc;

use super::deck::Deck;
use super::error::ApiError;
use super::rate::{Rate, write_id};

/// The maximum number of conditions in a filter.
const MOST_CONDITIONS: usize = 50;

/// The parameters of a request.
#[derive(Debug, Default)]
pub(super) struct Query {
    /// Alternatives, each of which requires all of its conditions.
    filter: Vec<Vec<Condition>>,
    /// Any of these words, in lower case.
    search: Vec<String>,
    order: Vec<(Field, bool)>,
    skip: usize,
    top: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Id,
    Prefix,
    Type,
    Description,
    FreeSeconds,
    GracePeriod,
    Interval1,
    IntervalN,
    ConnectFee,
    PostcallSurcharge,
    Price1,
    PriceN,
}

const FIELDS: [(&str, Field); 12] = [
    ("id", Field::Id),
    ("prefix", Field::Prefix),
    ("type", Field::Type),
    ("description", Field::Description),
    ("free_seconds", Field::FreeSeconds),
    ("grace_period", Field::GracePeriod),
    ("interval_1", Field::Interval1),
    ("interval_n", Field::IntervalN),
    ("connect_fee", Field::ConnectFee),
    ("postcall_surcharge", Field::PostcallSurcharge),
    ("price_1", Field::Price1),
    ("price_n", Field::PriceN),
];

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(String),
    Number(f64),
}

#[derive(Debug)]
struct Condition {
    field: Field,
    test: Test,
    value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
    StartsWith,
    EndsWith,
    Contains,
}

const COMPARISONS: [(&str, Test); 6] = [
    ("eq", Test::Eq),
    ("ne", Test::Ne),
    ("gt", Test::Gt),
    ("ge", Test::Ge),
    ("lt", Test::Lt),
    ("le", Test::Le),
];
const FUNCTIONS: [(&str, Test); 3] = [
    ("startswith", Test::StartsWith),
    ("endswith", Test::EndsWith),
    ("contains", Test::Contains),
];

impl Query {
    /// Reads a URL's query.
    pub(super) fn read(query: &str) -> Result<Self, ApiError> {
        let mut read = Self {
            top: 100,
            ..Self::default()
        };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "filter" if !value.trim().is_empty() => read.filter = parse_filter(&value)?,
                "search" => read.search = parse_search(&value),
                "orderby" if !value.trim().is_empty() => read.order = parse_order(&value)?,
                "skip" => read.skip = whole("skip", &value, 0, i32::MAX as usize)?,
                "top" => read.top = whole("top", &value, 1, 100)?,
                _ => {}
            }
        }
        Ok(read)
    }

    /// How many rates there are in all, and those of the page.
    pub(super) fn page(&self, deck: &Deck) -> (usize, Vec<Arc<Rate>>) {
        let prefix_order = self.order == [(Field::Prefix, false)];
        // Without an order the rates come as they were created.
        let all = if prefix_order {
            deck.by_prefix()
        } else {
            deck.by_id()
        };
        if self.filter.is_empty()
            && self.search.is_empty()
            && (prefix_order || self.order.is_empty())
        {
            let page = all.iter().skip(self.skip).take(self.top).cloned();
            return (all.len(), page.collect());
        }
        let mut found: Vec<_> = all.iter().filter(|rate| self.wants(rate)).collect();
        if !prefix_order {
            found.sort_by(|a, b| self.compare(a, b));
        }
        let page = found.iter().skip(self.skip).take(self.top);
        (found.len(), page.map(|rate| Arc::clone(rate)).collect())
    }

    fn wants(&self, rate: &Rate) -> bool {
        let filtered = self.filter.is_empty()
            || (self.filter.iter()).any(|all| all.iter().all(|condition| condition.holds(rate)));
        let has = |word: &String| {
            let description = rate.description.as_deref().unwrap_or_default();
            rate.prefix.to_lowercase().contains(word)
                || description.to_lowercase().contains(word)
                || rate.kind.name().to_lowercase().contains(word)
        };
        filtered && (self.search.is_empty() || self.search.iter().any(has))
    }

    fn compare(&self, a: &Rate, b: &Rate) -> Ordering {
        (self.order.iter())
            .map(|(field, descending)| {
                let order = compare(&field.of(a), &field.of(b)).unwrap_or(Ordering::Equal);
                if *descending { order.reverse() } else { order }
            })
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

impl Field {
    fn named(name: &str) -> Result<Self, ApiError> {
        (FIELDS.iter())
            .find(|(known, _)| *known == name)
            .map(|(_, field)| *field)
            .ok_or_else(|| ApiError::validation(format!("a call rate has no {name}")))
    }

    fn of(self, rate: &Rate) -> Value {
        match self {
            Self::Id => Value::Text(write_id(rate.id)),
            Self::Prefix => Value::Text(rate.prefix.clone()),
            Self::Type => Value::Text(rate.kind.name().to_owned()),
            Self::Description => Value::Text(rate.description.clone().unwrap_or_default()),
            Self::FreeSeconds => Value::Number(rate.free_seconds.into()),
            Self::GracePeriod => Value::Number(rate.grace_period.into()),
            Self::Interval1 => Value::Number(rate.interval_1.into()),
            Self::IntervalN => Value::Number(rate.interval_n.into()),
            Self::ConnectFee => Value::Number(rate.connect_fee.as_f64()),
            Self::PostcallSurcharge => Value::Number(rate.postcall_surcharge.as_f64()),
            Self::Price1 => Value::Number(rate.price_1.as_f64()),
            Self::PriceN => Value::Number(rate.price_n.as_f64()),
        }
    }

    fn is_text(self) -> bool {
        matches!(
            self,
            Self::Id | Self::Prefix | Self::Type | Self::Description
        )
    }
}

impl Condition {
    fn new(field: &str, test: Test, value: Value) -> Result<Self, ApiError> {
        let field = Field::named(field)?;
        if field.is_text() == matches!(value, Value::Text(_)) {
            Ok(Self { field, test, value })
        } else {
            Err(ApiError::validation(
                "a text is compared with a text in single quotes, a number with a number",
            ))
        }
    }

    fn holds(&self, rate: &Rate) -> bool {
        let value = self.field.of(rate);
        if let (Value::Text(text), Value::Text(part)) = (&value, &self.value) {
            match self.test {
                Test::StartsWith => return text.starts_with(part.as_str()),
                Test::EndsWith => return text.ends_with(part.as_str()),
                Test::Contains => return text.contains(part.as_str()),
                _ => {}
            }
        }
        compare(&value, &self.value).is_some_and(|order| match self.test {
            Test::Eq => order.is_eq(),
            Test::Ne => order.is_ne(),
            Test::Gt => order.is_gt(),
            Test::Ge => order.is_ge(),
            Test::Lt => order.is_lt(),
            Test::Le => order.is_le(),
            Test::StartsWith | Test::EndsWith | Test::Contains => false,
        })
    }
}

fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Number(a), Value::Number(b)) => a.partial_cmp(b),
        _ => None,
    }
}

fn whole(name: &str, text: &str, least: usize, most: usize) -> Result<usize, ApiError> {
    (text.trim().parse().ok())
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| ApiError::validation(format!("{name} must be from {least} to {most}")))
}

/// `101 or 102`: any of the words.
fn parse_search(text: &str) -> Vec<String> {
    let text = text.to_lowercase();
    let words = text.split(" or ").map(str::trim);
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

fn parse_order(text: &str) -> Result<Vec<(Field, bool)>, ApiError> {
    text.split(',')
        .map(|part| {
            let mut words = part.split_whitespace();
            let field = Field::named(words.next().unwrap_or_default())?;
            let descending = match words.next() {
                None | Some("asc") => false,
                Some("desc") => true,
                Some(other) => {
                    let message = format!("orderby knows asc and desc, not {other}");
                    return Err(ApiError::validation(message));
                }
            };
            match words.next() {
                None => Ok((field, descending)),
                Some(_) => Err(ApiError::validation("orderby has a word too many")),
            }
        })
        .collect()
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

fn parse_filter(text: &str) -> Result<Vec<Vec<Condition>>, ApiError> {
    let tokens = tokens(text)?;
    let mut tokens = tokens.into_iter().peekable();
    let mut any = vec![Vec::new()];
    let mut count = 0;
    loop {
        let condition = parse_condition(&mut tokens)?;
        count += 1;
        if count > MOST_CONDITIONS {
            return Err(ApiError::validation("the filter has too many conditions"));
        }
        if let Some(all) = any.last_mut() {
            all.push(condition);
        }
        match tokens.next() {
            None => return Ok(any),
            Some(Token::Word(word)) if word == "and" => {}
            Some(Token::Word(word)) if word == "or" => any.push(Vec::new()),
            Some(_) => {
                return Err(ApiError::validation(
                    "expected and, or, or the filter's end",
                ));
            }
        }
    }
}

fn parse_condition(tokens: &mut impl Iterator<Item = Token>) -> Result<Condition, ApiError> {
    let unfinished = || ApiError::validation("the filter is not a condition: field eq 'value'");
    let Some(Token::Word(first)) = tokens.next() else {
        return Err(unfinished());
    };
    if let Some((_, test)) = FUNCTIONS.iter().find(|(name, _)| *name == first) {
        return match (
            tokens.next(),
            tokens.next(),
            tokens.next(),
            tokens.next(),
            tokens.next(),
        ) {
            (
                Some(Token::Sign('(')),
                Some(Token::Word(field)),
                Some(Token::Sign(',')),
                Some(Token::Text(value)),
                Some(Token::Sign(')')),
            ) => Condition::new(&field, *test, Value::Text(value)),
            _ => Err(unfinished()),
        };
    }
    let Some(Token::Word(name)) = tokens.next() else {
        return Err(unfinished());
    };
    let Some((_, test)) = COMPARISONS.iter().find(|(known, _)| *known == name) else {
        return Err(ApiError::validation(format!(
            "a filter has no operator {name}"
        )));
    };
    let value = match tokens.next() {
        Some(Token::Text(text)) => Value::Text(text),
        Some(Token::Word(word)) => Value::Number(word.parse().map_err(|_| unfinished())?),
        _ => return Err(unfinished()),
    };
    Condition::new(&first, *test, value)
}

fn tokens(text: &str) -> Result<Vec<Token>, ApiError> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(next) = chars.next() {
        match next {
            blank if blank.is_whitespace() => {}
            '(' | ')' | ',' => tokens.push(Token::Sign(next)),
            '\'' => {
                let mut quoted = String::new();
                loop {
                    match chars.next() {
                        Some('\'') if chars.next_if_eq(&'\'').is_some() => quoted.push('\''),
                        Some('\'') => break,
                        Some(inner) => quoted.push(inner),
                        None => {
                            return Err(ApiError::validation("a quote in the filter does not end"));
                        }
                    }
                }
                tokens.push(Token::Text(quoted));
            }
            first => {
                let mut word = String::from(first);
                let is_word = |c: &char| !c.is_whitespace() && !matches!(c, '(' | ')' | ',' | '\'');
                while let Some(c) = chars.next_if(is_word) {
                    word.push(c);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portsip::seeding;

    fn deck() -> Deck {
        Deck::new(seeding::rates(1, 1_000))
    }

    fn find(pairs: &[(&str, &str)]) -> Result<(usize, Vec<Arc<Rate>>), ApiError> {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        Ok(Query::read(&query)?.page(&deck()))
    }

    fn prefixes(pairs: &[(&str, &str)]) -> Vec<String> {
        let (_, rates) = find(pairs).expect("a usable query");
        rates.iter().map(|rate| rate.prefix.clone()).collect()
    }

    #[test]
    fn filters_narrow_the_list() {
        assert_eq!(prefixes(&[("filter", "prefix eq '49'")]), ["49"]);
        let germany = prefixes(&[("filter", "startswith(prefix,'49') and type ne 'MOBILE'")]);
        assert!(germany.len() > 5 && germany.iter().all(|prefix| prefix.starts_with("49")));
        let either = prefixes(&[("filter", "prefix eq '49' or endswith(prefix, '33')")]);
        assert!(either.contains(&"33".to_owned()) && either.contains(&"49".to_owned()));
        let (all, _) = find(&[("filter", "price_1 lt 0.02")]).expect("usable");
        let (rest, _) = find(&[("filter", "price_1 ge 0.02")]).expect("usable");
        assert_eq!(all + rest, 1_000);
        assert!(prefixes(&[("filter", "description eq 'O''Brien''s'")]).is_empty());
    }

    #[test]
    fn order_skip_and_top_page_through_everything() {
        let mut seen = Vec::new();
        for skip in (0..1_000).step_by(100) {
            seen.extend(prefixes(&[
                ("orderby", "prefix"),
                ("skip", &skip.to_string()),
            ]));
        }
        assert_eq!(seen.len(), 1_000);
        assert!(seen.is_sorted());

        let (_, dearest) =
            find(&[("orderby", "price_1 desc, prefix asc"), ("top", "5")]).expect("usable");
        assert_eq!(dearest.len(), 5);
        assert!(dearest.is_sorted_by(|a, b| a.price_1 >= b.price_1));
    }

    #[test]
    fn search_finds_any_of_the_words() {
        let found = prefixes(&[("search", "iceland or FIJI")]);
        assert!(found.contains(&"354".to_owned()) && found.contains(&"679".to_owned()));
    }

    #[test]
    fn what_is_not_of_the_language_is_refused() {
        for (name, value) in [
            ("filter", "prefix"),
            ("filter", "prefix eq \"49\""),
            ("filter", "prefix eq 49"),
            ("filter", "price_1 eq '1'"),
            ("filter", "prefix eq '49"),
            ("filter", "prefix is '49'"),
            ("filter", "number eq '49'"),
            ("filter", "prefix eq '49' xor prefix eq '1'"),
            ("filter", "startswith(prefix '4')"),
            ("orderby", "number"),
            ("orderby", "prefix down"),
            ("skip", "-1"),
            ("skip", "one"),
            ("top", "0"),
            ("top", "101"),
        ] {
            assert!(find(&[(name, value)]).is_err(), "{name}={value}");
        }
    }
}
