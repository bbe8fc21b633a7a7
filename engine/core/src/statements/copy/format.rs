//! Options of COPY: which there are, which go together, and what each is when nothing is said.

use datafusion::sql::sqlparser::ast::Ident;

use super::parse::{Direction, OptionValue};
use crate::error::{Error, Kind, Result};
use crate::statements::target::folded;

/// How the rows of a COPY are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyFormat {
    pub kind: CopyKind,
    pub header: CopyHeader,
    /// Between fields.
    pub delimiter: u8,
    /// What stands for NULL.
    pub null: String,
    /// Around fields of CSV.
    pub quote: u8,
    /// Before a quote inside them.
    pub escape: u8,
    /// By column: fields that are quoted always.
    pub force_quote: Vec<bool>,
    /// By column: fields that are never NULL, whatever they say.
    pub force_not_null: Vec<bool>,
    /// By column: fields that are NULL also if what says so is quoted.
    pub force_null: Vec<bool>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyKind {
    #[default]
    Text,
    Csv,
    Binary,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyHeader {
    #[default]
    Absent,
    /// The first line is skipped on the way in.
    Present,
    /// The first line has to name the columns.
    Match,
}

/// The options as given.
#[derive(Debug, Default)]
pub(super) struct Options {
    kind: Option<CopyKind>,
    header: Option<CopyHeader>,
    delimiter: Option<String>,
    null: Option<String>,
    quote: Option<String>,
    escape: Option<String>,
    encoding: Option<()>,
    freeze: Option<()>,
    force_quote: Option<Columns>,
    force_not_null: Option<Columns>,
    force_null: Option<Columns>,
}

#[derive(Debug)]
enum Columns {
    All,
    Named(Vec<Ident>),
}

impl Options {
    /// Reads and checks all that can be checked before the columns are known.
    pub fn read(given: &[(String, OptionValue)], direction: Direction) -> Result<Options> {
        let mut options = Options::default();
        for (name, value) in given {
            options.read_one(name, value, direction)?;
        }
        options.check(direction)?;
        Ok(options)
    }

    fn read_one(&mut self, name: &str, value: &OptionValue, direction: Direction) -> Result<()> {
        match name {
            "format" => once(&mut self.kind, kind(&text(name, value)?)?),
            "header" => once(&mut self.header, header(value, direction)?),
            "delimiter" => once(&mut self.delimiter, text(name, value)?),
            "null" => once(&mut self.null, text(name, value)?),
            "quote" => once(&mut self.quote, text(name, value)?),
            "escape" => once(&mut self.escape, text(name, value)?),
            "encoding" => once(&mut self.encoding, check_encoding(&text(name, value)?)?),
            // Rows are visible at once, or not at all: there is nothing to freeze.
            "freeze" => once(&mut self.freeze, boolean(name, value).map(|_| ())?),
            "force_quote" => once(&mut self.force_quote, columns(name, value)?),
            "force_not_null" => once(&mut self.force_not_null, columns(name, value)?),
            "force_null" => once(&mut self.force_null, columns(name, value)?),
            _ => Err(Error::new(Kind::SyntaxError, format!("option \"{name}\" not recognized"))),
        }
    }

    fn kind(&self) -> CopyKind {
        self.kind.unwrap_or_default()
    }

    fn check(&self, direction: Direction) -> Result<()> {
        let (binary, csv) = (self.kind() == CopyKind::Binary, self.kind() == CopyKind::Csv);
        for (given, name) in [(self.delimiter.is_some(), "DELIMITER"), (self.null.is_some(), "NULL")] {
            if binary && given {
                return Err(Error::new(Kind::SyntaxError, format!("cannot specify {name} in BINARY mode")));
            }
        }
        if binary && self.header.is_some_and(|header| header != CopyHeader::Absent) {
            return Err(Error::new(Kind::FeatureNotSupported, "cannot specify HEADER in BINARY mode"));
        }
        let csv_only = [
            (self.quote.is_some(), "quote"),
            (self.escape.is_some(), "escape"),
            (self.force_quote.is_some(), "force quote"),
            (self.force_not_null.is_some(), "force not null"),
            (self.force_null.is_some(), "force null"),
        ];
        if let Some((_, name)) = csv_only.iter().find(|(given, _)| *given && !csv) {
            return Err(Error::new(Kind::FeatureNotSupported, format!("COPY {name} available only in CSV mode")));
        }
        let one_way = [
            (self.force_quote.is_some(), "force quote", Direction::To, "COPY TO"),
            (self.force_not_null.is_some(), "force not null", Direction::From, "COPY FROM"),
            (self.force_null.is_some(), "force null", Direction::From, "COPY FROM"),
        ];
        match one_way.iter().find(|(given, _, way, _)| *given && *way != direction) {
            Some((_, name, _, way)) => {
                Err(Error::new(Kind::FeatureNotSupported, format!("COPY {name} only available using {way}")))
            }
            None => Ok(()),
        }
    }

    /// The format for the columns of this name.
    pub fn resolve(&self, columns: &[&str]) -> Result<CopyFormat> {
        let csv = self.kind() == CopyKind::Csv;
        let delimiter = one_byte(self.delimiter.as_deref(), if csv { b',' } else { b'\t' }, "delimiter")?;
        let null = self.null.clone().unwrap_or_else(|| if csv { String::new() } else { "\\N".to_owned() });
        let quote = one_byte(self.quote.as_deref(), b'"', "quote")?;
        let escape = one_byte(self.escape.as_deref(), quote, "escape")?;
        let refused = |message: &str| Err(Error::new(Kind::InvalidParameterValue, message));
        if matches!(delimiter, b'\n' | b'\r') {
            return refused("COPY delimiter cannot be newline or carriage return");
        }
        if null.contains(['\n', '\r']) {
            return refused("COPY null representation cannot use newline or carriage return");
        }
        // They would be taken for escapes, or for parts of NULL.
        if !csv && (delimiter.is_ascii_lowercase() || delimiter.is_ascii_digit() || matches!(delimiter, b'\\' | b'.')) {
            return refused(&format!("COPY delimiter cannot be \"{}\"", char::from(delimiter)));
        }
        if csv && delimiter == quote {
            return refused("COPY delimiter and quote must be different");
        }
        if null.as_bytes().contains(&delimiter) {
            return refused("COPY delimiter must not appear in the NULL specification");
        }
        if csv && null.as_bytes().contains(&quote) {
            return refused("CSV quote character must not appear in the NULL specification");
        }
        Ok(CopyFormat {
            kind: self.kind(),
            header: self.header.unwrap_or_default(),
            delimiter,
            null,
            quote,
            escape,
            force_quote: flags(self.force_quote.as_ref(), columns, "FORCE_QUOTE")?,
            force_not_null: flags(self.force_not_null.as_ref(), columns, "FORCE_NOT_NULL")?,
            force_null: flags(self.force_null.as_ref(), columns, "FORCE_NULL")?,
        })
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::new(Kind::SyntaxError, "conflicting or redundant options")),
    }
}

