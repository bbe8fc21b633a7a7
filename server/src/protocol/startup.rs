//! The first bytes of a connection: requests for encryption, cancel requests, and the start-up packet.

use std::collections::BTreeMap;
use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::report::Report;
use crate::sqlstate::SqlState;

/// PostgreSQL's limit on anything that comes before authentication.
const PACKET_BYTES_MAX: usize = 10_000;
const SSL_REQUEST: i32 = 80_877_103;
const GSS_ENCRYPTION_REQUEST: i32 = 80_877_104;
const CANCEL_REQUEST: i32 = 80_877_102;
const MAJOR: i32 = 3;

/// What a client came for.
#[derive(Debug, PartialEq, Eq)]
pub enum Opening {
    Session(StartUp),
    Cancel {
        process_id: i32,
        secret: Bytes,
    },
    /// It asked for something that can't be had, and is to be told.
    Refused(Report),
    /// Nothing that speaks this protocol; closed without a word.
    Foreign,
}

/// A start-up packet.
#[derive(Debug, PartialEq, Eq)]
pub struct StartUp {
    pub user: String,
    pub database: String,
    /// Minor version of protocol 3 that both sides now speak: 0 or 2.
    pub minor: u16,
    /// Present when the client must be told that it asked for more than there is.
    pub negotiation: Option<Negotiation>,
    /// Settings in the order in which they take effect: those of `options` first.
    pub settings: Vec<(String, String)>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Negotiation {
    pub unsupported_options: Vec<String>,
}

/// Reads until the client has said what it wants. Encryption is refused with `N`; the client then goes on in plain text
/// or hangs up.
pub async fn read(socket: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<Opening> {
    // One request for each kind of encryption, then the packet itself.
    for _ in 0..3 {
        let Some(mut packet) = packet(socket, buffer).await? else { return Ok(Opening::Foreign) };
        match packet.get_i32() {
            SSL_REQUEST | GSS_ENCRYPTION_REQUEST if packet.is_empty() => {
                if !buffer.is_empty() {
                    // Bytes sent ahead of the answer could have been slipped in by someone on the way.
                    return Ok(Opening::Foreign);
                }
                socket.write_all(b"N").await?;
            }
            CANCEL_REQUEST => {
                return Ok(match packet.try_get_i32() {
                    Ok(process_id) if (4..=256).contains(&packet.len()) => {
                        Opening::Cancel { process_id, secret: packet.freeze() }
                    }
                    _ => Opening::Foreign,
                });
            }
            version => return Ok(start_up(version, &packet)),
        }
    }
    Ok(Opening::Foreign)
}

/// The body of a packet, at least four bytes; `None` when it can't be one.
async fn packet(socket: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<Option<BytesMut>> {
    loop {
        if let Some(length) = buffer.get(..4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_be_bytes) {
            match usize::try_from(length) {
                Ok(length) if (8..=PACKET_BYTES_MAX).contains(&length) => {
                    if buffer.len() >= length {
                        let mut packet = buffer.split_to(length);
                        packet.advance(4);
                        return Ok(Some(packet));
                    }
                }
                _ => return Ok(None),
            }
        }
        buffer.reserve(1024);
        if socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

fn start_up(version: i32, body: &[u8]) -> Opening {
    let (major, minor) = (version >> 16, version & 0xffff);
    if major != MAJOR {
        // Random bytes pass for a length now and then, hardly ever for an old version of this protocol.
        if !(1..=MAJOR + 1).contains(&major) {
            return Opening::Foreign;
        }
        let message = format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2");
        return Opening::Refused(Report::fatal(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    match parameters(body).and_then(|parameters| with_parameters(minor, parameters)) {
        Ok(start_up) => Opening::Session(start_up),
        Err(report) => Opening::Refused(report),
    }
}

fn with_parameters(minor: i32, mut parameters: BTreeMap<String, String>) -> Result<StartUp, Report> {
    let user = parameters.remove("user").filter(|user| !user.is_empty()).ok_or_else(|| {
        Report::fatal(SqlState::INVALID_AUTHORIZATION, "no PostgreSQL user name specified in startup packet")
    })?;
    let database = parameters.remove("database").filter(|name| !name.is_empty()).unwrap_or_else(|| user.clone());
    if parameters.remove("replication").is_some_and(|value| !["false", "off", "no", "0"].contains(&value.as_str())) {
        return Err(Report::fatal(SqlState::FEATURE_NOT_SUPPORTED, "replication is not supported"));
    }
    let mut settings = match parameters.remove("options") {
        Some(options) => options_settings(&options)?,
        None => vec![],
    };
    let (unsupported, named): (Vec<_>, Vec<_>) =
        parameters.into_iter().partition(|(name, _)| name.starts_with("_pq_."));
    settings.extend(named);
    for (name, value) in &mut settings {
        // PostgreSQL reads nothing but the letters and digits of an encoding's name; asyncpg sends it in quotes.
        if name.eq_ignore_ascii_case("client_encoding") {
            value.retain(|character| character.is_ascii_alphanumeric());
        }
    }
    // Version 3.1 was never spoken; clients that ask for it get 3.0, newer ones 3.2.
    let spoken = if minor >= 2 { 2 } else { 0 };
    let negotiation = (i32::from(spoken) != minor || !unsupported.is_empty())
        .then(|| Negotiation { unsupported_options: unsupported.into_iter().map(|(name, _)| name).collect() });
    Ok(StartUp { user, database, minor: spoken, negotiation, settings })
}

fn parameters(body: &[u8]) -> Result<BTreeMap<String, String>, Report> {
    let broken = || Report::fatal(SqlState::PROTOCOL_VIOLATION, "invalid startup packet layout");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| broken());
    let body = body.strip_suffix(b"\0").ok_or_else(|| broken().with_detail("Expected terminator as last byte."))?;
    let mut parameters = BTreeMap::new();
    let mut strings = body.split_inclusive(|byte| *byte == 0).map(|string| string.strip_suffix(b"\0"));
    while let Some(name) = strings.next() {
        let name = name.ok_or_else(broken)?;
        let value = strings.next().flatten().ok_or_else(broken)?;
        if name.is_empty() {
            return Err(broken());
        }
        parameters.insert(text(name)?, text(value)?);
    }
    Ok(parameters)
}

/// The command-line options that libpq passes on: `-c name=value` and `--name=value`, blanks escaped by a backslash.
fn options_settings(options: &str) -> Result<Vec<(String, String)>, Report> {
    let mut words = words(options).into_iter();
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let assignment = if word == "-c" {
            words.next().unwrap_or_default()
        } else if let Some(rest) = word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            rest.to_string()
        } else {
            let message = format!("invalid command-line argument for server process: {word}");
            return Err(Report::fatal(SqlState::SYNTAX_ERROR, message));
        };
        let Some((name, value)) = assignment.split_once('=') else {
            return Err(Report::fatal(SqlState::SYNTAX_ERROR, format!("{word} {assignment} requires a value")));
        };
        // As PostgreSQL does, so that names can be written as options.
        settings.push((name.trim().replace('-', "_"), value.to_string()));
    }
    Ok(settings)
}

fn words(options: &str) -> Vec<String> {
    let mut words = vec![];
    let mut word = String::new();
    let mut begun = false;
    let mut characters = options.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                word.extend(characters.next());
                begun = true;
            }
            character if character.is_ascii_whitespace() => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            character => {
                word.push(character);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION_3_0: i32 = 3 << 16;

    fn session(version: i32, body: &[u8]) -> StartUp {
        match start_up(version, body) {
            Opening::Session(start_up) => start_up,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_database_is_the_user_unless_named() {
        let start_up = session(VERSION_3_0, b"user\0ada\0application_name\0psql\0\0");
        assert_eq!((start_up.user.as_str(), start_up.database.as_str()), ("ada", "ada"));
        assert_eq!(start_up.settings, vec![("application_name".to_string(), "psql".to_string())]);
        assert_eq!(start_up.negotiation, None);
    }

    #[test]
    fn options_come_before_named_settings() {
        let body = b"user\0ada\0options\0-c statement_timeout=5s --search-path=a\\ b -cx=1\0TimeZone\0UTC\0\0";
        let settings: Vec<String> =
            session(VERSION_3_0, body).settings.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(settings, ["statement_timeout=5s", "search_path=a b", "x=1", "TimeZone=UTC"]);
    }

    #[test]
    fn encodings_are_read_by_letters_and_digits() {
        let start_up = session(VERSION_3_0, b"user\0ada\0client_encoding\0'utf-8'\0\0");
        assert_eq!(start_up.settings, vec![("client_encoding".to_string(), "utf8".to_string())]);
    }

    #[test]
    fn newer_versions_and_unknown_options_are_negotiated() {
        let start_up = session(VERSION_3_0 | 9999, b"user\0ada\0_pq_.later\0yes\0\0");
        assert_eq!(start_up.minor, 2);
        assert_eq!(start_up.negotiation, Some(Negotiation { unsupported_options: vec!["_pq_.later".into()] }));
        assert_eq!(session(VERSION_3_0 | 2, b"user\0ada\0\0").negotiation, None);
        assert_eq!(session(VERSION_3_0 | 1, b"user\0ada\0\0").minor, 0);
    }

    #[test]
    fn broken_packets_are_refused_and_foreign_ones_ignored() {
        for body in [&b""[..], b"user\0ada\0", b"user\0", b"user\0\0", b"\0", b"user\0ada\0options\0-x\0\0"] {
            assert!(matches!(start_up(VERSION_3_0, body), Opening::Refused(_)), "{body:?}");
        }
        assert!(matches!(start_up(2 << 16, b"\0"), Opening::Refused(_)));
        assert_eq!(start_up(i32::from_be_bytes(*b"HTTP"), b"\0"), Opening::Foreign);
    }
}
