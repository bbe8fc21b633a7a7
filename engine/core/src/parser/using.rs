//! `CREATE TABLE t (...) USING delta PARTITIONED BY (...)`, as Databricks orders it. The parser takes the two only the
//! other way round.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// Whether the order may have to change.
pub(super) fn occurs(parser: &Parser) -> bool {
    let mut tokens = (0..).map(|index| &parser.token_at(index).token).take_while(|token| **token != Token::EOF);
    tokens.any(|token| is(token, Keyword::PARTITIONED))
}

/// `USING word PARTITIONED BY (...)` with the first two words last.
pub(super) fn move_behind_partitions(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let places: Vec<usize> = (0..tokens.len()).filter(|place| !blank(&tokens, *place)).collect();
    let mut moved: Vec<TokenWithSpan> = vec![];
    let mut next = 0;
    for (number, place) in places.iter().enumerate() {
        let Some([using, format, partitioned, by, open]) =
            places.get(number..number + 5).and_then(|places| <[usize; 5]>::try_from(places).ok())
        else {
            break;
        };
        let at = |place: usize| tokens.get(place).map_or(&Token::EOF, |token| &token.token);
        let found = is(at(using), Keyword::USING)
            && matches!(at(format), Token::Word(_))
            && is(at(partitioned), Keyword::PARTITIONED)
            && is(at(by), Keyword::BY)
            && *at(open) == Token::LParen;
        let Some(end) = found.then(|| closing(&tokens, open)).flatten() else { continue };
        moved.extend(tokens.iter().take(*place).skip(next).cloned());
        moved.extend(tokens.iter().take(end + 1).skip(partitioned).cloned());
        moved.extend(tokens.iter().take(partitioned).skip(using).cloned());
        next = end + 1;
    }
    moved.extend(tokens.into_iter().skip(next));
    moved
}

fn blank(tokens: &[TokenWithSpan], place: usize) -> bool {
    tokens.get(place).is_some_and(|token| matches!(token.token, Token::Whitespace(_)))
}

fn is(token: &Token, keyword: Keyword) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.keyword == keyword)
}

/// The parenthesis that closes the one at `open`.
fn closing(tokens: &[TokenWithSpan], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (place, token) in tokens.iter().enumerate().skip(open) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(place);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::parser::{StatementKind, parse};

    #[test]
    fn either_order_is_read() {
        for sql in [
            "CREATE TABLE t (a INT, b INT) USING delta PARTITIONED BY (a, b) LOCATION '/tmp/t'",
            "CREATE TABLE t (a INT, b INT) PARTITIONED BY (a, b) USING delta LOCATION '/tmp/t'",
        ] {
            let statement = parse(sql).unwrap_or_else(|error| panic!("{sql}: {error}")).remove(0);
            let StatementKind::Sql(ast) = statement.kind else { panic!("{sql}") };
            assert!(ast.to_string().contains("USING delta"), "{ast}");
            assert!(ast.to_string().contains("PARTITIONED BY (a, b)"), "{ast}");
        }
    }
}
