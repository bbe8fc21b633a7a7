//! Patterns in literals, from PostgreSQL's language to the planner's: LIKE with an escape character, SIMILAR TO,
//! and the formats of `to_char`, `to_date`, `to_timestamp`.

use datafusion::sql::sqlparser::ast::{Expr, Value, ValueWithSpan};

use crate::error::{Error, Result};

fn literal(pattern: &Expr) -> Option<String> {
    match pattern {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn text(value: String) -> Box<Expr> {
    Box::new(Expr::Value(Value::SingleQuotedString(value).into()))
}

fn escape_of(escape: &Option<ValueWithSpan>) -> Result<Option<char>> {
    let Some(escape) = escape else { return Ok(Some('\\')) };
    let Some(text) = escape.value.clone().into_string() else {
        return Err(Error::unsupported("an escape character that isn't a literal"));
    };
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (escape, None) => Ok(escape),
        _ => Err(Error::new(crate::error::Kind::InvalidParameterValue, "invalid escape string")
            .with_hint("Escape string must be empty or one character.")),
    }
}

/// `LIKE 'a!_' ESCAPE '!'` with the backslash in place of another escape character.
pub(super) fn without_escape(pattern: &mut Box<Expr>, escape: &mut Option<ValueWithSpan>) -> Result<()> {
    let own = escape_of(escape)?;
    if escape.is_none() || own == Some('\\') {
        *escape = None;
        return Ok(());
    }
    let Some(written) = literal(pattern) else {
        return Err(Error::unsupported("LIKE with ESCAPE and a pattern that isn't a literal"));
    };
    let mut respelled = String::new();
    let mut characters = written.chars();
    while let Some(character) = characters.next() {
        if Some(character) == own {
            if let Some(escaped) = characters.next() {
                respelled.push('\\');
                respelled.push(escaped);
            }
        } else {
            if character == '\\' {
                respelled.push('\\');
            }
            respelled.push(character);
        }
    }
    *pattern = text(respelled);
    *escape = None;
    Ok(())
}

/// The pattern of SIMILAR TO as a regular expression over the whole text.
pub(super) fn similar_to_regex(pattern: &mut Box<Expr>, escape: &mut Option<ValueWithSpan>) -> Result<()> {
    let own = escape_of(escape)?;
    let Some(written) = literal(pattern) else {
        return Err(
            Error::unsupported("SIMILAR TO with a pattern that isn't a literal").with_hint("Use the operator ~.")
        );
    };
    let mut regex = String::from("^(?:");
    let mut in_brackets = false;
    let mut characters = written.chars();
    while let Some(character) = characters.next() {
        match character {
            _ if Some(character) == own => {
                if let Some(escaped) = characters.next() {
                    regex.push('\\');
                    regex.push(escaped);
                }
            }
            '[' => {
                in_brackets = true;
                regex.push('[');
            }
            ']' => {
                in_brackets = false;
                regex.push(']');
            }
            '%' if !in_brackets => regex.push_str("(?s:.)*"),
            '_' if !in_brackets => regex.push_str("(?s:.)"),
            '.' | '^' | '$' | '\\' if !in_brackets => {
                regex.push('\\');
                regex.push(character);
            }
            other => regex.push(other),
        }
    }
    regex.push_str(")$");
    *pattern = text(regex);
    *escape = None;
    Ok(())
}

/// PostgreSQL's words, the longest first, and what they are in `strftime`.
const WORDS: &[(&str, &str)] = &[
    ("FMMonth", "%B"),
    ("FMDay", "%A"),
    ("FMMM", "%-m"),
    ("FMDD", "%-d"),
    ("FMHH24", "%-H"),
    ("FMHH12", "%-I"),
    ("FMHH", "%-I"),
    ("HH24", "%H"),
    ("HH12", "%I"),
    ("IYYY", "%G"),
    ("YYYY", "%Y"),
    ("DDD", "%j"),
    ("Mon", "%b"),
    ("HH", "%I"),
    ("MI", "%M"),
    ("MM", "%m"),
    ("MS", "%3f"),
    ("US", "%6f"),
    ("SS", "%S"),
    ("YY", "%y"),
    ("DD", "%d"),
    ("Dy", "%a"),
    ("IW", "%V"),
    ("ID", "%u"),
    ("AM", "%p"),
    ("PM", "%p"),
    ("am", "%P"),
    ("pm", "%P"),
];

/// A date format as `strftime` spells it. `None` when it is spelled so already: it has a percent sign.
pub(super) fn strftime(format: &str) -> Result<Option<String>> {
    if format.contains('%') {
        return Ok(None);
    }
    let mut spelled = String::new();
    let mut rest = format;
    while let Some(character) = rest.chars().next() {
        if let Some((word, with)) = WORDS.iter().find(|(word, _)| starts_with_word(rest, word)) {
            spelled.push_str(with);
            rest = rest.get(word.len()..).unwrap_or_default();
        } else if character == '"' {
            let quoted = rest.get(1..).unwrap_or_default();
            let end = quoted.find('"').unwrap_or(quoted.len());
            spelled.push_str(quoted.get(..end).unwrap_or_default());
            rest = quoted.get(end + 1..).unwrap_or_default();
        } else if character.is_ascii_alphanumeric() && !matches!(character, 'T' | 'Z') {
            return Err(Error::unsupported(format!("the format \"{format}\" (from \"{rest}\" on)")).with_hint(
                "Supported are YYYY, YY, IYYY, MM, Mon, FMMonth, DD, DDD, Dy, FMDay, HH24, HH12, MI, SS, MS, US, AM, \
                 IW, ID and text in double quotes; or strftime's letters, such as %Y-%m-%d.",
            ));
        } else {
            spelled.push(character);
            rest = rest.get(character.len_utf8()..).unwrap_or_default();
        }
    }
    Ok(Some(spelled))
}

/// Words of numbers are taken in either case; names of months and days say by their case how they are written.
fn starts_with_word(text: &str, word: &str) -> bool {
    let Some(start) = text.get(..word.len()) else { return false };
    let cased = ["Mon", "Dy", "FMMonth", "FMDay", "AM", "PM", "am", "pm"].contains(&word);
    if cased { start == word && !text.starts_with("Month") } else { start.eq_ignore_ascii_case(word) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_formats_become_strftime() {
        let check = |format: &str, expected: &str| assert_eq!(strftime(format).unwrap().unwrap(), expected, "{format}");
        check("YYYY-MM-DD HH24:MI:SS.MS", "%Y-%m-%d %H:%M:%S.%3f");
        check("Dy, DD Mon yyyy", "%a, %d %b %Y");
        check("YYYY\"W\"IW", "%YW%V");
        check("FMMonth FMDD", "%B %-d");
        assert_eq!(strftime("%Y").unwrap(), None);
        assert!(strftime("Month").is_err());
        assert!(strftime("Q").is_err());
    }
}