fn text(name: &str, value: &OptionValue) -> Result<String> {
    match value {
        OptionValue::Text(text) => Ok(text.clone()),
        _ => Err(Error::new(Kind::SyntaxError, format!("{name} requires a parameter"))),
    }
}

fn columns(name: &str, value: &OptionValue) -> Result<Columns> {
    match value {
        // PostgreSQL 15 has the star for quotes alone; later versions for all three.
        OptionValue::AllColumns => Ok(Columns::All),
        OptionValue::Columns(columns) => Ok(Columns::Named(columns.clone())),
        _ => Err(Error::new(
            Kind::InvalidParameterValue,
            format!("argument to option \"{name}\" must be a list of column names"),
        )),
    }
}

fn kind(name: &str) -> Result<CopyKind> {
    match name {
        "text" => Ok(CopyKind::Text),
        "csv" => Ok(CopyKind::Csv),
        "binary" => Ok(CopyKind::Binary),
        _ => Err(Error::new(Kind::InvalidParameterValue, format!("COPY format \"{name}\" not recognized"))
            .with_hint("Formats of COPY are text, csv and binary, and with files parquet, json and arrow too.")),
    }
}

fn boolean(name: &str, value: &OptionValue) -> Result<bool> {
    let word = match value {
        OptionValue::Missing => return Ok(true),
        OptionValue::Text(word) => word.to_ascii_lowercase(),
        _ => String::new(),
    };
    match word.as_str() {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        _ => Err(Error::new(Kind::SyntaxError, format!("{name} requires a Boolean value"))),
    }
}

fn header(value: &OptionValue, direction: Direction) -> Result<CopyHeader> {
    if matches!(value, OptionValue::Text(word) if word.eq_ignore_ascii_case("match")) {
        return match direction {
            Direction::From => Ok(CopyHeader::Match),
            Direction::To => {
                Err(Error::new(Kind::InvalidParameterValue, "cannot use \"match\" with HEADER in COPY TO"))
            }
        };
    }
    match boolean("header", value) {
        Ok(true) => Ok(CopyHeader::Present),
        Ok(false) => Ok(CopyHeader::Absent),
        Err(_) => Err(Error::new(Kind::SyntaxError, "header requires a Boolean value or \"match\"")),
    }
}

fn check_encoding(name: &str) -> Result<()> {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    match plain.to_ascii_lowercase().as_str() {
        "utf8" | "unicode" => Ok(()),
        _ => Err(Error::unsupported(format!("encoding \"{name}\" in COPY")).with_hint("Convert the text to UTF-8.")),
    }
}

fn one_byte(given: Option<&str>, default: u8, what: &str) -> Result<u8> {
    match given.map(str::as_bytes) {
        None => Ok(default),
        Some([byte]) => Ok(*byte),
        Some(_) => {
            Err(Error::new(Kind::FeatureNotSupported, format!("COPY {what} must be a single one-byte character")))
        }
    }
}

fn flags(named: Option<&Columns>, columns: &[&str], option: &str) -> Result<Vec<bool>> {
    let mut flags = vec![matches!(named, Some(Columns::All)); columns.len()];
    if let Some(Columns::Named(names)) = named {
        for name in names.iter().map(folded) {
            let place = columns.iter().position(|column| *column == name);
            let flag = place.and_then(|place| flags.get_mut(place)).ok_or_else(|| {
                let message = format!("{option} column \"{name}\" not referenced by COPY");
                Error::new(Kind::InvalidColumnReference, message)
            })?;
            *flag = true;
        }
    }
    Ok(flags)
}
